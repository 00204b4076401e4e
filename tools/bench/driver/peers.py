"""The peers' programs: built beside Bazel by peers/build, found in the cache folder."""

import hashlib
import os
import subprocess

NAMES = ["uv_echo", "asio_echo", "go_peer", "tokio_echo"]


def cache_folder():
    """Outside the tree, kept from one run to the next."""
    base = os.environ.get("TEST_TMPDIR") or os.environ.get("XDG_CACHE_HOME")
    base = base or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "eio-bench")


def _folder(here):
    """One for each state of the sources, so that two trees don't build over each other."""
    digest = hashlib.sha256()
    sources = os.path.join(here, "peers")
    for folder, folders, files in os.walk(sources):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            digest.update(os.path.relpath(path, sources).encode())
            with open(path, "rb") as file:
                digest.update(file.read())
    return os.path.join(cache_folder(), "peers", digest.hexdigest()[:16])


def build(here):
    """Builds what isn't built yet; what can't be is noted there, and isn't an error."""
    subprocess.run([os.path.join(here, "peers", "build"), _folder(here)], check=False)


def found(here):
    """(path, None) or (None, reason) by name."""
    programs = {}
    for name in NAMES:
        path = os.path.join(_folder(here), name)
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
