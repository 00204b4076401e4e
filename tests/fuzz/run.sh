#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Builds the fuzzers (clang, libFuzzer, ASan, UBSan) and runs them, each on top of its corpus.
#
#   tests/fuzz/run.sh [--seconds N] [--jobs N] [--keep] [TARGET...] [-- BAZEL_STARTUP_OPTION...]
#
# N seconds for each target (60), so many of them at a time (2); all targets unless some are named.
# --keep puts what is new into corpus/TARGET, which is minimised for it. An input that fails is kept
# and printed. Exit status 0 when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

usage() {
    sed -n '5s/^# *//p' "$0" >&2
    exit 2
}

seconds=60 jobs=2 keep=0 targets=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
    --seconds | --jobs)
        [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || usage
        if [ "$1" = --jobs ]; then jobs=$2; else seconds=$2; fi
        shift
        ;;
    --keep) keep=1 ;;
    -*) usage ;;
    *) targets+=("$1") ;;
    esac
    shift
done
[ $# -eq 0 ] || shift
startup=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
    for folder in tests/fuzz/corpus/*/; do
        targets+=("$(basename "$folder")")
    done
fi

labels=()
for target in "${targets[@]}"; do
    labels+=("//tests/fuzz:${target}_fuzz")
done
tools/bazelw "${startup[@]}" build --config=ci --config=fuzz "${labels[@]}" || exit 1
bin=$(tools/bazelw "${startup[@]}" info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eio-fuzz.XXXXXX") || exit 1

# libFuzzer writes to the first folder, and reads the others.
fuzz_one() {
    local target=$1 corpus="tests/fuzz/corpus/$1" new="$scratch/$1"
    mkdir "$new"
    "$bin/${target}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=4096 \
        -artifact_prefix="$scratch/$target-" "$new" "$corpus" >"$scratch/$target.log" 2>&1
    local status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 60 "$scratch/$target.log"
        echo "FAILED $target: see $scratch/$target-*"
        touch "$scratch/failed"
        return
    fi
    echo "$target: $(grep -c '' < <(ls "$corpus")) files, $(grep -o '^#[0-9]*.DONE.*' "$scratch/$target.log")"
    if [ "$keep" -eq 1 ]; then
        mkdir "$scratch/$target.min"
        "$bin/${target}_fuzz" -merge=1 -max_len=4096 "$scratch/$target.min" "$corpus" "$new" \
            >>"$scratch/$target.log" 2>&1 || { touch "$scratch/failed" && return; }
        # What has a name of its own was put there by hand, and stays.
        find "$corpus" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
        cp "$scratch/$target.min"/* "$corpus"/
    fi
}

for target in "${targets[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n
    done
    fuzz_one "$target" &
done
wait
if [ -e "$scratch/failed" ]; then
    exit 1
fi
rm -rf "$scratch"
