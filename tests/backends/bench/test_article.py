"""The configurations of the article."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING

import lmdb
import numpy as np
import pytest
from PIL import Image

from backends.bench.article import METHODS, read_many, read_one, store_many, store_one
from backends.errors import ContainerDamaged, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images

KINDS = pytest.mark.parametrize("channels", [1, 3])


@pytest.mark.parametrize("method", METHODS)
@KINDS
def test_many_images_come_back(method: str, channels: int, tmp_path: Path, sample_images: Images) -> None:
    pixels = np.asarray(sample_images.pixels)[..., :channels]
    store_many(method, tmp_path / "many", pixels, sample_images.labels)
    assert [path.name for path in tmp_path.iterdir()] == ["many"]
    images, labels = read_many(method, tmp_path / "many", 240)
    np.testing.assert_array_equal(images, pixels)
    np.testing.assert_array_equal(labels, sample_images.labels)


@pytest.mark.parametrize("method", METHODS)
@KINDS
@pytest.mark.parametrize("side", [32, 1])
def test_one_image_comes_back(method: str, channels: int, side: int, tmp_path: Path, sample_images: Images) -> None:
    pixels = sample_images.pixels[5][:side, :side, :channels]
    store_one(method, tmp_path / "one", pixels, 255)
    image, label = read_one(method, tmp_path / "one")
    np.testing.assert_array_equal(image, pixels)
    assert label == 255


@KINDS
def test_any_program_opens_the_pictures(channels: int, tmp_path: Path, sample_images: Images) -> None:
    pixels = np.asarray(sample_images.pixels)[:3, ..., :channels]
    store_many("png", tmp_path / "many", pixels, np.array([7, -1, 300]))
    with Image.open(tmp_path / "many/2.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "L" if channels == 1 else "RGB")
        np.testing.assert_array_equal(picture, pixels[2].squeeze())
    assert (tmp_path / "many/labels.csv").read_text().split() == ["7", "-1", "300"]


@pytest.mark.parametrize("label", [-1, 256])
def test_labels_that_8_bits_cut_are_refused_before_anything_is_written(
    label: int, tmp_path: Path, sample_images: Images
) -> None:
    with pytest.raises(UsageError, match="0 to 255"):
        store_one("hdf5", tmp_path / "one", sample_images.pixels[0], label)
    assert list(tmp_path.iterdir()) == []
    for method in ("png", "lmdb"):
        store_one(method, tmp_path / method, sample_images.pixels[0], label)
        assert read_one(method, tmp_path / method)[1] == label


class Trap:
    """Runs a command of the system where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_lmdb_is_refused_and_does_not_run(tmp_path: Path, sample_images: Images) -> None:
    store_one("lmdb", tmp_path / "one", sample_images.pixels[0], 3)
    value = pickle.dumps(Trap(tmp_path / "sprung"))
    put(tmp_path / "one", value)
    with pytest.raises(ContainerDamaged, match="store the images again"):
        read_one("lmdb", tmp_path / "one")
    assert not (tmp_path / "sprung").exists()
    pickle.loads(value)
    assert (tmp_path / "sprung").exists(), "the trap itself works"


@pytest.mark.parametrize(
    "about",
    [
        {},
        [3],
        {"channels": 3, "size": [9, 9], "label": ["<i8", 3]},
        {"channels": 3, "size": 4, "label": ["<i8", 3]},
        {"channels": 3, "size": [2, 2], "label": ["<i8", "cat"]},
        {"channels": 3, "size": [2, 2], "label": ["<i8", 2**70]},
        {"channels": 3, "size": [2, 2], "label": ["cat", 3]},
    ],
)
def test_a_value_that_is_no_image_is_refused(about: object, tmp_path: Path, sample_images: Images) -> None:
    store_one("lmdb", tmp_path / "one", sample_images.pixels[0], 3)
    put(tmp_path / "one", json.dumps(about).encode() + b"\n" + bytes(12))
    with pytest.raises(ContainerDamaged, match="store the images again"):
        read_one("lmdb", tmp_path / "one")


def test_an_image_that_is_not_there_is_said(tmp_path: Path, sample_images: Images) -> None:
    store_one("lmdb", tmp_path / "one", sample_images.pixels[0], 3)
    with pytest.raises(ContainerDamaged, match="store the images again"):
        read_many("lmdb", tmp_path / "one", 2)


def put(path: Path, value: bytes) -> None:
    """Replace the first image of an environment."""
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000000", value)
