"""The backend lmdb."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import lmdb
import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Layout, Records
from backends.lmdb import LMDBWriter
from backends.plain import read_all
from backends.registry import make_backend, make_codec
from backends.testing import BackendTests
from backends.testing.batches import assert_same, layout_of, make_images, read, store
from backends.testing.processes import in_child, is_refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.plain import Everything

IMAGES = make_images(12)


class TestLMDB(BackendTests):
    backend = "lmdb"

    def plain_read(self, path: Path) -> Everything:
        return read_all("lmdb", "raw", path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("lmdb"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


@pytest.mark.parametrize("mixed", [False, True])
def test_a_full_map_grows_and_nothing_is_lost(tmp_path: Path, mixed: bool) -> None:
    images = make_images(90, side=40, mixed=mixed)
    codec = make_codec("raw")
    with LMDBWriter(tmp_path / "container", layout_of(images, "raw"), map_bytes=32_768) as writer:
        writer.append(codec.encode(images))
    with make_backend("lmdb").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)


def test_a_batch_larger_than_a_transaction_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.lmdb.TRANSACTION_BYTES", 1_000)
    store(make_backend("lmdb"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"), batch=12)
    with lmdb.open(str(tmp_path / "container"), readonly=True, lock=False) as environment:
        assert environment.info()["last_txnid"] == 4 + 2, "three images of 468 bytes a transaction, then the columns"
    with make_backend("lmdb").open(tmp_path / "container") as reader:
        assert_same(read(reader), IMAGES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 12 MiB, which leaves room behind when it refuses a large write."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(12 << 20)
    commands = (["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(folder)])
    if os.geteuid() != 0 or any(subprocess.run(command, capture_output=True).returncode for command in commands):
        pytest.skip("mounting a small filesystem needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("size", [100_000, 2_000_000, 3_000_000, 4_000_000])
def test_a_disk_that_is_full_is_called_so_however_large_the_value(small_disk: Path, size: int) -> None:
    record = Records(np.zeros(size, np.uint8), np.array([0, size]), np.array([0]))

    def fill() -> None:
        with make_backend("lmdb").create(small_disk / "container", Layout(400, "png", None)) as writer:
            for _ in range(400):
                writer.append(record)

    with pytest.raises(OSError, match="No space left"):
        fill()


def test_the_library_finds_no_fault(path: Path) -> None:
    verify = pytest.importorskip("lmdb.verify", reason="lmdb 3 brings a verifier")
    assert verify.verify(str(path)) == []


def read_by_lmdb(path: Path) -> int:
    faulthandler.disable()
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return sum(len(value) for _, value in transaction.cursor())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_cut_file_would_kill_a_process_that_does_not_check_its_length(path: Path) -> None:
    assert in_child("fork", read_by_lmdb, path)[0] == 0
    os.truncate(path / "data.mdb", 8_192)
    assert in_child("fork", read_by_lmdb, path) == (-signal.SIGBUS, None)
    assert in_child("fork", is_refused, make_backend("lmdb"), path) == (0, True)


@pytest.mark.parametrize("key", [b"layout", b"labels", bytes(7) + b"\x05"])
def test_a_missing_key_is_refused(path: Path, key: bytes) -> None:
    with lmdb.open(str(path), lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.delete(key)
    for rows in (slice(None), np.array([5])):
        with pytest.raises(ContainerDamaged), make_backend("lmdb").open(path) as reader:
            reader.read(rows)


@pytest.mark.parametrize("key", [b"layout", b"labels", bytes(7) + b"\x05"])
def test_a_value_of_another_size_is_refused(path: Path, key: bytes) -> None:
    with lmdb.open(str(path), lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(key, bytes(467))
    for rows in (slice(None), np.array([5])):
        with pytest.raises(ContainerDamaged), make_backend("lmdb").open(path) as reader:
            reader.read(rows)


@pytest.mark.parametrize("shape", [(10**6, 10**6, 3), (0, 4, 3), (-12, -13, 3)], ids=str)
def test_a_layout_that_promises_more_than_there_is_is_refused(path: Path, shape: tuple[int, int, int]) -> None:
    layout = Layout(12, "raw", shape).to_json().encode()
    with lmdb.open(str(path), lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"layout", layout)
    with pytest.raises(ContainerDamaged):
        make_backend("lmdb").open(path)


def test_an_environment_of_another_format_is_refused(tmp_path: Path) -> None:
    try:
        lmdb.open(str(tmp_path / "container"), lib_version=1).close()
    except TypeError:
        pytest.skip("this lmdb writes one format only")
    with pytest.raises(ContainerDamaged, match=r"0\.9"):
        make_backend("lmdb").open(tmp_path / "container")
