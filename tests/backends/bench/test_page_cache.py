"""Cold and warm: what the page cache holds of a container, found out and changed without being root."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from backends.bench.disk import IN_MEMORY, mount_of
from backends.bench.meters import make_cold, make_warm, resident_share


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


def test_what_was_just_written_is_warm(container: Path) -> None:
    assert resident_share(container) == 1.0


def test_cold_means_nothing_is_left_in_memory(container: Path) -> None:
    assert make_cold(container) == 0.0
    assert resident_share(container) == 0.0


def test_what_is_not_synced_or_is_mapped_stays_and_is_found(container: Path) -> None:
    descriptor = os.open(container / "a", os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # dirty: the sync is what makes it cold
    assert resident_share(container / "a") == 1.0
    with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as mapped:
        sum(mapped[:: mmap.PAGESIZE])
        share = make_cold(container)
    os.close(descriptor)
    assert share is not None
    assert 0.2 < share < 0.5


def test_warm_means_everything_is_in_memory(container: Path) -> None:
    make_cold(container)
    assert make_warm(container) == 1.0
    assert resident_share(container, most_files=2) == 1.0
