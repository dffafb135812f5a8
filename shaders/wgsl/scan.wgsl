// Labels in, hits out: AES-128 of every label under the cipher of every group, a byte for each of 16 nonces, and where a
// byte leaves it open, under the nonce's lazy cipher. Judge: post-core/src/scan/reference.rs.
//
// A thread takes every `stride`-th label through all groups. It does one encryption a turn, whether a group's or a lazy
// one: so lanes with open bytes don't make the others wait. AES is by table, the one table of the first row (the others
// are rotations of it), in as many copies (`COPIES`, generated) as the workgroup's memory has room and banks for.

struct Params {
    labels: u32,
    // Labels between two of one thread: the threads of the dispatch.
    stride: u32,
    groups: u32,
    // A byte below it is a hit, one that is equal is open.
    msb: u32,
    // 56 bits, low word first: a lazy value below it is a hit.
    lsb_low: u32,
    lsb_high: u32,
    // Hits there is room for.
    capacity: u32,
    // Of AES, without the last: 9.
    rounds: u32,
}

struct Hits {
    // How many there were, whether or not there was room.
    count: atomic<u32>,
    unused: u32,
    // Offset of the label, absolute nonce.
    list: array<vec2<u32>>,
}

@group(0) @binding(0) var<uniform> params: Params;
// The table's 256 words, then the first nonce of each group.
@group(0) @binding(1) var<storage, read> constants: array<u32>;
// [group][the group's cipher, 16 lazy ones][11 round keys].
@group(0) @binding(2) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> labels: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> hits: Hits;

const THREADS: u32 = 256u;
const CIPHERS: u32 = 17u;
const ROUND_KEYS: u32 = 11u;

var<workgroup> table: array<u32, 256u * COPIES>;

fn look_up(byte: u32, copy: u32) -> u32 {
    return table[byte * COPIES + copy];
}

fn rotate(x: u32, left: u32) -> u32 {
    return (x << left) | (x >> (32u - left));
}

// One column of a round but the last, out of the columns its four rows come from.
fn column(row0: u32, row1: u32, row2: u32, row3: u32, copy: u32) -> u32 {
    return look_up(row0 & 0xffu, copy)
        ^ rotate(look_up((row1 >> 8u) & 0xffu, copy), 8u)
        ^ rotate(look_up((row2 >> 16u) & 0xffu, copy), 16u)
        ^ rotate(look_up(row3 >> 24u, copy), 24u);
}

// One column of the last round: the table's second byte is the plain S-box.
fn last_column(row0: u32, row1: u32, row2: u32, row3: u32, copy: u32) -> u32 {
    return ((look_up(row0 & 0xffu, copy) >> 8u) & 0xffu)
        | (look_up((row1 >> 8u) & 0xffu, copy) & 0xff00u)
        | ((look_up((row2 >> 16u) & 0xffu, copy) << 8u) & 0xff0000u)
        | ((look_up(row3 >> 24u, copy) << 16u) & 0xff000000u);
}

fn encrypt(label: vec4<u32>, cipher: u32, copy: u32) -> vec4<u32> {
    var key = cipher * ROUND_KEYS;
    var x = label ^ keys[key];
    for (var round = 0u; round < params.rounds; round++) {
        key += 1u;
        x = keys[key] ^ vec4(
            column(x.x, x.y, x.z, x.w, copy),
            column(x.y, x.z, x.w, x.x, copy),
            column(x.z, x.w, x.x, x.y, copy),
            column(x.w, x.x, x.y, x.z, copy),
        );
    }
    return keys[key + 1u] ^ vec4(
        last_column(x.x, x.y, x.z, x.w, copy),
        last_column(x.y, x.z, x.w, x.x, copy),
        last_column(x.z, x.w, x.x, x.y, copy),
        last_column(x.w, x.x, x.y, x.z, copy),
    );
}

// For byte `at` of a label: bit `at` if it is below, bit 16 + `at` if it is equal.
fn compare(byte: u32, at: u32) -> u32 {
    return select(select(0u, 0x10000u << at, byte == params.msb), 1u << at, byte < params.msb);
}

fn compare_word(word: u32, at: u32) -> u32 {
    return compare(word & 0xffu, at)
        | compare((word >> 8u) & 0xffu, at + 1u)
        | compare((word >> 16u) & 0xffu, at + 2u)
        | compare(word >> 24u, at + 3u);
}

fn emit(label: u32, nonce: u32) {
    let slot = atomicAdd(&hits.count, 1u);
    if (slot < params.capacity) {
        hits.list[slot] = vec2(label, nonce);
    }
}

@compute @workgroup_size(256)
fn scan(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    for (var at = thread; at < 256u * COPIES; at += THREADS) {
        table[at] = constants[at / COPIES];
    }
    workgroupBarrier();

    let copy = thread % COPIES;
    var label = id.x;
    if (label >= params.labels) {
        return;
    }
    var text = labels[label];
    var group = 0u;
    // Nonces of this group that its cipher left open.
    var open = 0u;
    while (label < params.labels) {
        let lazy = open != 0u;
        let nonce = countTrailingZeros(open);
        let code = encrypt(text, group * CIPHERS + select(0u, 1u + nonce, lazy), copy);
        if (lazy) {
            open &= open - 1u;
            let high = code.y & 0x00ffffffu;
            if (high < params.lsb_high || (high == params.lsb_high && code.x < params.lsb_low)) {
                emit(label, constants[256u + group] + nonce);
            }
        } else {
            let found = compare_word(code.x, 0u) | compare_word(code.y, 4u) | compare_word(code.z, 8u) | compare_word(code.w, 12u);
            open = found >> 16u;
            for (var below = found & 0xffffu; below != 0u; below &= below - 1u) {
                emit(label, constants[256u + group] + countTrailingZeros(below));
            }
        }
        if (open == 0u) {
            group += 1u;
            if (group == params.groups) {
                group = 0u;
                label += params.stride;
                if (label < params.labels) {
                    text = labels[label];
                }
            }
        }
    }
}
