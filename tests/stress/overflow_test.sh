#!/bin/sh
# SPDX-License-Identifier: ISC
# Stack overflows: each is stopped by the guard, and named. Arguments: the probe without optimisation, with it, and
# with it but without the compiler's probes of large frames.
set -eu
plain=$1 optimised=$2 unprobed=$3
line="eio: fiber [0-9]* 'runs away' overflowed its stack of 64 KiB"
out=$(mktemp)
trap 'rm -f "$out"' EXIT
# shellcheck disable=SC3045 # every shell that /bin/sh is on Linux has it
ulimit -c 0

# caught NAME PROBE ARG...: dies of SIGSEGV, having said why.
caught() {
    name=$1
    shift
    status=0
    "$@" >/dev/null 2>"$out" || status=$?
    if [ "$status" -ne 139 ] || ! grep -q "$line" "$out"; then
        echo "$name: status $status:"
        cat "$out"
        exit 1
    fi
}

status=0
"$plain" frame 1 >/dev/null || status=$?
if [ "$status" -eq 77 ]; then
    echo "SKIPPED: under a sanitizer the fault isn't ours"
    exit 77
fi

for i in $(seq 100); do
    caught "recursion without optimisation, time $i" "$plain" recursion
    caught "recursion with optimisation, time $i" "$optimised" recursion
done
echo "endless recursion was named 100 of 100 times, without and with optimisation"

# A frame that is larger than the guard, or than the whole stack.
for bytes in 66000 100000 1000000; do
    caught "a frame of $bytes bytes, -O0" "$plain" frame "$bytes"
    caught "a frame of $bytes bytes, -O2" "$optimised" frame "$bytes"
done
# Without the compiler's help the guard must be as large as what may be jumped over.
for bytes in 36000 50000; do
    caught "a frame of $bytes bytes without probes" "$unprobed" frame "$bytes" 32768
done
echo "frames that would jump over the guard were caught"
