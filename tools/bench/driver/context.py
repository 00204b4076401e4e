"""What every row needs to know: where programs are, how much to do, which processors to use."""

import collections
import os
import random

# How often, how long, and in how many pieces. Pieces of all competitors go round in random order, so that a
# slow phase of the machine, which lasts longer than a piece, falls on all of them.
# `plain_rounds` are those of a row without a bar.
Size = collections.namedtuple("Size", "name rounds plain_rounds seconds piece_seconds warm_seconds cross_rounds")

SIZES = {
    "shortest": Size("shortest", 1, 1, 0.03, 0.03, 0.01, 0),
    "short": Size("short", 3, 3, 0.2, 0.2, 0.03, 2),
    "full": Size("full", 10, 5, 1.0, 0.25, 0.04, 9),
}


class Context:
    """One run of the driver."""

    def __init__(self, root, scratch, size, peers, niceness):
        self.root = root
        self.scratch = scratch
        self.size = size
        self.peers = peers  # (path or None, reason) by name
        self.niceness = niceness
        cpus = sorted(os.sched_getaffinity(0))
        # The first processor gets most of a machine's interrupts.
        self.server_cpu = cpus[-1]
        self.client_cpu = cpus[0]
        self.random = random.Random()
        self.say = lambda text: None
        self._port = 20000

    def program(self, path):
        """A program that Bazel has built, by its path in the tree."""
        return os.path.join(self.root, path)

    def peer(self, name):
        """A peer's program, or a Failure that says why it isn't there."""
        from driver.processes import Failure

        path, reason = self.peers.get(name, (None, "unknown"))
        if path is None:
            raise Failure("missing: " + reason)
        return path

    def bar(self, value):
        """The bar, or none where too little is measured to judge by."""
        return None if self.size.name == "shortest" else value

    def fresh_port(self):
        """No port is used twice: what a server before left there is nobody's trouble."""
        self._port += 1
        return self._port
