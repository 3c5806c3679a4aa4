"""Whole transfers between memory and files."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from backends.images import Images, Layout
from backends.registry import make_backend
from backends.testing.batches import store
from backends.transfer import HUGE_PAGE, AlignedWriter, write_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZES = (1, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE + 5, 700, 0, HUGE_PAGE // 2)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where each write ends that was asked for; each is cut to a million bytes, as the kernel may."""
    ends: list[int] = []
    write = os.pwritev

    def cut(descriptor: int, views: list[memoryview], position: int) -> int:
        ends.append(position + sum(map(len, views)))
        return write(descriptor, [views[0][:1_000_000]], position)

    monkeypatch.setattr(os, "pwritev", cut)
    return ends


def content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


@pytest.mark.parametrize("start", [0, 4096, HUGE_PAGE - 1])
@pytest.mark.parametrize("sizes", [SIZES, SIZES[::-1], (100_000,) * 50])
def test_what_waits_and_what_comes_is_written_up_to_a_boundary(
    file: int, written: list[int], start: int, sizes: tuple[int, ...]
) -> None:
    pieces = [np.random.default_rng(size).integers(0, 256, size, np.uint8) for size in sizes]
    writer, position = AlignedWriter(file), start
    for piece in pieces:
        given = piece.copy()
        writer.write(given, position)
        given[:] = 0  # what waits is a copy
        position += piece.size
    assert {end % HUGE_PAGE for end in written} == {0}
    writer.flush()
    assert content(file) == bytes(start) + b"".join(piece.tobytes() for piece in pieces)


def test_bytes_may_belong_elsewhere(file: int) -> None:
    writer = AlignedWriter(file)
    for position in (10, 20, HUGE_PAGE + 5, 0):
        writer.write(np.full(10, position % 251, np.uint8), position)
    writer.flush()
    found = np.frombuffer(content(file), np.uint8)
    assert found[[0, 10, 29, HUGE_PAGE + 14]].tolist() == [0, 10, 20, (HUGE_PAGE + 5) % 251]
    assert len(found) == HUGE_PAGE + 15


def test_a_write_that_is_cut_goes_on(file: int, written: list[int]) -> None:
    data = np.arange(2_500_000, dtype=np.uint8)
    write_at(file, data, 3)
    assert len(written) == 3
    assert content(file)[3:] == data.tobytes()


@pytest.mark.parametrize("name", ["npy", "hdf5"])
def test_pixels_do_not_begin_where_reading_into_an_array_is_slow(tmp_path: Path, name: str) -> None:
    """See ``tests/benchmarks/aliasing.py``: not 1 to 31 bytes before a large array does, counted from a page."""
    images = Images(np.zeros((3, 32, 32, 3), np.uint8), np.zeros(3, np.int64))
    store(make_backend(name), tmp_path / "container", images, Layout(3, "raw", (32, 32, 3)))
    if name == "npy":
        begin = np.load(tmp_path / "container" / "images.npy", mmap_mode="r").offset
    else:
        with h5py.File(tmp_path / "container") as file:
            begin = file["images"].id.get_offset()
    rows = begin + np.arange(4) * 32 * 32 * 3
    array = np.empty(1 << 26, np.uint8)  # larger than what malloc ever cuts out of its heap
    behind = (array.ctypes.data - rows) % mmap.PAGESIZE
    assert not ((behind > 0) & (behind < 32)).any()
