"""What all containers share: the columns that a writer keeps beside its records, and the batch that a reader fills."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import ContainerDamaged, ImgstoreError, UsageError
from backends.images import even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from backends.images import Layout, Records

_SHAPE_BYTES = 12
"""Bytes an image of the widest column, its shape."""


class Columns:
    """The small arrays beside the records of a container that is being written.

    Attributes
    ----------
    labels, shapes
        ``(count,)`` int64; ``(count, 3)`` int32 for raw images of mixed size, else None.
    filled
        Rows that have been added so far.

    Parameters
    ----------
    max_bytes
        What a record or a column may have at most, where the container has a limit.

    Raises
    ------
    UsageError
        A column is larger.
    """

    def __init__(self, layout: Layout, max_bytes: int | None = None) -> None:
        if max_bytes is not None and layout.count * _SHAPE_BYTES > max_bytes:
            raise UsageError(f"{layout.count:,} images are more than such a container keeps: choose npy.")
        self._layout, self._max_bytes, self._aborted = layout, max_bytes, False
        self.labels = np.empty(layout.count, np.int64)
        self.shapes = np.empty((layout.count, 3), np.int32) if layout.carries_shapes else None
        self.filled = 0

    def add(self, records: Records) -> int:
        """Take the labels and shapes of a batch; return the row of its first record.

        Raises
        ------
        ValueError
            The batch does not fit the layout, or the writer was aborted.
        UsageError
            A record is larger than the container can keep.
        """
        if self._aborted:
            raise ValueError("this writer was aborted: it takes no more records.")
        first, last = self.filled, self.filled + len(records)
        if last > self._layout.count:
            raise ValueError(f"{last:,} records were appended to a container of {self._layout.count:,}.")
        size, lengths = self._layout.record_bytes, records.offsets[1:] - records.offsets[:-1]
        if size is not None and (lengths != size).any():
            raise ValueError(f"each record of this container has {size:,} bytes; a batch has records of other sizes.")
        if self._max_bytes is not None and len(lengths) and (largest := lengths.max()) > self._max_bytes:
            raise UsageError(
                f"a record of {largest:,} bytes is larger than such a container keeps ({self._max_bytes:,}): use npy."
            )
        self.labels[first:last] = records.labels
        if self.shapes is not None:
            if records.shapes is None:
                raise ValueError("raw images of mixed size need the shape of each record.")
            self.shapes[first:last] = records.shapes
        self.filled = last
        return first

    def abort(self) -> None:
        """Refuse all further records."""
        self._aborted = True

    def check_complete(self) -> None:
        """Raises ValueError where fewer records came than the layout says."""
        if self.filled != self._layout.count:
            raise ValueError(f"{self.filled:,} records were appended to a container of {self._layout.count:,}.")


def row_buffer(layout: Layout, count: int, out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The ``(count, record_bytes)`` uint8 array to read rows of one size into: ``out`` where there is one.

    Raises
    ------
    ValueError
        ``out`` has another shape or dtype, is not C-contiguous, or the records have no one size.
    """
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

    Raises
    ------
    ContainerDamaged
        A value is missing, is no bytes or, where all records have one size, has another; ``path`` names the container.
    ValueError
        ``out`` does not fit.
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
