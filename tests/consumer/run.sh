#!/bin/sh
# Builds the programs of this workspace as a user would, and runs each. Arguments are Bazel's startup options.
set -u
cd "$(dirname "$0")" || exit 1

../../tools/bazelw "$@" build --sandbox_debug=false --color=no --curses=no --noshow_progress //... || exit 1
programs=$(../../tools/bazelw "$@" info bazel-bin 2>/dev/null) || exit 1

status=0
for source in uses_*.c; do
    program=${source%.c}
    if said=$("$programs/$program" 2>&1 </dev/null); then
        echo "$program: ok: $said"
    else
        echo "$program: failed: $said"
        status=1
    fi
done
exit "$status"
