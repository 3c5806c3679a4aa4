"""What a trial measures: phases of time, memory, the page cache."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.bench.disk import sync, tree
from backends.bench.machine import MEMORY_SHARE, usable_memory

SYNC = "sync"  # the phase that makes data durable: in no figure but the durable one

_MOVED = re.compile(rb"^read_bytes: (\d+)\nwrite_bytes: (\d+)$", re.MULTILINE)


class Stopwatch:
    """Counts seconds, processor time and bytes moved, phase by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # by phase, in the order in which the phases were met
        self.cpu_seconds: dict[str, float] = {}
        self.bytes_read: int | None = None  # by this process from devices, sync left out; None if the system is silent
        self.bytes_written: int | None = None
        self.light = False  # bytes are not looked at any more: looking takes as long as storing one image

    @property
    def total(self) -> float:
        """Seconds of all phases but ``sync``."""
        return sum(seconds for phase, seconds in self.seconds.items() if phase != SYNC)

    def phase(self, name: str) -> _Phase:
        """Count what a ``with`` block takes towards ``name``.  Garbage is not collected meanwhile."""
        return _Phase(self, name)

    def add(self, workers: Sequence[Stopwatch]) -> None:
        """Add what workers did at the same time: the phases of the slowest, what all of them used and moved."""
        for phase, seconds in max(workers, key=lambda worker: worker.total).seconds.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
            used = sum(worker.cpu_seconds.get(phase, 0.0) for worker in workers)
            self.cpu_seconds[phase] = self.cpu_seconds.get(phase, 0.0) + used
        self.bytes_read = _sum(self.bytes_read, *(worker.bytes_read for worker in workers))
        self.bytes_written = _sum(self.bytes_written, *(worker.bytes_written for worker in workers))


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
        seconds = time.perf_counter() - self.start
        used = time.process_time() - self.cpu
        watch, name = self.watch, self.name
        watch.seconds[name] = watch.seconds.get(name, 0.0) + seconds
        watch.cpu_seconds[name] = watch.cpu_seconds.get(name, 0.0) + used
        after = None if self.before is None else _moved()
        if self.before is not None and after is not None and name != SYNC:
            watch.bytes_read = (watch.bytes_read or 0) + after[0] - self.before[0]
            watch.bytes_written = (watch.bytes_written or 0) + after[1] - self.before[1]
        if self.collecting:
            gc.enable()


def _moved() -> tuple[int, int] | None:
    """Bytes that this process read from and wrote to devices so far (proc(5), /proc/pid/io)."""
    with contextlib.suppress(OSError):
        match = _MOVED.search(_read_proc("io"))
        return (int(match[1]), int(match[2])) if match else None
    return None


def _read_proc(name: str) -> bytes:
    """A file of /proc/self, by the fewest calls: it is read for every phase or batch."""
    descriptor = os.open(f"/proc/self/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, 512, 0)
    finally:
        os.close(descriptor)


PRESENT_BYTES = 1 << 33  # touched at most: what is not needed within seconds may be gone again


def make_present(size: int) -> None:
    """Touch so much free memory, or what may be had of it without pushing anything out.

    The host of a virtual machine takes free memory back and gives it again page by page, which may take ten times as
    long as filling it: an accident of the minute that would be taken for the speed of whoever comes first.
    """
    with contextlib.suppress(ValueError, MemoryError):  # a system that does not tell, a process that may not have it
        free = os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
        np.ones(min(size, free // 2, usable_memory() // MEMORY_SHARE, PRESENT_BYTES), np.uint8)


class MemoryWatch:
    """Peaks of memory since it was made, in bytes; None before they are taken and where the system does not tell.

    The resident peak is VmHWM after a reset through ``clear_refs``: ``ru_maxrss`` would be inherited from the
    process that forked this one.  Anonymous memory leaves mapped files out, which are the page cache's.
    """

    def __init__(self) -> None:
        self.peak_rss: int | None = None
        self.peak_anonymous: int | None = None
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def sample(self) -> None:
        """Look at the anonymous memory now, in statm: a quarter of the time that status takes, once a batch."""
        with contextlib.suppress(OSError):
            _, resident, of_files, *_ = _read_proc("statm").split()
            self.peak_anonymous = max((int(resident) - int(of_files)) * mmap.PAGESIZE, self.peak_anonymous or 0)

    def settle(self) -> None:
        """Take the resident peak; what follows does not count."""
        if self.peak_rss is None:
            with contextlib.suppress(OSError):
                match = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
                self.peak_rss = int(match[1]) * 1024 if match else None

    def add(self, workers: Iterable[MemoryWatch]) -> None:
        """Take what workers had together, where that is more."""
        rss, anonymous = zip(*((worker.peak_rss, worker.peak_anonymous) for worker in workers), strict=True)
        self.peak_rss = max(filter(None, (self.peak_rss, _sum(*rss))), default=None)
        self.peak_anonymous = max(filter(None, (self.peak_anonymous, _sum(*anonymous))), default=None)


def _sum(*values: int | None) -> int | None:
    """The sum of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


WARM_ENOUGH = 0.99  # share of resident bytes from which on a container counts as warm without being read once more
FILES_SAMPLED = 1_000  # of a warm container of many files, so many are looked at, evenly spread

_PIECE = 1 << 22


def make_cold(path: Path) -> float | None:
    """Drop a container from the page cache; return the share of its bytes that stayed.

    Dirty pages cannot be dropped, so it is synced first; what some process maps stays, and so do the names and
    attributes of files.  Nothing of anybody else is touched.
    """
    sync(path)
    for name in tree(path)[0] if hasattr(os, "posix_fadvise") else ():
        with name.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return resident_share(path)


def make_warm(path: Path) -> float | None:
    """Read a container through where it is not in the page cache; return the share of its bytes that is."""
    share = resident_share(path, FILES_SAMPLED)
    if share is not None and share >= WARM_ENOUGH:
        return share
    for file in tree(path)[0]:
        with file.open("rb", buffering=0) as stream:
            while stream.read(_PIECE):
                pass
    return resident_share(path, FILES_SAMPLED)


def resident_share(path: Path, most_files: int | None = None) -> float | None:
    """Share of a container's pages that are in the page cache, 0 to 1; None where the system does not tell.

    Looks at ``most_files`` of its files at most, evenly spread.
    """
    files = tree(path)[0]
    if most_files is not None and len(files) > most_files:
        files = files[:: -(-len(files) // most_files)]
    resident = pages = 0
    for file in files:
        flags = _resident_pages(file)
        if flags is None:
            return None
        resident += int(flags.sum())
        pages += len(flags)
    return resident / pages if pages else None


def _resident_pages(file: Path) -> NDArray[np.uint8] | None:
    """1 for each page of a file that is resident, else 0, by mincore(2) on a map that is never touched."""
    mincore = getattr(ctypes.CDLL(None), "mincore", None)
    size = file.stat().st_size
    flags = np.empty(-(-size // mmap.PAGESIZE), np.uint8)
    if mincore is None or not size:
        return None if mincore is None else flags
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), size, prot=mmap.PROT_READ) as mapped:
            view = np.frombuffer(mapped, np.uint8)
            addresses = ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(size), ctypes.c_void_p(flags.ctypes.data)
            failed = mincore(*addresses)
            del view
    except OSError:  # a filesystem that maps nothing
        return None
    return None if failed else flags & np.uint8(1)
