#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# Do the tests notice? Builds the library once with the mistakes of fiber/base/canary.def in it
# (`--config=canary`), runs a few tests with none of them switched on, which must pass, then with
# each of them, of which at least one must fail. A test that hangs has failed.
#
#   tests/canary/run.sh [--all] [CANARY...] [-- BAZEL_STARTUP_OPTION...]
#
# All canaries unless some are named. --all runs every test of the table for each of them, and says
# which of them notice. Exit status 0 when all canaries were noticed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
ulimit -c 0

# A canary, and the tests that have to notice it: those that know the part it sings in. Some tests
# hang rather than fail; TEST@FILTER are the cases of one that don't.
table() {
    cat <<'END'
cancel_is_over   //backends/uring:op_test
close_in_use     //backends/unix:rcfd_test
drop_cancel      //fiber:cancel_test
empty_is_end     //backends/unix:datagram_test
first_error      //fiber:switch_test
forget_poison    //fiber/sync:mutex_test
forget_rearm     //backends/epoll:epoll_test
fork_to_tail     //fiber:sched_test
free_early       //fiber:switch_test
heap_off_by_one  //fiber/base:heap_test
hook_order       //fiber:switch_test
leak_accepted    //tests/conformance:cancel_test@*accept*
lose_context     //fiber/base:err_test
lose_slot        //fiber/sync:semaphore_test
lose_wake_up     //fiber/base:mpsc_test@-*FourProducers*
resolve_order    //fiber:promise_test
short_write      //flow:flow_test
skip_close       //backends/unix:typed_test
skip_protect     //fiber:cancel_test
stream_wrap      //fiber/sync:stream_test
swallow_byte     //flow:buf_read_test
timer_early      //fiber:sched_test
END
}

HANG_SECONDS=20 # none of these tests takes more than a few

all=0 wanted=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
    --all) all=1 ;;
    -*) echo "usage: $0 [--all] [CANARY...] [-- BAZEL_STARTUP_OPTION...]" >&2 && exit 2 ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
[ $# -eq 0 ] || shift
startup=("$@")

known=$(sed -n 's/^CANARY(\([a-z_]*\),.*/\1/p' fiber/base/canary.def)
if [ "$known" != "$(table | cut -d ' ' -f 1)" ]; then
    echo "the table here and fiber/base/canary.def have different canaries" >&2
    exit 1
fi
[ "${#wanted[@]}" -gt 0 ] || mapfile -t wanted <<<"$known"
mapfile -t all_tests < <(table | tr -s ' ' '\n' | grep '^//' | sort -u)
mapfile -t labels < <(printf '%s\n' "${all_tests[@]%@*}" | sort -u)

tools/bazelw "${startup[@]}" build --config=ci --config=canary "${labels[@]}" || exit 1
bin=$(tools/bazelw "${startup[@]}" info --config=canary bazel-bin 2>/dev/null)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/eio-canary.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

# log_of CANARY TEST
log_of() {
    local name=${2#//}
    name=${name%@*}
    echo "$scratch/$1-${name//[\/:]/-}.log"
}

# run_test CANARY TEST: whether it passes. Freed memory is overwritten, so that its use shows.
run_test() {
    local path=${2#//} filter='*'
    [[ $path != *@* ]] || filter=${path#*@}
    path=${path%@*}
    (
        EIOI_CANARY=$1 MALLOC_PERTURB_=165 TEST_TMPDIR=$scratch GTEST_FILTER=$filter \
            timeout --kill-after=5 "$HANG_SECONDS" "$bin/${path/://}" \
            >"$(log_of "$1" "$2")" 2>&1
        exit $?
    ) 2>/dev/null # where the shell says that a program crashed
}

# check CANARY: says which tests notice it; false when none does.
check() {
    local canary=$1 noticed=() label status tests
    mapfile -t tests < <(table | grep "^$canary " | tr -s ' ' '\n' | grep '^//')
    [ "$all" -eq 0 ] || tests=("${all_tests[@]}")
    for label in "${tests[@]}"; do
        run_test "$canary" "$label"
        status=$?
        [ "$status" -eq 0 ] || noticed+=("$label$([ "$status" -ne 124 ] || echo ' (it hung)')")
    done
    if [ "${#noticed[@]}" -eq 0 ]; then
        echo "NOT NOTICED: $canary, by ${tests[*]}"
        return 1
    fi
    echo "noticed: $canary, by ${noticed[*]}"
}

check_none() {
    run_test "" "$1" && return
    echo "FAILS WITHOUT A CANARY: $1"
    tail -n 60 "$(log_of "" "$1")"
    return 1
}

# both COMMAND...: runs it for each line of standard input, two at a time; false when one failed.
both() {
    local item
    while read -r item; do
        [ "$(jobs -rp | wc -l)" -lt 2 ] || wait -n
        { "$@" "$item" || touch "$scratch/failed"; } &
    done
    wait
    [ ! -e "$scratch/failed" ]
}

printf '%s\n' "${all_tests[@]}" | both check_none || exit 1
printf '%s\n' "${wanted[@]}" | both check || exit 1
echo "${#wanted[@]} canaries noticed"
