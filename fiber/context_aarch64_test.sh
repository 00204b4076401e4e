#!/bin/sh
# SPDX-License-Identifier: ISC
# The switch for aarch64, in qemu's user-mode emulator. Without a cross compiler or qemu it says that it was skipped.
set -eu
cc=$(command -v aarch64-linux-gnu-gcc || true)
qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [ -z "$cc" ] || [ -z "$qemu" ]; then
    echo "SKIPPED: the aarch64 switch was not run (needs aarch64-linux-gnu-gcc and qemu-aarch64)"
    exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for level in -O0 -O2 -O3; do
    "$cc" -std=gnu11 $level -Wall -Wextra -Werror -fno-omit-frame-pointer -static -I. fiber/context_test.c \
        fiber/context_aarch64.S -o "$out/context_test"
    timeout 120 "$qemu" "$out/context_test"
done
