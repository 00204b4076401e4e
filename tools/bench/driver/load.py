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

# Seconds of a window, and of warming up before it, for each connection.
PIECE_SECONDS_EACH = 1e-4
WARM_SECONDS_EACH = 2e-5

# Across two processors nothing is judged by less than tens of percents, so that rounds are no longer than this.
MOST_CROSS_SECONDS = 0.5

# From this share of its processor on, the client may be what limits a rate.
CLIENT_BOUND = 0.9

# How one server is started: `argv(context, address)`, a proxy `argv(context, address, target)`; `address` is a text
# for one that listens where it likes.
Competitor = collections.namedtuple("Competitor", "name kind argv env address", defaults=(None, None))

# What is counted: the columns' names, and what a server's microseconds for one operation and operations per second
# are multiplied by.
Measure = collections.namedtuple("Measure", "cost cost_scale rate rate_scale")
REQUESTS = Measure("server CPU us/req", 1, "req/s", 1)
CONNECTIONS = Measure("server CPU us/conn", 1, "conn/s", 1)
BYTES = Measure("proxy CPU s/GB", 1e3, "GB/s", 1e-9)

# Kinds: what ratios are taken to (the best of them), others by hand that aren't candidates (a second instance of the
# first of those), eio, peers.
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

    def __init__(self, context, competitor, transport, mode):
        self.target = "tcp:%d" % context.fresh_port() if mode == "bulk" else None
        if competitor.address:
            self.address = competitor.address
        elif transport == "unix":
            self.address = "unix:" + os.path.join(context.scratch, "s%d" % context.fresh_port())
        else:
            self.address = "%s:%d" % (transport, context.fresh_port())
        if listening(self.address):
            raise Failure("somebody listens on %s already" % self.address)
        places = [self.address] + ([self.target] if self.target else [])
        argv = competitor.argv(context, *places)
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
        if server.target:
            argv.append("sink=" + server.target)
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
                pair.server = Server(context, pair.competitor, transport, mode)
            pair.client = Client(context, pair.server, mode, options, cpu)
        except Failure as failure:
            pair.fail(failure)


def sized(size, conns):
    """Windows long enough that a connection's turn comes several times in each."""
    piece = min(size.seconds, max(size.piece_seconds, conns * PIECE_SECONDS_EACH))
    return size._replace(piece_seconds=piece, warm_seconds=max(size.warm_seconds, conns * WARM_SECONDS_EACH))


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
    """A row of servers under one kind of load.

    `bars`: the most that an eio server's cost may be of the limit's, by competitor. `rate_bars`: the least that its
    rate on one core may be. `cross_bars`: the least rate, and the most p50 and p99, that those of `bars` may have
    across two processors, of the best.
    """

    def __init__(self, name, title, competitors, transport, mode, options, bars=None, sizes=("short", "full"), **more):
        self.name = name
        self.title = title
        self.sizes = sizes
        self._competitors = competitors
        self._transport = transport
        self._mode = mode
        self._options = options
        self._bars = bars or {}
        self._rate_bars = more.get("rate_bars")
        self._cross_bars = more.get("cross_bars", {})
        self._measure = more.get("measure", REQUESTS)

    def run(self, context):
        pairs = [Pair(competitor) for competitor in self._competitors]
        crossed = []
        try:
            options = dict(self._options)
            if context.size.name == "shortest":
                options["check"] = 1
            size = sized(context.size, options.get("conns", 1))
            _start(context, pairs, self._transport, self._mode, options, context.server_cpu)
            has_bar = any(bar is not None for bar in self._bars.values()) or self._rate_bars is not None
            for _ in range(size.rounds if has_bar else size.plain_rounds):
                _one_round(context, pairs, size)
            if context.size.cross_rounds and context.server_cpu != context.client_cpu:
                crossed = self._cross(context, pairs, options)
        finally:
            for pair in pairs + crossed:
                pair.stop()
        return self._result(context, pairs, {pair.competitor.name: pair for pair in crossed})

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
        size = context.size._replace(seconds=min(context.size.seconds, MOST_CROSS_SECONDS))
        size = sized(size, options.get("conns", 1))
        for _ in range(size.cross_rounds):
            before = place(context)
            _one_round(context, crossed, size)
            for pair in crossed:
                if pair.rounds[-1]:
                    pair.rounds[-1]["place"] = before
        return crossed

    @staticmethod
    def _limit(pairs, key, best):
        """The best of the limits, by its median."""
        candidates = [pair for pair in pairs if pair.competitor.kind == LIMIT and pair.figures(key)]
        return best(candidates, key=lambda pair: stats.median(pair.figures(key))) if candidates else None

    def _columns(self, crossed):
        columns = ["", self._measure.cost, "ratio (95 %)", "bar", self._measure.rate + ", one core"]
        if self._rate_bars is not None:
            columns += ["ratio (95 %)", "bar"]
        if crossed:
            columns.append(self._measure.rate + ", two cores")
            if self._mode != "bulk":
                columns += ["p50 us", "p99 us", "p99.9 us"]
            columns.append("client busy")
        return columns

    def _result(self, context, pairs, crossed):
        result = Result(self.name, self.title, self._columns(crossed))
        limit = self._limit(pairs, "cpu_us", min)
        fastest = self._limit(pairs, "rate", max) if self._rate_bars is not None else None
        if limit:
            result.notes.append("ratios of CPU are to '%s'" % limit.competitor.name)
        if fastest:
            result.notes.append("ratios of rates are to '%s'" % fastest.competitor.name)
        for pair in pairs:
            name = pair.competitor.name
            if not pair.figures("cpu_us"):
                result.missing(name, pair.failure or "nothing was measured")
                continue
            cells, data = self._cells(context, pair, limit, fastest)
            if crossed:
                cells += self._cross_cells(crossed.get(name), data)
            result.add(name, cells, data)
            if pair.failure:
                result.notes.append("%s failed later on: %s" % (name, pair.failure))
            if data["lost"]:
                result.notes.append("%s: %d lost and begun again" % (name, data["lost"]))
        if context.size.name != "shortest":
            self._note_standing(result, pairs)
            self._note_cross(context, result, crossed)
        self._note_places(result, crossed)
        return result

    @staticmethod
    def _note_standing(result, pairs):
        peers = [pair for pair in pairs if pair.competitor.kind == PEER]
        for pair in pairs:
            if pair.competitor.kind != EIO:
                continue
            ratios = {peer.competitor.name: stats.ratio(peer.values("cpu_us"), pair.values("cpu_us")) for peer in peers}
            text = report.standing({name: ratio for name, ratio in ratios.items() if ratio})
            if text:
                result.notes.append("%s: %s" % (pair.competitor.name, text))

    def _note_cross(self, context, result, crossed):
        """Rates to the best limit's, latencies to the best of all others'."""
        others = [pair for pair in crossed.values() if pair.competitor.kind in (LIMIT, PEER)]
        fastest = self._limit(others, "rate", max)
        for pair in crossed.values():
            if pair.competitor.kind != EIO or fastest is None:
                continue
            parts = [("rate", fastest)]
            if self._mode != "bulk":
                parts += [
                    (key, min(others, key=lambda other, key=key: stats.median(other.figures(key) or [float("inf")])))
                    for key in ("p50", "p99")
                ]
            told = []
            for key, best in parts:
                to_best = stats.ratio(pair.values(key), best.values(key))
                if to_best:
                    bar = context.bar(self._cross_bars.get(key)) if pair.competitor.name in self._bars else None
                    verdict = report.verdict(to_best, bar, at_least=key == "rate")
                    words = [key, report.ratio(to_best), "of '%s'" % best.competitor.name]
                    told.append(" ".join(words + (["(%s)" % verdict] if verdict else [])))
                    result.data[pair.competitor.name].setdefault("cross", {})[key + "_ratio"] = to_best
            if told:
                result.notes.append("%s, two cores: %s" % (pair.competitor.name, ", ".join(told)))

    def _cells(self, context, pair, limit, fastest):
        name = pair.competitor.name
        costs = [cost * self._measure.cost_scale for cost in pair.figures("cpu_us")]
        rates = [rate * self._measure.rate_scale for rate in pair.figures("rate")]
        to_limit = stats.ratio(pair.values("cpu_us"), limit.values("cpu_us")) if limit else None
        bar = context.bar(self._bars.get(name))
        cells = [
            report.spread(stats.spread(costs)),
            report.ratio(to_limit),
            report.verdict(to_limit, bar),
            report.number(stats.median(rates)),
        ]
        data = {"kind": pair.competitor.kind, "cost": costs, "ratio": to_limit, "bar": bar, "rate": rates}
        data["unit"] = {"cost": self._measure.cost, "rate": self._measure.rate}
        data["lost"] = sum(pair.figures("lost"))
        if self._rate_bars is not None:
            to_fastest = stats.ratio(pair.values("rate"), fastest.values("rate")) if fastest else None
            bar = context.bar(self._rate_bars.get(name))
            cells += [report.ratio(to_fastest), report.verdict(to_fastest, bar, at_least=True)]
            data["rate_ratio"], data["rate_bar"] = to_fastest, bar
        return cells, data

    def _cross_cells(self, pair, data):
        latencies = [] if self._mode == "bulk" else ["p50", "p99", "p999"]
        if pair is None or not pair.figures("rate"):
            return [pair.failure if pair and pair.failure else "-"] + [""] * (len(latencies) + 1)
        rates = [rate * self._measure.rate_scale for rate in pair.figures("rate")]
        share = stats.median(pair.figures("client_share"))
        data["cross"] = {key: pair.figures(key) for key in ["client_share", "server_share", "place"] + latencies}
        data["cross"]["rate"] = rates
        bound = share >= CLIENT_BOUND
        data["cross"]["client_bound"] = bound
        cells = [(">= " if bound else "") + report.spread(stats.spread(rates))]
        cells += [report.number(stats.median(pair.figures(key))) for key in latencies]
        return cells + ["%.0f %%" % (share * 100)]

    @staticmethod
    def _note_places(result, crossed):
        places = sorted({one for pair in crossed.values() for one in pair.figures("place") if one})
        if places:
            result.notes.append("two cores: %s ns between them" % ", ".join("%.0f" % one for one in places))
        if any(data.get("cross", {}).get("client_bound") for data in result.data.values()):
            result.notes.append(">=: the client was busy for 90 % of the time or more, so the server could do better")
