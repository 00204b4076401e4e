"""Echo over TCP, Unix sockets and UDP; churn; accepting."""

from driver.load import AGAIN, CONNECTIONS, EIO, LIMIT, PEER, Competitor, LoadRow

URING = "tools/bench/raw/uring_echo"
EPOLL = "tools/bench/raw/epoll_echo"
SERVER = "tools/bench/eio/server"
# The example listens where README says it does.
EXAMPLE = "tools/examples/echo"
EXAMPLE_ADDRESS = "tcp:7777"


def _built(path, *options):
    return lambda context, address: [context.program(path), address] + list(options)


def _eio(how, *options):
    return lambda context, address: [context.program(SERVER), how, address] + list(options)


def _peer(name, *options):
    return lambda context, address: [context.peer(name), address] + list(options)


def _go(context, address):
    return [context.peer("go_peer"), "echo", address]


RAW = [
    Competitor("io_uring, multishot", LIMIT, _built(URING)),
    Competitor("io_uring, multishot, again", AGAIN, _built(URING)),
    Competitor("io_uring, plain receive", LIMIT, _built(URING, "recv=plain")),
]
EIO_EXAMPLE = Competitor(
    "eio, copy", EIO, lambda context, address: [context.program(EXAMPLE)], {"EIO_BACKEND": "uring"}, EXAMPLE_ADDRESS
)
EIO_COPY = Competitor("eio, copy", EIO, _eio("copy"), {"EIO_BACKEND": "uring"})
EIO_LOOPS = [
    Competitor("eio, lend", EIO, _eio("lend"), {"EIO_BACKEND": "uring"}),
    Competitor("eio, single_read", EIO, _eio("read"), {"EIO_BACKEND": "uring"}),
]
PEERS = [
    Competitor("epoll", PEER, _built(EPOLL)),
    Competitor("libuv", PEER, _peer("uv_echo")),
    Competitor("Boost.Asio, callbacks", PEER, _peer("asio_echo", "callbacks")),
    Competitor("Boost.Asio, fibers", PEER, _peer("asio_echo", "fibers")),
    Competitor("Go", PEER, _go, {"GOMAXPROCS": "1"}),
    Competitor("tokio", PEER, _peer("tokio_echo")),
]
EPOLLS = [
    Competitor("epoll, level", LIMIT, _built(EPOLL)),
    Competitor("epoll, level, again", AGAIN, _built(EPOLL)),
    Competitor("epoll, level, first read", LIMIT, _built(EPOLL, "first=1")),
    Competitor("epoll, edge", LIMIT, _built(EPOLL, "trigger=edge")),
    Competitor("epoll, edge, first read", LIMIT, _built(EPOLL, "trigger=edge", "first=1")),
    Competitor("libuv", LIMIT, _peer("uv_echo")),
    Competitor("eio, copy", EIO, _eio("copy"), {"EIO_BACKEND": "epoll"}),
    Competitor("eio, lend", EIO, _eio("lend"), {"EIO_BACKEND": "epoll"}),
    Competitor("eio, single_read", EIO, _eio("read"), {"EIO_BACKEND": "epoll"}),
]


TCP = RAW + [EIO_EXAMPLE] + EIO_LOOPS + PEERS
# A connection that waits for one answer after the other: looking for it instead of sleeping, for a while.
SPINNING = [
    Competitor("io_uring, multishot, spin 50 us", AGAIN, _built(URING, "spin=50")),
    Competitor("eio, copy, spin 50 us", EIO, _eio("copy", "spin=50"), {"EIO_BACKEND": "uring"}),
]
UNIX = RAW + [EIO_COPY] + EIO_LOOPS + PEERS
CHURN = RAW[:2] + [EIO_EXAMPLE] + PEERS
DATAGRAMS = [
    Competitor("io_uring, multishot", LIMIT, _built("tools/bench/raw/uring_datagram")),
    Competitor("io_uring, multishot, again", AGAIN, _built("tools/bench/raw/uring_datagram")),
    Competitor("recvmmsg, sendmmsg", LIMIT, _built("tools/bench/raw/datagram_echo", "batch=64")),
    Competitor("recvmsg, sendmsg", LIMIT, _built("tools/bench/raw/datagram_echo", "batch=1")),
    Competitor("eio, a fiber", EIO, _eio("udp", "fibers=1"), {"EIO_BACKEND": "uring"}),
    Competitor("eio, up to 64 at once", EIO, _eio("udp", "many=64"), {"EIO_BACKEND": "uring"}),
    Competitor("eio, 32 fibers", EIO, _eio("udp", "fibers=32"), {"EIO_BACKEND": "uring"}),
    Competitor("libuv", PEER, _peer("uv_echo")),
    Competitor("Boost.Asio, callbacks", PEER, _peer("asio_echo", "callbacks")),
    Competitor("Boost.Asio, fibers", PEER, _peer("asio_echo", "fibers")),
    Competitor("Go", PEER, _go, {"GOMAXPROCS": "1"}),
    Competitor("tokio", PEER, _peer("tokio_echo")),
]

# Of the best, across two processors.
CROSS_BARS = {"p50": 1.05, "p99": 1.15}
CROSS_BARS_MANY = {"rate": 0.95, "p50": 1.05, "p99": 1.15}

SIZE_NAMES = {64: "64", 16384: "16k"}
SHORT = {("64", 50), ("16k", 50)}
BARRED = SHORT | {("64", 500)}


def _bars(size):
    return {"eio, copy": 1.05, "eio, lend": 1.05, "eio, single_read": 1.10 if size == 64 else 1.15}


def _echo(prefix, title, competitors, transport, size, conns, bars, shorts):
    name = SIZE_NAMES[size]
    sizes = {"full"}
    if (name, conns) in shorts:
        sizes.add("short")
    if (name, conns) == ("64", 50) and prefix != "unix":
        sizes.add("shortest")
    return LoadRow(
        "%s%sx%d" % (prefix, name, conns),
        "%s, %s, %d connection%s" % (title, "64 B" if size == 64 else "16 KiB", conns, "" if conns == 1 else "s"),
        competitors,
        transport,
        "echo",
        {"conns": conns, "size": size},
        bars,
        sizes,
        cross_bars=CROSS_BARS_MANY if conns == 5000 else CROSS_BARS,
    )


def rows():
    """All of this file."""
    made = []
    for size in (64, 16384):
        for conns in (1, 50, 500, 5000):
            # The bars of cost are where the limit's doesn't depend on one wake-up or on the cache.
            bars = _bars(size) if (SIZE_NAMES[size], conns) in BARRED else {"eio, copy": None}
            competitors = TCP + SPINNING if conns == 1 else TCP
            made.append(_echo("echo", "TCP echo", competitors, "tcp", size, conns, bars, SHORT))
    for size, conns in ((64, 50), (16384, 50)):
        made.append(_echo("unix", "Unix stream echo", UNIX, "unix", size, conns, None, {("64", 50)}))
    for size, conns in ((64, 1), (64, 50)):
        made.append(_echo("udp", "UDP echo", DATAGRAMS, "udp", size, conns, None, {("64", 50)}))
    for size, conns in ((64, 50), (64, 500), (16384, 50)):
        bars = {"eio, copy": 1.05, "eio, lend": 1.05, "eio, single_read": 1.05}
        made.append(_echo("epoll", "TCP echo on epoll", EPOLLS, "tcp", size, conns, bars, {("64", 50)}))
    churn = {"conns": 32, "size": 64}
    made.append(
        LoadRow(
            "churn",
            "connect, 64 B there and back, close; 32 at once",
            CHURN,
            "tcp",
            "churn",
            churn,
            {"eio, copy": 1.05},
            ("shortest", "short", "full"),
            measure=CONNECTIONS,
        )
    )
    made.append(
        LoadRow(
            "accept",
            "connect, close; 32 at once",
            CHURN,
            "tcp",
            "accept",
            churn,
            None,
            ("shortest", "short", "full"),
            measure=CONNECTIONS,
        )
    )
    made.append(
        LoadRow(
            "epoll-churn",
            "connect, 64 B there and back, close, on epoll; 32 at once",
            EPOLLS,
            "tcp",
            "churn",
            churn,
            {"eio, copy": 1.05},
            ("full",),
            measure=CONNECTIONS,
        )
    )
    return made
