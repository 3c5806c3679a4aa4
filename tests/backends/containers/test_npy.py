"""The backend npy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images
from backends.registry import make_backend
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES = make_images(12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("npy"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


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
    "open bracket": npy(WHOLE).replace(b"}", b"("),
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
