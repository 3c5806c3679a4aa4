"""What a container, a process or a filesystem cannot do is said in a sentence, and is not taken for damage."""

from __future__ import annotations

import errno
import faulthandler
import mmap
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from backends.base import Writer
from backends.errors import ContainerDamaged, ImgstoreError, NotAllowed, TooManyFiles, UsageError
from backends.images import Images, Layout, Records, even_offsets
from backends.registry import make_backend
from backends.testing.readers import in_child
from backends.testing.subject import assert_same, layout_of, make_images, read, store
from tests.backends.containers import BACKENDS, kept

Shape = tuple[int, int, int, int]
EVERY_KIND = pytest.mark.parametrize(
    ("name", "codec"),
    [(name, codec) for name in BACKENDS for codec in ("raw", "png") if codec == kept(name, codec, "png")],
)
FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize(("name", "most"), [("files", 2**32), ("lmdb", 2**32 - 1), ("sqlite", 10**9), ("tar", 2**33)])
def test_record_above_the_limit_is_refused_before_writing(tmp_path: Path, name: str, most: int) -> None:
    data = np.broadcast_to(np.uint8(0), most + 1)
    records = Records(data, np.array([0, most + 1]), np.array([0]))
    with (
        pytest.raises(UsageError, match=f"{most + 1:,} bytes"),
        make_backend(name).create(tmp_path / "container", Layout(1, "png", None)) as writer,
    ):
        writer.append(records)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lmdb", "sqlite"])
def test_more_labels_than_one_value_keeps_are_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="400,000,000 images"):
        make_backend(name).create(tmp_path / "container", Layout(400_000_000, "raw", (1, 1, 1)))
    assert not list(tmp_path.iterdir())


def error_without_descriptors(name: str, path: Path) -> str:
    """The kind of error where every ``open`` fails."""
    backend = make_backend(name)
    with backend.open(path) as rehearsal:
        read(rehearsal)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, lowest))
    try:
        backend.open(path)
    except ImgstoreError as error:
        return type(error).__name__
    return "none"


@FORKS
@pytest.mark.parametrize("name", BACKENDS)
def test_open_without_descriptors_is_not_called_damage(tmp_path: Path, name: str) -> None:
    images = make_images(12)
    store(make_backend(name), tmp_path / "container", images, layout_of(images, kept(name, "raw", "png")))
    assert in_child("fork", error_without_descriptors, name, tmp_path / "container") == (0, TooManyFiles.__name__)


def read_without_maps(name: str, path: Path, rows: list[int]) -> Images | str:
    """Read where this process has no room for a map of the file; the error's kind where that is an error."""
    backend = make_backend(name)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + (32 << 20),) * 2)
    with pytest.raises(OSError, match="memory"):
        mmap.mmap(-1, 40 << 20)
    try:
        with backend.open(path) as reader:
            return read(reader, np.array(rows))
    except NotAllowed as error:
        return str(error)


@FORKS
@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/statm says how much is mapped")
@EVERY_KIND
def test_read_without_maps_succeeds_or_says_why(tmp_path: Path, name: str, codec: str) -> None:
    images = make_images(260, side=256)
    store(make_backend(name), tmp_path / "container", images, layout_of(images, codec))
    code, found = in_child("fork", read_without_maps, name, tmp_path / "container", [259, 3, 3])
    assert code == 0
    if name == "lmdb":
        assert "cannot be mapped into memory" in found
    else:
        assert_same(found, images, np.array([259, 3, 3]))


def test_names_of_files_grow_beyond_a_million(tmp_path: Path) -> None:
    layout = Layout(1_000_101, "raw", (1, 2, 3))
    for folder in ("000", "10000"):
        (tmp_path / folder).mkdir()
    (tmp_path / "000/000000.raw").write_bytes(b"first ")
    (tmp_path / "10000/1000050.raw").write_bytes(b"later ")
    np.save(tmp_path / "labels.npy", np.arange(layout.count))
    (tmp_path / "layout.json").write_text(layout.to_json())
    with make_backend("files").open(tmp_path) as reader:
        records = reader.read(np.array([1_000_050, 0]))
        assert (records.data.tobytes(), records.labels.tolist()) == (b"later first ", [1_000_050, 0])
        with pytest.raises(ContainerDamaged, match="folder 10001"):
            reader.read(np.array([1_000_100]))


def sparse_npy(path: Path, shape: Shape) -> np.memmap[Any, Any]:
    path.mkdir()
    np.save(path / "labels.npy", np.arange(shape[0]))
    (path / "layout.json").write_text(Layout(shape[0], "raw", shape[1:]).to_json())
    return np.lib.format.open_memmap(path / "images.npy", "w+", np.uint8, shape)


def sparse_hdf5(path: Path, shape: Shape) -> h5py.Dataset:
    file = h5py.File(path, "w")
    file["labels"] = np.arange(shape[0])
    file.attrs["layout"] = Layout(shape[0], "raw", shape[1:]).to_json()
    return file.create_dataset("images", shape, np.uint8)


@pytest.mark.parametrize(("name", "create"), [("npy", sparse_npy), ("hdf5", sparse_hdf5)])
def test_the_last_images_of_more_than_4_gib_are_read(
    tmp_path: Path, name: str, create: Callable[[Path, Shape], Any]
) -> None:
    count, last = 1_500_000, make_images(3, side=32, seed=1)
    last = Images(last.pixels, np.arange(count - 3, count))
    array = create(tmp_path / "container", (count, 32, 33, 3))
    array[-3:] = last.pixels
    del array
    with make_backend(name).open(tmp_path / "container") as reader:
        assert_same(read(reader, slice(count - 3, None)), last)
        assert_same(read(reader, np.array([-1, -3])), last, np.array([2, 0]))


def store_with_too_few_pages(name: str, codec: str, disk: Path) -> list[int]:
    """Store images where 1 to 24 pages of 4 KiB are too few: the numbers of the errors, 0 where something is left."""
    faulthandler.disable()
    layout, data = Layout(300, codec, (32, 32, 3)), np.random.default_rng(0).integers(0, 256, 300 * 3_072, np.uint8)
    errors: list[int] = []

    def store_all() -> Writer:
        with make_backend(name).create(disk / "container", layout) as writer:
            for start in range(0, 300, 50):
                writer.append(Records(data, even_offsets(50, 3_072) + start * 3_072, np.zeros(50, np.int64)))
        return writer

    sys.unraisablehook = lambda hidden: errors.append(0)  # an error of the library that nobody hears of
    before = os.statvfs(disk).f_bfree
    writer = store_all()
    after = os.statvfs(disk).f_bfree
    writer.abort()
    for pages in range(1, 25):
        (disk / "other").write_bytes(bytes(4_096 * (after + pages)))
        assert os.statvfs(disk).f_bfree == before - after - pages
        try:
            store_all()
        except OSError as error:
            errors.append(error.errno or 0)
        errors += [0] * (len(list(disk.iterdir())) > 1)
    return errors


@FORKS
@EVERY_KIND
def test_a_full_disk_leaves_nothing_and_never_crashes(small_disk: Path, name: str, codec: str) -> None:
    code, errors = in_child("fork", store_with_too_few_pages, name, codec, small_disk)
    assert (code, errors) == (0, [errno.ENOSPC] * 24)


@FORKS
def test_hdf5_with_its_own_buffers_does_not_survive_a_full_disk(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.containers.hdf5.access", lambda: h5py.h5p.create(h5py.h5p.FILE_ACCESS))
    code, errors = in_child("fork", store_with_too_few_pages, "hdf5", "raw", small_disk)
    assert (code, errors) != (0, [errno.ENOSPC] * 24), "it crashes, hides an error, or keeps what it could not write"
