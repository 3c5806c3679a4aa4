"""The backend hdf5."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images
from backends.registry import make_backend, make_codec
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = make_images(12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("hdf5"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


def test_images_of_one_size_are_one_contiguous_array(path: Path) -> None:
    with h5py.File(path) as file:
        assert set(file) == {"images", "labels"}
        assert (file["images"].dtype, file["images"].shape, file["images"].chunks) == (np.uint8, (12, 12, 13, 3), None)
        assert file["labels"].dtype == np.dtype("<i8")
        assert file.attrs["layout"] == layout_of(IMAGES, "raw").to_json()


@pytest.mark.parametrize("codec", ["raw", "png"])
def test_many_chunks_come_back_whether_neighbours_or_not(tmp_path: Path, codec: str) -> None:
    images = make_images(400, mixed=True, side=60)
    images = Images(sorted(images.pixels, key=len), images.labels)
    store(make_backend("hdf5"), tmp_path / "container", images, layout_of(images, codec), batch=1)
    with h5py.File(tmp_path / "container") as file:
        assert file["data"].id.get_num_chunks() > 64
    with make_backend("hdf5").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)
        assert_same(read(reader, np.arange(399, -1, -7)), images, np.arange(399, -1, -7))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/io counts what comes from the disk")
@pytest.mark.parametrize("codec", ["raw", "png"])
def test_scattered_rows_not_in_memory_are_fetched_alone(tmp_path: Path, codec: str) -> None:
    images = make_images(4_000, side=40)
    store(make_backend("hdf5"), tmp_path / "container", images, layout_of(images, codec), batch=1_000)
    rows = np.random.default_rng(0).permutation(4_000)[:100]
    with make_backend("hdf5").open(tmp_path / "container") as reader:
        reader.read(slice(0, 1))
        drop_from_memory(tmp_path / "container")
        before = bytes_from_disk()
        records = reader.read(rows)
        fetched = bytes_from_disk() - before
    assert_same(make_codec(codec).decode(records, reader.layout), images, rows)
    if fetched == 0:
        pytest.skip("this filesystem keeps its files in memory")
    assert fetched < 2_000_000, "16 MB where the kernel reads ahead"


def drop_from_memory(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_from_disk() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def rewrite(file: h5py.File, name: str, **how: Any) -> None:
    values = file[name][:]
    del file[name]
    file.create_dataset(name, data=how.pop("data", values), **how)


@pytest.mark.parametrize("chunks", [(5, 12, 13, 3), (12, 6, 13, 3)], ids=["images", "parts of images"])
def test_an_array_that_others_have_chunked_is_read(path: Path, chunks: tuple[int, ...]) -> None:
    with h5py.File(path, "r+") as file:
        rewrite(file, "images", chunks=chunks)
        rewrite(file, "labels", chunks=(5,))
    with make_backend("hdf5").open(path) as reader:
        assert_same(read(reader), IMAGES)
        assert_same(read(reader, np.array([11, 4, 5, 4])), IMAGES, np.array([11, 4, 5, 4]))


def external_storage(file: h5py.File) -> None:
    rewrite(file, "images", external=[("/etc/passwd", 0, 12 * 468)])


def external_link(file: h5py.File) -> None:
    del file["images"]
    file["images"] = h5py.ExternalLink("other.h5", "images")


def soft_link(file: h5py.File) -> None:
    file.move("images", "hidden")
    file["images"] = h5py.SoftLink("/hidden")


def virtual_dataset(file: h5py.File) -> None:
    del file["images"]
    layout = h5py.VirtualLayout((12, 12, 13, 3), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "images", (12, 12, 13, 3))
    file.create_virtual_dataset("images", layout)


def never_written(file: h5py.File) -> None:
    del file["images"]
    file.create_dataset("images", (12, 12, 13, 3), np.uint8)


def bomb(file: h5py.File) -> None:
    del file["images"]
    file.create_dataset("images", (10**12, 12, 13, 3), np.uint8)
    file.attrs["layout"] = file.attrs["layout"].replace('"count":12', f'"count":{10**12}')


def group(file: h5py.File) -> None:
    del file["labels"]
    file.create_group("labels")


SPOILED: dict[str, Callable[[h5py.File], None]] = {
    "external storage": external_storage,
    "external link": external_link,
    "soft link": soft_link,
    "virtual": virtual_dataset,
    "never written": never_written,
    "bomb": bomb,
    "compressed": lambda file: rewrite(file, "images", compression="gzip"),
    "float": lambda file: rewrite(file, "images", dtype=np.float32),
    "text": lambda file: rewrite(file, "labels", data=["x"] * 12),
    "small labels": lambda file: rewrite(file, "labels", dtype=np.uint8),
    "fewer labels": lambda file: rewrite(file, "labels", data=np.zeros(11, np.int64)),
    "no labels": lambda file: file.__delitem__("labels"),
    "group": group,
    "no layout": lambda file: file.attrs.__delitem__("layout"),
    "layout of numbers": lambda file: file.attrs.__setitem__("layout", np.zeros(4)),
    "layout of one number": lambda file: file.attrs.__setitem__("layout", 5),
    "layout of nothing": lambda file: file.attrs.__setitem__("layout", "{}"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_points_elsewhere_or_does_not_fit_is_refused(path: Path, name: str) -> None:
    with h5py.File(path, "r+") as file:
        SPOILED[name](file)
    with pytest.raises(ContainerDamaged):
        make_backend("hdf5").open(path)
