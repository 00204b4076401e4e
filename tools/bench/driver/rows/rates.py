"""Programs that print a rate: reading lines, looking names up."""

import os
import subprocess
import time

from driver import isolation, programs, report, stats
from driver.load import listening
from driver.processes import Failure, Process
from driver.programs import Program, present, values
from driver.result import Result


def _milliseconds(context):
    return str(max(10, round(context.size.seconds * 1000)))


class RateRow:
    """Several programs for each of several cases, and how many times as fast as each eio is."""

    def __init__(self, name, title, cases, programs_of, sizes, bar=None, per_second="1/s"):
        self.name = name
        self.title = title
        self.sizes = sizes
        self._cases = cases
        self._programs_of = programs_of
        self._bar = bar  # the least that eio's rate may be of another's: (name, ratio)
        self._per_second = per_second

    def run(self, context):
        columns = ["", self._per_second, "CPU us", "eio is", "bar"]
        result = Result(self.name, self.title, columns)
        cases = self._cases if context.size.name != "shortest" else self._cases[:1]
        for case in cases:
            self._run_case(context, case, result)
        self.close()
        return result

    def close(self):
        """What was started for the row, if anything, ends."""

    def _run_case(self, context, case, result):
        found, missing = programs.run(context, self._programs_of(case), context.size.rounds)
        rates = {name: next(iter(lines.values()), []) for name, lines in found.items()}
        ours = values(rates.get("eio", []))
        for program in self._programs_of(case):
            name = "%s %s" % (case, program.name)
            figures = present(values(rates[program.name]))
            if not figures:
                result.missing(name, missing.get(program.name, "nothing was measured"))
                continue
            cpu = present(values(rates[program.name], "cpu_us"))
            times = stats.ratio(ours, values(rates[program.name])) if program.name != "eio" and present(ours) else None
            bar = context.bar(self._bar[1]) if self._bar and self._bar[0] == program.name else None
            cells = [
                report.spread(stats.spread(figures)),
                report.number(stats.median(cpu)) if cpu else "",
                "x " + report.ratio(times) if times else "",
                report.verdict(times, bar, at_least=True),
            ]
            data = {"case": case, "rate": figures, "cpu_us": cpu, "eio_ratio": times, "unit": self._per_second}
            result.add(name, cells, data)


def _reader_programs(case):
    line_bytes = case.split()[0]

    def program(how):
        return Program(
            how, lambda context: [context.program("tools/bench/eio/reader"), how, line_bytes, _milliseconds(context)]
        )

    return [program(how) for how in ("memchr", "eio", "getline", "fgets")]


NAMESERVER = "udp:53"
HOSTS = "127.0.0.1 localhost\n" + "".join("10.1.2.%d peer%d.test peer%d\n" % (i, i, i) for i in range(1, 9))
RESOLV_CONF = "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"


class ResolverRow(RateRow):
    """Lookups, in a mount namespace with files of our own, from a DNS server of our own."""

    def __init__(self, name, source, sizes, bar):
        super().__init__(
            name,
            "lookups from %s" % ("the hosts file" if source == "hosts" else "a DNS server on this machine"),
            ["1 at a time", "100 at once"],
            self._programs,
            sizes,
            bar,
            "lookups/s",
        )
        self._source = source
        self._server = None

    def _programs(self, case):
        at_once = case.split()[0]

        def raw(how):
            return lambda context: [
                context.program("tools/bench/raw/resolve"),
                how,
                self._source,
                at_once,
                _milliseconds(context),
            ]

        def eio(context):
            return [context.program("tools/bench/eio/resolve"), self._source, at_once, _milliseconds(context)]

        def go(context):
            return [context.peer("go_peer"), "resolve", self._source, at_once, _milliseconds(context)]

        return [
            Program("eio", eio),
            Program("c-ares", raw("cares")),
            Program("getaddrinfo", raw("getaddrinfo")),
            Program("Go", go, {"GOMAXPROCS": "1"}),
        ]

    def run(self, context):
        if not isolation.isolated():
            skipped = Result(self.name, self.title, ["", "lookups/s"])
            skipped.missing("all", "left out: without namespaces of its own it would ask this machine's name server")
            skipped.left_out = True
            return skipped
        for path, content in (("/etc/hosts", HOSTS), ("/etc/resolv.conf", RESOLV_CONF)):
            self._cover(context, path, content)
        if self._source == "dns":
            argv = [context.program("tools/bench/raw/dns_server"), NAMESERVER]
            self._server = Process(argv, {context.client_cpu}, context.scratch, context.niceness)
            deadline = time.monotonic() + 5
            while not listening(NAMESERVER):
                if not self._server.running() or time.monotonic() > deadline:
                    raise self._server.failed("doesn't listen")
                time.sleep(0.01)
        try:
            return super().run(context)
        finally:
            self.close()

    def close(self):
        if self._server:
            self._server.kill()
            self._server = None

    @staticmethod
    def _cover(context, path, content):
        """Puts a file of our own over one of the system's, in this mount namespace only."""
        ours = os.path.join(context.scratch, os.path.basename(path))
        with open(ours, "w", encoding="ascii") as file:
            file.write(content)
        # What a link names is what is covered.
        done = subprocess.run(["mount", "--bind", ours, os.path.realpath(path)], capture_output=True, check=False)
        if done.returncode != 0:
            raise Failure("%s can't be covered: %s" % (path, done.stderr.decode().strip()))


def rows():
    """Reading and resolving."""
    sizes = ("shortest", "short", "full")
    return [
        RateRow(
            "reader",
            "lines out of memory",
            ["16 B lines", "80 B lines", "1024 B lines"],
            _reader_programs,
            sizes,
            None,
            "lines/s",
        ),
        ResolverRow("resolve-hosts", "hosts", sizes, ("Go", 1.0)),
        ResolverRow("resolve-dns", "dns", sizes, ("c-ares", 0.95)),
    ]
