"""Base class of the test classes, and the fixture ``container`` that every test uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from backends.registry import make_backend
from backends.testing.batches import encode, layout_of, make_images, store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backends.base import Backend, Reader, Writer
    from backends.images import Images, Layout

KINDS = [("raw", False), ("raw", True), ("png", False), ("png", True), ("source", True)]
EVERY_KIND = pytest.mark.parametrize(
    "container", KINDS, indirect=True, ids=["raw", "raw-mixed", "png", "png-mixed", "source"]
)
"""Codecs, with images of one size and of many; without this mark a container is raw."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that a test will make at ``path``; its images have many sizes if ``mixed``."""

    backend: Backend
    path: Path
    codec: str = "raw"
    mixed: bool = False

    def images(self, count: int = 30, *, channels: int = 3, side: int = 12) -> Images:
        return make_images(count, channels=channels, mixed=self.mixed, side=side)

    def layout(self, images: Images) -> Layout:
        """The layout of a container of ``images``."""
        return layout_of(images, self.codec)

    def store(self, images: Images) -> Images:
        """Make the container of ``images``, in batches, and return them."""
        store(self.backend, self.path, images, self.layout(images))
        return images

    def begin(self, images: Images, stored: int) -> Writer:
        """A writer for ``images`` that has the first ``stored`` of them."""
        writer = self.backend.create(self.path, self.layout(images))
        writer.append(encode(type(images)(images.pixels[:stored], images.labels[:stored]), self.codec))
        return writer

    def open(self) -> Reader:
        return self.backend.open(self.path)

    def files(self) -> list[Path]:
        """All files and folders in the parent folder, sorted."""
        return sorted(self.path.parent.rglob("*"))

    def pixel_file(self) -> Path:
        """The largest file, which holds the (last) pixels."""
        return max(self.files(), key=lambda file: file.stat().st_size if file.is_file() else -1)


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

    @pytest.fixture
    def container(self, request: pytest.FixtureRequest, tmp_path: Path) -> Container:
        """A container of the backend under test, to make."""
        codec, mixed = getattr(request, "param", KINDS[0])
        (tmp_path / "parent").mkdir()
        return Container(make_backend(self.backend), tmp_path / "parent" / "container", codec, mixed)
