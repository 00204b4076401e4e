#!/usr/bin/env python3
"""The benchmarks' driver: see README.md beside it.

bench.py [ROW...]: measures these rows (shell patterns), or without one all that the chosen size has.
"""

import argparse
import fnmatch
import json
import os
import signal
import sys
import threading
import time

# Not resolved: the programs are beside the links through which Bazel runs this file.
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from driver import docs, isolation, machine, peers, report  # noqa: E402
from driver.context import SIZES, Context  # noqa: E402
from driver.processes import Failure  # noqa: E402
from driver.rows import all_rows  # noqa: E402

NICENESS = -15

COMMAND = "tools/bazelw run --config=opt //tools/bench -- "


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench", description="Measures eio, its limits and its peers.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--shortest", action="store_const", const="shortest", dest="size", help="only to see that it works")
    size.add_argument("--full", action="store_const", const="full", dest="size", help="as in the published tables")
    parser.add_argument("--rounds", type=int, help="rounds of each row")
    parser.add_argument("--seconds", type=float, help="seconds of each competitor in a round")
    parser.add_argument("--one-core", action="store_true", help="leaves out the rates across two processors")
    parser.add_argument("--json", help="where the figures go (default: in the cache folder)")
    parser.add_argument("--write-docs", metavar="FOLDER", help="writes the tables (Markdown) and the charts (SVG) there")
    parser.add_argument("--no-peers", action="store_true", help="builds no peers: only those there are take part")
    parser.add_argument("--list", action="store_true", help="lists the rows and ends")
    parser.add_argument("--built", default="?", help=argparse.SUPPRESS)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    arguments = parser.parse_args()
    arguments.size = arguments.size or "short"
    # Bazel runs programs in a folder of its own.
    for name in ("json", "write_docs"):
        path = getattr(arguments, name)
        if path:
            setattr(arguments, name, os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", ""), path))
    return arguments


def chosen_size(arguments):
    size = SIZES[arguments.size]
    if arguments.rounds:
        size = size._replace(rounds=arguments.rounds, plain_rounds=arguments.rounds)
    if arguments.seconds:
        size = size._replace(seconds=arguments.seconds, piece_seconds=min(size.piece_seconds, arguments.seconds))
    if arguments.one_core:
        size = size._replace(cross_rounds=0)
    return size


def chosen_rows(arguments):
    rows = all_rows()
    if not arguments.rows:
        return [row for row in rows if arguments.size in row.sizes]
    unknown = [word for word in arguments.rows if not any(fnmatch.fnmatchcase(row.name, word) for row in rows)]
    if unknown:
        sys.exit("bench: no row %s; --list shows them" % ", ".join(unknown))
    return [row for row in rows if any(fnmatch.fnmatchcase(row.name, word) for word in arguments.rows)]


def written(arguments):
    """The arguments that decide what is measured, as they would be typed."""
    words = [] if arguments.size == "short" else ["--" + arguments.size]
    words += ["--rounds %d" % arguments.rounds] if arguments.rounds else []
    words += ["--seconds %g" % arguments.seconds] if arguments.seconds else []
    words += ["--one-core"] if arguments.one_core else []
    return words + arguments.rows


def interrupt_at_end_of_input():
    """Interrupts this process as Ctrl-C would, when the one outside says so."""

    def wait():
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=wait, daemon=True).start()


def write_json(path, described, results):
    content = {
        "machine": described,
        "rows": [
            {"row": one.row, "title": one.title, "notes": one.notes, "competitors": one.data} for one in results
        ],
    }
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


def works(result):
    """Whether everything of this tree was measured: peers may be missing, or the machine not allow the row."""
    ours = [data for name, data in result.data.items() if "eio" in name or data.get("kind") in ("limit", "eio")]
    return result.left_out or (bool(result.data) and not any("missing" in data for data in ours))


def measure(rows, context):
    """The results of the rows, printed as they come; whether one failed; whether it was interrupted."""
    results = []
    failed = False
    try:
        for row in rows:
            start = time.monotonic()
            try:
                result = row.run(context)
            except Failure as failure:
                print("%s  FAILED: %s\n" % (row.name, failure), flush=True)
                failed = True
                continue
            results.append(result)
            result.notes.append("%.0f s" % (time.monotonic() - start))
            print(report.text_table(result), flush=True)
            failed = failed or not works(result)
    except KeyboardInterrupt:
        print("bench: interrupted; what was measured until then:", file=sys.stderr)
        return results, failed, True
    return results, failed, False


def main():
    arguments = parse_arguments()
    if arguments.list:
        for row in all_rows():
            print("%-16s %-20s %s" % (row.name, ",".join(sorted(row.sizes)), row.title))
        return 0
    if isolation.MARK not in os.environ:
        chosen_rows(arguments)  # a word that is no row is said before anything is built
        if not arguments.no_peers:
            peers.build(HERE)
        return isolation.run_isolated([sys.executable, os.path.abspath(__file__)] + sys.argv[1:])

    interrupt_at_end_of_input()
    notes = isolation.set_up()
    described = machine.describe()
    described["size"] = arguments.size
    described["built"] = arguments.built
    for name in ("processor", "kernel", "system", "compiler"):
        print("%-10s %s" % (name, described.get(name, "")))
    print("libraries  %s" % ", ".join(sorted("%s %s" % one for one in described["libraries"].items())))
    if arguments.built != "opt":
        notes.append("not built with --config=opt: these figures are no measure of eio")
    for note in notes:
        print("note       " + note)
    print(flush=True)
    described["notes"] = notes
    context = Context(ROOT, os.environ[isolation.SCRATCH], chosen_size(arguments), peers.found(HERE), NICENESS)
    results, failed, interrupted = measure(chosen_rows(arguments), context)
    path = arguments.json or os.path.join(peers.cache_folder(), "last.json")
    write_json(path, described, results)
    # Charts are drawn in any case, so that the shortest form sees whether they can be.
    charts_folder = arguments.write_docs or os.path.join(peers.cache_folder(), "last")
    for trouble in docs.write(charts_folder, described, COMMAND + " ".join(written(arguments)), results, bool(arguments.rows)):
        print("note       " + trouble)
    print("charts     %s" % charts_folder)
    print("figures    %s" % path)
    return 130 if interrupted else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
