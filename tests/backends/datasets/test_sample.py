"""The sample dataset, and the script that makes it."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from backends.datasets import open_dataset
from backends.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.datasets import Dataset

ASSETS = Path(__file__).parents[3] / "assets"


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return open_dataset("sample")


def test_facts_are_those_of_the_images(sample: Dataset) -> None:
    facts = sample.facts()
    everything = sample.read(np.arange(sample.count))
    pixels = np.asarray(everything.pixels)
    assert (facts.path, facts.kind, facts.splits) == ("sample", "CIFAR-10 sample", {"train": 2000})
    assert pixels.shape == (facts.count, *(facts.image_shape or ())) == (2000, 32, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.nbytes == facts.raw_bytes
    assert len({image.tobytes() for image in pixels}) == 2000
    assert facts.classes[3] == "cat"
    assert facts.class_counts == (200,) * 10
    np.testing.assert_array_equal(everything.labels, sample.labels)
    with pytest.raises(UsageError, match=r"no split 'test': it has train only"):
        open_dataset("sample", "test")


def test_first_images_are_balanced_and_mixed(sample: Dataset) -> None:
    for count in (10, 100, 1000, 2000):
        first = sample.labels[:count]
        assert np.bincount(first, minlength=10).tolist() == [count // 10] * 10
        assert first.tolist() != sorted(first.tolist())


def tile_and_rows(folder: Path, column: int, row: int) -> tuple[NDArray[np.uint8], list[dict[str, str]]]:
    """An image of the sheet in a folder, and all rows of its list."""
    with Image.open(folder / "sheet.png") as sheet:
        tile = np.asarray(sheet.crop((column * 32, row * 32, column * 32 + 32, row * 32 + 32)))
    return tile, list(csv.DictReader((folder / "labels.csv").read_text().splitlines()))


def test_image_lies_in_the_sheet_where_its_row_says(sample: Dataset) -> None:
    tile, rows = tile_and_rows(ASSETS / "sample", 7, 3)
    images = sample.read(np.array([3 * 50 + 7]))
    np.testing.assert_array_equal(images.pixels[0], tile)
    assert sample.classes[images.labels[0]] == rows[3 * 50 + 7]["class"]


def test_making_the_sample_twice_gives_equal_files(cifar10_folder: Path, tmp_path: Path) -> None:
    make_sample = runpy.run_path(str(ASSETS / "make_sample.py"))["make_sample"]
    for name in ("first", "second"):
        make_sample(cifar10_folder, tmp_path / name, each=5)
    for name in ("sheet.png", "labels.csv", "SOURCE.txt"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    tile, rows = tile_and_rows(tmp_path / "first", 1, 0)
    # The fixture has 40 images a batch, so an index there counts from the whole training set.
    original = open_dataset(cifar10_folder).read(np.array([int(rows[1]["index"])]))
    np.testing.assert_array_equal(original.pixels[0], tile)
    assert [row["label"] for row in rows[:10]] != sorted(row["label"] for row in rows[:10])
