#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# What the explorer looks at in every order, with real threads and under ThreadSanitizer, over and
# over: the queue, promises, the wake-ups of loops, streams with what waits for them.
#
#   tests/explorer/threads.sh [--seconds N] [-- BAZEL_STARTUP_OPTION...]
#
# N seconds for each (60), all at the same time. Exit status 0 when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

seconds=60
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    if [ "$1" != --seconds ] || ! [[ "${2:-}" =~ ^[1-9][0-9]*$ ]]; then
        sed -n '6s/^# *//p' "$0" >&2
        exit 2
    fi
    seconds=$2
    shift 2
done
[ $# -eq 0 ] || shift
startup=("$@")

# A name, the test, which of its cases.
parts() {
    cat <<'END'
queue    fiber/base/mpsc_test    *FourProducers*
promise  fiber/remote_test       *OnePromise*:*AResolveAndACancel*:*OnlyOneOfMany*
wake-up  fiber/remote_test       *ALoop*:*ManyThreads*:*TwoDomains*
stream   fiber/sync/stress_test  *Rendezvous*:*AStream*:*ASemaphore*
END
}

tools/bazelw "${startup[@]}" build --config=ci --config=tsan \
    //fiber/base:mpsc_test //fiber:remote_test //fiber/sync:stress_test || exit 1
bin=$(tools/bazelw "${startup[@]}" info --config=tsan bazel-bin 2>/dev/null)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eio-threads.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

# It goes on until its time is over, unless something fails.
run_part() {
    local name=$1 log="$scratch/$1.log" status rounds
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:history_size=4 timeout --kill-after=30 \
        "$seconds" "$bin/$2" --gtest_repeat=-1 --gtest_break_on_failure --gtest_filter="$3" \
        >"$log" 2>&1
    status=$?
    rounds=$(grep -c '^Repeating all tests' "$log")
    if [ "$status" -ne 124 ] || [ "$rounds" -lt 1 ]; then
        tail -n 60 "$log"
        echo "FAILED $name (status $status)"
        touch "$scratch/failed"
        return
    fi
    echo "$name: $rounds rounds in $seconds s"
}

while read -r name test filter; do
    run_part "$name" "$test" "$filter" &
done < <(parts)
wait
[ ! -e "$scratch/failed" ]
