"""What flows through everything: batches of images, of encoded records, and what a container holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Images:
    """A batch of decoded images.

    Attributes
    ----------
    pixels
        ``(n, height, width, channels)`` uint8 where all images have one size; a sequence of
        ``(height, width, channels)`` uint8 arrays where they do not.
    labels
        ``(n,)`` int64; -1 where an image has none.
    """

    pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Records:
    """A batch of encoded images, end to end.

    Attributes
    ----------
    data
        ``(total_bytes,)`` uint8.
    offsets
        ``(n + 1,)`` int64: record ``i`` is ``data[offsets[i]:offsets[i + 1]]``.
    labels
        ``(n,)`` int64.
    shapes
        ``(n, 3)`` int32 for raw images of mixed size; None where the layout or the codec carries the shape.
    """

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    labels: NDArray[np.int64]
    shapes: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def record(self, index: int) -> NDArray[np.uint8]:
        """The bytes of one record, as a view."""
        return self.data[self.offsets[index] : self.offsets[index + 1]]


def even_offsets(count: int, size: int) -> NDArray[np.int64]:
    """Offsets of ``count`` records of ``size`` bytes each, ``(count + 1,)`` int64."""
    return np.arange(0, (count + 1) * size, size, dtype=np.int64)


def offsets_of(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets of records of these lengths, ``(n + 1,)`` int64."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    offsets[1:] = lengths
    return offsets.cumsum(out=offsets)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a container holds, kept inside it as JSON.

    Attributes
    ----------
    count
        The exact number of images.
    codec
        Name of the codec of every record.
    image_shape
        ``(height, width, channels)`` where all images have one, else None.
    classes
        Names of the classes, by label; empty where there are none.
    """

    count: int
    codec: str
    image_shape: tuple[int, int, int] | None
    classes: tuple[str, ...] = ()

    @property
    def record_bytes(self) -> int | None:
        """Bytes of every record where all have the same (raw images of one size), else None."""
        if self.codec != "raw" or self.image_shape is None:
            return None
        height, width, channels = self.image_shape
        return height * width * channels

    def to_json(self) -> str:
        found = {name: getattr(self, name) for name in self.__slots__}
        return _JSON.encode(found)

    @classmethod
    def from_json(cls, text: object) -> Layout:
        """Raises ValueError, KeyError or TypeError where ``text``, or what a file has instead, is no layout."""
        if not isinstance(text, str | bytes):
            raise TypeError("its layout is no text")
        try:
            found = json.loads(text if isinstance(text, str) else text.decode())  # of bytes, it guesses the encoding
            count, shape = int(found["count"]), found["image_shape"]
            if count < 0 or (shape is not None and (len(shape) != 3 or min(shape) < 1)):
                raise ValueError("a negative count, or not three sides of one pixel and more")
            image_shape = None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2]))
        except (OverflowError, RecursionError) as error:
            raise ValueError(f"no layout has such a number or depth: {error}") from error
        return cls(count, str(found["codec"]), image_shape, tuple(map(str, found["classes"])))
