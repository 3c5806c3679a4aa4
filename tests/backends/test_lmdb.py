"""The backend lmdb."""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import TYPE_CHECKING

import lmdb
import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Layout
from backends.plain import read_all
from backends.registry import make_backend
from backends.testing import BackendTests
from backends.testing.batches import layout_of, make_images, store
from backends.testing.processes import in_child, is_refused

if TYPE_CHECKING:
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
