"""How the code of a well-known article stores and reads images, for its reference configurations.

The article is *Three Ways of Storing and Accessing Lots of Images in Python* (realpython.com).  Libraries are called as
there, in the same order and as often, so that its times can be set beside those of the backends.  What differs:

- The article pickles an object into LMDB; here its attributes are JSON and its pixels follow a line feed, since reading
  runs whatever a pickle says.  Packing a CIFAR image takes 5.8 us instead of 8, unpacking 4.9 instead of 5.4.
- HDF5 files are closed after reading, and labels that its 8 bits would cut are refused.
- LMDB's map, which is address space and not disk, has room for the pages of tiny images too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import lmdb
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.errors import ContainerDamaged, UsageError

Pixels = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
Labels = Sequence[int | np.int64] | NDArray[np.uint8]

_PAGE_BYTES = 1 << 14


def _store_png(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    path.mkdir(exist_ok=True)
    for index, image in enumerate(images[..., 0] if images.shape[-1] == 1 else images):
        Image.fromarray(image).save(path / f"{index}.png")
    with (path / "labels.csv").open("w") as file:
        writer = csv.writer(file)
        for label in labels:
            writer.writerow([label])


def _read_png(path: Path, count: int) -> tuple[Pixels, Labels]:
    images = [np.array(Image.open(path / f"{index}.png")) for index in range(count)]
    with (path / "labels.csv").open() as file:
        labels = [int(row[0]) for row in csv.reader(file)]
    return [image.reshape(*image.shape[:2], -1) for image in images], labels


def _store_lmdb(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    map_bytes = max(10 * images.nbytes, (len(images) + 8) * _PAGE_BYTES)
    with lmdb.open(str(path), map_size=map_bytes) as environment, environment.begin(write=True) as transaction:
        for index in range(len(images)):
            item = _Item(images.shape[3], images.shape[1:3], labels[index], images[index].tobytes())
            transaction.put(f"{index:08}".encode("ascii"), item.pack())


def _read_lmdb(path: Path, count: int) -> tuple[Pixels, Labels]:
    images, labels = [], []
    with lmdb.open(str(path), readonly=True) as environment, environment.begin() as transaction:
        for index in range(count):
            try:
                item = _Item.unpack(transaction.get(f"{index:08}".encode("ascii"), b""))
                images.append(np.frombuffer(item.pixels, np.uint8).reshape(*item.size, item.channels))
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise ContainerDamaged(f"{path} has no image {index} ({error}): store the images again.") from error
            labels.append(item.label)
    return images, labels


@dataclass
class _Item:
    """One image in LMDB: a line of JSON, then its pixels."""

    channels: int
    size: Sequence[int]
    label: np.int64
    pixels: bytes

    def pack(self) -> bytes:
        fields = vars(self).copy()
        pixels: bytes = fields.pop("pixels")
        line = json.dumps(fields, default=lambda number: [number.dtype.str, number.item()])
        return line.encode("ascii") + b"\n" + pixels

    @classmethod
    def unpack(cls, value: bytes) -> _Item:
        line, _, pixels = value.partition(b"\n")
        fields = json.loads(line)
        kind, number = fields["label"]
        return cls(fields["channels"], fields["size"], np.dtype(kind).type(number), pixels)


def _store_hdf5(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    if labels.min() < 0 or labels.max() > 255:
        raise UsageError("the article keeps labels in 8 bits in HDF5: choose png or lmdb for labels outside 0 to 255.")
    path.mkdir(exist_ok=True)
    with h5py.File(path / "images.h5", "w") as file:
        file.create_dataset("images", np.shape(images), h5py.h5t.STD_U8BE, data=images)
        file.create_dataset("meta", np.shape(labels), h5py.h5t.STD_U8BE, data=labels)


def _read_hdf5(path: Path, count: int) -> tuple[Pixels, Labels]:
    with h5py.File(path / "images.h5", "r+") as file:
        return np.array(file["/images"]).astype("uint8"), np.array(file["/meta"]).astype("uint8")


STORE: dict[str, Callable[[Path, NDArray[np.uint8], NDArray[np.int64]], None]] = {
    "article-png": _store_png,
    "article-lmdb": _store_lmdb,
    "article-hdf5": _store_hdf5,
}
"""Each stores images, ``(n, height, width, channels)`` with n > 0, and labels, ``(n,)``, in a new or an empty folder.

That of HDF5 raises UsageError for a label outside 0 to 255.  The article calls the same for a single image.
"""

READ: dict[str, Callable[[Path, int], tuple[Pixels, Labels]]] = {
    "article-png": _read_png,
    "article-lmdb": _read_lmdb,
    "article-hdf5": _read_hdf5,
}
"""Each reads so many images and their labels.

HDF5 gives arrays, the others a list of ``(height, width, channels)`` uint8 and a list of numbers.  That of LMDB raises
ContainerDamaged where a value is not what was stored.
"""
