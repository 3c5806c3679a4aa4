"""One file of CIFAR-10 or CIFAR-100: labels and planar pixels, or the names of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backends.datasets.pickled_array import Array, Refused, printable
from backends.datasets.regular_file import kind_of
from backends.datasets.unpickler import unpickle

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 32
PIXELS = 3 * SIDE * SIDE
"""Bytes of an image: a plane of red, one of green, one of blue."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The images of one file, as they lie in it.

    Attributes
    ----------
    labels
        ``(n,)`` int64.
    planes
        ``(n, 3072)`` uint8, a view of the file's bytes.
    """

    labels: NDArray[np.int64]
    planes: NDArray[np.uint8]


def read_batch(data: bytes, key: str, classes: int) -> Batch:
    """Read a batch whose labels are called ``key`` and are below ``classes``.

    Raises
    ------
    Refused
        It is not such a batch.
    """
    found = _dictionary(data)
    array, labels = found.get("data"), found.get(key)
    if not isinstance(array, Array) or array.shape is None or not isinstance(labels, list):
        raise Refused(f"is not a CIFAR batch (it has no {'data' if isinstance(labels, list) else key})")
    if len(array.shape) != 2 or array.shape[1] != PIXELS:
        raise Refused(f"is not a CIFAR batch (an array of shape {array.shape}, not (N, {PIXELS}))")
    if array.shape[0] == 0:
        raise Refused("holds no images")
    if len(labels) != array.shape[0]:
        raise Refused(f"has {array.shape[0]:,} images and {len(labels):,} labels")
    for label in labels:
        if type(label) is not int or not 0 <= label < classes:
            raise Refused(f"has a label that is not one of the {classes} classes (0 to {classes - 1})")
    planes = np.frombuffer(array.data, dtype=np.uint8).reshape(array.shape)
    return Batch(np.array(labels, dtype=np.int64), planes)


def read_class_names(data: bytes, key: str, classes: int) -> tuple[str, ...]:
    """Read the names of the classes from a meta file.

    Raises
    ------
    Refused
        It has no list ``key`` of ``classes`` names.
    """
    names = _dictionary(data).get(key)
    if not isinstance(names, list) or len(names) != classes:
        raise Refused(f"is not a CIFAR meta file (it has no {classes} names in {key})")
    texts = tuple(name.decode("latin-1") if isinstance(name, bytes) else name for name in names)
    if not all(isinstance(name, str) and 0 < len(name) <= 100 for name in texts):
        raise Refused("is not a CIFAR meta file (a class has no name, or one of more than 100 characters)")
    return texts


def _dictionary(data: bytes) -> dict[str, object]:
    if not data:
        raise Refused("is empty")
    kind = kind_of(data[:512])
    if kind is not None and data[:1] != b"(":  # a text pickle begins with a mark
        raise Refused(f"is not a CIFAR batch (found {kind})")
    found = unpickle(data)
    if not isinstance(found, dict):
        raise Refused(f"is not a CIFAR batch (a pickled {printable(type(found).__name__)}, not a dictionary)")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in found.items()}
