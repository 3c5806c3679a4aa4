"""The backend npy."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images, Layout
from backends.registry import make_backend
from backends.testing import BackendTests
from backends.testing.subject import assert_same, layout_of, make_images, read, store
from tests.backends.snippets import read_by_snippet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.backends.snippets import Everything

IMAGES = make_images(12)


class TestNpy(BackendTests):
    backend = "npy"

    def plain_read(self, path: Path) -> Everything:
        return read_by_snippet("npy+raw", path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("npy"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


@pytest.mark.parametrize("codec", ["raw", "png"])
def test_mixed_images_are_bytes_and_offsets(tmp_path: Path, codec: str) -> None:
    images = make_images(300, mixed=True)
    store(make_backend("npy"), tmp_path / "container", images, layout_of(images, codec))
    arrays = {file.stem: np.load(file, mmap_mode="r") for file in (tmp_path / "container").glob("*.npy")}
    assert set(arrays) == {"data", "offsets", "labels"} | ({"shapes"} if codec == "raw" else set())
    assert {name: array.dtype.str for name, array in arrays.items() if name != "shapes"} == {
        **{"data": "|u1", "offsets": "<i8", "labels": "<i8"}
    }
    record = arrays["data"][slice(*arrays["offsets"][200:202])].tobytes()
    if codec == "raw":
        assert record == images.pixels[200].tobytes()
        np.testing.assert_array_equal(arrays["shapes"][200], images.pixels[200].shape)
    else:
        assert record.startswith(b"\x89PNG")


def npy(array: NDArray[np.generic], version: tuple[int, int] | None = None) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, array, version)
    return content.getvalue()


WHOLE = np.zeros((12, 12, 13, 3), np.uint8)
SPOILED = {
    "empty": b"",
    "short": b"\x93NUMPY\x01\x00",
    "text": b"text" * 100,
    "pickles": npy(np.zeros((12, 12, 13, 3), object)),
    "other numbers": npy(WHOLE.view(np.int8)),
    "fewer": npy(WHOLE[1:]),
    "other shape": npy(WHOLE.reshape(12, 13, 12, 3)),
    "Fortran order": npy(np.asfortranarray(WHOLE)),
    "another version": npy(WHOLE, (2, 0)),
    "cut": npy(WHOLE)[:-1],
    "longer": npy(WHOLE) + b"\0",
    "bomb": npy(WHOLE).replace(b"(12, 12, ", b"(1200000000000, 12, "),
}


@pytest.mark.parametrize("content", SPOILED.values(), ids=SPOILED)
@pytest.mark.parametrize("name", ["images", "labels"])
def test_arrays_that_do_not_fit_are_refused_by_their_names(path: Path, name: str, content: bytes) -> None:
    (path / f"{name}.npy").write_bytes(content)
    with pytest.raises(ContainerDamaged, match=rf"{name}\.npy"), make_backend("npy").open(path) as reader:
        assert reader.labels is None


def test_headers_may_be_padded_otherwise(path: Path) -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (12,), }".ljust(69) + b"\n"
    (path / "labels.npy").write_bytes(b"\x93NUMPY\x01\0\x46\0" + header + (IMAGES.labels + 1).tobytes())
    np.testing.assert_array_equal(np.load(path / "labels.npy"), IMAGES.labels + 1)
    with make_backend("npy").open(path) as reader:
        assert_same(read(reader), Images(IMAGES.pixels, IMAGES.labels + 1))


@pytest.mark.parametrize("row", [0, 5, 9])
def test_offsets_that_do_not_fit_are_refused(tmp_path: Path, row: int) -> None:
    images = make_images(9, mixed=True)
    store(make_backend("npy"), tmp_path / "container", images, layout_of(images, "png"))
    offsets = np.load(tmp_path / "container/offsets.npy")
    offsets[row] = 2**50
    np.save(tmp_path / "container/offsets.npy", offsets)
    with pytest.raises(ContainerDamaged, match="offsets"):
        make_backend("npy").open(tmp_path / "container")


def link(file: Path) -> None:
    file.symlink_to(file.rename(file.with_suffix(".away")))


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("spoil", [link, pipe, Path.unlink])
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "layout.json"])
def test_file_that_is_not_regular_is_refused_by_name(path: Path, spoil: Callable[[Path], None], name: str) -> None:
    spoil(path / name)
    with pytest.raises(ContainerDamaged, match=name), make_backend("npy").open(path) as reader:
        assert reader.labels is None


def test_aborting_keeps_what_others_have_put_there(tmp_path: Path) -> None:
    writer = make_backend("npy").create(tmp_path / "container", Layout(1, "raw", (1, 1, 1)))
    (tmp_path / "container/notes.txt").write_text("mine")
    writer.abort()
    assert [file.name for file in (tmp_path / "container").iterdir()] == ["notes.txt"]
