"""Servers under the load generator: all of them up at once, short windows going round among them.

With server and client on one processor nothing depends on how far apart two processors are, and the server's CPU
time for one request is what is compared. Every round holds each competitor once; a ratio is taken within a round.
"""

import collections
import json
import math
import os
import socket
import time

from driver import report, stats
from driver.processes import Failure, Process, run
from driver.result import Result

# Seconds: for a server to listen; for a client to open and try its connections; beyond a window's length.
START_SECONDS = 10
OPEN_SECONDS = 60
EXTRA_SECONDS = 20

# From this share of its processor on, the client may be what limits a rate.
CLIENT_BOUND = 0.9

# How one server is started: `argv(context, address)`; `address` is a text for one that listens where it likes.
Competitor = collections.namedtuple("Competitor", "name kind argv env address", defaults=(None, None))

# Kinds: what ratios are taken to (the best of them), a second instance of the first of those, eio, others.
LIMIT, AGAIN, EIO, PEER = "limit", "again", "eio", "peer"


def listening(address):
    """Whether somebody listens there, by the system's tables: trying it would be a connection more."""
    kind, place = address.split(":", 1)
    if kind == "unix":
        return os.path.exists(place)
    wanted = "0100007F:%04X" % int(place)
    state = "0A" if kind == "tcp" else "07"
    any_host = "00000000:%04X" % int(place)
    for table in (kind, kind + "6"):
        try:
            with open("/proc/net/" + table, encoding="ascii") as file:
                for line in file:
                    words = line.split()
                    if len(words) < 4 or words[3] != state:
                        continue
                    if words[1] in (wanted, any_host) or (table.endswith("6") and words[1].endswith(wanted[-5:])):
                        return True
        except OSError:
            pass
    return False


class Server:
    """A competitor's server, listening."""

    def __init__(self, context, competitor, transport):
        if competitor.address:
            self.address = competitor.address
        elif transport == "unix":
            self.address = "unix:" + os.path.join(context.scratch, "s%d" % context.fresh_port())
        else:
            self.address = "%s:%d" % (transport, context.fresh_port())
        if listening(self.address):
            raise Failure("somebody listens on %s already" % self.address)
        argv = competitor.argv(context, self.address)
        self.process = Process(argv, {context.server_cpu}, context.scratch, context.niceness, competitor.env)
        deadline = time.monotonic() + START_SECONDS
        while not listening(self.address):
            if not self.process.running() or time.monotonic() > deadline:
                failure = self.process.failed("doesn't listen on " + self.address)
                self.process.kill()
                raise failure
            time.sleep(0.01)
        self.pid = self.process.pid

    def stop(self):
        self.process.kill()


class Client:
    """The load generator, connected to one server."""

    def __init__(self, context, server, mode, options, cpu):
        argv = [context.program("tools/bench/load/load"), mode, server.address, str(server.pid)]
        argv += ["%s=%s" % option for option in options.items()]
        self.process = Process(argv, {cpu}, context.scratch, context.niceness)
        try:
            self.process.read_line(OPEN_SECONDS)
        except Failure:
            self.process.kill()
            raise

    def window(self, seconds, warm_seconds):
        """What one window counted."""
        self.process.say("run %d %d" % (round(seconds * 1000), round(warm_seconds * 1000)))
        return json.loads(self.process.read_line(seconds + warm_seconds + EXTRA_SECONDS))

    def stop(self):
        # It closes first, so that the port it came from is left in TIME_WAIT and not the server's.
        self.process.finish()


class Pair:
    """One competitor with what was measured of it."""

    def __init__(self, competitor):
        self.competitor = competitor
        self.server = None
        self.client = None
        self.failure = None
        self.rounds = []  # one dict each, of the windows of that round together; None for a failed one

    def fail(self, failure):
        self.failure = str(failure)
        self.stop()

    def stop(self):
        if self.client:
            self.client.stop()
            self.client = None
        if self.server:
            # The end of its connections is on its way to it.
            time.sleep(0.02)
            self.server.stop()
            self.server = None

    def values(self, key):
        return [one[key] if one else None for one in self.rounds]

    def figures(self, key):
        return [value for value in self.values(key) if value is not None]


def _together(windows):
    """The windows of one round as one."""
    ops = sum(one["ops"] for one in windows)
    seconds = sum(one["seconds"] for one in windows)
    if ops == 0 or seconds == 0:
        return None
    return {
        "cpu_us": sum(one["server_cpu"] for one in windows) / ops * 1e6,
        "rate": ops / seconds,
        "client_share": sum(one["client_cpu"] for one in windows) / seconds,
        "server_share": sum(one["server_cpu"] for one in windows) / seconds,
        "ops": ops,
        "lost": sum(one["lost"] for one in windows),
        "p50": stats.median([one["p50"] for one in windows]) / 1000,
        "p99": stats.median([one["p99"] for one in windows]) / 1000,
        "p999": stats.median([one["p999"] for one in windows]) / 1000,
    }


def _start(context, pairs, transport, mode, options, cpu):
    for pair in pairs:
        if pair.failure:
            continue
        try:
            if pair.server is None:
                pair.server = Server(context, pair.competitor, transport)
            pair.client = Client(context, pair.server, mode, options, cpu)
        except Failure as failure:
            pair.fail(failure)


def _one_round(context, pairs, size):
    pieces = max(1, math.ceil(size.seconds / size.piece_seconds - 1e-9))
    windows = {id(pair): [] for pair in pairs}
    for _ in range(pieces):
        order = [pair for pair in pairs if not pair.failure]
        context.random.shuffle(order)
        for pair in order:
            try:
                windows[id(pair)].append(pair.client.window(size.seconds / pieces, size.warm_seconds))
            except Failure as failure:
                pair.fail(failure)
    for pair in pairs:
        pair.rounds.append(None if pair.failure else _together(windows[id(pair)]))


def place(context):
    """Nanoseconds between the two processors, there and back; None with one processor."""
    if context.server_cpu == context.client_cpu:
        return None
    argv = [context.program("tools/bench/raw/place"), str(context.server_cpu), str(context.client_cpu)]
    cpus = {context.server_cpu, context.client_cpu}
    return float(run(argv, cpus, context.scratch, 5, context.niceness))


class LoadRow:
    """A row of servers under one kind of load."""

    def __init__(self, name, title, competitors, transport, mode, options, bars=None, sizes=("short", "full"), unit="req"):
        self.name = name
        self.title = title
        self.sizes = sizes
        self._competitors = competitors
        self._transport = transport
        self._mode = mode
        self._options = options
        self._bars = bars or {}
        self._unit = unit

    def run(self, context):
        pairs = [Pair(competitor) for competitor in self._competitors(context)]
        crossed = []
        try:
            options = dict(self._options)
            if context.size.name == "shortest":
                options["check"] = 1
            _start(context, pairs, self._transport, self._mode, options, context.server_cpu)
            for _ in range(context.size.rounds):
                _one_round(context, pairs, context.size)
            if context.size.cross_rounds and context.server_cpu != context.client_cpu:
                crossed = self._cross(context, pairs, options)
        finally:
            for pair in pairs + crossed:
                pair.stop()
        return self._result(pairs, {pair.competitor.name: pair for pair in crossed})

    def _cross(self, context, pairs, options):
        """The same servers with their clients on the other processor."""
        crossed = []
        for pair in pairs:
            if pair.failure:
                continue
            pair.client.stop()
            other = Pair(pair.competitor)
            other.server, pair.server, pair.client = pair.server, None, None
            crossed.append(other)
        _start(context, crossed, self._transport, self._mode, options, context.client_cpu)
        for _ in range(context.size.cross_rounds):
            before = place(context)
            _one_round(context, crossed, context.size)
            for pair in crossed:
                if pair.rounds[-1]:
                    pair.rounds[-1]["place"] = before
        return crossed

    def _limit(self, pairs):
        candidates = [pair for pair in pairs if pair.competitor.kind == LIMIT and pair.figures("cpu_us")]
        if not candidates:
            return None
        return min(candidates, key=lambda pair: stats.median(pair.figures("cpu_us")))

    def _result(self, pairs, crossed):
        columns = ["", "server CPU us/" + self._unit, "ratio (95 %)", "bar", self._unit + "/s, one core"]
        if crossed:
            columns += ["two cores: %s/s" % self._unit, "p50 us", "p99 us", "p99.9 us", "client busy"]
        result = Result(self.name, self.title, columns)
        limit = self._limit(pairs)
        if limit:
            result.notes.append("ratios are to '%s'" % limit.competitor.name)
        for pair in pairs:
            name = pair.competitor.name
            costs = pair.figures("cpu_us")
            if not costs:
                result.missing(name, pair.failure or "nothing was measured")
                continue
            to_limit = stats.ratio(pair.values("cpu_us"), limit.values("cpu_us")) if limit else None
            bar = self._bars.get(name)
            cells = [
                report.spread(stats.spread(costs)),
                report.ratio(to_limit),
                report.verdict(to_limit, bar),
                report.number(stats.median(pair.figures("rate"))),
            ]
            data = {"cpu_us": costs, "ratio": to_limit, "bar": bar, "rate": pair.figures("rate"), "kind": pair.competitor.kind}
            data["lost"] = sum(pair.figures("lost"))
            if crossed:
                cells += self._cross_cells(crossed.get(name), data)
            result.add(name, cells, data)
            if pair.failure:
                result.notes.append("%s failed later on: %s" % (name, pair.failure))
            if data["lost"]:
                result.notes.append("%s: %d lost and begun again" % (name, data["lost"]))
        self._note_places(result, crossed)
        return result

    @staticmethod
    def _cross_cells(pair, data):
        if pair is None or not pair.figures("rate"):
            return [pair.failure if pair and pair.failure else "-", "", "", "", ""]
        rates = stats.spread(pair.figures("rate"))
        share = stats.median(pair.figures("client_share"))
        latencies = [stats.median(pair.figures(key)) for key in ("p50", "p99", "p999")]
        data["cross"] = {
            key: pair.figures(key) for key in ("rate", "client_share", "server_share", "p50", "p99", "p999", "place")
        }
        bound = share >= CLIENT_BOUND
        data["cross"]["client_bound"] = bound
        rate = (">= " if bound else "") + report.spread(rates)
        return [rate] + [report.number(value) for value in latencies] + ["%.0f %%" % (share * 100)]

    @staticmethod
    def _note_places(result, crossed):
        places = sorted({one for pair in crossed.values() for one in pair.figures("place") if one})
        if places:
            result.notes.append("two cores: %s ns between them" % ", ".join("%.0f" % one for one in places))
        if any(data.get("cross", {}).get("client_bound") for data in result.data.values()):
            result.notes.append(">=: the client was busy for 90 % of the time or more, so the server could do better")
