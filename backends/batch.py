"""What every writer keeps of the batches it is given, and every reader prepares for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.images import Layout, Records


def carries_shapes(layout: Layout) -> bool:
    """Whether each record needs its shape beside it: raw pixels of mixed size."""
    return layout.codec == "raw" and layout.image_shape is None


class Columns:
    """The small arrays beside the pixels of a container that is being written.

    Attributes
    ----------
    labels
        ``(count,)`` int64.
    shapes
        ``(count, 3)`` int32 for raw images of mixed size, else None.
    filled
        Rows that are there so far.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.labels = np.empty(layout.count, np.int64)
        self.shapes = np.empty((layout.count, 3), np.int32) if carries_shapes(layout) else None
        self.filled = 0

    def add(self, records: Records) -> int:
        """Take the labels and shapes of a batch; return the row of its first record.

        Raises
        ------
        ValueError
            The batch does not fit the layout.
        """
        first, last = self.filled, self.filled + len(records)
        if last > self._layout.count:
            raise ValueError(f"{last:,} records were appended to a container of {self._layout.count:,}.")
        size = self._layout.record_bytes
        if size is not None and (np.diff(records.offsets) != size).any():
            raise ValueError(f"each record of this container has {size:,} bytes; a batch has records of other sizes.")
        self.labels[first:last] = records.labels
        if self.shapes is not None:
            if records.shapes is None:
                raise ValueError("raw images of mixed size need the shape of each record.")
            self.shapes[first:last] = records.shapes
        self.filled = last
        return first

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
