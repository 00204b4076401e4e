"""What the figures were measured on."""

import os
import platform
import subprocess


def _cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith(("model name", "Model")):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def _debian_versions(packages):
    try:
        result = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${db:Status-Status}\n"] + packages,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return {}
    versions = {}
    for line in result.stdout.split("\n"):
        words = line.split()
        if len(words) == 3 and words[2] == "installed":
            versions[words[0]] = words[1]
    return versions


def describe():
    """Processor, kernel, compiler and libraries, by name."""
    described = {
        "processor": "%s, %d of them" % (_cpu_model(), os.cpu_count() or 1),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "")
        if hasattr(platform, "freedesktop_os_release")
        else "",
    }
    try:
        compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=False)
        described["compiler"] = compiler.stdout.split("\n")[0]
    except OSError:
        pass
    described["libraries"] = _debian_versions(
        ["liburing2", "libc-ares2", "libuv1", "libboost1.81-dev", "golang-go", "librust-tokio-dev", "libc6"]
    )
    return described
