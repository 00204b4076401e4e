"""What an idle connection keeps in memory, and what that is made of."""

import re
import time

from driver import report
from driver.load import Client, Server
from driver.processes import Failure
from driver.result import Result
from driver.rows.echo import EIO_EXAMPLE, EIO_LOOPS, PEERS, RAW

# Bytes: a page of stack and what belongs to it. Not for who reads into a buffer on his stack, and with so many
# connections that what the server has only once counts for little.
BAR = 4.6 * 1024
JUDGED = ("eio, copy", "eio, lend")
JUDGED_FROM = 10000

# After the last connection, for what the server still does.
SETTLE_SECONDS = 0.4


def _status(pid):
    """Bytes by name, out of /proc/PID/status."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return {name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", file.read(), flags=re.M)}


def _heap(pid):
    """Resident bytes of what malloc has from brk."""
    with open("/proc/%d/smaps" % pid, encoding="utf-8", errors="replace") as file:
        found = re.search(r"\[heap\]\n(?:.*\n)*?Rss:\s+(\d+) kB", file.read())
    return int(found.group(1)) * 1024 if found else 0


def _slab():
    """Bytes of the kernel's own memory, on the whole machine: both ends of each connection are in it."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^Slab:\s+(\d+) kB", file.read(), flags=re.M).group(1)) * 1024


def _sample(pid):
    status = _status(pid)
    heap = _heap(pid)
    return {
        "resident": status.get("VmRSS", 0),
        "heap": heap,
        "other": status.get("RssAnon", 0) - heap,
        "tables": status.get("VmPTE", 0),
        "kernel": _slab(),
    }


COUNTS = {"shortest": 200, "short": 2000, "full": 10000}


class IdleRow:
    """Connections, each after one echo of 16 KiB."""

    name = "idle-connections"
    title = "memory of an idle connection, each after one echo of 16 KiB"
    sizes = ("shortest", "short", "full")

    def run(self, context):
        conns = COUNTS[context.size.name]
        columns = ["", "resident B", "bar", "malloc'd", "stacks and buffers", "page tables", "kernel, both ends"]
        result = Result(self.name, "%s; %s of them" % (self.title, format(conns, ",")), columns)
        competitors = RAW + [EIO_EXAMPLE] + EIO_LOOPS + PEERS
        for competitor in competitors if context.size.name != "shortest" else RAW[:1] + [EIO_EXAMPLE]:
            if competitor.kind == "again":
                continue
            try:
                each = self._measure(context, competitor, conns)
            except Failure as failure:
                result.missing(competitor.name, str(failure))
                continue
            bar = ""
            if competitor.name in JUDGED and conns >= JUDGED_FROM:
                bar = "<= %s: %s" % (report.number(BAR), "met" if each["resident"] <= BAR else "NOT MET")
            cells = [report.number(each["resident"]), bar]
            cells += [report.number(each[key]) for key in ("heap", "other", "tables", "kernel")]
            result.add(competitor.name, cells, {"conns": conns, "bytes": each, "kind": competitor.kind})
        return result

    @staticmethod
    def _measure(context, competitor, conns):
        server = Server(context, competitor, "tcp", "echo")
        try:
            time.sleep(SETTLE_SECONDS / 2)
            before = _sample(server.pid)
            client = Client(context, server, "echo", {"conns": conns, "size": 16384}, context.client_cpu)
            try:
                time.sleep(SETTLE_SECONDS)
                after = _sample(server.pid)
            finally:
                client.stop()
                time.sleep(0.02)
        finally:
            server.stop()
        return {key: (after[key] - before[key]) / conns for key in before}


def rows():
    """One."""
    return [IdleRow()]
