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

from backends.bench.article import READ, STORE
from backends.errors import ContainerDamaged, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images

KINDS = pytest.mark.parametrize("channels", [1, 3])


@pytest.mark.parametrize("method", STORE)
@pytest.mark.parametrize(("count", "side"), [(240, 32), (1, 32), (1, 1)])
@KINDS
def test_images_come_back(
    method: str, channels: int, count: int, side: int, tmp_path: Path, sample_images: Images
) -> None:
    pixels = np.asarray(sample_images.pixels)[:count, :side, :side, :channels]
    STORE[method](tmp_path / "many", pixels, sample_images.labels[:count])
    assert [path.name for path in tmp_path.iterdir()] == ["many"]
    images, labels = READ[method](tmp_path / "many", count)
    np.testing.assert_array_equal(images, pixels)
    np.testing.assert_array_equal(labels, sample_images.labels[:count])


@KINDS
def test_any_program_opens_pictures(channels: int, tmp_path: Path, sample_images: Images) -> None:
    pixels = np.asarray(sample_images.pixels)[:3, ..., :channels]
    STORE["article-png"](tmp_path / "many", pixels, np.array([7, -1, 300]))
    with Image.open(tmp_path / "many/2.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "L" if channels == 1 else "RGB")
        np.testing.assert_array_equal(picture, pixels[2].squeeze())
    assert (tmp_path / "many/labels.csv").read_text().split() == ["7", "-1", "300"]


@pytest.mark.parametrize("label", [-1, 256])
def test_label_beyond_8_bits_is_refused_before_writing(label: int, tmp_path: Path, sample_images: Images) -> None:
    image, labels = np.asarray(sample_images.pixels)[:1], np.array([label])
    with pytest.raises(UsageError, match="0 to 255"):
        STORE["article-hdf5"](tmp_path / "one", image, labels)
    assert list(tmp_path.iterdir()) == []
    for method in ("article-png", "article-lmdb"):
        STORE[method](tmp_path / method, image, labels)
        assert READ[method](tmp_path / method, 1)[1] == [label]


class Trap:
    """Runs a command of the system where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_pickle_in_lmdb_is_refused_and_does_not_run(tmp_path: Path) -> None:
    value = pickle.dumps(Trap(tmp_path / "sprung"))
    put(tmp_path / "one", value)
    with pytest.raises(ContainerDamaged, match="store the images again"):
        READ["article-lmdb"](tmp_path / "one", 1)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(value)
    assert (tmp_path / "sprung").exists(), "the trap itself works"


@pytest.mark.parametrize(
    "fields",
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
def test_value_that_is_no_image_is_refused(fields: object, tmp_path: Path) -> None:
    put(tmp_path / "one", json.dumps(fields).encode() + b"\n" + bytes(12))
    with pytest.raises(ContainerDamaged, match="store the images again"):
        READ["article-lmdb"](tmp_path / "one", 1)


def test_missing_image_is_one_sentence(tmp_path: Path, sample_images: Images) -> None:
    STORE["article-lmdb"](tmp_path / "one", np.asarray(sample_images.pixels)[:1], np.array([3]))
    with pytest.raises(ContainerDamaged, match="store the images again"):
        READ["article-lmdb"](tmp_path / "one", 2)


def put(path: Path, value: bytes) -> None:
    """Make an environment whose first image is ``value``."""
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000000", value)
