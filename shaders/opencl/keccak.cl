// The two ends of a label: `expand` turns a job into the 128 B that ROMix starts from, `compress` turns what ROMix left
// into the 16 B label. Both are PBKDF2 of one iteration over HMAC-Keccak-512 with the original padding, written as one
// loop around the only place where Keccak's permutation stands: it is long, and compilers take their time over each copy.
//
// A job is 5 ulongs: the commitment and the index. With 32 zero bytes they make the 72 B password, just one block.

// Lanes of 8 B that are absorbed at a time: 72 B.
#define RATE 9
// A Keccak-512 digest: 64 B.
#define DIGEST 8
#define INNER 0x3636363636363636UL
#define OUTER 0x5c5c5c5c5c5c5c5cUL
// Padding: 0x01 behind the message, 0x80 at the end of the block.
#define LAST_BYTE 0x8000000000000000UL

__constant ulong ROUND_CONSTANTS[24] = {
    0x0000000000000001UL, 0x0000000000008082UL, 0x800000000000808aUL, 0x8000000080008000UL,
    0x000000000000808bUL, 0x0000000080000001UL, 0x8000000080008081UL, 0x8000000000008009UL,
    0x000000000000008aUL, 0x0000000000000088UL, 0x0000000080008009UL, 0x000000008000000aUL,
    0x000000008000808bUL, 0x800000000000008bUL, 0x8000000000008089UL, 0x8000000000008003UL,
    0x8000000000008002UL, 0x8000000000000080UL, 0x000000000000800aUL, 0x800000008000000aUL,
    0x8000000080008081UL, 0x8000000000008080UL, 0x0000000080000001UL, 0x8000000080008008UL,
};

// Keccak-f[1600]. `rounds` is 24; as an argument, so that no compiler unrolls it.
void permute(ulong *s, uint rounds) {
    for (uint round = 0; round < rounds; round++) {
        ulong c[5], t[25];
#define COLUMN(x) c[x] = s[x] ^ s[x + 5] ^ s[x + 10] ^ s[x + 15] ^ s[x + 20]
        COLUMN(0); COLUMN(1); COLUMN(2); COLUMN(3); COLUMN(4);
#define SPREAD(x) { \
        const ulong d = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1UL); \
        s[x] ^= d; s[x + 5] ^= d; s[x + 10] ^= d; s[x + 15] ^= d; s[x + 20] ^= d; }
        SPREAD(0) SPREAD(1) SPREAD(2) SPREAD(3) SPREAD(4)
#define MOVE(to, from, by) t[to] = rotate(s[from], (ulong)by)
        MOVE(0, 0, 0); MOVE(10, 1, 1); MOVE(20, 2, 62); MOVE(5, 3, 28); MOVE(15, 4, 27);
        MOVE(16, 5, 36); MOVE(1, 6, 44); MOVE(11, 7, 6); MOVE(21, 8, 55); MOVE(6, 9, 20);
        MOVE(7, 10, 3); MOVE(17, 11, 10); MOVE(2, 12, 43); MOVE(12, 13, 25); MOVE(22, 14, 39);
        MOVE(23, 15, 41); MOVE(8, 16, 45); MOVE(18, 17, 15); MOVE(3, 18, 21); MOVE(13, 19, 8);
        MOVE(14, 20, 18); MOVE(24, 21, 2); MOVE(9, 22, 61); MOVE(19, 23, 56); MOVE(4, 24, 14);
        // bitselect takes its second argument where the third has ones.
#define MIX(i, j, k) s[i] = t[i] ^ bitselect(t[k], 0UL, t[j])
#define ROW(y) MIX(y, y + 1, y + 2); MIX(y + 1, y + 2, y + 3); MIX(y + 2, y + 3, y + 4); MIX(y + 3, y + 4, y); \
        MIX(y + 4, y, y + 1)
        ROW(0); ROW(5); ROW(10); ROW(15); ROW(20);
        s[0] ^= ROUND_CONSTANTS[round];
    }
}

// Starts a hash with the block that HMAC puts in front: the key with every byte XORed.
void start(ulong *s, __global const ulong *job, ulong pad) {
    for (uint i = 0; i < 25; i++) s[i] = i < 5 ? job[i] ^ pad : i < RATE ? pad : 0;
}

// XORs a digest and its padding in: the second and last block of the outer hash.
void absorb_digest(ulong *s, const ulong *digest) {
    for (uint i = 0; i < DIGEST; i++) s[i] ^= digest[i];
    s[DIGEST] ^= LAST_BYTE | 1;
}

// The big-endian number of an output block, and the padding behind it.
ulong counter(uint block) {
    return (ulong)block << 24 | 1UL << 32;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void expand(__global const ulong *jobs, __global ulong *states, const uint rounds) {
    const size_t label = get_global_id(0);
    ulong s[25], digest[DIGEST];
    // Two blocks of 64 B, each of which is two hashes of two blocks.
    for (uint pass = 0; pass < 8; pass++) {
        switch (pass % 4) {
        case 0:
            start(s, jobs + label * 5, INNER);
            break;
        case 1:
            s[0] ^= counter(pass / 4 + 1);
            s[RATE - 1] ^= LAST_BYTE;
            break;
        case 2:
            for (uint i = 0; i < DIGEST; i++) digest[i] = s[i];
            start(s, jobs + label * 5, OUTER);
            break;
        default:
            absorb_digest(s, digest);
        }
        permute(s, rounds);
        if (pass % 4 == 3)
            for (uint i = 0; i < DIGEST; i++) states[label * 16 + pass / 4 * DIGEST + i] = s[i];
    }
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void compress(__global const ulong *jobs, __global const ulong *states, __global ulong *labels, const uint rounds) {
    const size_t label = get_global_id(0);
    __global const ulong *state = states + label * 16;
    ulong s[25], digest[DIGEST];
    // The inner hash takes the key, 72 B of the state, its other 56 B and the counter; the outer one key and digest.
    for (uint pass = 0; pass < 5; pass++) {
        switch (pass) {
        case 0:
            start(s, jobs + label * 5, INNER);
            break;
        case 1:
            for (uint i = 0; i < RATE; i++) s[i] ^= state[i];
            break;
        case 2:
            for (uint i = RATE; i < 16; i++) s[i - RATE] ^= state[i];
            s[16 - RATE] ^= counter(1);
            s[RATE - 1] ^= LAST_BYTE;
            break;
        case 3:
            for (uint i = 0; i < DIGEST; i++) digest[i] = s[i];
            start(s, jobs + label * 5, OUTER);
            break;
        default:
            absorb_digest(s, digest);
        }
        permute(s, rounds);
    }
    labels[label * 2] = s[0];
    labels[label * 2 + 1] = s[1];
}
