"""Fibers and what lets them wait for each other, beside the bare loop, Go, and Eio's published figures."""

from driver import programs, report, stats
from driver.programs import Program, present, values
from driver.result import Result

# Measured once, on 2026-11-22, with Eio 1.6's own benchmarks on a machine of this kind (ns): not in this run.
EIO_1_6 = {
    ("yield", "1"): 88.1,
    ("yield", "2"): 58.2,
    ("yield", "100"): 40.2,
    ("yield", "500"): 48.2,
    ("yield", "1000"): 62.2,
    ("yield", "10000"): 273.9,
    ("yield", "100000"): 546,
    ("fork-batch", "1000"): 90,
    ("fork-promise", ""): 141,
    ("switch-run", ""): 207,
    ("both", ""): 290,
    ("take-first", ""): 825.8,
    ("promise-read", ""): 3.5,
    ("promise", ""): 1109,
    ("stream", "0"): 318.2,
    ("stream", "1"): 210.7,
    ("stream", "100"): 45.4,
    ("mutex", "1"): 123.2,
    ("mutex", "2"): 233,
    ("mutex", "8"): 328.4,
    ("semaphore", "2"): 1917,
    ("semaphore", "3"): 1626,
    ("semaphore", "4"): 423.2,
}

# At most so many times the bare loop of the same run; at most so many ns or bytes.
RATIO_BARS = {("switch", ""): 2.0, ("yield", "2"): 2.0, ("yield", "1000"): 2.0, ("yield", "100000"): 2.0}
BARS = {
    ("fork-join", ""): 30,
    ("fork-fresh", ""): 5000,
    ("switch-run", ""): 40,
    ("both", ""): 120,
    ("memory", "1000000"): 4.3 * 1024 + 128,
}

# The same under Go's names.
GO_ROWS = {"yield": "yield", "fork-join": "fork-join", "fork-batch": "fork-join", "memory": "idle-fiber"}
GO_KEYS = {("fork-join", ""): ("fork-join", "1"), ("fork-batch", "1000"): ("fork-join", "1000")}

ONE_DOMAIN = [
    "switch",
    "yield",
    "fork-join",
    "fork-batch",
    "fork-value",
    "fork-promise",
    "fork-fresh",
    "switch-run",
    "both",
    "first",
    "timeout",
    "cancel",
    "take-first",
    "promise-read",
    "promise",
    "stream",
    "mutex",
    "semaphore",
    "condition",
    "timer-arm",
    "timer-cancel",
    "timer-fire",
    "wake",
]
SEVERAL_DOMAINS = [
    "domain-start",
    "promise-domains",
    "stream-domains",
    "mutex-domains",
    "semaphore-domains",
    "condition-domains",
]
# In the short form: what has a bar in README, and one of each kind.
SOME = ["switch", "yield", "fork-join", "fork-batch", "switch-run", "both", "cancel", "promise", "stream", "mutex"]


def _arguments(context, names):
    return ["--size", context.size.name] + names


def _programs(names):
    def eio(context):
        return [context.program("tools/bench/fibers/fibers")] + _arguments(context, names)

    goes = sorted({GO_ROWS[name] for name in names if name in GO_ROWS})

    def go(context):
        return [context.peer("go_peer")] + _arguments(context, goes)

    programs_made = [Program("eio", eio)]
    if goes:
        programs_made.append(Program("Go", go, {"GOMAXPROCS": "1"}))
    return programs_made


class FibersRow:
    """One table for several of the program's rows."""

    def __init__(self, name, title, names, short_names, sizes, domains=False):
        self.name = name
        self.title = title
        self.sizes = sizes
        self._domains = domains
        self._names = names
        self._short_names = short_names

    def run(self, context):
        names = self._names if context.size.name == "full" else self._short_names
        # Each call of the program is several repeats already.
        rounds = min(context.size.rounds, 5) if context.size.name == "full" else 1
        found, missing = programs.run(context, _programs(names), rounds, side_by_side=self._domains)
        columns = ["", "eio", "bare loop", "ratio (95 %)", "bar", "Go", "Eio 1.6", "times faster"]
        result = Result(self.name, self.title, columns)
        if "eio" in missing:
            result.missing("eio", missing["eio"])
            return result
        for key, lines in found["eio"].items():
            self._add(context, result, key, lines, found)
        for name, reason in missing.items():
            result.notes.append("%s: %s" % (name, reason))
        result.notes.append("Eio 1.6: its own benchmarks, measured once on a machine of this kind, not in this run")
        return result

    @staticmethod
    def _add(context, result, key, lines, found):
        row, case = key
        name = row + (" " + case if case else "")
        figures = present(values(lines))
        if not figures:
            result.missing(name, next((line["note"] for line in lines if line and "note" in line), "nothing measured"))
            return
        unit = next(line["unit"] for line in lines if line)
        middle = stats.median(figures)
        bare = values(lines, "bare")
        to_bare = stats.ratio(values(lines), bare)
        verdict = report.verdict(to_bare, context.bar(RATIO_BARS.get(key)))
        if context.bar(BARS.get(key)):
            verdict = "<= %s: %s" % (report.number(BARS[key]), "met" if min(figures) <= BARS[key] else "NOT MET")
        go_key = ("idle-fiber", case) if row == "memory" else GO_KEYS.get(key, key)
        go = present(values(found.get("Go", {}).get(go_key, [])))
        published = EIO_1_6.get(key)
        least = min([line.get("min", line["value"]) for line in lines if line and line["value"] is not None])
        most = max([line.get("max", line["value"]) for line in lines if line and line["value"] is not None])
        cells = [
            "%s %s" % (report.spread((middle, least, most)), unit),
            report.number(stats.median(present(bare))) if present(bare) else "",
            report.ratio(to_bare),
            verdict,
            report.number(stats.median(go)) if go else "",
            report.number(published) if published else "",
            "%.1f" % (published / middle) if published and middle else "",
        ]
        parts = next((line["parts"] for line in lines if line and "parts" in line), None)
        data = {"row": row, "case": case, "unit": unit, "values": figures, "bare": present(bare), "go": go}
        data["eio_1_6"] = published
        if parts:
            data["parts"] = parts
            result.notes.append(
                "%s: %s" % (name, ", ".join("%s %s B" % (part, report.number(size)) for part, size in parts.items()))
            )
        result.add(name, cells, data)


def rows():
    """One domain, several, memory."""
    return [
        FibersRow("fibers", "fibers, one domain", ONE_DOMAIN, SOME, ("shortest", "short", "full")),
        FibersRow("domains", "fibers, several domains", SEVERAL_DOMAINS, SEVERAL_DOMAINS, ("full",), domains=True),
        FibersRow("idle-fibers", "memory of an idle fiber", ["memory"], ["memory"], ("shortest", "short", "full")),
    ]
