#!/bin/sh
# SPDX-License-Identifier: ISC
# tools/bazelw on machines that lack this or that: its PATH is a folder of ours, in which apt-get, sudo and id say what
# they were asked for. The argument is the wrapper.
set -eu
bazelw=$(realpath "$1")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
fail() {
    echo "FAILED: $*" >&2
    cat said.txt >&2
    exit 1
}

# program NAME LINE...: a program of the machine.
program() {
    name=$1
    shift
    { echo '#!/bin/sh'; printf '%s\n' "$@"; } >"bin/$name"
    chmod +x "bin/$name"
}
# A machine with all that is looked for in PATH; headers and /etc/services are this machine's.
machine() {
    rm -rf bin
    mkdir bin
    for name in gcc g++ pkg-config nc socat dnsmasq; do program "$name" 'exit 1'; done
    # shellcheck disable=SC2016 # it is for that shell
    program env 'while [ "${1#*=}" != "$1" ]; do shift; done; exec "$@"'
    program bazel 'echo "bazel $*"'
    program id 'echo 1000'
}
# An apt-get that installs what it is asked for.
with_apt_get() {
    # shellcheck disable=SC2016 # it is for that shell
    program apt-get 'echo "apt-get $*"' 'for last; do' \
        '    case $last in netcat-openbsd) last=nc ;; bazel-bootstrap) last=bazel ;; esac' \
        "    case \$last in g++|nc|socat) /bin/cp /bin/true $tmp/bin/\$last ;; esac" 'done'
}
# run STATUS: the wrapper with two arguments, what it says in said.txt.
run() {
    got=0
    PATH=$tmp/bin /bin/sh "$bazelw" build '//a b' >said.txt 2>&1 </dev/null || got=$?
    [ "$got" -eq "$1" ] || fail "exit status $got instead of $1"
}
says() { grep -q -e "$1" said.txt || fail "doesn't say: $1"; }

machine
run 0
[ "$(cat said.txt)" = 'bazel build //a b' ] || fail "isn't quiet when nothing is missing"

machine
rm bin/bazel bin/g++ bin/socat
run 1
says '^  Bazel'
says '^  g++$'
! grep -q socat said.txt || fail "elsewhere than on Debian it asks for what only tests want"

machine
with_apt_get
rm bin/g++ bin/socat
program sudo 'echo "sudo $*"' 'exec "$@"'
run 0
says '^sudo env .*apt-get .* install .* g++ socat$'
says '^bazel build //a b$'

machine
with_apt_get
rm bin/nc
program id 'echo 0'
run 0
says '^apt-get .* install .* netcat-openbsd$'
says '^bazel build //a b$'
! grep -q sudo said.txt || fail "root needs no sudo"

# Without a way to install: what only tests want isn't in the way.
machine
with_apt_get
rm bin/socat
run 0
says 'without socat some tests are skipped'
says '^bazel build //a b$'
rm bin/g++
run 1
says 'please install g++'
! grep -q '^bazel ' said.txt || fail "goes on without a compiler"
program sudo 'exec "$@"'
program apt-get 'exit 100'
run 1
says 'apt-get could not install all of: g++ socat'
says 'please install g++'
echo "ok"
