"""The memory of this process, as Linux counts it; None elsewhere."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from pathlib import Path

import numpy as np

from backends.bench.environment import usable_memory

PRESENT_BYTES = 1 << 33
"""Touched at most: what is not needed within seconds may be gone again."""


def make_present(size: int) -> None:
    """Touch so much free memory, or what may be had of it without pushing anything out.

    The host of a virtual machine takes free memory back and gives it again page by page, which may take ten times as
    long as filling it: an accident of the minute that would be taken for the speed of whoever comes first.
    """
    with contextlib.suppress(ValueError, MemoryError):  # a system that does not tell, a process that may not have it
        free = os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
        np.ones(min(size, free // 2, usable_memory() // 4, PRESENT_BYTES), np.uint8)


class MemoryWatch:
    """Peaks since it was made.

    The resident peak is VmHWM after a reset through ``clear_refs``: ``ru_maxrss`` would be inherited from the
    process that forked this one.  Anonymous memory leaves mapped files out, which are the page cache's.

    Attributes
    ----------
    peak_rss, peak_anonymous
        Bytes; None before ``settle`` and ``sample``, and where the system does not tell.
    """

    def __init__(self) -> None:
        self.peak_rss: int | None = None
        self.peak_anonymous: int | None = None
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def sample(self) -> None:
        """Look at the anonymous memory now."""
        with contextlib.suppress(OSError):
            self.peak_anonymous = max(_anonymous(), self.peak_anonymous or 0)

    def settle(self) -> None:
        """Take the resident peak; what follows does not count."""
        if self.peak_rss is None:
            with contextlib.suppress(OSError):
                found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
                self.peak_rss = int(found[1]) * 1024 if found else None


def _anonymous() -> int:
    """Resident bytes without those of files, from statm: a quarter of the time that status takes, once a batch."""
    descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _, resident, of_files, *_ = os.pread(descriptor, 256, 0).split()
    finally:
        os.close(descriptor)
    return (int(resident) - int(of_files)) * mmap.PAGESIZE
