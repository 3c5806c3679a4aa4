"""The files and arrays of containers: what others put in their place, and what they hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import zarr

from backends.errors import ContainerDamaged
from backends.registry import make_backend
from backends.testing.subject import encode, layout_of, make_images, store
from tests.backends.containers import BACKENDS, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IMAGES = make_images(12)
PIECES = {
    "files": ("000/000007.raw", "labels.npy", "layout.json"),
    "npy": ("images.npy", "labels.npy", "layout.json"),
    "lmdb": ("data.mdb",),
    "zarr": ("images/c.0.0.0.0", "labels/c.0", "zarr.json"),
}


def link(file: Path) -> None:
    file.symlink_to(file.rename(file.with_suffix(".away")))


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("spoil", [link, pipe, folder])
@pytest.mark.parametrize(("backend", "name"), [(backend, name) for backend in PIECES for name in PIECES[backend]])
def test_piece_that_is_no_regular_file_is_refused_by_name(
    tmp_path: Path, backend: str, name: str, spoil: Callable[[Path], None]
) -> None:
    store(make_backend(backend), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    spoil(tmp_path / "container" / name)
    with pytest.raises(ContainerDamaged, match=name), make_backend(backend).open(tmp_path / "container") as reader:
        reader.read(slice(None))


@pytest.mark.parametrize("backend", BACKENDS)
def test_aborting_keeps_what_others_have_put_there(tmp_path: Path, backend: str) -> None:
    layout = layout_of(IMAGES, kept(backend, "raw", "png"))
    writer = make_backend(backend).create(tmp_path / "container", layout)
    writer.append(encode(IMAGES, layout.codec))
    mine = [path / "mine" for path in (tmp_path, *tmp_path.rglob("*")) if path.is_dir() and path.name != "images"]
    for file in mine:
        file.touch()
    writer.abort()
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == sorted(mine)


def npy_arrays(path: Path) -> dict[str, Any]:
    return {file.stem: np.load(file, mmap_mode="r+") for file in path.glob("*.npy")}


def hdf5_arrays(path: Path) -> dict[str, Any]:
    return dict(h5py.File(path, "r+"))


def zarr_arrays(path: Path) -> dict[str, Any]:
    return dict(zarr.open_group(path, mode="r+").arrays())


ARRAYS = {"npy": npy_arrays, "hdf5": hdf5_arrays, "zarr": zarr_arrays}


@pytest.mark.parametrize("codec", ["raw", "png"])
@pytest.mark.parametrize("backend", ARRAYS)
def test_mixed_images_are_bytes_and_offsets(tmp_path: Path, backend: str, codec: str) -> None:
    images = make_images(300, mixed=True)
    store(make_backend(backend), tmp_path / "container", images, layout_of(images, codec), batch=1)
    arrays = ARRAYS[backend](tmp_path / "container")
    types = {"data": "|u1", "offsets": "<i8", "labels": "<i8"} | ({"shapes": "<i4"} if codec == "raw" else {})
    assert {name: array.dtype.str for name, array in arrays.items()} == types
    record = arrays["data"][slice(*arrays["offsets"][200:202])].tobytes()
    assert record == encode(images, codec).record(200).tobytes()
    if codec == "raw":
        np.testing.assert_array_equal(arrays["shapes"][200], images.pixels[200].shape)


@pytest.mark.parametrize("row", [0, 5, 9])
@pytest.mark.parametrize("backend", ARRAYS)
def test_offsets_that_do_not_fit_are_refused(tmp_path: Path, backend: str, row: int) -> None:
    images = make_images(9, mixed=True)
    store(make_backend(backend), tmp_path / "container", images, layout_of(images, "png"))
    arrays = ARRAYS[backend](tmp_path / "container")
    arrays["offsets"][row] = 2**50
    del arrays
    with pytest.raises(ContainerDamaged, match=r"offsets|data"):
        make_backend(backend).open(tmp_path / "container")
