#!/usr/bin/env bash
# Measures GPUs: labels at N = 8192 and scans at 1, 4, 8 and 18 nonce groups, for every API that shows the card, with
# the bound beside each figure and watts if the driver tells.
#
#   benches/gpu.sh pack DIR      on a machine that builds: puts the program, the conformance suite, the loader libraries and
#                                this script into DIR, for a machine that may have neither network nor compiler
#   benches/gpu.sh [ID …]        measures the devices named, else every real GPU; works in DIR and in a checkout
#
# BANDWIDTH_GB_S is the card's memory bandwidth as its maker tells (H200: 4800, H100: 3350, RTX 4090: 1008): the bound of
# labels. LINK_GB_S is what the bus brings (PCIe 5.0 x16: about 55, PCIe 4.0 x16: about 26): the bound of scans.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

pack() {
    local dir=$1 suite
    mkdir -p "$dir"
    cd "$here/.."
    cargo build --release -p post-cli
    suite=$(cargo test --release -p post-gpu --test devices --no-run --message-format=json |
        sed -n 's/.*"executable":"\([^"]*devices-[^"]*\)".*/\1/p' | tail -1)
    cp target/release/post "$dir/post"
    cp "$suite" "$dir/suite"
    cp "$here/gpu.sh" "$dir/"
    # The loaders only; drivers come with the card's machine.
    for library in libvulkan.so.1 libOpenCL.so.1; do
        path=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64|AArch64/ { print $NF; exit }')
        if [ -n "$path" ]; then cp -L "$path" "$dir/"; else echo "$library is not here; the other machine must have it" >&2; fi
    done
    echo "packed into $dir: copy it over and run ./gpu.sh there"
}

# Machines made for CUDA alone often have NVIDIA's libraries without the files that name them to the loaders.
name_nvidia_drivers() {
    local names=$1
    if ldconfig -p | grep -q 'libGLX_nvidia.so.0' && ! ls /usr/share/vulkan/icd.d/*nvidia* /etc/vulkan/icd.d/*nvidia* >/dev/null 2>&1; then
        echo '{"file_format_version":"1.0.0","ICD":{"library_path":"libGLX_nvidia.so.0","api_version":"1.3.0"}}' >"$names/nvidia.json"
        export VK_DRIVER_FILES="$names/nvidia.json" VK_ICD_FILENAMES="$names/nvidia.json"
    fi
    if ldconfig -p | grep -q 'libnvidia-opencl.so.1' && ! ls /etc/OpenCL/vendors/*nvidia* >/dev/null 2>&1; then
        mkdir -p "$names/vendors"
        echo libnvidia-opencl.so.1 >"$names/vendors/nvidia.icd"
        export OCL_ICD_VENDORS="$names/vendors" OPENCL_VENDOR_PATH="$names/vendors"
    fi
}

# A figure a second until it is stopped; nothing where no tool tells.
watts() {
    while sleep 1; do
        if command -v nvidia-smi >/dev/null; then
            nvidia-smi --query-gpu=power.draw --format=csv,noheader,nounits
        elif command -v rocm-smi >/dev/null; then
            rocm-smi --showpower | grep -o '[0-9.]* *$' || true
        else
            return
        fi
    done 2>/dev/null | awk '$1 > 0'
}

measure() {
    local what=$1 id=$2 log draw sampler
    draw=$(mktemp) log=$(mktemp)
    watts >"$draw" &
    sampler=$!
    "$post" bench "$what" --device "$id" --json >"$log" || echo "{\"bench\":\"$what\",\"device\":\"$id\",\"failed\":true}" >>"$log"
    kill "$sampler" 2>/dev/null || true
    wait "$sampler" 2>/dev/null || true
    cat "$log"
    # Bounds: a label writes and reads N lines of 128 B; a scan brings each label over the bus.
    awk -v link="${LINK_GB_S:-0}" -v memory="${BANDWIDTH_GB_S:-0}" '
        function number(key) { return match($0, "\"" key "\":[0-9.]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : 0 }
        memory && number("labels_per_s") { bound = memory * 1e9 / (2 * 8192 * 128)
            printf "  memory bound: %.0f labels/s, reached %.1f %%\n", bound, 100 * number("labels_per_s") / bound }
        link && number("gib_per_s") { bound = link * 1e9 / 2^30
            printf "  bus bound at %d groups: %.1f GiB/s, reached %.1f %%\n", number("groups"), bound, 100 * number("gib_per_s") / bound }' "$log"
    awk '{ sum += $1; n++; if ($1 > most) most = $1 }
         END { if (n) printf "  watts: %.0f on average, %.0f at most\n", sum / n, most; else print "  watts: the driver tells none" }' "$draw"
    rm -f "$draw" "$log"
}

if [ "${1:-}" = pack ]; then
    pack "$(realpath -m "${2:?a folder to pack into}")"
    exit
fi

names=$(mktemp -d)
trap 'rm -rf "$names"' EXIT
name_nvidia_drivers "$names"
export LD_LIBRARY_PATH="$here${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
post=$here/post
[ -x "$post" ] || post=$here/../target/release/post
[ -x "$post" ] || { echo "no program at $here/post or $post; build it, or pack first" >&2; exit 2; }

date -u +%F
uname -srm
grep -m1 'model name' /proc/cpuinfo || true
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.mem,clocks.max.sm,power.limit --format=csv,noheader; fi
"$post" doctor || true
"$post" devices --json
if [ -x "$here/suite" ]; then "$here/suite" --nocapture 2>&1 | grep -E 'passed|FAILED|SKIPPED|panicked|test result' || true; fi
if [ $# -eq 0 ]; then
    mapfile -t ids < <("$post" devices --json | grep '"software":false' | sed 's/.*"id":"\([^"]*\)".*/\1/' | grep -v '^cpu$')
    set -- "${ids[@]}"
fi
[ $# -gt 0 ] || { echo "no real GPU here; name devices to measure others" >&2; exit 1; }
for id in "$@"; do
    echo "== $id"
    measure labels "$id"
    measure scan "$id"
done
