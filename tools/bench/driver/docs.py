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


def _sections(text):
    """What stands before the first row, and the text of each row by its name, in their order."""
    head, *rows = text.split("\n### ")
    return head, {row.split(":", 1)[0]: "### " + row.strip() for row in rows}


def merge(old, sections, origin):
    """`old` results with the rows in `sections` replaced; `origin` says in each of those where it is from."""
    head, rows = _sections(old)
    for name, section in sections.items():
        rows[name] = "%s\n\n%s" % (section.strip(), origin)
    return "\n\n\n".join([head.rstrip()] + list(rows.values())) + "\n"


def _section(result, folder, troubles):
    lines = [report.markdown_table(result)]
    if charts.tool():
        files, trouble = charts.draw(result, folder)
        lines += ["![%s](%s)\n" % (result.title, name) for name in files]
        if trouble:
            troubles.append("%s: no chart: %s" % (result.row, trouble))
    return "\n".join(lines)


def write(folder, described, command, results, some=False):
    """Writes results.md and a chart for each row that has one; what went wrong, as sentences.

    `some`: these are not all rows; those that the folder has of the others stay.
    """
    os.makedirs(folder, exist_ok=True)
    troubles = [] if charts.tool() else ["no charts: " + charts.MISSING]
    path = os.path.join(folder, "results.md")
    sections = {result.row: _section(result, folder, troubles) for result in results}
    if some and os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            origin = "Measured after the rest, by `%s`, on %s." % (command, described.get("kernel", ""))
            text = merge(file.read(), sections, origin)
    else:
        text = "\n\n\n".join(["\n".join(_head(described, command)).rstrip()] + list(sections.values())).rstrip() + "\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return troubles
