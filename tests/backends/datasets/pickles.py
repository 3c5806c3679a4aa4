"""CIFAR files as Python 2 wrote them: protocol 1, byte strings, one array of planar pixels."""

from __future__ import annotations

import struct
import tarfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Images

CIFAR10_FILES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


def string(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def integer(value: int) -> bytes:
    return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)


def items(values: Iterable[bytes]) -> bytes:
    return b"](" + b"".join(values) + b"e"


def dictionary(entries: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(string(key) + value for key, value in entries.items()) + b"u."


def array(raw: bytes, shape: Iterable[int], dtype: str = "u1", order: bytes = b"I00\n") -> bytes:
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01("
        + b"".join(map(integer, shape))
        + b"tcnumpy\ndtype\n("
        + string(dtype)
        + b"K\0K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        + order
        + (b"T" + struct.pack("<i", len(raw)) + raw + b"tb")
    )


def planar(images: Images) -> NDArray[np.uint8]:
    """``(n, 3072)`` uint8: a plane of red, one of green, one of blue."""
    pixels = np.asarray(images.pixels)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(len(pixels), -1)


def batch(images: Images, label_key: str = "labels", replaced: Mapping[str, bytes] | None = None) -> bytes:
    """A batch file; ``replaced`` has other bytes for some of its entries."""
    planes = planar(images)
    entries = {
        "batch_label": string("training batch 1 of 5"),
        label_key: items(map(integer, images.labels.tolist())),
        "data": array(planes.tobytes(), planes.shape),
        "filenames": items(string(f"picture_s_{number:06}.png") for number in range(len(planes))),
    }
    return dictionary(entries | dict(replaced or {}))


def meta(key: str, names: Iterable[str]) -> bytes:
    return dictionary({key: items(map(string, names)), "num_vis": integer(3072)})


def write_cifar10(folder: Path, images: Images, each: int, classes: Iterable[str]) -> Path:
    """``each`` images a batch, in order: five training batches, then the test batch."""
    folder.mkdir(parents=True)
    for number, name in enumerate(CIFAR10_FILES):
        mine = slice(number * each, (number + 1) * each)
        (folder / name).write_bytes(batch(type(images)(images.pixels[mine], images.labels[mine])))
    (folder / "batches.meta").write_bytes(meta("label_names", classes))
    return folder


def pack(folder: Path, path: Path, form: int = tarfile.GNU_FORMAT) -> Path:
    """The folder in the order of the official archive, where the first batch comes last."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w", format=form) as tar:
        tar.add(folder, folder.name, recursive=False)
        for file in sorted(folder.iterdir(), reverse=True):
            tar.add(file, f"{folder.name}/{file.name}")
    return path
