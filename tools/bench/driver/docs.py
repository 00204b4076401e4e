"""The tables and charts as files that can be committed."""

import os

from driver import charts, report


def _head(described, command):
    lines = ["# Results", ""]
    lines += ["Made by `%s`. How ratios are taken, and why: [README](../README.md)." % command, ""]
    for name in ("processor", "kernel", "system", "compiler"):
        lines.append("- %s: %s" % (name, described.get(name, "")))
    libraries = ", ".join("%s %s" % one for one in sorted(described["libraries"].items()))
    lines += ["- libraries: " + libraries, ""]
    lines += ["- " + note for note in described.get("notes", [])]
    return lines


def write(folder, described, command, results):
    """Writes results.md and a chart for each row that has one; what went wrong, as sentences."""
    os.makedirs(folder, exist_ok=True)
    troubles = []
    if not charts.tool():
        troubles.append("no charts: " + charts.MISSING)
    lines = _head(described, command) + [""]
    for result in results:
        lines.append(report.markdown_table(result))
        if troubles and not charts.tool():
            continue
        files, trouble = charts.draw(result, folder)
        lines += ["![%s](%s)\n" % (result.title, name) for name in files]
        if trouble:
            troubles.append("%s: no chart: %s" % (result.row, trouble))
    with open(os.path.join(folder, "results.md"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines).rstrip() + "\n")
    return troubles
