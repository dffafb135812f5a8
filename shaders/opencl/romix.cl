// ROMix in two kernels: `fill` writes the lines of every label's table, `walk` reads them in an order that depends on the
// data. Both do the steps `first` … `end` of their N and leave the state (128 B a label) behind, so that no launch is long.
//
// The table of a label has `lines` lines of 128 B: every GAP-th step's; the walk recomputes those between. Labels come in
// blocks of BLOCK, one a workgroup: in a block lines come first, then labels, then bytes. So what a workgroup writes in a
// step is one stretch of 8 KiB, and what a label reads is one whole line. Blocks are spread over up to eight buffers;
// which one is the same for all of a workgroup.
//
// The host defines GAP.

#define BLOCK 64
// A line, in units of 16 B.
#define LINE 8

#define SCRATCH \
    __global uint4 *s0, __global uint4 *s1, __global uint4 *s2, __global uint4 *s3, \
    __global uint4 *s4, __global uint4 *s5, __global uint4 *s6, __global uint4 *s7

#define QUARTERS(a, b, c, d) \
    a += b; d = rotate(d ^ a, (uint4)16); \
    c += d; b = rotate(b ^ c, (uint4)12); \
    a += b; d = rotate(d ^ a, (uint4)8); \
    c += d; b = rotate(b ^ c, (uint4)7)

// ChaCha with 8 rounds and the feed-forward, in place on 64 B. A row of its matrix is a vector: four quarter rounds at once
// on the columns, then, the rows turned, on the diagonals.
void chacha8(uint4 *x) {
    uint4 a = x[0], b = x[1], c = x[2], d = x[3];
    for (uint i = 0; i < 4; i++) {
        QUARTERS(a, b, c, d);
        b = b.yzwx; c = c.zwxy; d = d.wxyz;
        QUARTERS(a, b, c, d);
        b = b.wxyz; c = c.zwxy; d = d.yzwx;
    }
    x[0] += a; x[1] += b; x[2] += c; x[3] += d;
}

// Each half is mixed into the other.
void mix(uint4 *x) {
    for (uint i = 0; i < 4; i++) x[i] ^= x[i + 4];
    chacha8(x);
    for (uint i = 0; i < 4; i++) x[i + 4] ^= x[i];
    chacha8(x + 4);
}

void load(uint4 *x, __global const uint4 *from) {
    for (uint i = 0; i < LINE; i++) x[i] = from[i];
}

void store(__global uint4 *to, const uint4 *x) {
    for (uint i = 0; i < LINE; i++) to[i] = x[i];
}

// The first line of this work item's table. The next is BLOCK * LINE further.
__global uint4 *table(uint lines, uint labels_per_buffer, SCRATCH) {
    const uint first = get_group_id(0) * BLOCK;
    const uint buffer = first / labels_per_buffer;
    __global uint4 *base = s0;
    switch (buffer) {
    case 1: base = s1; break;
    case 2: base = s2; break;
    case 3: base = s3; break;
    case 4: base = s4; break;
    case 5: base = s5; break;
    case 6: base = s6; break;
    case 7: base = s7; break;
    }
    return base + ((size_t)(first - buffer * labels_per_buffer) * lines + get_local_id(0)) * LINE;
}

__kernel __attribute__((reqd_work_group_size(BLOCK, 1, 1)))
void fill(SCRATCH, __global uint4 *states, const uint lines, const uint labels_per_buffer, const uint first, const uint end)
{
    __global uint4 *v = table(lines, labels_per_buffer, s0, s1, s2, s3, s4, s5, s6, s7);
    __global uint4 *state = states + get_global_id(0) * LINE;
    uint4 x[LINE];
    load(x, state);
    for (uint step = first; step < end; step++) {
        if (step % GAP == 0) store(v + (size_t)(step / GAP) * (BLOCK * LINE), x);
        mix(x);
    }
    store(state, x);
}

// A step takes one mix, and one more for each line that must be recomputed. Labels don't wait for each other in that: an
// iteration does one mix of whatever each label needs next.
__kernel __attribute__((reqd_work_group_size(BLOCK, 1, 1)))
void walk(SCRATCH, __global uint4 *states, const uint lines, const uint labels_per_buffer, const uint first, const uint end,
          const uint mask)
{
    __global const uint4 *v = table(lines, labels_per_buffer, s0, s1, s2, s3, s4, s5, s6, s7);
    __global uint4 *state = states + get_global_id(0) * LINE;
    // `x` is the state, `y` what is mixed: a line on its way to the one that is wanted, and then the state with it.
    uint4 x[LINE], y[LINE];
    load(x, state);
    uint line = x[4].x & mask;
    uint missing = line % GAP;
    load(y, v + (size_t)(line / GAP) * (BLOCK * LINE));
    for (uint step = first; step < end;) {
        const bool found = missing == 0;
        if (found)
            for (uint i = 0; i < LINE; i++) y[i] ^= x[i];
        mix(y);
        if (found) {
            for (uint i = 0; i < LINE; i++) x[i] = y[i];
            line = x[4].x & mask;
            missing = line % GAP;
            step++;
            // After the last step this reads a line for nothing.
            load(y, v + (size_t)(line / GAP) * (BLOCK * LINE));
        } else {
            missing--;
        }
    }
    store(state, x);
}
