"""How the cost of a connection grows with their number."""

from driver import report, stats
from driver.load import LoadRow
from driver.result import Result
from driver.rows.echo import EIO_EXAMPLE, RAW

COUNTS = (10, 100, 1000, 5000, 10000, 19000)
# The cost may grow by so much from here on.
FROM = 1000
BAR = 1.20


class GrowthRow:
    """64 B echo over 10, 100, ... connections: CPU per request of eio and of the limit."""

    name = "growth"
    title = "TCP echo, 64 B: server CPU us per request against the number of connections"
    sizes = ("full",)

    def run(self, context):
        result = Result(self.name, self.title, ["connections", "io_uring", "eio", "ratio (95 %)"])
        result.charts = {"io_uring, multishot": [], "eio, copy": []}
        counts = COUNTS if context.size.name == "full" else COUNTS[:3]
        costs = {}
        for count in counts:
            options = {"conns": count, "size": 64}
            inner = LoadRow(self.name, "", [RAW[0], EIO_EXAMPLE], "tcp", "echo", options)
            size, context.size = context.size, context.size._replace(cross_rounds=0)
            try:
                table = inner.run(context)
            finally:
                context.size = size
            limit, ours = (table.data[name] for name in ("io_uring, multishot", "eio, copy"))
            if "missing" in limit or "missing" in ours:
                result.missing(str(count), limit.get("missing") or ours.get("missing"))
                continue
            costs[count] = stats.median(ours["cost"])
            for name, data in (("io_uring, multishot", limit), ("eio, copy", ours)):
                result.charts[name].append((count, stats.median(data["cost"])))
            cells = [report.spread(stats.spread(one["cost"])) for one in (limit, ours)]
            result.add(str(count), cells + [report.ratio(ours["ratio"])], {"limit": limit, "eio": ours})
        later = [costs[count] for count in costs if count >= FROM]
        if len(later) > 1:
            result.notes.append(
                "from %d connections on, eio's cost grows by a factor of %.2f (bar %.2f); the limit's beside it"
                % (FROM, max(later) / later[0], BAR)
            )
        return result


def rows():
    return [GrowthRow()]
