"""Draw the sample that ships with imgstore-tui from CIFAR-10's training images.

    python assets/make_sample.py CIFAR_FOLDER [DESTINATION]

Of each class, the images whose SHA-256 of their pixels (rows of RGB) comes first are taken, 200 by default.  They are
ordered in rounds: round r has the r-th image of every class, sorted by digest, so that the first N are balanced for
every N that is a multiple of ten, and mixed.  The same folder always gives the same images in the same order.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from backends.datasets import open_dataset

BATCH = 10_000
COLUMNS = 50

SOURCE = """\
{count:,} of the 50,000 training images of CIFAR-10, {each} of each class.

CIFAR-10 was collected by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton:
Alex Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
https://www.cs.toronto.edu/~kriz/cifar.html

sheet.png    the images, 32 x 32 pixels each, {columns} in a row, lossless
labels.csv   one line an image, in the order of the sheet: label, class, and its batch and index in CIFAR-10

How they were drawn: assets/make_sample.py. Of each class, the {each} images whose SHA-256 of the pixels comes first;
ordered in rounds of one image of every class.
"""


def draw(labels: np.ndarray, digests: list[bytes], each: int) -> list[int]:
    """The ids of the sample, in its order."""
    ranked = sorted(range(len(labels)), key=digests.__getitem__)
    of_class = [[identity for identity in ranked if labels[identity] == label][:each] for label in range(10)]
    rounds = [sorted(column, key=digests.__getitem__) for column in zip(*of_class, strict=True)]
    return [identity for column in rounds for identity in column]


def make_sample(source: Path, destination: Path, each: int = 200) -> None:
    """Write sheet.png, labels.csv and SOURCE.txt into ``destination``."""
    digests: list[bytes] = []
    with open_dataset(source, "train") as dataset:
        for start in range(0, dataset.count, BATCH):
            batch = dataset.read(np.arange(start, min(start + BATCH, dataset.count)))
            digests += [hashlib.sha256(pixels.tobytes()).digest() for pixels in batch.pixels]
        ids = draw(dataset.labels, digests, each)
        order = np.argsort(ids)
        pixels = np.empty((len(ids), 32, 32, 3), np.uint8)
        pixels[order] = np.asarray(dataset.read(np.asarray(ids)[order]).pixels)
        rows = [
            (label, dataset.classes[label], f"data_batch_{identity // BATCH + 1}", identity % BATCH)
            for identity, label in zip(ids, dataset.labels[ids].tolist(), strict=True)
        ]
    destination.mkdir(parents=True, exist_ok=True)
    sheet = pixels.reshape(-1, COLUMNS, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, COLUMNS * 32, 3)
    Image.fromarray(sheet).save(destination / "sheet.png", optimize=True)
    with (destination / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("label", "class", "batch", "index"))
        writer.writerows(rows)
    text = SOURCE.format(count=len(ids), each=each, columns=COLUMNS)
    (destination / "SOURCE.txt").write_text(text)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    make_sample(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else Path(__file__).with_name("sample")))
