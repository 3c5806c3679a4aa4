"""The sample dataset that comes with the package: 2,000 real images of CIFAR-10 in one PNG sheet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from PIL import Image

from backends.datasets.base import Dataset, DatasetFacts
from backends.errors import DatasetDamaged, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "sample"
SIDE = 32
COUNT = 2000

_INSTALLED = Path(__file__).with_name("sample_images")
_CHECKOUT = Path(__file__).parents[2] / "assets" / "sample"


class Sample(Dataset):
    """200 images of each class of CIFAR-10, one of each class after another, so that the first N are balanced too.

    Raises UsageError for a split other than ``train``, DatasetDamaged if the installed files are missing or broken.
    """

    def __init__(self, split: str | None) -> None:
        if split not in (None, "train"):
            raise UsageError(f"the sample has no split {split!r}: it has train only.")
        folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
        try:
            self._pixels = _read_sheet(folder / "sheet.png")
            labels, classes = _read_labels(folder / "labels.csv")
        except (OSError, ValueError, KeyError) as error:
            reason = f"the sample in {folder} cannot be read ({error})"
            raise DatasetDamaged(f"{reason}: install imgstore-tui again.") from error
        digest = xxhash.xxh3_128(self._pixels.data)
        digest.update(labels.data)
        facts = DatasetFacts(
            path=NAME,
            kind="CIFAR-10 sample",
            split="train",
            splits={"train": COUNT},
            image_shape=(SIDE, SIDE, 3),
            raw_bytes=self._pixels.nbytes,
            classes=classes,
            fingerprint=digest.hexdigest(),
            source=f"{COUNT:,} training images of CIFAR-10 (Alex Krizhevsky, 2009), shipped with imgstore-tui",
        )
        super().__init__(facts, labels)

    def read(self, ids: NDArray[np.int64]) -> Images:
        return Images(self._pixels[ids], self.labels[ids])


def _read_sheet(path: Path) -> NDArray[np.uint8]:
    with Image.open(path, formats=("PNG",)) as image:
        pixels = np.asarray(image)
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    tiles = pixels.reshape(rows, SIDE, columns, SIDE, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(COUNT, SIDE, SIDE, 3)


def _read_labels(path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    with path.open(newline="") as file:
        rows = [(int(row["label"]), row["class"]) for row in csv.DictReader(file)]
    names = dict(rows)
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    if len(labels) != COUNT:
        raise ValueError(f"{len(labels):,} labels")
    return labels, tuple(names[label] for label in range(len(names)))
