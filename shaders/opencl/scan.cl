// Labels in, hits out. Each label goes through the AES-128 cipher of every nonce group; a byte below `msb` is a hit of its
// nonce, a byte equal to it leaves the decision to the nonce's own ("lazy") cipher.
//
// One byte in 256 is left open, so in almost every round some work item would keep all others waiting. Open cases are
// therefore queued in local memory and decided GROUP at a time.
//
// AES is done with one table: what a byte does to its column if it is in the first row; the other rows' are the same,
// rotated. Local memory holds it COPIES times, interleaved, so that neighbours don't wait for one bank.
//
// The host defines GROUP (work items of a workgroup, a power of two) and COPIES (a power of two up to GROUP).

// More than one round leaves open, with the rest of the one before; if there are more, they are decided on the spot.
#define QUEUE (2 * GROUP)
// Keys of a group: its cipher's and 16 lazy ones, 11 round keys each.
#define ROUND_KEYS 11
#define GROUP_KEYS (17 * ROUND_KEYS)
#define LOW_56 0x00ffffffffffffffUL

// What all work items are given.
typedef struct {
    __global const uint4 *labels;
    __global const uint4 *keys;
    __global const uint *nonces;
    volatile __global uint *found;
    uint room;
    ulong lsb;
    // The first label of this workgroup.
    uint first;
    // The copy of the table that is this work item's.
    __local const uint *table;
} Scan;

#define T(word, row) rotate(table[((word) >> (8 * row) & 255) * COPIES], (uint)(8 * row))
#define COLUMN(a, b, c, d) (T(a, 0) ^ T(b, 1) ^ T(c, 2) ^ T(d, 3))
// The S-box alone is the table's second byte.
#define S(word, row) ((table[((word) >> (8 * row) & 255) * COPIES] >> 8 & 255) << (8 * row))
#define LAST_COLUMN(a, b, c, d) (S(a, 0) | S(b, 1) | S(c, 2) | S(d, 3))

uint4 encrypt(uint4 x, __global const uint4 *keys, __local const uint *table) {
    x ^= keys[0];
    for (uint round = 1; round < 10; round++) {
        x = (uint4)(COLUMN(x.x, x.y, x.z, x.w), COLUMN(x.y, x.z, x.w, x.x),
                    COLUMN(x.z, x.w, x.x, x.y), COLUMN(x.w, x.x, x.y, x.z)) ^ keys[round];
    }
    return (uint4)(LAST_COLUMN(x.x, x.y, x.z, x.w), LAST_COLUMN(x.y, x.z, x.w, x.x),
                   LAST_COLUMN(x.z, x.w, x.x, x.y), LAST_COLUMN(x.w, x.x, x.y, x.z)) ^ keys[10];
}

// A byte of a label under a group's cipher as one number: the label's place in the workgroup's, the group's place in the
// job, the byte.
#define CODE(at, group, lane) ((at) << 12 | (group) << 4 | (lane))

// Counts a hit and, if there is room, lists it. `found` is the count, one word unused, then pairs (label, nonce).
void hit(const Scan *scan, uint code) {
    const uint slot = atomic_inc(scan->found);
    if (slot >= scan->room) return;
    scan->found[2 + 2 * slot] = scan->first + (code >> 12);
    scan->found[3 + 2 * slot] = scan->nonces[code >> 4 & 255] + (code & 15);
}

// Asks the lazy cipher.
void decide(const Scan *scan, uint code) {
    const uint key = (code >> 4 & 255) * GROUP_KEYS + (1 + (code & 15)) * ROUND_KEYS;
    const uint4 x = encrypt(scan->labels[scan->first + (code >> 12)], scan->keys + key, scan->table);
    if ((((ulong)x.y << 32 | x.x) & LOW_56) < scan->lsb) hit(scan, code);
}

// Looks at the four bytes of a column. Bytes above `msb`, almost all, are nothing.
void judge(const Scan *scan, uint column, uint code, uint msb, __local uint *queue, volatile __local uint *queued) {
    for (uint row = 0; row < 4; row++, column >>= 8, code++) {
        const uint byte = column & 255;
        if (byte < msb) {
            hit(scan, code);
        } else if (byte == msb) {
            const uint slot = atomic_inc(queued);
            if (slot < QUEUE) queue[slot] = code;
            else decide(scan, code);
        }
    }
}

// A workgroup does `rounds` times GROUP labels of the `count`.
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void scan(__global const uint4 *labels, const uint count, const uint rounds, __global const uint4 *keys,
          __global const uint *nonces, const uint groups, const uint msb, const ulong lsb, __global const uint *column_table,
          __global uint *found, const uint room)
{
    __local uint tables[256 * COPIES];
    __local uint queue[QUEUE];
    __local uint queued;
    const uint me = get_local_id(0);
    for (uint i = me; i < 256 * COPIES; i += GROUP) tables[i] = column_table[i / COPIES];
    if (me == 0) queued = 0;
    barrier(CLK_LOCAL_MEM_FENCE);

    Scan job;
    job.labels = labels;
    job.keys = keys;
    job.nonces = nonces;
    job.found = found;
    job.room = room;
    job.lsb = lsb;
    job.first = get_group_id(0) * (rounds * GROUP);
    job.table = tables + me % COPIES;

    for (uint round = 0; round < rounds; round++) {
        const uint at = round * GROUP + me;
        const bool inside = job.first + at < count;
        const uint4 label = inside ? labels[job.first + at] : (uint4)0;
        for (uint group = 0; group < groups; group++) {
            if (inside) {
                const uint4 x = encrypt(label, keys + group * GROUP_KEYS, job.table);
                judge(&job, x.x, CODE(at, group, 0), msb, queue, &queued);
                judge(&job, x.y, CODE(at, group, 4), msb, queue, &queued);
                judge(&job, x.z, CODE(at, group, 8), msb, queue, &queued);
                judge(&job, x.w, CODE(at, group, 12), msb, queue, &queued);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            uint left = min(queued, (uint)QUEUE);
            for (; left >= GROUP; left -= GROUP) decide(&job, queue[left - GROUP + me]);
            barrier(CLK_LOCAL_MEM_FENCE);
            if (me == 0) queued = left;
            barrier(CLK_LOCAL_MEM_FENCE);
        }
    }
    if (me < queued) decide(&job, queue[me]);
}
