"""Stores of a small CIFAR-10, a folder of pictures with everything that is odd, and what makes stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from backends.bench.configuration import Configuration
from backends.stores.convert import convert
from backends.stores.plan import Request

if TYPE_CHECKING:
    from backends.stores.manifest import Manifest


def request(dataset: Path | str, configuration: str = "hdf5+raw", **options: Any) -> Request:
    """A request for shards of 60 images, if the options say nothing else."""
    options = {} if options.get("single") else {"shard_images": 60} | options
    return Request(dataset=str(dataset), configuration=Configuration(configuration), **options)


def store_at(folder: Path, dataset: Path | str, configuration: str = "hdf5+raw", **options: Any) -> Manifest:
    """Make a store and return its manifest."""
    manifest = convert(request(dataset, configuration, **options), folder, workers=2)
    assert manifest is not None
    return manifest


@pytest.fixture(scope="session")
def store(cifar10_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 240 images in five shards; do not write into it."""
    folder = tmp_path_factory.mktemp("stores") / "store"
    store_at(folder, cifar10_folder)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several sizes in two splits: 12 and 4 that decode, two that do not, and three equal ones."""
    top = tmp_path_factory.mktemp("pictures") / "set"
    random = np.random.default_rng(3)
    for split, count in (("train", 12), ("val", 4)):
        for index in range(count):
            folder = top / split / ("cat", "dog")[index % 2]
            folder.mkdir(parents=True, exist_ok=True)
            shape = (20 + index, 30, 3)
            Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(folder / f"{index:02}.png")
    (top / "train/cat/90.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (top / "val/dog/91.png").write_bytes((top / "train/dog/01.png").read_bytes()[:200])
    first = (top / "train/cat/00.png").read_bytes()
    for twin in ("train/dog/11.png", "val/dog/03.png"):
        (top / twin).write_bytes(first)
    return top
