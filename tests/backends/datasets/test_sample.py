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


@pytest.mark.parametrize("count", [10, 100, 1000, 2000])
def test_first_images_are_balanced_and_mixed(sample: Dataset, count: int) -> None:
    first = sample.labels[:count]
    assert np.bincount(first, minlength=10).tolist() == [count // 10] * 10
    assert first.tolist() != sorted(first.tolist())


def test_image_lies_in_the_sheet_where_its_row_says(sample: Dataset) -> None:
    with Image.open(ASSETS / "sample" / "sheet.png") as sheet:
        tile = np.asarray(sheet.crop((7 * 32, 3 * 32, 8 * 32, 4 * 32)))
    rows = list(csv.DictReader((ASSETS / "sample" / "labels.csv").read_text().splitlines()))
    found = sample.read(np.array([3 * 50 + 7]))
    np.testing.assert_array_equal(np.asarray(found.pixels)[0], tile)
    assert sample.classes[found.labels[0]] == rows[3 * 50 + 7]["class"]


def test_sample_has_one_split() -> None:
    with pytest.raises(UsageError, match=r"no split 'test': it has train only"):
        open_dataset("sample", "test")


def test_making_the_sample_twice_gives_equal_files(cifar10_folder: Path, tmp_path: Path) -> None:
    make_sample = runpy.run_path(str(ASSETS / "make_sample.py"))["make_sample"]
    for name in ("first", "second"):
        make_sample(cifar10_folder, tmp_path / name, each=5)
    names = ("sheet.png", "labels.csv", "SOURCE.txt")
    assert [(tmp_path / "first" / name).read_bytes() for name in names] == [
        (tmp_path / "second" / name).read_bytes() for name in names
    ]
    rows = list(csv.DictReader((tmp_path / "first" / "labels.csv").read_text().splitlines()))
    with Image.open(tmp_path / "first" / "sheet.png") as sheet:
        tile = np.asarray(sheet.crop((32, 0, 64, 32)))
    # The fixture has 40 images a batch, so an index there counts from the whole training set.
    original = open_dataset(cifar10_folder).read(np.array([int(rows[1]["index"])]))
    np.testing.assert_array_equal(np.asarray(original.pixels)[0], tile)
    assert [row["label"] for row in rows[:10]] != sorted(row["label"] for row in rows[:10])
