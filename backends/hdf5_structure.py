"""The structure of an HDF5 container: its datasets, where their bytes lie in the file, and the attribute ``layout``."""

from __future__ import annotations

import errno
import math
import os
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5p, h5s, h5t, string_dtype

from backends.images import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALIGNMENT = 4_096 + 64
"""What takes so much or more begins at a multiple of it: never just before where an array does, counted from a page.

Numpy's large arrays begin 16 bytes behind a page.  Linux copies by ``rep movsb``, which takes up to six times as long
where the target lies 1 to 31 bytes behind the source, modulo 4096: ``tests/benchmarks/aliasing.py`` (AMD EPYC 9004).
"""
MAX_CHUNK_BYTES = ALIGNMENT << 18
_TYPES = {np.dtype("u1"): h5t.STD_U8LE, np.dtype("<i4"): h5t.STD_I32LE, np.dtype("<i8"): h5t.STD_I64LE}
_STOP = attrgetter("stop")


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a dataset's bytes: ``start`` to ``stop`` lie at ``position`` of the file."""

    start: int
    stop: int
    position: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a dataset lie: extents in the order of the dataset, without gaps."""

    extents: tuple[Extent, ...] = ()

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Cut bytes ``start`` to ``stop`` of the dataset at its extents.

        Yields
        ------
        from, to, position
            Bytes ``from`` to ``to``, counted from ``start``, lie at ``position`` of the file.
        """
        for extent in islice(self.extents, bisect_right(self.extents, start, key=_STOP), None):
            if extent.start >= stop:
                break
            low, high = max(start, extent.start), min(stop, extent.stop)
            yield low - start, high - start, extent.position + low - extent.start

    def followed_by(self, start: int, stop: int, position: int) -> Place:
        """With one more run at its end, joined to the last where they are neighbours in the file."""
        *before, last = self.extents or (Extent(0, 0, position),)
        if last.position + last.stop - last.start == position:
            return Place((*before, Extent(last.start, stop, last.position)))
        return Place((*self.extents, Extent(start, stop, position)))


def create_file(path: Path) -> h5f.FileID:
    """Create a file that must not exist.

    It is not truncated, since ext4 flushes a truncated file to the disk when it is closed.
    """
    return h5f.create(os.fsencode(path), h5f.ACC_EXCL, fapl=_access())


def flush(file: h5f.FileID) -> None:
    """Write the structure.  Raises OSError where that fails."""
    try:
        h5f.flush(file)
    except RuntimeError as error:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, f"HDF5 cannot write: {os.strerror(number)}") from error


def open_file(path: Path) -> h5f.FileID:
    """Open a finished file, which nobody changes any more."""
    return h5f.open(os.fsencode(path), h5f.ACC_RDONLY, fapl=_access())


def allot(file: h5f.FileID, name: str, dtype: str, shape: tuple[int, ...]) -> Place:
    """Create a contiguous dataset; its bytes are for the caller to write."""
    kind = _TYPES[np.dtype(dtype)]
    dataset = h5d.create(file, name.encode(), kind, h5s.create_simple(shape), _unfilled(h5d.CONTIGUOUS))
    return _contiguous(dataset, math.prod(shape) * kind.get_size())


def create_growing(file: h5f.FileID, name: str, likely_bytes: int) -> h5d.DatasetID:
    """Create a dataset of bytes that ``extend`` makes longer, in 64 chunks where ``likely_bytes`` holds true."""
    properties = _unfilled(h5d.CHUNKED).copy()
    chunk = ALIGNMENT << (likely_bytes // 64 // ALIGNMENT).bit_length()  # one begins where the one before ends
    properties.set_chunk((min(chunk, MAX_CHUNK_BYTES),))
    space = h5s.create_simple((0,), (h5s.UNLIMITED,))
    return h5d.create(file, name.encode(), h5t.STD_U8LE, space, properties)


def extend(dataset: h5d.DatasetID, place: Place, size: int) -> Place:
    """Make a growing dataset ``size`` bytes long; return where they lie, given where the former ones do."""
    (chunk,) = dataset.get_create_plist().get_chunk()
    former = dataset.shape[0]
    dataset.set_extent((size,))
    for start in range(-(-former // chunk) * chunk, size, chunk):
        position = dataset.get_chunk_info_by_coord((start,)).byte_offset
        place = place.followed_by(start, start + chunk, position)
    return place


def find(file: h5f.FileID, name: str, dtype: str, shape: tuple[int | None, ...]) -> tuple[Place, int]:
    """Where the bytes of a dataset lie, and how many there are.

    Refuses whatever points outside the file or needs a filter: links, external storage, virtual datasets, compression.

    Raises
    ------
    ValueError, KeyError
        There is no such dataset, or it is not of this type and shape (None: any length).
    """
    if file.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link to elsewhere")
    dataset = h5d.open(file, name.encode())
    plan, found = dataset.get_create_plist(), dataset.shape
    if not dataset.get_type().equal(_TYPES[np.dtype(dtype)]) or len(found) != len(shape):
        raise ValueError(f"{name} is not an array of {np.dtype(dtype)} with {len(shape)} dimensions")
    if any(wanted not in (None, there) for wanted, there in zip(shape, found, strict=True)):
        raise ValueError(f"{name} has the shape {found}, not {shape}")
    form = plan.get_layout()
    if plan.get_external_count() or plan.get_nfilters() or form not in (h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ValueError(f"{name} is compressed or stored outside the file")
    size = math.prod(found) * np.dtype(dtype).itemsize
    place = _contiguous(dataset, size) if form == h5d.CONTIGUOUS else _chunked(dataset)
    covered = place.extents[-1].stop if place.extents else 0
    end = max((extent.position + extent.stop - extent.start for extent in place.extents), default=0)
    if covered < size:
        raise ValueError(f"{name} was never written")
    if end > file.get_filesize():
        raise ValueError(f"{name} lies beyond the end of the file")
    return place, size


@cache
def _access() -> h5p.PropFAID:
    """How files are opened: without a lock, as some filesystems have none."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    access.set_alignment(ALIGNMENT, ALIGNMENT)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


@cache
def _unfilled(form: int) -> h5p.PropDCID:
    """Properties of a dataset whose space is allotted at once and not filled."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    properties.set_layout(form)
    return properties


def _contiguous(dataset: h5d.DatasetID, size: int) -> Place:
    position = dataset.get_offset()
    return Place() if position is None else Place((Extent(0, size, position),))


def _chunked(dataset: h5d.DatasetID) -> Place:
    """The chunks of a dataset that is cut along its first dimension only."""
    if dataset.get_create_plist().get_chunk()[1:] != dataset.shape[1:]:
        raise ValueError("its chunks cut through images")
    row = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    found: list[tuple[int, int, int]] = []
    dataset.chunk_iter(lambda chunk: found.append((chunk.chunk_offset[0] * row, chunk.size, chunk.byte_offset)))
    place, end = Place(), 0
    for start, length, position in sorted(found):
        if start == end:
            place, end = place.followed_by(start, start + length, position), start + length
    return place


def write_layout(file: h5f.FileID, layout: Layout) -> None:
    """Keep the layout as an attribute of the file: text of variable length, which may exceed 64 KiB."""
    kind = h5t.C_S1.copy()
    kind.set_size(h5t.VARIABLE)
    kind.set_cset(h5t.CSET_UTF8)
    attribute = h5a.create(file, b"layout", kind, h5s.create(h5s.SCALAR))
    attribute.write(np.array(layout.to_json(), string_dtype()))


def read_layout(file: h5f.FileID) -> Layout:
    """Raises ValueError, KeyError or TypeError where there is none."""
    attribute = h5a.open(file, b"layout")
    if attribute.shape != ():
        raise ValueError("the attribute 'layout' is not one text")
    text = np.empty((), attribute.dtype)
    attribute.read(text)
    return Layout.from_json(text.item())
