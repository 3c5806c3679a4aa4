"""Real images that all tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.datasets import open_dataset
from tests.backends.datasets.pickles import write_cifar10

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images


@pytest.fixture(scope="session")
def sample_images() -> Images:
    """The first 240 images of the sample: 24 of each class."""
    return open_dataset("sample").read(np.arange(240))


@pytest.fixture(scope="session")
def cifar10_folder(tmp_path_factory: pytest.TempPathFactory, sample_images: Images) -> Path:
    """CIFAR-10 in its official layout with 5 x 40 training and 40 test images; do not write into it."""
    folder = tmp_path_factory.mktemp("data") / "cifar-10-batches-py"
    return write_cifar10(folder, sample_images, 40, open_dataset("sample").classes)
