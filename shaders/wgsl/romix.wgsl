// ROMix of one label a thread: `fill` writes the label's lines, `walk` reads them back in an order that depends on the
// data. Judge: post-core/src/label/reference.rs.
//
// The scratch is several buffers; the functions that reach them, `store_line` and `load_line`, are generated for their
// number (see lib.rs), as are `GAP` and `GAP_SHIFT`: every GAP-th line is kept, the others are mixed again from the one
// before.

// 128 B: a line of scratch, and what ROMix works on. Each half is one block of ChaCha in four rows.
struct Line {
    a0: vec4<u32>, b0: vec4<u32>, c0: vec4<u32>, d0: vec4<u32>,
    a1: vec4<u32>, b1: vec4<u32>, c1: vec4<u32>, d1: vec4<u32>,
}

struct Rows {
    a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>,
}

fn rotate(x: vec4<u32>, left: u32) -> vec4<u32> {
    return (x << vec4(left)) | (x >> vec4(32u - left));
}

// Four quarter rounds side by side.
fn quarter_rounds(x: Rows) -> Rows {
    var r = x;
    r.a += r.b; r.d = rotate(r.d ^ r.a, 16u);
    r.c += r.d; r.b = rotate(r.b ^ r.c, 12u);
    r.a += r.b; r.d = rotate(r.d ^ r.a, 8u);
    r.c += r.d; r.b = rotate(r.b ^ r.c, 7u);
    return r;
}

// Columns, then diagonals.
fn double_round(x: Rows) -> Rows {
    let r = quarter_rounds(x);
    let s = quarter_rounds(Rows(r.a, r.b.yzwx, r.c.zwxy, r.d.wxyz));
    return Rows(s.a, s.b.wxyz, s.c.zwxy, s.d.yzwx);
}

fn chacha8(x: Rows) -> Rows {
    let r = double_round(double_round(double_round(double_round(x))));
    return Rows(x.a + r.a, x.b + r.b, x.c + r.c, x.d + r.d);
}

fn mix(x: Line) -> Line {
    let first = chacha8(Rows(x.a0 ^ x.a1, x.b0 ^ x.b1, x.c0 ^ x.c1, x.d0 ^ x.d1));
    let second = chacha8(Rows(x.a1 ^ first.a, x.b1 ^ first.b, x.c1 ^ first.c, x.d1 ^ first.d));
    return Line(first.a, first.b, first.c, first.d, second.a, second.b, second.c, second.d);
}

fn load_state(group: u32, lane: u32) -> Line {
    let at = group * VECTORS * LANES + lane;
    return Line(
        states[at], states[at + LANES], states[at + 2u * LANES], states[at + 3u * LANES],
        states[at + 4u * LANES], states[at + 5u * LANES], states[at + 6u * LANES], states[at + 7u * LANES],
    );
}

fn store_state(group: u32, lane: u32, x: Line) {
    let at = group * VECTORS * LANES + lane;
    states[at] = x.a0;
    states[at + LANES] = x.b0;
    states[at + 2u * LANES] = x.c0;
    states[at + 3u * LANES] = x.d0;
    states[at + 4u * LANES] = x.a1;
    states[at + 5u * LANES] = x.b1;
    states[at + 6u * LANES] = x.c1;
    states[at + 7u * LANES] = x.d1;
}

// Where line 0 of this lane begins in its buffer, in vectors of 16 B. The same line of all lanes of a workgroup is one
// piece of memory, and a lane's line is 128 B of it.
fn first_line(group: u32, lane: u32) -> u32 {
    return ((group % params.groups_per_buffer) * params.lines * LANES + lane) * VECTORS;
}

fn line_at(first: u32, line: u32) -> u32 {
    return first + line * LANES * VECTORS;
}

@compute @workgroup_size(64)
fn fill(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = id.x;
    if (group * LANES + lane >= params.labels) {
        return;
    }
    let buffer = group / params.groups_per_buffer;
    let first = first_line(group, lane);
    var x = load_state(group, lane);
    for (var step = params.first; step < params.end; step++) {
        if ((step & (GAP - 1u)) == 0u) {
            store_line(buffer, line_at(first, step >> GAP_SHIFT), x);
        }
        x = mix(x);
    }
    store_state(group, lane, x);
}

// One mix a turn, whether it makes a line again or is a step's own: so lanes that have more to make again don't make the
// others wait in every step, only at the end of all. `y` is what is mixed; while it is a line, the state waits in `x`.
@compute @workgroup_size(64)
fn walk(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = id.x;
    if (group * LANES + lane >= params.labels) {
        return;
    }
    let buffer = group / params.groups_per_buffer;
    let first = first_line(group, lane);
    var x = load_state(group, lane);
    var row = x.a1.x & params.mask;
    var y = load_line(buffer, line_at(first, row >> GAP_SHIFT));
    // Mixes between the line that is kept and the row.
    var missing = row & (GAP - 1u);
    var step = params.first;
    while (step < params.end) {
        if (missing == 0u) {
            y = Line(
                x.a0 ^ y.a0, x.b0 ^ y.b0, x.c0 ^ y.c0, x.d0 ^ y.d0, x.a1 ^ y.a1, x.b1 ^ y.b1, x.c1 ^ y.c1, x.d1 ^ y.d1,
            );
        }
        y = mix(y);
        if (missing == 0u) {
            x = y;
            step += 1u;
            row = x.a1.x & params.mask;
            y = load_line(buffer, line_at(first, row >> GAP_SHIFT));
            missing = row & (GAP - 1u);
        } else {
            missing -= 1u;
        }
    }
    store_state(group, lane, x);
}
