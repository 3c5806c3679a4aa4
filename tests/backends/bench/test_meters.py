"""Meters: what the page cache holds of a container, and what memory a trial uses."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
from pathlib import Path

import pytest

from backends.bench import meters
from backends.bench.disk import IN_MEMORY, mount_of
from backends.bench.meters import MemoryWatch, make_cold, make_present, make_warm, resident_share
from backends.testing.readers import in_child

SIZE = 1 << 26


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """Three files of a megabyte and an empty one, just written."""
    if mount_of(tmp_path).filesystem in IN_MEMORY or resident_share(Path(__file__)) is None:
        pytest.skip("this filesystem or system has no page cache that can be looked at")
    folder = tmp_path / "container"
    (folder / "000").mkdir(parents=True)
    for name in ("a", "b", "000/c"):
        (folder / name).write_bytes(os.urandom(1 << 20))
    (folder / "empty").touch()
    return folder


def test_written_container_is_resident(container: Path) -> None:
    assert resident_share(container) == 1.0


def test_cold_container_is_not_resident(container: Path) -> None:
    assert make_cold(container) == 0.0
    assert resident_share(container) == 0.0


def test_dirty_and_mapped_pages_stay_and_are_counted(container: Path) -> None:
    descriptor = os.open(container / "a", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # dirty: the sync is what makes it cold
    assert resident_share(container / "a") == 1.0
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as mapped:
        sum(mapped[:: mmap.PAGESIZE])
        share = make_cold(container)
    os.close(descriptor)
    assert share is not None
    assert 0.2 < share < 0.5


def test_warm_container_is_resident(container: Path) -> None:
    make_cold(container)
    assert make_warm(container) == 1.0
    assert resident_share(container, most_files=2) == 1.0


def touched(most: int, free_pages: int | None, address_space: int | None) -> int:
    """By how many bytes the resident peak grows when ``SIZE`` bytes are made present, where no freed ones are."""
    ctypes.CDLL(None).malloc_trim(0)
    meters.PRESENT_BYTES = most
    if free_pages is not None:
        os.sysconf = lambda name: free_pages
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    watches = MemoryWatch(), MemoryWatch()
    watches[0].settle()
    make_present(SIZE)
    watches[1].settle()
    return (watches[1].peak_rss or 0) - (watches[0].peak_rss or 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is Linux's")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("most", "free_pages", "address_space", "least", "at_most"),
    [
        (1 << 40, None, None, SIZE, 2 * SIZE),
        (SIZE // 4, None, None, SIZE // 4, SIZE // 2),
        (1 << 40, 2_048, None, 0, SIZE // 4),
        (1 << 40, None, 1 << 20, 0, SIZE // 4),
    ],
)
def test_present_memory_is_bounded_by_what_is_free(
    most: int, free_pages: int | None, address_space: int | None, least: int, at_most: int
) -> None:
    code, found = in_child("fork", touched, most, free_pages, address_space)
    assert code == 0
    assert least <= found <= at_most
