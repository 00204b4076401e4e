"""Namespaces of the benchmarks' own.

Network: loopback alone, on which ports, TIME_WAIT and limits are nobody else's. Mounts: a hosts file and a
resolv.conf of our own. Processes: all of them end with the driver, however that ends.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

MARK = "EIO_BENCH_ISOLATED"
SCRATCH = "EIO_BENCH_SCRATCH"

# Seconds: what an interrupted run has to say what it has measured.
LAST_SECONDS = 10

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

# Churn leaves a TIME_WAIT for each connection; beyond this many the kernel lets go of them at once, else the
# search for a free port is what is measured.
_SYSCTLS = {
    "net/ipv4/tcp_max_tw_buckets": "512",
    # Servers listen below.
    "net/ipv4/ip_local_port_range": "30000 65535",
}


def _unshare_command():
    """How to get there; None where it isn't allowed."""
    tool = shutil.which("unshare")
    if not tool:
        return None
    command = [tool, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    tried = subprocess.run(command + ["true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else None


class _Ended(BaseException):
    """A signal says that this process is to end."""

    def __init__(self, signum):
        super().__init__(signum)
        self.signum = signum


def _raise_ended(signum, _frame):
    raise _Ended(signum)


def run_isolated(argv):
    """Runs argv in namespaces where that is allowed; its exit status. What it leaves behind is removed here, since
    it may be killed itself."""
    command = _unshare_command()
    scratch = tempfile.mkdtemp(prefix="eio-bench.")
    env = dict(os.environ)
    env[MARK] = "yes" if command else "no"
    env[SCRATCH] = scratch
    # A group of its own: it hears of signals from here only, and once.
    child = subprocess.Popen((command or []) + argv, env=env, start_new_session=True, stdin=subprocess.PIPE)
    signal.signal(signal.SIGINT, _raise_ended)
    signal.signal(signal.SIGTERM, _raise_ended)
    try:
        return child.wait()
    except _Ended as ended:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # The end of its input is its signal: in between there is a process that passes none on.
        child.stdin.close()
        try:
            child.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        return 128 + ended.signum
    finally:
        child.kill()
        child.wait()
        shutil.rmtree(scratch, ignore_errors=True)


def isolated():
    """Whether this process is in namespaces of its own."""
    return os.environ.get(MARK) == "yes"


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def set_up():
    """Prepares the namespaces; what could not be done, as sentences."""
    if not isolated():
        return ["no namespaces of its own: ports and TIME_WAIT are shared with everything on this machine"]
    _loopback_up()
    notes = []
    for name, value in _SYSCTLS.items():
        try:
            with open("/proc/sys/" + name, "w", encoding="ascii") as file:
                file.write(value)
        except OSError as error:
            notes.append("%s can't be set: %s" % (name.replace("/", "."), error.strerror))
    return notes
