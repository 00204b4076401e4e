"""Charts as SVG, drawn by gnuplot: bars for competitors, lines for what grows."""

import os
import shutil
import subprocess

from driver import stats

MISSING = "gnuplot is missing (Debian: apt-get install gnuplot-nox)"

_COLOURS = {"eio": "#1f77b4", "limit": "#444444", "again": "#444444", "peer": "#bbbbbb"}

_HEAD = """set terminal svg size {width},{height} font "sans-serif,12" background "#ffffff"
set output {output}
set title {title} noenhanced
set encoding utf8
set grid {grid} linecolor "#dddddd"
set tics nomirror
set border 3
"""


def _quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def tool():
    """The plotting tool; None when it isn't there."""
    return shutil.which("gnuplot")


def _draw(path, script):
    """Draws to `path`; what went wrong."""
    done = subprocess.run([tool()], input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return done.stderr.strip()
    # Lines end in spaces as it comes out, which nothing that is committed may.
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return None


def bars_script(path, title, unit, bars):
    """`bars`: (name, kind, figures); each is drawn as its median, with its least and greatest value."""
    script = _HEAD.format(
        width=720, height=90 + 26 * len(bars), output=_quoted(path), title=_quoted(title), grid="xtics"
    )
    script += 'set xlabel %s noenhanced\nset style fill solid\nset key off\nset bars 0.5\n' % _quoted(unit)
    script += "set yrange [%g:-0.7]\nset xrange [0:*]\n" % (len(bars) - 0.3)
    labels = ", ".join("%s %d" % (_quoted(name), i) for i, (name, _, _) in enumerate(bars))
    script += "set ytics (%s) noenhanced\n$data << EOD\n" % labels
    for i, (_, kind, figures) in enumerate(bars):
        middle, least, most = stats.spread(figures)
        script += "%d %g %g %g %s\n" % (i, middle, least, most, _COLOURS.get(kind, "#bbbbbb").replace("#", "0x"))
    script += "EOD\n"
    script += "plot $data using ($2/2):1:($2/2):(0.36):5 with boxxyerror linecolor rgb variable, "
    script += '$data using 2:1:3:4 with xerrorbars pointtype 0 linecolor "#000000"\n'
    return script


def lines_script(path, title, xlabel, ylabel, series):
    """`series`: points (x, y) by name, both axes logarithmic."""
    script = _HEAD.format(width=720, height=400, output=_quoted(path), title=_quoted(title), grid="xtics ytics")
    script += "set logscale xy\nset key outside right noenhanced\nset xlabel %s noenhanced\nset ylabel %s noenhanced\n" % (
        _quoted(xlabel),
        _quoted(ylabel),
    )
    plots = []
    for i, (name, points) in enumerate(series.items()):
        script += "$data%d << EOD\n" % i
        script += "".join("%g %g\n" % point for point in sorted(points))
        script += "EOD\n"
        plots.append("$data%d using 1:2 with linespoints pointtype 7 pointsize 0.5 title %s" % (i, _quoted(name)))
    return script + "plot " + ", ".join(plots) + "\n"


def _bars_of(result):
    """Costs of servers, bytes of connections, or rates, whichever the row has; and their unit."""
    bars = []
    unit = None
    for name, data in result.data.items():
        kind = data.get("kind") or ("eio" if name.endswith(" eio") else "peer")
        if "cost" in data:
            bars.append((name, kind, data["cost"]))
            unit = data["unit"]["cost"]
        elif "bytes" in data:
            bars.append((name, kind, [data["bytes"]["resident"]]))
            unit = "resident B for each"
        elif "rate" in data:
            bars.append((name, kind, data["rate"]))
            unit = data["unit"]
    return bars, unit


# Rows of which a case is how many there are.
_COUNTED = ("yield", "cancel", "timer-arm", "timer-cancel", "timer-fire", "wake")


def _lines_of(result):
    """What the cost of one is against their number."""
    series = {}
    for data in result.data.values():
        if data.get("row") in _COUNTED:
            series.setdefault(data["row"], []).append((int(data["case"]), stats.median(data["values"])))
            if data["bare"]:
                name = data["row"] + ", bare loop"
                series.setdefault(name, []).append((int(data["case"]), stats.median(data["bare"])))
    return {name: points for name, points in series.items() if len(points) > 2}


def draw(result, folder):
    """Draws what the result has to show; (names of files, what went wrong)."""
    path = os.path.join(folder, result.row + ".svg")
    bars, unit = _bars_of(result)
    lines = _lines_of(result)
    if result.charts:
        error = _draw(path, lines_script(path, result.title, "connections", "us", result.charts))
    elif bars:
        error = _draw(path, bars_script(path, result.title, unit, bars))
    elif lines:
        error = _draw(path, lines_script(path, result.title, "fibers, timers", "ns for each", lines))
    else:
        return [], None
    return ([], error) if error else ([os.path.basename(path)], None)
