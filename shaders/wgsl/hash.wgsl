// The two ends of a label: PBKDF2 with one iteration over HMAC-Keccak-512 in its original padding. `expand` makes the 128 B
// that ROMix starts from, `compress` makes the label of what it leaves. Judge: post-core/src/label.rs.
//
// 64-bit words are vec2(low, high). The password (commitment, index, 32 zeros) is as long as Keccak-512's block of 72 B,
// so it is the HMAC key as it is. Each kernel is a loop over the permutations it needs, with one call of `permute`:
// compilers copy a function to every call, and this one is long.

// 40 B a label: commitment and index.
@group(0) @binding(2) var<storage, read> jobs: array<u32>;
// 16 B a label.
@group(0) @binding(3) var<storage, read_write> labels: array<vec4<u32>>;

alias State = array<vec2<u32>, 25>;

const JOB_WORDS: u32 = 10u;
const PAD_END: vec2<u32> = vec2(0u, 0x80000000u);
const INNER: u32 = 0x36363636u;
const OUTER: u32 = 0x5c5c5c5cu;

const ROUND_CONSTANTS = array<vec2<u32>, 24>(
    vec2(0x00000001u, 0x00000000u), vec2(0x00008082u, 0x00000000u), vec2(0x0000808au, 0x80000000u),
    vec2(0x80008000u, 0x80000000u), vec2(0x0000808bu, 0x00000000u), vec2(0x80000001u, 0x00000000u),
    vec2(0x80008081u, 0x80000000u), vec2(0x00008009u, 0x80000000u), vec2(0x0000008au, 0x00000000u),
    vec2(0x00000088u, 0x00000000u), vec2(0x80008009u, 0x00000000u), vec2(0x8000000au, 0x00000000u),
    vec2(0x8000808bu, 0x00000000u), vec2(0x0000008bu, 0x80000000u), vec2(0x00008089u, 0x80000000u),
    vec2(0x00008003u, 0x80000000u), vec2(0x00008002u, 0x80000000u), vec2(0x00000080u, 0x80000000u),
    vec2(0x0000800au, 0x00000000u), vec2(0x8000000au, 0x80000000u), vec2(0x80008081u, 0x80000000u),
    vec2(0x00008080u, 0x80000000u), vec2(0x80000001u, 0x00000000u), vec2(0x80008008u, 0x80000000u),
);

// To the left, by 1 to 31.
fn rotate(x: vec2<u32>, left: u32) -> vec2<u32> {
    return (x << vec2(left)) | (x.yx >> vec2(32u - left));
}

// Keccak-f[1600]; word (x, y) is at x + 5y.
fn permute(a: ptr<function, State>) {
    for (var round = 0u; round < params.rounds; round++) {
        let c0 = (*a)[0] ^ (*a)[5] ^ (*a)[10] ^ (*a)[15] ^ (*a)[20];
        let c1 = (*a)[1] ^ (*a)[6] ^ (*a)[11] ^ (*a)[16] ^ (*a)[21];
        let c2 = (*a)[2] ^ (*a)[7] ^ (*a)[12] ^ (*a)[17] ^ (*a)[22];
        let c3 = (*a)[3] ^ (*a)[8] ^ (*a)[13] ^ (*a)[18] ^ (*a)[23];
        let c4 = (*a)[4] ^ (*a)[9] ^ (*a)[14] ^ (*a)[19] ^ (*a)[24];
        let d0 = c4 ^ rotate(c1, 1u);
        let d1 = c0 ^ rotate(c2, 1u);
        let d2 = c1 ^ rotate(c3, 1u);
        let d3 = c2 ^ rotate(c4, 1u);
        let d4 = c3 ^ rotate(c0, 1u);
        let b0 = (*a)[0] ^ d0;
        let b1 = rotate(((*a)[6] ^ d1).yx, 12u);
        let b2 = rotate(((*a)[12] ^ d2).yx, 11u);
        let b3 = rotate((*a)[18] ^ d3, 21u);
        let b4 = rotate((*a)[24] ^ d4, 14u);
        let b5 = rotate((*a)[3] ^ d3, 28u);
        let b6 = rotate((*a)[9] ^ d4, 20u);
        let b7 = rotate((*a)[10] ^ d0, 3u);
        let b8 = rotate(((*a)[16] ^ d1).yx, 13u);
        let b9 = rotate(((*a)[22] ^ d2).yx, 29u);
        let b10 = rotate((*a)[1] ^ d1, 1u);
        let b11 = rotate((*a)[7] ^ d2, 6u);
        let b12 = rotate((*a)[13] ^ d3, 25u);
        let b13 = rotate((*a)[19] ^ d4, 8u);
        let b14 = rotate((*a)[20] ^ d0, 18u);
        let b15 = rotate((*a)[4] ^ d4, 27u);
        let b16 = rotate(((*a)[5] ^ d0).yx, 4u);
        let b17 = rotate((*a)[11] ^ d1, 10u);
        let b18 = rotate((*a)[17] ^ d2, 15u);
        let b19 = rotate(((*a)[23] ^ d3).yx, 24u);
        let b20 = rotate(((*a)[2] ^ d2).yx, 30u);
        let b21 = rotate(((*a)[8] ^ d3).yx, 23u);
        let b22 = rotate(((*a)[14] ^ d4).yx, 7u);
        let b23 = rotate(((*a)[15] ^ d0).yx, 9u);
        let b24 = rotate((*a)[21] ^ d1, 2u);
        (*a)[0] = b0 ^ (~b1 & b2);
        (*a)[1] = b1 ^ (~b2 & b3);
        (*a)[2] = b2 ^ (~b3 & b4);
        (*a)[3] = b3 ^ (~b4 & b0);
        (*a)[4] = b4 ^ (~b0 & b1);
        (*a)[5] = b5 ^ (~b6 & b7);
        (*a)[6] = b6 ^ (~b7 & b8);
        (*a)[7] = b7 ^ (~b8 & b9);
        (*a)[8] = b8 ^ (~b9 & b5);
        (*a)[9] = b9 ^ (~b5 & b6);
        (*a)[10] = b10 ^ (~b11 & b12);
        (*a)[11] = b11 ^ (~b12 & b13);
        (*a)[12] = b12 ^ (~b13 & b14);
        (*a)[13] = b13 ^ (~b14 & b10);
        (*a)[14] = b14 ^ (~b10 & b11);
        (*a)[15] = b15 ^ (~b16 & b17);
        (*a)[16] = b16 ^ (~b17 & b18);
        (*a)[17] = b17 ^ (~b18 & b19);
        (*a)[18] = b18 ^ (~b19 & b15);
        (*a)[19] = b19 ^ (~b15 & b16);
        (*a)[20] = b20 ^ (~b21 & b22);
        (*a)[21] = b21 ^ (~b22 & b23);
        (*a)[22] = b22 ^ (~b23 & b24);
        (*a)[23] = b23 ^ (~b24 & b20);
        (*a)[24] = b24 ^ (~b20 & b21);
        (*a)[0] ^= ROUND_CONSTANTS[round];
    }
}

// The HMAC key of a label, masked, in an empty state.
fn keyed(label: u32, mask: u32) -> State {
    var a = State();
    let at = label * JOB_WORDS;
    a[0] = vec2(jobs[at], jobs[at + 1u]) ^ vec2(mask);
    a[1] = vec2(jobs[at + 2u], jobs[at + 3u]) ^ vec2(mask);
    a[2] = vec2(jobs[at + 4u], jobs[at + 5u]) ^ vec2(mask);
    a[3] = vec2(jobs[at + 6u], jobs[at + 7u]) ^ vec2(mask);
    a[4] = vec2(jobs[at + 8u], jobs[at + 9u]) ^ vec2(mask);
    a[5] = vec2(mask);
    a[6] = vec2(mask);
    a[7] = vec2(mask);
    a[8] = vec2(mask);
    return a;
}

// HMAC's last block: the inner digest, which ends after eight words.
fn with_digest(keyed: State, inner: State) -> State {
    var a = keyed;
    a[0] ^= inner[0];
    a[1] ^= inner[1];
    a[2] ^= inner[2];
    a[3] ^= inner[3];
    a[4] ^= inner[4];
    a[5] ^= inner[5];
    a[6] ^= inner[6];
    a[7] ^= inner[7];
    a[8] ^= PAD_END | vec2(1u, 0u);
    return a;
}

// Permutations of `expand`: the two keys, then an inner and an outer one for each half of the 128 B.
@compute @workgroup_size(64)
fn expand(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let label = group.x * LANES + lane;
    if (label >= params.labels) {
        return;
    }
    var a: State;
    var inner: State;
    var outer: State;
    for (var step = params.first; step < params.end; step++) {
        switch step {
            case 0u: { a = keyed(label, INNER); }
            case 1u: { inner = a; a = keyed(label, OUTER); }
            case 2u, 4u: {
                // The message is the half's number, counted from 1: four bytes, big-endian, and the padding.
                if (step == 2u) { outer = a; }
                a = inner;
                a[0] ^= vec2((step / 2u) << 24u, 1u);
                a[8] ^= PAD_END;
            }
            default: { a = with_digest(outer, a); }
        }
        permute(&a);
        if (step == 3u || step == 5u) {
            let at = group.x * VECTORS * LANES + lane + (step / 2u - 1u) * 4u * LANES;
            states[at] = vec4(a[0], a[1]);
            states[at + LANES] = vec4(a[2], a[3]);
            states[at + 2u * LANES] = vec4(a[4], a[5]);
            states[at + 3u * LANES] = vec4(a[6], a[7]);
        }
    }
}

// Permutations of `compress`: the two keys, the salt in two blocks of nine and seven words, and the outer one.
@compute @workgroup_size(64)
fn compress(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let label = group.x * LANES + lane;
    if (label >= params.labels) {
        return;
    }
    let at = group.x * VECTORS * LANES + lane;
    var a: State;
    var inner: State;
    var outer: State;
    for (var step = params.first; step < params.end; step++) {
        switch step {
            case 0u: { a = keyed(label, INNER); }
            case 1u: { inner = a; a = keyed(label, OUTER); }
            case 2u: {
                outer = a;
                a = inner;
                let x = states[at];
                let y = states[at + LANES];
                let z = states[at + 2u * LANES];
                let w = states[at + 3u * LANES];
                a[0] ^= x.xy; a[1] ^= x.zw;
                a[2] ^= y.xy; a[3] ^= y.zw;
                a[4] ^= z.xy; a[5] ^= z.zw;
                a[6] ^= w.xy; a[7] ^= w.zw;
                a[8] ^= states[at + 4u * LANES].xy;
            }
            case 3u: {
                let x = states[at + 5u * LANES];
                let y = states[at + 6u * LANES];
                let z = states[at + 7u * LANES];
                a[0] ^= states[at + 4u * LANES].zw;
                a[1] ^= x.xy; a[2] ^= x.zw;
                a[3] ^= y.xy; a[4] ^= y.zw;
                a[5] ^= z.xy; a[6] ^= z.zw;
                // The number of the only half, 1, and the padding.
                a[7] ^= vec2(1u << 24u, 1u);
                a[8] ^= PAD_END;
            }
            default: { a = with_digest(outer, a); }
        }
        permute(&a);
    }
    labels[label] = vec4(a[0], a[1]);
}
