#!/bin/sh
# SPDX-License-Identifier: ISC
# ordinary_test.sh PROGRAM: what every canary calls isn't in the program, whose symbols are.
set -eu
program=$1
grep -q eioi_sched_run "$program" || { echo "$program was stripped: nothing could be found in it"; exit 1; }
if grep -q eioi_canary "$program"; then
    echo "FAILED: there are canaries in $program"
    exit 1
fi
