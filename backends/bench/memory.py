"""The memory of this process, as Linux counts it; None elsewhere."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path


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
        now = _status("RssAnon")
        if now is not None:
            self.peak_anonymous = max(now, self.peak_anonymous or 0)

    def settle(self) -> None:
        """Take the resident peak; what follows does not count."""
        self.peak_rss = self.peak_rss or _status("VmHWM")


def _status(name: str) -> int | None:
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
