"""The page cache: how much of a container it holds, and how a read finds it warm or cold, without being root."""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.disk import sync, tree

if TYPE_CHECKING:
    from pathlib import Path

WARM_ENOUGH = 0.99
"""Share of resident bytes from which on a container counts as warm without being read once more."""

FILES_LOOKED_AT = 1_000
"""Of a warm container of many files so many, evenly spread, say how much of all is resident."""

_PIECE = 1 << 22


def make_cold(path: Path) -> float | None:
    """Drop a container from the page cache; return the share of its bytes that stayed.

    Dirty pages cannot be dropped, so it is synced first; what some process maps stays, and so do the names and
    attributes of files.  Nothing of anybody else is touched.
    """
    sync(path)
    for file in tree(path)[0]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return resident_share(path)


def make_warm(path: Path) -> float | None:
    """Read a container through where it is not in the page cache; return the share of its bytes that is."""
    share = resident_share(path, FILES_LOOKED_AT)
    if share is not None and share >= WARM_ENOUGH:
        return share
    for file in tree(path)[0]:
        with file.open("rb", buffering=0) as stream:
            while stream.read(_PIECE):
                pass
    return resident_share(path, FILES_LOOKED_AT)


def resident_share(path: Path, most_files: int | None = None) -> float | None:
    """Share of a container's pages that are in the page cache, 0 to 1; None where the system does not tell.

    Parameters
    ----------
    most_files
        Look at so many of its files, evenly spread; None for all.
    """
    files = tree(path)[0]
    if most_files is not None and len(files) > most_files:
        files = files[:: -(-len(files) // most_files)]
    resident = pages = 0
    for file in files:
        found = _resident_pages(file)
        if found is None:
            return None
        resident += found[0]
        pages += found[1]
    return resident / pages if pages else None


def _resident_pages(file: Path) -> tuple[int, int] | None:
    """Resident and all pages of a file, by mincore(2) on a map that is never touched."""
    mincore = getattr(ctypes.CDLL(None), "mincore", None)
    if mincore is None:
        return None
    descriptor = os.open(file, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        if not size:
            return 0, 0
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapped:
            view = np.frombuffer(mapped, np.uint8)
            flags = np.empty(-(-size // mmap.PAGESIZE), np.uint8)
            failed = mincore(
                ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(size), ctypes.c_void_p(flags.ctypes.data)
            )
            del view
    except OSError:  # a filesystem that maps nothing
        return None
    finally:
        os.close(descriptor)
    return None if failed else (int((flags & 1).sum()), len(flags))
