"""What the suite asks of a subclass, and what it gives every test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from backends.registry import make_backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backends.base import Backend

KINDS = [("raw", False), ("raw", True), ("png", False), ("png", True), ("source", True)]
EVERY_KIND = pytest.mark.parametrize(("codec", "mixed"), KINDS, ids=["raw", "raw-mixed", "png", "png-mixed", "source"])
"""Codecs, with images of one size and of many."""


class Subject:
    """The backend under test.

    Attributes
    ----------
    backend
        Name of the backend in the registry.
    plain_codec
        The codec whose records ``plain_read`` understands.
    """

    backend: ClassVar[str]
    plain_codec: ClassVar[str] = "raw"

    def plain_read(self, path: Path) -> tuple[NDArray[np.uint8] | Sequence[NDArray[np.uint8]], NDArray[np.int64]]:
        """All images and labels, read by the plain library, without a line of the code under test."""
        raise NotImplementedError

    def pixel_file(self, path: Path) -> Path:
        """The file of a container in which its (last) pixels are: the largest, unless a backend knows better."""
        return max([path, *path.rglob("*")], key=lambda file: file.stat().st_size if file.is_file() else -1)

    @pytest.fixture
    def subject(self) -> Backend:
        """The backend under test."""
        return make_backend(self.backend)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """Where a container goes: its folder is there, and it is not."""
        return tmp_path / "parent" / "container"

    @pytest.fixture(autouse=True)
    def _parent(self, path: Path) -> None:
        path.parent.mkdir()
