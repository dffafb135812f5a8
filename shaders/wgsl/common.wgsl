// What the kernels of labels share. It stands before each of them.
//
// A batch of labels goes through `expand`, `fill`, `walk` and `compress`; one thread is one label, and between kernels a
// label's 128 B wait in `states`. A kernel's work is cut into dispatches of some steps each, so that none is long.

struct Params {
    // Labels of this batch.
    labels: u32,
    // This dispatch does steps first .. end.
    first: u32,
    end: u32,
    // N - 1: what the first word of the second half is masked with.
    mask: u32,
    // Lines kept for a label.
    lines: u32,
    // Workgroups whose lines are in one buffer.
    groups_per_buffer: u32,
    // Of Keccak: 24. A count that compilers don't know, because some of them unroll every loop they can, for half a minute.
    rounds: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// [workgroup][vector 0..8][lane], 16 B each: neighbours read neighbouring addresses.
@group(0) @binding(1) var<storage, read_write> states: array<vec4<u32>>;

const LANES: u32 = 64u;
// Vectors of 16 B in a state or a line.
const VECTORS: u32 = 8u;
