"""Wall and processor time by phase, and what the phases moved; what runs outside a phase is not counted."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UNTIMED = "sync"
"""The phase that makes data durable: in no figure but the durable one."""

_MOVED = re.compile(rb"^read_bytes: (\d+)\nwrite_bytes: (\d+)$", re.MULTILINE)


class Stopwatch:
    """What has been counted so far.

    Attributes
    ----------
    seconds, cpu_seconds
        By phase name, in the order in which the phases were met.
    bytes_read, bytes_written
        What this process had fetched from the device and made to be written to it, ``sync`` left out; None where
        the system does not tell.
    light
        Whether bytes are not looked at any more: looking takes as long as storing one image.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.light = False
        self.bytes_read: int | None = None
        self.bytes_written: int | None = None

    @property
    def total(self) -> float:
        """Seconds of all phases but ``sync``."""
        return sum(took for phase, took in self.seconds.items() if phase != UNTIMED)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what the block takes towards ``name``.  Garbage is not collected meanwhile."""
        collecting = gc.isenabled()
        gc.disable()
        before = None if self.light else _moved()
        cpu = time.process_time()
        start = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - start
            used = time.process_time() - cpu
            self.seconds[name] = self.seconds.get(name, 0.0) + took
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + used
            after = _moved() if before is not None else None
            if before is not None and after is not None and name != UNTIMED:
                self.bytes_read = (self.bytes_read or 0) + after[0] - before[0]
                self.bytes_written = (self.bytes_written or 0) + after[1] - before[1]
            if collecting:
                gc.enable()


def _moved() -> tuple[int, int] | None:
    """Bytes that this process read from and wrote to devices so far (proc(5), /proc/pid/io)."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _MOVED.search(os.pread(descriptor, 512, 0))
        finally:
            os.close(descriptor)
        return (int(found[1]), int(found[2])) if found else None
    return None
