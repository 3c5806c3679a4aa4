"""Makes a large set of photo-sized JPEGs out of a few dozen photographs, for benchmarks.

    python tests/benchmarks/make_photos.py DESTINATION PHOTOGRAPH... [--train 50000] [--val 2500] [--seed 0]

Writes DESTINATION/{train,val}/CLASS/NUMBER.JPEG as ImageNet is laid out; the class is the photograph's name, or that
of several.  Each picture is a random part of it, scaled to about 500 x 375, half of them mirrored, with a quality of 75
to 95.  Some are awkward as in real sets: 1 in 100 grey, 1 in 500 turned by EXIF, 1 in 2,000 CMYK.  The same
photographs, seed and Pillow give the same bytes.  50,000 pictures take about 2.5 GB and a quarter of an hour.

Debian's packages mate-backgrounds, lomiri-wallpapers-16.04 and plasma-workspace-wallpapers have suitable photographs.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from PIL import Image, ImageOps

SHAPES = ((500, 375), (375, 500), (500, 333), (333, 500), (500, 500), (640, 480), (400, 300))
WEIGHTS = (45, 14, 14, 7, 5, 8, 7)
EXIF_ORIENTATION = 0x0112


def draw(photograph: Image.Image, rng: random.Random) -> Image.Image:
    """A random part of the photograph, at least as large as the picture where the photograph allows."""
    width, height = (side + rng.randint(-20, 20) * (rng.random() < 0.3) for side in rng.choices(SHAPES, WEIGHTS)[0])
    most = min(photograph.width / width, photograph.height / height)
    zoom = rng.uniform(min(1.0, most), most)
    left = rng.uniform(0, photograph.width - zoom * width)
    top = rng.uniform(0, photograph.height - zoom * height)
    box = (left, top, left + zoom * width, top + zoom * height)
    picture = photograph.resize((width, height), Image.Resampling.BICUBIC, box, reducing_gap=2.0)
    return ImageOps.mirror(picture) if rng.random() < 0.5 else picture


def write(picture: Image.Image, path: Path, rng: random.Random) -> None:
    exif = Image.Exif()
    kind = rng.random()
    if kind < 1 / 100:
        picture = picture.convert("L")
    elif kind < 1 / 100 + 1 / 500:
        exif[EXIF_ORIENTATION] = rng.randint(2, 8)
    elif kind < 1 / 100 + 1 / 500 + 1 / 2000:
        picture = picture.convert("CMYK")
    picture.save(path, "JPEG", quality=rng.randint(75, 95), exif=exif if len(exif) else b"")


def make_photos(destination: Path, photographs: list[Path], counts: dict[str, int], seed: int) -> None:
    """Write the splits of ``counts``: each photograph is opened once and has an equal share of every split."""
    for first, path in enumerate(sorted(photographs, key=lambda photograph: (photograph.stem, photograph))):
        with Image.open(path) as image:
            photograph = image.convert("RGB")
        for split, count in counts.items():
            folder = destination / split / path.stem
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(first, count, len(photographs)):
                rng = random.Random(f"{seed} {split} {number}")
                write(draw(photograph, rng), folder / f"{number:06}.JPEG", rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("destination", type=Path)
    parser.add_argument("photographs", type=Path, nargs="+")
    parser.add_argument("--train", type=int, default=50_000)
    parser.add_argument("--val", type=int, default=2_500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.destination.exists():
        parser.error(f"{options.destination} exists already: name a folder to make.")
    make_photos(options.destination, options.photographs, {"train": options.train, "val": options.val}, options.seed)
