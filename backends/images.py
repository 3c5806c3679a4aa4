"""The types that all parts share: a batch of images, a batch of records, and the layout of a container."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends import limits

_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Images:
    """A batch of decoded images with 1, 3 or 4 channels.

    Pixels are ``(n, height, width, channels)`` uint8 if all images have the same size, else a sequence of
    ``(height, width, channels)`` uint8 arrays.
    """

    pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64]  # (n,); -1 for an image without a label

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Records:
    """A batch of encoded images, joined end to end: record ``i`` is ``data[offsets[i]:offsets[i + 1]]``."""

    data: NDArray[np.uint8]  # (total_bytes,)
    offsets: NDArray[np.int64]  # (n + 1,)
    labels: NDArray[np.int64]  # (n,); -1 for an image without a label
    shapes: NDArray[np.int32] | None = None  # (n, 3) height, width, channels, of raw images of mixed size only

    def __len__(self) -> int:
        return len(self.labels)

    def record(self, index: int) -> NDArray[np.uint8]:
        """The bytes of a record, ``(record_bytes,)`` uint8, as a view."""
        return self.data[self.offsets[index] : self.offsets[index + 1]]


def even_offsets(count: int, size: int) -> NDArray[np.int64]:
    """Offsets of ``count`` records of ``size`` bytes each, ``(count + 1,)`` int64."""
    return np.arange(0, (count + 1) * size, size, dtype=np.int64)


def offsets_of(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets of records of these lengths, ``(n + 1,)`` int64."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    offsets[1:] = lengths
    return offsets.cumsum(out=offsets)


def join_records(files: Sequence[bytes], labels: NDArray[np.int64]) -> Records:
    """A batch of records with these bytes."""
    return Records(np.frombuffer(b"".join(files), np.uint8), offsets_of(list(map(len, files))), labels)


@dataclass(frozen=True, slots=True)
class Layout:
    """Description of the content of a container, kept in it as JSON."""

    count: int
    codec: str  # name of the codec of all records
    image_shape: tuple[int, int, int] | None  # (height, width, channels) if all images have the same
    classes: tuple[str, ...] = ()  # names by label; empty if there are no classes

    @property
    def record_bytes(self) -> int | None:
        """Bytes of each record if all have the same number (raw images of one size), else None."""
        if self.codec != "raw" or self.image_shape is None:
            return None
        height, width, channels = self.image_shape
        return height * width * channels

    @property
    def carries_shapes(self) -> bool:
        """Whether each record needs its shape beside it: raw pixels of mixed size."""
        return self.codec == "raw" and self.image_shape is None

    def to_json(self) -> str:
        """The layout as one line of JSON."""
        return _JSON.encode({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: object) -> Layout:
        """The layout that ``to_json`` wrote, str or bytes.  Raises ValueError, KeyError or TypeError otherwise."""
        if not isinstance(text, str | bytes):
            raise TypeError("its layout is not text")
        try:
            text = text if isinstance(text, str) else text.decode()  # json guesses the encoding of bytes
            if len(text) > limits.HEADER_BYTES.value:
                raise ValueError(f"it has {limits.HEADER_BYTES.exceeded()}")
            fields = limits.parse_json(text)
            count, shape = int(fields["count"]), fields["image_shape"]
            if count < 0 or (shape is not None and (len(shape) != 3 or min(shape) < 1)):
                raise ValueError("its count is negative, or its image shape is not three positive numbers")
            image_shape = None if shape is None else (int(shape[0]), int(shape[1]), int(shape[2]))
        except OverflowError as error:
            raise ValueError(f"its layout has an impossible number: {error}") from error
        return cls(count, str(fields["codec"]), image_shape, tuple(map(str, fields["classes"])))
