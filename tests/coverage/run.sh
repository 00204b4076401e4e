#!/usr/bin/env bash
# SPDX-License-Identifier: ISC
# How much of the library the tests run: lines and branches, by gcov. Builds the library
# without optimisation and with counters, runs the tests, prints a table of files and the totals.
#
#   tests/coverage/run.sh [--report FILE.html] [-- BAZEL_STARTUP_OPTION...]
#
# Exit status 0 when LINES_MIN and BRANCHES_MIN per cent of them were run. Left out:
#
# - lines marked LCOV_EXCL in the source, with the reason beside them;
# - the branches of EIO_ASSERT and EIO_SELF, as a class: who takes the failing one is a broken program;
# - panic.c and overflow.c: their processes die, before counters are written. Death tests look at them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
ulimit -c 0

LINES_MIN=95 BRANCHES_MIN=90 TEST_SECONDS=120

report=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
    --report) report=(--html-details "${2:-}") && shift ;;
    *) sed -n '6s/^# *//p' "$0" >&2 && exit 2 ;;
    esac
    shift
done
[ $# -eq 0 ] || shift
startup=("$@")

# Tests of programs, and of how others build us, run none of the instrumented library.
mapfile -t labels < <(tools/bazelw "${startup[@]}" query --noshow_progress \
    'kind("cc_test rule", //...) except attr(srcs, "run_script", //...) except attr(tags, "manual", //...)
     except (//tools/... + //tests/canary/... + //tests/explorer/... + //tests/headers/... + //tests/link/... + //tests/load/...)' \
    2>/dev/null)
[ "${#labels[@]}" -gt 0 ] || exit 1
# Only the library is instrumented, so that its tests are those of the ordinary build. The compiler's
# notes are no outputs that Bazel knows: files are compiled where they stay, and, with a flag that is
# new each time, in any case.
flags="--coverage,-O0,-fprofile-update=atomic,-DEIO_COVERAGE_RUN=$$"
options=(--config=ci --strategy=CppCompile=local --linkopt=--coverage "--linkopt=-Wl,-u,__gcov_dump"
    "--per_file_copt=^(fiber|flow|net|mock|resolver|backends)/.*\.c\$@$flags")
tools/bazelw "${startup[@]}" build "${options[@]}" "${labels[@]}" || exit 1
bin=$(tools/bazelw "${startup[@]}" info bazel-bin 2>/dev/null)

scratch=$(mktemp -d "${TMPDIR:-/tmp}/eio-coverage.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

# As Bazel runs it, but for the counters' place. What fails is told, and counts all the same: other
# stages judge it, and processes of other users can't write counters, and say so where silence is expected.
run_test() {
    local path=${1#//} package=${1#//} args=()
    path=${path/://}
    package=${package%%:*}
    [ "$package" != tests/fuzz ] || args=("tests/fuzz/corpus/$(basename "${path%_test}")")
    mkdir -p "$scratch/tmp/$path"
    (
        cd "$bin/$path.runfiles/eio" &&
            TEST_TMPDIR="$scratch/tmp/$path" TEST_SRCDIR="$bin/$path.runfiles" TEST_WORKSPACE=eio \
                EIO_FAULTS_STRIDE=29 GCOV_PREFIX="$scratch/counts" GCOV_PREFIX_STRIP=3 \
                timeout --kill-after=5 "$TEST_SECONDS" "$bin/$path" "${args[@]}" \
                >"$scratch/log-${path//\//-}" 2>&1
    ) 2>/dev/null || echo "fails: $1"
}

for label in "${labels[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n
    done
    run_test "$label" &
done
wait

# Beside the counters, what the compiler wrote about them.
counted=$scratch/counts/${bin#*/execroot/eio/}
(cd "$bin" && find . -name '*.gcno' | tar --create --file=- --files-from=-) |
    tar --extract --file=- --directory="$counted"
gcovr --root . --object-directory "$counted" "$counted" \
    --filter '(fiber|flow|net|mock|resolver|backends)/.*\.[ch]$' \
    --exclude '.*(test|testing|test_support|probe|uring_run|xor_flow|base/panic|backends/overflow)[^/]*\.[ch]$' \
    --exclude-branches-by-pattern '.*\b(EIO_ASSERT|EIO_SELF)\(.*' \
    --exclude-unreachable-branches --exclude-throw-branches \
    --sort-percentage --print-summary "${report[@]}" \
    --fail-under-line "$LINES_MIN" --fail-under-branch "$BRANCHES_MIN"
