"""Wall and processor time by phase, and what the phases moved; what runs outside a phase is not counted."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import time

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

    def phase(self, name: str) -> _Phase:
        """Count what a ``with`` block takes towards ``name``.  Garbage is not collected meanwhile."""
        return _Phase(self, name)


class _Phase:
    """The clock is read last on entering and first on leaving: a generator would take a microsecond of its own."""

    __slots__ = ("before", "collecting", "cpu", "name", "start", "watch")

    def __init__(self, watch: Stopwatch, name: str) -> None:
        self.watch, self.name = watch, name

    def __enter__(self) -> None:
        self.collecting = gc.isenabled()
        gc.disable()
        self.before = None if self.watch.light else _moved()
        self.cpu = time.process_time()
        self.start = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        took = time.perf_counter() - self.start
        used = time.process_time() - self.cpu
        watch, name = self.watch, self.name
        watch.seconds[name] = watch.seconds.get(name, 0.0) + took
        watch.cpu_seconds[name] = watch.cpu_seconds.get(name, 0.0) + used
        after = None if self.before is None else _moved()
        if self.before is not None and after is not None and name != UNTIMED:
            watch.bytes_read = (watch.bytes_read or 0) + after[0] - self.before[0]
            watch.bytes_written = (watch.bytes_written or 0) + after[1] - self.before[1]
        if self.collecting:
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
