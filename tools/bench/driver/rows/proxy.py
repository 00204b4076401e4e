"""Bytes through a one-way proxy."""

from driver.load import AGAIN, BYTES, EIO, LIMIT, PEER, Competitor, LoadRow


def _raw(*options):
    return lambda context, address, target: [context.program("tools/bench/raw/proxy"), address, target] + list(options)


def _with_host(address):
    return address.replace("tcp:", "127.0.0.1:")


def _eio(context, address, target):
    return [context.program("tools/eio/eio"), "proxy", _with_host(address), _with_host(target)]


COMPETITORS = [
    Competitor("splice", LIMIT, _raw("how=splice")),
    Competitor("splice, again", AGAIN, _raw("how=splice")),
    Competitor("io_uring, splice", LIMIT, _raw("how=uringsplice")),
    Competitor("io_uring, 2 x 256 KiB", LIMIT, _raw("how=uring", "size=262144")),
    Competitor("read, write, 256 KiB", LIMIT, _raw("how=write", "size=262144")),
    Competitor("eio, copy", EIO, _eio, {"EIO_BACKEND": "uring"}),
    Competitor("eio, copy, on epoll", EIO, _eio, {"EIO_BACKEND": "epoll"}),
    Competitor("Go", PEER, lambda context, *places: [context.peer("go_peer"), "proxy"] + list(places), {"GOMAXPROCS": "1"}),
]


def rows():
    """One stream, and 50."""
    made = []
    for streams in (1, 50):
        made.append(
            LoadRow(
                "proxyx%d" % streams,
                "one-way proxy, %d stream%s" % (streams, "" if streams == 1 else "s"),
                COMPETITORS,
                "tcp",
                "bulk",
                {"conns": streams},
                # 0.95 of the best in bytes for a second of CPU, and in bytes for a second.
                {"eio, copy": 1 / 0.95} if streams == 1 else None,
                ("shortest", "short", "full") if streams == 1 else ("full",),
                measure=BYTES,
                rate_bars={"eio, copy": 0.95} if streams == 1 else {},
            )
        )
    return made
