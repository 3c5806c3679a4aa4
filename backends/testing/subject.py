"""Test images, and functions that store, read and compare them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import pytest

from backends.images import Images, Layout, Records
from backends.registry import backend_entry, make_backend, make_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from backends.base import Backend, Reader, Writer

Test = TypeVar("Test", bound="Callable[..., Any]")


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


def kinds(*pairs: tuple[str, bool]) -> Callable[[Test], Test]:
    """Run a test with a container of each codec, with images of one size or of many, that the backend keeps.

    Without this decorator, a test has the first of ``KINDS`` that it keeps.
    """

    def decorate(test: Test) -> Test:
        test.kinds = pairs  # type: ignore[attr-defined]
        return test

    return decorate


KINDS = (("raw", False), ("raw", True), ("png", False), ("png", True), ("source", True))
every_kind = kinds(*KINDS)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that a test will make at ``path``; its images have many sizes if ``mixed``."""

    backend: Backend
    path: Path
    codec: str
    mixed: bool

    def images(self, count: int = 30, *, channels: int = 3, side: int = 12, seed: int = 0) -> Images:
        return make_images(count, channels=channels, mixed=self.mixed, side=side, seed=seed)

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
    """The backend under test: ``backend`` is its name in the registry."""

    backend: ClassVar[str]

    def plain_read(self, path: Path) -> tuple[NDArray[np.uint8] | Sequence[NDArray[np.uint8]], NDArray[np.int64]]:
        """All images and labels of a container with the default codec, read without a line of the code under test."""
        pytest.skip("plain_read is not overridden, which reads a container without this program")

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "container" in metafunc.fixturenames:
            keeps = backend_entry(self.backend).codecs
            wanted = getattr(metafunc.function, "kinds", None)
            kept = [kind for kind in wanted or KINDS if not keeps or kind[0] in keeps]
            ids = [codec + "-mixed" * mixed for codec, mixed in kept]
            last = None if wanted else 1
            metafunc.parametrize("container", kept[:last], ids=ids[:last], indirect=True)

    @pytest.fixture
    def container(self, request: pytest.FixtureRequest, tmp_path: Path) -> Container:
        """A container of the backend under test, to make."""
        codec, mixed = request.param
        (tmp_path / "parent").mkdir()
        return Container(make_backend(self.backend), tmp_path / "parent" / "container", codec, mixed)
