"""How fast the codec png is beside Pillow, both in turn on the same images in one thread.

    python -m tests.benchmarks.codecs [DATASET] [--count 2000] [--rounds 7]

Prints microseconds an image (medians), the median of the ratios of each round, and bytes an image.
"""

from __future__ import annotations

import argparse
import io
import statistics
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from backends.base import PngOptions
from backends.datasets import open_dataset
from backends.images import Images, Layout, Records
from backends.registry import make_codec

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1_024


def with_pillow(images: Images) -> list[bytes]:
    """Encode one by one, as most programs do."""
    files = []
    for pixels in images.pixels:
        stream = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(stream, "PNG")
        files.append(stream.getvalue())
    return files


def by_pillow(files: list[bytes]) -> list[object]:
    """Decode one by one."""
    return [np.array(Image.open(io.BytesIO(file))) for file in files]


def seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def compare(images: Images, level: int, rounds: int) -> None:
    """Print one line for encoding and one for decoding."""
    count, codec = len(images), make_codec("png", PngOptions(level))
    shape = images.pixels.shape[1:] if isinstance(images.pixels, np.ndarray) else None
    batches = [slice(start, start + BATCH) for start in range(0, count, BATCH)]

    def encode() -> list[Records]:
        return [codec.encode(Images(images.pixels[some], images.labels[some])) for some in batches]

    files, records = with_pillow(images), encode()
    out = None if shape is None else np.empty((BATCH, *shape), np.uint8)

    def decode() -> None:
        for some in records:
            codec.decode(some, Layout(len(some), "png", shape), None if out is None else out[: len(some)])

    sizes = sum(map(len, files)) / count, sum(len(some.data) for some in records) / count
    for name, theirs, ours in (
        ("encode", lambda: with_pillow(images), encode),
        ("decode", lambda: by_pillow(files), decode),
    ):
        pairs = [(seconds(theirs), seconds(ours)) for _ in range(rounds)]
        medians = [statistics.median(times) / count * 1e6 for times in zip(*pairs, strict=True)]
        ratio = statistics.median(pillow / mine for pillow, mine in pairs)
        print(  # noqa: T201
            f"png:level={level}  {name}  Pillow {medians[0]:7.1f} us  ours {medians[1]:7.1f} us  {ratio:5.1f} x   "
            f"{sizes[0]:,.0f} and {sizes[1]:,.0f} bytes"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", nargs="?", default="sample")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with open_dataset(arguments.dataset) as dataset:
        images = dataset.read(np.arange(min(arguments.count, dataset.count)))
    for level in (0, 1, 6, 12):
        compare(images, level, arguments.rounds)


if __name__ == "__main__":
    main()
