"""What all containers share: the ends of writers, the columns beside the records, and the batch that a reader fills."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from backends.base import Reader, Writer
from backends.errors import ContainerDamaged, ImgstoreError, UsageError
from backends.images import Records, even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout

_SHAPE_BYTES = 12
"""Bytes an image of the widest column, its shape."""


class ContainerWriter(Writer):
    """Keeps the columns beside the records, checks what is appended, and aborts where it cannot finish.

    ``append`` of a subclass calls ``add``; its ``finish`` writes what comes behind the records, and ``remove`` removes
    what it made.

    Attributes
    ----------
    labels, offsets, shapes
        ``(count,)`` int64; ``(count + 1,)`` int64, where records begin that lie end to end; ``(count, 3)`` int32 for
        raw images of mixed size, else None.
    filled
        Records that have been added so far.
    max_bytes
        What a record or a column may have at most, where the container has a limit.
    """

    max_bytes: ClassVar[int | None] = None

    def __init__(self, path: Path, layout: Layout) -> None:
        if self.max_bytes is not None and layout.count * _SHAPE_BYTES > self.max_bytes:
            raise UsageError(f"{layout.count:,} images are more than such a container keeps: choose npy.")
        self.path, self.layout = path.absolute(), layout
        self.labels = np.empty(layout.count, np.int64)
        self.offsets = np.zeros(layout.count + 1, np.int64)
        self.shapes = np.empty((layout.count, 3), np.int32) if layout.carries_shapes else None
        self.filled = 0
        self._is_open, self._aborted = True, False

    def add(self, records: Records) -> int:
        """Take the columns of a batch; return the row of its first record.

        Raises ValueError where it does not fit the layout or the writer was aborted, UsageError for too large a record.
        """
        if self._aborted:
            raise ValueError("this writer was aborted: it takes no more records.")
        first, last = self.filled, self.filled + len(records)
        if last > self.layout.count:
            raise ValueError(f"{last:,} records were appended to a container of {self.layout.count:,}.")
        size, lengths = self.layout.record_bytes, records.offsets[1:] - records.offsets[:-1]
        if size is not None and (lengths != size).any():
            raise ValueError(f"each record of this container has {size:,} bytes; a batch has records of other sizes.")
        if self.max_bytes is not None and len(lengths) and (largest := lengths.max()) > self.max_bytes:
            raise UsageError(
                f"a record of {largest:,} bytes is larger than such a container keeps ({self.max_bytes:,}): use npy."
            )
        if self.shapes is not None:
            if records.shapes is None:
                raise ValueError("raw images of mixed size need the shape of each record.")
            self.shapes[first:last] = records.shapes
        self.labels[first:last] = records.labels
        self.offsets[first + 1 : last + 1] = records.offsets[1:] + (self.offsets[first] - records.offsets[0])
        self.filled = last
        return first

    def columns(self, offsets: bool = True) -> dict[str, NDArray[Any]]:
        """The columns that this layout needs, by name, little-endian; ``offsets`` only for records of any size."""
        columns: dict[str, NDArray[Any]] = {"labels": self.labels.astype("<i8", copy=False)}
        if self.shapes is not None:
            columns["shapes"] = self.shapes.astype("<i4", copy=False)
        if offsets and self.layout.record_bytes is None:
            columns["offsets"] = self.offsets.astype("<i8", copy=False)
        return columns

    def close(self) -> None:
        if not self._is_open:
            return
        try:
            if self.filled != self.layout.count:
                raise ValueError(f"{self.filled:,} records were appended to a container of {self.layout.count:,}.")
            self.finish()
        except BaseException:
            self.abort()
            raise
        self._is_open = False

    def abort(self) -> None:
        self._is_open, self._aborted = False, True
        self.remove()

    @abstractmethod
    def finish(self) -> None:
        """Write what comes behind the records, and close all files."""

    @abstractmethod
    def remove(self) -> None:
        """Close all files, and remove what this writer made and nothing else.  May be called twice."""


class ContainerReader(Reader):
    """Loads columns on first use, and opens again what was closed, if it is still the same.

    A subclass opens the container in ``_open`` and loads a column in ``load``.
    """

    kind: ClassVar[str]
    """What errors call it, such as ``npy container``."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._columns: dict[str, NDArray[Any]] = {}
        self.layout = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)

    def read_labels(self) -> NDArray[np.int64]:
        return self.column("labels", "<i8", (self.layout.count,))

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where records begin that lie end to end, and where the last one ends."""
        return self.column("offsets", "<i8", (self.layout.count + 1,))

    def shapes_of(self, rows: slice | NDArray[np.int64]) -> NDArray[np.int32] | None:
        """The shapes of raw images of mixed size, else None."""
        return self.column("shapes", "<i4", (self.layout.count, 3))[rows] if self.layout.carries_shapes else None

    def column(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """One of the arrays beside the records, read-only, loaded on first use."""
        column = self._columns.get(name)
        if column is None:
            column = self.load(name, dtype, shape)
            column.flags.writeable = False
            self._columns[name] = column
        return column

    def joined(self, rows: NDArray[np.int64], values: Iterable[Any], out: NDArray[np.uint8] | None) -> Records:
        """The batch of ``rows``, of which ``values`` are the bytes."""
        data, offsets = join_records(values, rows, self.layout, out, self.path)
        return Records(data, offsets, self.read_labels()[rows], self.shapes_of(rows))

    def check_offsets(self, offsets: NDArray[np.int64], data_bytes: int) -> None:
        """Raise ContainerDamaged unless records lie end to end in so many bytes."""
        if offsets[0] != 0 or offsets[-1] != data_bytes or (offsets[1:] < offsets[:-1]).any():
            raise self.damaged("its offsets do not fit its data")

    def reopen(self) -> None:
        self._columns.clear()
        before = self.layout
        if self._open() != before:
            self.release()
            self.layout = before
            raise self.damaged("its layout has changed since it was opened")

    def damaged(self, why: str) -> ContainerDamaged:
        """The error for a container that is not whole."""
        return ContainerDamaged(f"{self.path} is not a finished {self.kind}: {why}; make it again.")

    @abstractmethod
    def _open(self) -> Layout:
        """Open the container and check it."""

    @abstractmethod
    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Read a column.  Raises ContainerDamaged where there is none of this type and shape."""


class ArraysReader(ContainerReader):
    """Reads pixels of one size out of one array, and records of any size out of the bytes of ``data``."""

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        if self.layout.record_bytes is None and out is None:
            offsets = self.offsets[start : stop + 1]
            data = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
            self.fill(int(offsets[0]), data)
            return Records(
                data, offsets - offsets[0], self.read_labels()[start:stop], self.shapes_of(slice(start, stop))
            )
        into = row_buffer(self.layout, stop - start, out)
        self.fill(start, into)
        return Records(into.reshape(-1), even_offsets(*into.shape), self.read_labels()[start:stop])

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        if self.layout.record_bytes is None and out is None:
            starts, stops = self.offsets[rows], self.offsets[rows + 1]
            data = self.gather(starts, stops)
            return Records(data, offsets_of(stops - starts), self.read_labels()[rows], self.shapes_of(rows))
        into = row_buffer(self.layout, len(rows), out)
        self.take(rows, into)
        return Records(into.reshape(-1), even_offsets(*into.shape), self.read_labels()[rows])

    @abstractmethod
    def fill(self, first: int, into: NDArray[np.uint8]) -> None:
        """Read images, or bytes of ``data``, from ``first`` on into all of ``into``."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
        """Read the images of these rows into those of ``into``."""

    @abstractmethod
    def gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bytes of ``data`` from each start to its stop, end to end."""


def row_buffer(layout: Layout, count: int, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The ``(count, record_bytes)`` uint8 array for rows of one size.  Raises ValueError if ``out`` is not that."""
    size = layout.record_bytes
    if size is None:
        raise ValueError("out= is for raw images of one size; this container's records differ in size.")
    if out is None:
        return np.empty((count, size), np.uint8)
    if out.shape != (count, size) or out.dtype != np.uint8 or not out.flags.c_contiguous:
        raise ValueError(f"out must be a C-contiguous uint8 array of shape ({count}, {size}), not {out.shape}.")
    return out


def join_records(
    values: Iterable[Any], rows: NDArray[np.int64], layout: Layout, out: NDArray[np.uint8] | None, path: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copy ``values``, the bytes of the records of ``rows``, end to end: the data and offsets of a batch.

    Raises ContainerDamaged where a value is missing, is no bytes or has another size, ValueError for a wrong ``out``.
    """
    if out is None and layout.record_bytes is None:
        records = list(values)
        try:
            data = np.frombuffer(b"".join(records), np.uint8)
        except TypeError:
            records = []
        if len(records) < len(rows):
            raise ContainerDamaged(f"{path} is damaged: an image is missing; make it again.")
        return data, offsets_of(list(map(len, records)))
    into = row_buffer(layout, len(rows), out)
    size, flat = into.shape[1], into.reshape(-1)
    # `map` copies without a line of Python for each record.  It takes a slice before it looks for a value, so one slice
    # more than there are rows tells whether a value was missing or did not fit.
    slices = map(slice, range(0, len(flat) + 1, size), range(size, len(flat) + size + 1, size))
    try:
        deque(map(flat.data.__setitem__, slices, values), maxlen=0)
    except ImgstoreError:  # raised by what reads the values
        raise
    except (TypeError, ValueError):  # a value that is no bytes, or not so many
        pass
    if behind := next(slices, None):
        row = rows[behind.start // size - 1]
        raise ContainerDamaged(f"{path} is damaged: image {row:,} is missing or has not {size:,} bytes; make it again.")
    return flat, even_offsets(len(rows), size)
