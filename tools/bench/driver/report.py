"""Tables as text and as Markdown."""


def number(value):
    """Three significant digits, and thousands apart."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return "{:,.0f}".format(value)
    if abs(value) >= 100:
        return "%.0f" % value
    if abs(value) >= 10:
        return "%.1f" % value
    return "%.2f" % value if abs(value) >= 0.1 or value == 0 else "%.3f" % value


def spread(values):
    """`2.01 [1.98-2.23]`."""
    return "%s [%s-%s]" % tuple(number(value) for value in values)


def ratio(values):
    """`1.03 (0.99-1.05)`: a ratio and its interval; nothing for none."""
    return "%.2f (%.2f-%.2f)" % tuple(values) if values else ""


def verdict(values, bar, at_least=False):
    """Whether a ratio keeps to its bar: it does when the better end of its interval does."""
    if not values or bar is None:
        return ""
    kept = values.high >= bar if at_least else values.low <= bar
    return "%s %.2f: %s" % (">=" if at_least else "<=", bar, "met" if kept else "NOT MET")


def standing(ratios):
    """Who is ahead: `ratios` are of another's cost to ours, by name. Equal is whose interval holds 1."""
    groups = {"ahead of": [], "equal to": [], "behind": []}
    for name, values in ratios.items():
        key = "ahead of" if values.low > 1 else "behind" if values.high < 1 else "equal to"
        groups[key].append(name)
    return "; ".join("%s %s" % (key, ", ".join(names)) for key, names in groups.items() if names)


def text_table(result):
    """The table in columns of equal width."""
    rows = [result.columns] + result.lines
    # A reason may be long: it is in the second column, with nothing after it.
    def last_filled(row):
        return max((i for i, cell in enumerate(row) if cell), default=0)

    widths = [
        max((len(row[i]) for row in rows if i == 0 or last_filled(row) > 1), default=0)
        for i in range(len(result.columns))
    ]
    lines = ["%s  %s" % (result.row, result.title)]
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        if len(row) > 1 and last_filled(row) == 1 and len(row[1]) > widths[1]:
            cells[1] = row[1]
        lines.append(("  " + "  ".join(cells)).rstrip())
    lines += ["  " + note for note in result.notes]
    return "\n".join(lines) + "\n"


def markdown_table(result):
    """The same for a file that is committed."""

    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    lines = ["### %s: %s" % (result.row, result.title), "", line(result.columns)]
    lines.append("|" + "---|" * len(result.columns))
    lines += [line(cells) for cells in result.lines]
    lines.append("")
    for note in result.notes:
        lines += [note, ""]
    return "\n".join(lines)
