"""Reading a store: its images by position, across shards, and what is known of each."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from backends.errors import StoreDamaged
from backends.images import Images, Layout, Records
from backends.stores.manifest import INDEX, Manifest, read_manifest

if TYPE_CHECKING:
    from typing import Self

    from backends.base import Reader

MOST_OPEN = 128
"""Shards that are open at a time; one that was not read for longest is closed for another."""
LEAST_SCRATCH = 64

_Part = tuple[int, slice | NDArray[np.int64], int]
"""A shard, the rows to read of it, and their number."""


def open_store(path: str | Path) -> Store:
    """Open the store at ``path``.  Raises StoreNotFound, and StoreDamaged for a damaged manifest."""
    return Store(Path(path).expanduser().absolute())


class Store:
    """The images of a store by position.  Picklable, and safe to use after fork and spawn, and by several threads.

    Attributes
    ----------
    manifest
        What the store says of itself.
    classes
        Names by label.
    splits
        Positions of the images of each split.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: Manifest = read_manifest(path)
        self.classes = self.manifest.classes
        self.splits = {name: range(*ends) for name, ends in self.manifest.splits.items()}
        self._firsts = np.array([shard.first for shard in self.manifest.shards] or [0], np.int64)
        self._codec = self.manifest.request.configuration.make_codec()
        self._readers: OrderedDict[int, Reader] = OrderedDict()
        self._columns: dict[str, NDArray[Any]] = {}
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.path,)

    def __len__(self) -> int:
        return self.manifest.images

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """The pixels of an image, ``(height, width, channels)`` uint8, and its label.  Raises IndexError."""
        images = self.read(np.array([index]))
        return images.pixels[0], int(images.labels[0])

    def read(self, key: slice | NDArray[np.int64] | Sequence[int]) -> Images:
        """The images of a slice, or of positions in any order: negative ones count from the end.

        Raises IndexError for a position outside the store, ContainerDamaged for a shard that is not whole.
        """
        rows, parts, order = self._parts(key)
        shape = self.manifest.image_shape
        if shape is None:
            return self._read_mixed(rows, parts, order)
        pixels = np.empty((len(rows), *shape), np.uint8)
        done = 0
        for number, part, count in parts:
            reader = self.reader(number)
            if reader.layout.image_shape != shape:  # a shard with an image of another size
                return self._read_mixed(rows, parts, order)
            into = pixels[done : done + count] if order is None else self._scratch(count, shape)
            if reader.layout.record_bytes is not None:  # what is read are the pixels
                reader.read(part, into.reshape(count, -1))
            else:
                self._codec.decode(reader.read(part), reader.layout, into)
            if order is not None:
                pixels[order[done : done + count]] = into
            done += count
        return Images(pixels, self.labels[rows])

    def _read_mixed(self, rows: NDArray[np.int64], parts: list[_Part], order: NDArray[np.int64] | None) -> Images:
        images: list[NDArray[np.uint8]] = []
        for number, part, _ in parts:
            reader = self.reader(number)
            images += self._codec.decode(reader.read(part), reader.layout).pixels
        if order is not None:
            sorted_images = images
            images = [sorted_images[0]] * len(rows)
            for position, image in zip(order.tolist(), sorted_images, strict=True):
                images[position] = image
        return Images(images, self.labels[rows])

    def _scratch(self, count: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
        """Memory for images of one shard, which this thread has touched before: fresh memory takes longer to fill."""
        buffer: NDArray[np.uint8] | None = getattr(self._local, "buffer", None)
        if buffer is None or len(buffer) < count:
            buffer = self._local.buffer = np.empty((max(count, LEAST_SCRATCH), *shape), np.uint8)
        return buffer[:count]

    def records(self, key: slice | NDArray[np.int64] | Sequence[int]) -> Iterator[tuple[Records, Layout]]:
        """The encoded images of positions in their order, in batches that come from one shard each."""
        rows = self._rows(key)
        numbers = np.searchsorted(self._firsts, rows, side="right") - 1
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        for part in np.split(np.arange(len(rows)), cuts):
            if len(part):
                number = int(numbers[part[0]])
                reader = self.reader(number)
                yield reader.read(rows[part] - self._firsts[number]), reader.layout

    def locate(self, index: int) -> tuple[int, int]:
        """The number of the shard that an image is in, and its row there.  Raises IndexError."""
        (row,) = self._rows(np.array([index])).tolist()
        number = int(np.searchsorted(self._firsts, row, side="right")) - 1
        return number, row - int(self._firsts[number])

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image, ``(n,)`` int64; -1 where there is none."""
        labels: NDArray[np.int64] = self.column("labels")
        return labels

    @cached_property
    def names(self) -> Names:
        """The original file name of each image."""
        return Names(self.column("names").tobytes(), self.column("name_ends"))

    def name(self, index: int) -> str:
        """The original file name of an image, or its number where it had none."""
        return self.names[index] or f"image {index:,}"

    @cached_property
    def failures(self) -> list[tuple[str, int, str, str]]:
        """Split, id, name and reason of each picture of the dataset that did not decode."""
        return [(split, id_, name, why) for split, id_, name, why in json.loads(self.column("failures").tobytes())]

    @property
    def duplicates(self) -> list[tuple[int, int]]:
        """The images that are equal to an earlier one, each with the first that is."""
        first = self.column("duplicate_of")
        rows = np.flatnonzero(first >= 0)
        return list(zip(rows.tolist(), first[rows].tolist(), strict=True))

    @property
    def digests(self) -> NDArray[np.uint8]:
        """The xxh3-128 digest of each image, ``(n, 16)`` uint8."""
        digests: NDArray[np.uint8] = self.column("digests")
        return digests

    @property
    def shapes(self) -> NDArray[np.int32]:
        """Height, width and channels of each image, ``(n, 3)`` int32."""
        shapes: NDArray[np.int32] = self.column("shapes")
        return shapes

    def column(self, name: str) -> NDArray[Any]:
        """An array of ``index.npz``, loaded on first use.  Raises StoreDamaged where it cannot be read."""
        if name not in self._columns:
            try:
                with np.load(self.path / INDEX, allow_pickle=False) as arrays:
                    self._columns[name] = arrays[name]
            except Exception as error:  # a damaged zip ends in any of a dozen
                how = f"imgstore-tui verify {self.path} says what is damaged."
                raise StoreDamaged(f"{self.path / INDEX} cannot be read ({error}): {how}") from None
        return self._columns[name]

    def reader(self, number: int) -> Reader:
        """The reader of a shard, opened on first use."""
        reader = self._readers.get(number)
        if reader is None:
            backend = self.manifest.request.configuration.make_backend()
            opened = backend.open(self.path / self.manifest.shards[number].path)
            # no lock, which a child could inherit held: where two threads open a shard, the first one's is kept
            reader = self._readers.setdefault(number, opened)
            if reader is not opened:
                opened.close()
        with contextlib.suppress(KeyError):
            self._readers.move_to_end(number)
            if len(self._readers) > MOST_OPEN:
                self._readers.popitem(last=False)[1].close()
        return reader

    def close(self) -> None:
        """Close all shards.  May be called twice; reading opens them again."""
        while self._readers:
            self._readers.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _rows(self, key: slice | NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """The positions that are meant, each valid and not negative."""
        count = len(self)
        if isinstance(key, slice):
            return np.arange(*key.indices(count), dtype=np.int64)
        rows = np.asarray(key)
        if rows.ndim != 1 or (rows.dtype.kind not in "iu" and rows.size):
            raise TypeError(f"a store takes a slice or a 1-D array of integers, not {type(key).__name__}")
        rows = rows.astype(np.int64)
        if ((rows < -count) | (rows >= count)).any():
            raise IndexError(f"image {rows[(rows < -count) | (rows >= count)][0]} is outside a store of {count:,}")
        return np.where(rows < 0, rows + count, rows)

    def _parts(
        self, key: slice | NDArray[np.int64] | Sequence[int]
    ) -> tuple[NDArray[np.int64], list[_Part], NDArray[np.int64] | None]:
        """The positions, what to read of each shard, and for each image read the place it has among the positions.

        The last is None where that is the order in which they are read.
        """
        rows = self._rows(key)
        if not len(rows):
            return rows, [], None
        numbers, order = np.searchsorted(self._firsts, rows, side="right") - 1, None
        local = rows - self._firsts[numbers]
        if (numbers[1:] < numbers[:-1]).any():
            order = np.argsort(numbers, kind="stable")
            numbers, local = numbers[order], local[order]
        begins = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        parts = [(int(numbers[begin]), _run(local[begin:end]), end - begin) for begin, end in pairwise(begins)]
        return rows, parts, order


def _run(rows: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Rows as a slice where they follow each other, which is faster to read."""
    first, stop = int(rows[0]), int(rows[-1]) + 1
    if stop - first != len(rows) or (rows[1:] - rows[:-1] != 1).any():
        return rows
    return slice(first, stop)


class Names(Sequence[str]):
    """The original file names of images; bytes that are no UTF-8 are surrogates."""

    def __init__(self, joined: bytes, ends: NDArray[np.int64]) -> None:
        self._joined, self._ends = joined, ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return os.fsdecode(self._joined[int(self._ends[row - 1]) if row else 0 : int(self._ends[row])])
