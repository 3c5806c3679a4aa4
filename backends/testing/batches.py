"""Test images, and functions that store, read and compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backends.images import Images, Layout, Records
from backends.registry import make_codec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.base import Backend, Reader


def make_images(count: int, *, channels: int = 3, mixed: bool = False, side: int = 12, seed: int = 0) -> Images:
    """Distinct images (a gradient with noise), all of one size or, if ``mixed``, of many."""
    random = np.random.default_rng(seed)
    sides = random.integers(1, side + 1, (count, 2)) if mixed else np.full((count, 2), (side, side + 1))
    pixels = []
    for height, width in sides.tolist():
        slope = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[:, :, np.newaxis]
        pixels.append((slope + random.integers(0, 90, (height, width, channels))).astype(np.uint8))
    labels = random.integers(-1, 1_000, count)
    if mixed:
        return Images(pixels, labels)
    return Images(np.array(pixels, np.uint8).reshape(count, side, side + 1, channels), labels)


def layout_of(images: Images, codec: str, classes: tuple[str, ...] = ()) -> Layout:
    """The layout of a container that holds ``images``."""
    shape = images.pixels.shape[1:] if isinstance(images.pixels, np.ndarray) else None
    return Layout(len(images), codec, shape, classes)


def encode(images: Images, codec: str) -> Records:
    """``images`` encoded by ``codec``; by PNG for ``source``, which cannot encode."""
    return make_codec("png" if codec == "source" else codec).encode(images)


def store(backend: Backend, path: Path, images: Images, layout: Layout, batch: int = 7) -> None:
    """Encode and append ``images`` in batches."""
    with backend.create(path, layout) as writer:
        for start in range(0, len(images), batch):
            some = slice(start, start + batch)
            writer.append(encode(Images(images.pixels[some], images.labels[some]), layout.codec))


def read(reader: Reader, key: slice | NDArray[np.int64] = slice(None)) -> Images:
    """Read and decode."""
    return make_codec(reader.layout.codec).decode(reader.read(key), reader.layout)


def assert_same(found: Images, images: Images, rows: NDArray[np.int64] | None = None) -> None:
    """Fail unless ``found`` are the ``rows`` of ``images``, in that order."""
    wanted = range(len(images)) if rows is None else rows.tolist()
    assert len(found) == len(found.pixels) == len(wanted)
    for image, row in zip(found.pixels, wanted, strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, images.pixels[row])
    assert found.labels.dtype == np.int64
    np.testing.assert_array_equal(found.labels, images.labels[wanted])
