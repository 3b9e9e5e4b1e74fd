"""Files and disks that take no more."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let the system refuse longer files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def can_mount() -> bool:
    """Return whether a process may have file systems of its own."""
    words = ["unshare", "-rm", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(words, check=False, capture_output=True).returncode == 0
