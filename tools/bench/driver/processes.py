"""Programs that the driver starts: pinned, with a deadline, and gone when the driver is."""

import ctypes
import os
import select
import signal
import subprocess
import time

# What a program said last on standard error, for the table.
LAST_WORDS = 200

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """What was to be measured can't be; the text says why, in one line."""


def _prepare(cpus, niceness):
    def prepare():
        # The driver itself may be killed: nothing must be left behind then, either.
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, cpus)
        try:
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        except PermissionError:
            pass

    return prepare


class Process:
    """A program, run on the processors `cpus`."""

    def __init__(self, argv, cpus, scratch, niceness=0, env=None):
        self.argv = argv
        self._stderr = open(os.path.join(scratch, "stderr-%d" % time.monotonic_ns()), "w+b")
        self._buffer = b""
        try:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=dict(os.environ, **(env or {})),
                preexec_fn=_prepare(cpus, niceness),
            )
        except OSError as error:
            raise Failure("%s: %s" % (os.path.basename(argv[0]), error.strerror)) from error
        self.pid = self.process.pid

    def last_words(self):
        """The last line that it wrote to standard error."""
        self._stderr.flush()
        size = os.fstat(self._stderr.fileno()).st_size
        text = os.pread(self._stderr.fileno(), LAST_WORDS, max(0, size - LAST_WORDS))
        lines = [line for line in text.decode("utf-8", "replace").split("\n") if line.strip()]
        return lines[-1].strip() if lines else ""

    def failed(self, what):
        """A Failure of this program, with its own words when it had any."""
        return Failure(self.last_words() or "%s: %s" % (os.path.basename(self.argv[0]), what))

    def running(self):
        return self.process.poll() is None

    def say(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self.failed("it has ended") from error

    def read_line(self, seconds):
        """The next line of its output, without the end of the line."""
        deadline = time.monotonic() + seconds
        fd = self.process.stdout.fileno()
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise self.failed("no answer within %.0f s" % seconds)
            got = os.read(fd, 65536)
            if not got:
                raise self.failed("it has ended")
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def read_all(self, seconds):
        """Everything it prints until it ends, which it has to do with status 0."""
        self.process.stdin.close()
        deadline = time.monotonic() + seconds
        fd = self.process.stdout.fileno()
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise self.failed("not done within %.0f s" % seconds)
            got = os.read(fd, 65536)
            if not got:
                break
            self._buffer += got
        try:
            status = self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self.failed("doesn't end") from error
        if status != 0:
            raise self.failed("status %d" % status)
        return self._buffer.decode()

    def finish(self, seconds=5):
        """Ends its input, and waits for it to end; kills it when it doesn't."""
        if not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self._stderr):
            try:
                file.close()
            except OSError:
                pass


def run(argv, cpus, scratch, seconds, niceness=0, env=None):
    """The output of a program that has `seconds` to end with status 0."""
    process = Process(argv, cpus, scratch, niceness, env)
    try:
        return process.read_all(seconds)
    finally:
        process.kill()
