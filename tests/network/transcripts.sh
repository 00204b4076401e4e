#!/bin/sh
# SPDX-License-Identifier: ISC
# Compares what the transcript tests expect with the seed, so that no expectation can drift to fit the output.
#
#   transcripts.sh SUMS FILE.cc...          with the committed SHA-256 of each transcript
#   transcripts.sh --seed FOLDER FILE.cc... with the seed's own files, FOLDER/01.txt to 47.txt
#
# Every block is compared, and each of the 47 must be there. Transcript 34 is the one exception, by number: the seed's text
# lost bytes, so its expected block has a sum of its own in SUMS, and is not compared with the seed's file.
set -eu
seed=
if [ "$1" = --seed ]; then
    seed=$2
    shift 2
else
    sums=$1
    shift
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Writes the block of each EXPECT_TRACE of a test TNN_... to NN.K (K counts a transcript's tests).
awk -v out="$tmp" '
    /^TEST_[FP]\(/ {
        number = ""
        if (match($0, /, T[0-9][0-9]_/)) {
            number = substr($0, RSTART + 3, 2)
            tests[number]++
        }
    }
    block && /^\)"\);$/ { block = 0; close(file); next }
    block { print > file }
    /EXPECT_TRACE\(R"\($/ && number != "" {
        block = 1
        file = out "/" number "." tests[number]
        printf "" > file
    }
' "$@"

failed=0
compared=0
n=1
while [ "$n" -le 47 ]; do
    number=$(printf '%02d' "$n")
    n=$((n + 1))
    found=
    for block in "$tmp/$number".*; do
        [ -e "$block" ] || continue
        found=yes
        compared=$((compared + 1))
        if [ -n "$seed" ]; then
            [ "$number" = 34 ] && continue
            diff "$seed/$number.txt" "$block" || {
                echo "transcript $number is not the seed's" >&2
                failed=1
            }
        else
            sum=$(sha256sum <"$block" | cut -d ' ' -f 1)
            grep -q "^$sum  $number\$" "$sums" || {
                echo "transcript $number has changed ($sum)" >&2
                failed=1
            }
        fi
    done
    [ -n "$found" ] || {
        echo "transcript $number has no test" >&2
        failed=1
    }
done
echo "$compared blocks compared"
exit "$failed"
