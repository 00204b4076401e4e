#!/bin/sh
# SPDX-License-Identifier: ISC
# types_test.sh PASS.c FAIL.c HEADER...: PASS.c compiles against the public headers, FAIL.c is refused for the right reason.
set -eu
pass=$1
fail=$2
shift 2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/eio"
for header in "$@"; do cp "$header" "$tmp/eio/"; done
compilers=0
for cc in gcc clang; do
    command -v "$cc" >/dev/null || { echo "SKIPPED: $cc (not here)"; continue; }
    compilers=$((compilers + 1))
    LC_ALL=C "$cc" -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I "$tmp" "$pass" || {
        echo "$cc refuses $pass" >&2
        exit 1
    }
    if LC_ALL=C "$cc" -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -I "$tmp" "$fail" 2>"$tmp/errors"; then
        echo "$cc accepts $fail" >&2
        exit 1
    fi
    grep -Eq "passing argument 1 of .eio_unix_listen. from incompatible pointer type|incompatible pointer types passing 'eio_net \*'" "$tmp/errors" || {
        echo "$cc refuses $fail for another reason:" >&2
        cat "$tmp/errors" >&2
        exit 1
    }
    # Nothing else may be wrong with it.
    ! grep 'error:' "$tmp/errors" | grep -Ev 'eio_unix_(listen|connect)|incompatible pointer types passing' || exit 1
    echo "ok: $cc"
done
[ "$compilers" -gt 0 ] || { echo "no compiler" >&2; exit 1; }
