"""The peers' programs: built beside Bazel by peers/build, found in the cache folder."""

import os
import subprocess

# Program, what its absence is called when the script has said nothing of it.
NAMES = ["uv_echo", "asio_echo", "go_peer", "tokio_echo"]


def cache_folder():
    """Outside the tree, kept from one run to the next."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "eio-bench")


def _folder():
    return os.path.join(cache_folder(), "peers")


def build(here):
    """Builds what isn't built yet; what can't be is noted there, and isn't an error."""
    subprocess.run([os.path.join(here, "peers", "build"), _folder()], check=False)


def found(_here):
    """(path, None) or (None, reason) by name."""
    programs = {}
    for name in NAMES:
        path = os.path.join(_folder(), name)
        if os.access(path, os.X_OK):
            programs[name] = (path, None)
            continue
        try:
            with open(path + ".missing", encoding="utf-8") as file:
                reason = file.read().strip()
        except OSError:
            reason = "not built"
        programs[name] = (None, reason)
    return programs
