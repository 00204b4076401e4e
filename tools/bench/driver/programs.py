"""Programs that measure something inside themselves, and print it in lines (see README.md)."""

import collections
import json

from driver import processes
from driver.processes import Failure

# Seconds that a program may take for what it is asked for at once.
MOST_SECONDS = 600

# A program with its own name in the table; `argv(context)` may raise Failure.
Program = collections.namedtuple("Program", "name argv env", defaults=(None,))


def parse(text):
    """The lines by (row, case)."""
    lines = {}
    for raw in text.split("\n"):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
            lines[line["row"], line["case"]] = line
        except (ValueError, KeyError, TypeError) as error:
            raise Failure("not a line of the format: %s" % raw[:80]) from error
    return lines


def run(context, programs, rounds, side_by_side=False):
    """({name: {(row, case): [line or None of each round]}}, {name: reason}); the programs run in turns.

    `side_by_side`: their threads are to run at the same time, on both processors.
    """
    cpus = {context.server_cpu, context.client_cpu} if side_by_side else {context.server_cpu}
    found = {program.name: collections.defaultdict(lambda: [None] * rounds) for program in programs}
    missing = {}
    for i in range(rounds):
        order = [program for program in programs if program.name not in missing]
        context.random.shuffle(order)
        for program in order:
            try:
                argv = program.argv(context)
                text = processes.run(argv, cpus, context.scratch, MOST_SECONDS, context.niceness, program.env)
                for key, line in parse(text).items():
                    found[program.name][key][i] = line
            except Failure as failure:
                missing[program.name] = str(failure)
    return found, missing


def values(lines, key="value"):
    """The figures of the rounds, None where there is none."""
    return [line.get(key) if line else None for line in lines]


def present(figures):
    return [value for value in figures if value is not None]
