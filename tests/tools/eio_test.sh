#!/bin/sh
# SPDX-License-Identifier: ISC
# The eio program against programs of others: nc, socat, curl with Python's web server. The argument is the program. Ports
# are the system's choice; everything that is started here is ended here.
set -eu
eio=$(realpath "$1")
tmp=$(mktemp -d)
pids=
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    for pid in $pids; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$tmp"
}
trap finish EXIT
cd "$tmp"
fail() {
    echo "FAILED: $*" >&2
    for log in *.log; do
        [ -e "$log" ] && { echo "--- $log" >&2; cat "$log" >&2; }
    done
    exit 1
}
checks=0
ok() {
    checks=$((checks + 1))
    echo "ok: $*"
}

# start NAME COMMAND...: in the background, its output in NAME.log; $pid is its number.
start() {
    name=$1
    shift
    "$@" >"$name.log" 2>&1 &
    pid=$!
    pids="$pids $pid"
}
# address NAME: the ADDR that NAME.log says it listens on, without `tcp:`.
address() {
    tries=0
    until grep -q '^listening on ' "$1.log" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "$1 does not listen"
        sleep 0.05
    done
    sed -n 's/^listening on \(tcp:\)\{0,1\}\([^ ]*\) .*/\2/p' "$1.log" | head -n 1
}
need() {
    command -v "$1" >/dev/null || { echo "SKIPPED: $2 (no $1 here)"; return 1; }
}
# expect_exit STATUS COMMAND...
expect_exit() {
    want=$1
    shift
    got=0
    "$@" >out.txt 2>err.txt || got=$?
    [ "$got" -eq "$want" ] || fail "exit status $got instead of $want: $* ($(cat err.txt))"
}

# The demonstration.
expect_exit 0 timeout 120 "$eio"
grep -q '^connections  100$' out.txt || fail "the demonstration's summary: $(cat out.txt)"
grep -q '^bytes        104857600 ' out.txt || fail "the demonstration's bytes: $(cat out.txt)"
grep -q '^errors       0$' out.txt || fail "the demonstration's errors: $(cat out.txt)"
ok "demonstration"
expect_exit 0 env EIO_BACKEND=epoll timeout 120 "$eio"
grep -q '^backend      epoll$' out.txt || fail "epoll was asked for: $(cat out.txt)"
ok "demonstration on epoll"

# Usage and errors.
expect_exit 2 "$eio" nonsense
grep -q '^usage: ' err.txt || fail "bad usage prints no help"
expect_exit 2 "$eio" echo
expect_exit 2 "$eio" echo 127.0.0.1:0 too many
expect_exit 2 "$eio" connect --domains 2 127.0.0.1:1
expect_exit 2 "$eio" echo --domains none 127.0.0.1:0
# Found out before anything is listened on, or connected to.
for address in 127.0.0.1 127.0.0.1: 127.0.0.1:65536 :80 ::1:80 '[::1]' '[::1' '[::1:80' unix: unix:@ \
    udp:127.0.0.1:80 tcp:localhost:80; do
    expect_exit 2 "$eio" connect "$address"
    expect_exit 2 "$eio" proxy 127.0.0.1:0 "$address"
done
expect_exit 0 "$eio" --help
ok "usage"
start refused "$eio" echo 127.0.0.1:0
closed=$(address refused)
kill "$pid"
wait "$pid" || fail "a server that was told to stop fails"
expect_exit 1 timeout 20 "$eio" connect "$closed"
grep -q 'Net Connection_failure Refused' err.txt || fail "refused: $(cat err.txt)"
[ "$(grep -c "connecting to tcp:$closed" err.txt)" -eq 1 ] || fail "refused, without its context line: $(cat err.txt)"
expect_exit 1 timeout 20 "$eio" connect "localhost:${closed##*:}"
grep -q "connecting to tcp:127.0.0.1:${closed##*:}" err.txt || fail "refused by name: $(cat err.txt)"
grep -q "connecting to localhost:${closed##*:}" err.txt || fail "refused, without the name: $(cat err.txt)"
ok "refused connection"

# echo and connect, over each kind of address.
start tcp4 "$eio" echo 127.0.0.1:0
tcp4=$(address tcp4)
tcp4_pid=$pid
[ "$(printf hello | timeout 20 "$eio" connect "$tcp4")" = hello ] || fail "echo over IPv4"
if [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; then
    start tcp6 "$eio" echo '[::1]:0'
    [ "$(printf hello | timeout 20 "$eio" connect "$(address tcp6)")" = hello ] || fail "echo over IPv6"
else
    echo "SKIPPED: echo over IPv6 (no ::1 here)"
fi
start path "$eio" echo unix:eio.sock
[ "$(address path)" = unix:eio.sock ] || fail "listening on a path: $(cat path.log)"
[ "$(printf hello | timeout 20 "$eio" connect unix:eio.sock)" = hello ] || fail "echo over a Unix path"
kill "$pid"
wait "$pid" || fail "the server on a path did not stop cleanly"
[ ! -e eio.sock ] || fail "the path is still there"
start abstract "$eio" echo "unix:@eio-test-$$"
address abstract >/dev/null
[ "$(printf hello | timeout 20 "$eio" connect "unix:@eio-test-$$")" = hello ] || fail "echo over an abstract name"
ok "echo and connect"

head -c 3000000 /dev/urandom >data
timeout 60 "$eio" connect "$tcp4" <data >back
cmp data back || fail "3 MB through echo and connect"
ok "3 MB, every byte"

# Peers of others.
if need nc "nc as a client and a server"; then
    [ "$(printf hello | timeout 20 nc -N "${tcp4%:*}" "${tcp4##*:}")" = hello ] || fail "nc to eio echo"
    ok "nc as a client"
fi
if need socat "socat as a client and a server"; then
    timeout 60 socat -t 30 - "TCP:$tcp4" <data >back
    cmp data back || fail "3 MB from socat"
    ok "socat as a client"
    start socat timeout 60 socat -d -d TCP-LISTEN:0,bind=127.0.0.1,fork EXEC:cat
    tries=0
    until grep -q 'listening on' socat.log; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || fail "socat does not listen"
        sleep 0.05
    done
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' socat.log | head -n 1)
    timeout 60 "$eio" connect "127.0.0.1:$port" <data >back
    cmp data back || fail "3 MB to socat"
    ok "socat as a server"
fi

# The proxy, in front of echo and of a web server.
start proxy "$eio" proxy 127.0.0.1:0 "$tcp4"
timeout 60 "$eio" connect "$(address proxy)" <data >back
cmp data back || fail "3 MB through the proxy"
ok "proxy"
if need curl "curl through the proxy" && need python3 "curl through the proxy"; then
    start web python3 -u -m http.server --bind 127.0.0.1 0
    tries=0
    until grep -q 'port [0-9]' web.log; do
        tries=$((tries + 1))
        [ "$tries" -lt 400 ] || fail "the web server does not listen"
        sleep 0.05
    done
    port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' web.log | head -n 1)
    start webproxy "$eio" proxy 127.0.0.1:0 "127.0.0.1:$port"
    timeout 60 curl -sS --noproxy '*' -o fetched "http://$(address webproxy)/data"
    cmp data fetched || fail "a file through curl, proxy and web server"
    ok "curl through the proxy"
fi

# Several threads, and a limit.
start domains "$eio" echo --domains 2 --max-connections 8 127.0.0.1:0
domains=$(address domains)
domains_pid=$pid
clients=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    timeout 60 "$eio" connect "$domains" <data >"back.$i" &
    clients="$clients $!"
done
for client in $clients; do wait "$client" || fail "a client of the server with two domains"; done
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cmp data "back.$i" || fail "client $i's bytes"; done
kill "$domains_pid"
wait "$domains_pid" || fail "the server with two domains did not stop cleanly"
ok "two domains, twelve clients"

# Signals: the first lets a connection finish, the second doesn't.
mkfifo slow
timeout 60 "$eio" connect "$tcp4" <slow >answer &
client=$!
exec 3>slow
printf 'before ' >&3
tries=0
until grep -q before answer; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail "no answer before the signal"
    sleep 0.05
done
kill "$tcp4_pid"
tries=0
until grep -q 'no new connections' tcp4.log; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || fail "the server did not notice the signal"
    sleep 0.05
done
printf after >&3
exec 3>&-
wait "$client" || fail "the connection that was there at the signal"
[ "$(cat answer)" = 'before after' ] || fail "the connection at the signal lost bytes: $(cat answer)"
wait "$tcp4_pid" || fail "the server did not stop cleanly"
ok "first signal drains"
start second "$eio" echo 127.0.0.1:0
second_pid=$pid
second=$(address second)
timeout 60 "$eio" connect "$second" <slow >answer &
client=$!
exec 3>slow
printf x >&3
until grep -q x answer; do sleep 0.05; done
kill "$second_pid"
until grep -q 'no new connections' second.log; do sleep 0.05; done
kill "$second_pid"
status=0
wait "$second_pid" || status=$?
[ "$status" -eq 1 ] || fail "exit status $status after the second signal"
exec 3>&-
wait "$client" || true
ok "second signal stops"

# Names.
timeout 20 "$eio" resolve localhost >names
grep -q '^tcp:127.0.0.1:0$' names || fail "localhost has no 127.0.0.1: $(cat names)"
grep -q '^tcp:\[::1\]:0$' names || fail "localhost has no ::1: $(cat names)"
timeout 20 "$eio" resolve --reverse 127.0.0.1 | grep -q . || fail "no name for 127.0.0.1"
ok "resolve"

# A name to connect to.
start named "$eio" echo 127.0.0.1:0
named=$(address named)
[ "$(printf hello | timeout 20 "$eio" connect "localhost:${named##*:}")" = hello ] || fail "connecting by name"
ok "connect by name"

# Standard input from nothing, a file, and not at all.
for backend in uring epoll; do
    timeout 20 env EIO_BACKEND=$backend "$eio" connect "$named" </dev/null >out.txt || fail "input from /dev/null ($backend)"
    [ ! -s out.txt ] || fail "/dev/null isn't empty ($backend): $(cat out.txt)"
    timeout 20 env EIO_BACKEND=$backend "$eio" connect "$named" <data >back || fail "input from a file ($backend)"
    cmp data back || fail "input from a file ($backend)"
    got=0
    timeout 20 env EIO_BACKEND=$backend "$eio" connect "$named" <&- >out.txt 2>err.txt || got=$?
    [ "$got" -eq 1 ] || fail "closed input ($backend): exit status $got"
    grep -q 'Bad file descriptor' err.txt || fail "closed input ($backend): $(cat err.txt)"
done
ok "standard input from /dev/null, a file, closed"

# A pipe or a terminal keeps its flags, while the program reads from it and when it was killed.
if need python3 "standard streams keep their flags"; then
    cat >flags.py <<'PY'
import fcntl, os, pty, subprocess, sys

def flags(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL)

def check(kind, stdin, typed):
    before = flags(stdin)
    child = subprocess.Popen(sys.argv[1:], stdin=stdin, stdout=subprocess.PIPE)
    os.write(typed, b"hello\n")
    answer = child.stdout.read(6)  # it has read that, and waits for more
    during = flags(stdin)
    child.kill()
    child.wait()
    if answer != b"hello\n" or not before == during == flags(stdin):
        sys.exit("%s: %r, flags %o, %o, %o" % (kind, answer, before, during, flags(stdin)))

check("pipe", *os.pipe())
terminal, program_side = pty.openpty()
check("terminal", program_side, terminal)
PY
    for backend in uring epoll; do
        EIO_BACKEND=$backend timeout 60 python3 flags.py "$eio" connect "$named" || fail "standard input's flags ($backend)"
    done
    ok "standard streams keep their flags"
fi
echo "$checks checks"
