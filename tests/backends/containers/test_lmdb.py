"""The backend lmdb."""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
from typing import TYPE_CHECKING

import lmdb
import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Images, Layout
from backends.registry import make_backend
from backends.testing.readers import in_child, is_refused
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = make_images(12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("lmdb"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


def put(path: Path, key: bytes, value: bytes | None) -> None:
    """Set a key with the plain library, or delete it."""
    with lmdb.open(str(path), lock=False) as environment, environment.begin(write=True) as transaction:
        if value is None:
            transaction.delete(key)
        else:
            transaction.put(key, value)


def test_a_reader_whose_container_broke_meanwhile_stays_closed(path: Path) -> None:
    reader = make_backend("lmdb").open(path)
    reader.close()
    put(path, b"layout", b"{broken")
    with tempfile.TemporaryFile() as other:
        for _ in range(2):
            with pytest.raises(ContainerDamaged):
                reader.read(slice(None))
            other.write(b"Z" * 100_000)


@pytest.mark.parametrize("row", [0, 5, 11])
def test_a_missing_image_is_not_replaced_by_the_next(path: Path, row: int) -> None:
    put(path, row.to_bytes(8, "big"), None)
    others = np.delete(np.arange(12), row)
    with make_backend("lmdb").open(path) as reader:
        for key in (slice(None), slice(row, row + 1), slice(max(0, row - 2), row + 3), np.array([row] * 5)):
            with pytest.raises(ContainerDamaged, match="damaged"):
                reader.read(key)
        assert_same(read(reader, others), IMAGES, others)


LAYOUT = '{"count": %s, "codec": "png", "image_shape": null, "classes": []}'
IMPOSSIBLE = {"infinite": LAYOUT % "1e999", "deep": "[" * 100_000, "more images": LAYOUT % 10**9} | {
    str(shape): Layout(12, "raw", shape).to_json() for shape in ((10**6, 10**6, 3), (0, 4, 3), (-12, -13, 3))
}


@pytest.mark.parametrize("text", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_layout_is_refused(path: Path, text: str) -> None:
    put(path, b"layout", text.encode())
    with pytest.raises(ContainerDamaged):
        make_backend("lmdb").open(path)


def test_a_root_behind_the_end_is_refused(path: Path) -> None:
    file = path / "data.mdb"
    content = bytearray(file.read_bytes())
    content[4_096 + 16 + 24 + 48 + 40 : 4_096 + 16 + 24 + 48 + 48] = b"\xff" * 8
    file.write_bytes(content)
    with pytest.raises(ContainerDamaged):
        make_backend("lmdb").open(path)


def test_the_library_finds_no_fault(path: Path) -> None:
    verify = pytest.importorskip("lmdb.verify", reason="lmdb 3 brings a verifier")
    assert verify.verify(str(path)) == []


def read_by_lmdb(path: Path) -> int:
    faulthandler.disable()
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return sum(len(value) for _, value in transaction.cursor())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_cut_file_kills_a_reader_without_length_check(path: Path) -> None:
    assert in_child("fork", read_by_lmdb, path)[0] == 0
    os.truncate(path / "data.mdb", 8_192)
    assert in_child("fork", read_by_lmdb, path) == (-signal.SIGBUS, None)
    assert in_child("fork", is_refused, make_backend("lmdb"), path) == (0, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in (b"layout", b"labels") for value in (None, bytes(467))),
        (bytes(7) + b"\x05", bytes(467)),
    ],
)
def test_key_without_its_value_is_refused(path: Path, key: bytes, value: bytes | None) -> None:
    put(path, key, value)
    for rows in (slice(None), np.array([5])):
        with pytest.raises(ContainerDamaged), make_backend("lmdb").open(path) as reader:
            reader.read(rows)


def test_the_format_of_lmdb_0_9_is_written(path: Path) -> None:
    with lmdb.open(str(path), readonly=True, lock=False) as environment:
        assert environment.lib_version()[:2] == (0, 9)


@pytest.mark.parametrize("lib_version", [0, 1])
def test_what_others_wrote_in_any_order_is_read(tmp_path: Path, lib_version: int) -> None:
    images = make_images(600, mixed=True)
    values = [image.tobytes() for image in images.pixels]
    with lmdb.open(str(tmp_path / "container"), map_size=1 << 26, lib_version=lib_version) as environment:
        for some in np.array_split(np.random.default_rng(0).permutation(600), 7):
            with environment.begin(write=True) as transaction:
                for row in some.tolist():
                    transaction.put(row.to_bytes(8, "big"), values[row])
        with environment.begin(write=True) as transaction:
            transaction.put(b"labels", images.labels.tobytes())
            transaction.put(b"shapes", np.array([image.shape for image in images.pixels], np.int32).tobytes())
            transaction.put(b"layout", layout_of(images, "raw").to_json().encode())
            transaction.put(b"mine", b"of the user")
    with make_backend("lmdb").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)
        assert_same(read(reader, np.array([599, 3, 3, 0])), images, np.array([599, 3, 3, 0]))


def test_a_full_map_grows_and_takes_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.containers.lmdb.FIRST_MAP_BYTES", 1 << 16)
    images = make_images(300, side=32)
    store(make_backend("lmdb"), tmp_path / "container", images, layout_of(images, "raw"))
    with make_backend("lmdb").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)
    assert (tmp_path / "container/data.mdb").stat().st_size < 300 * 4_096 * 1.1


def test_readers_share_an_environment_until_the_last_closes(path: Path) -> None:
    first, second = make_backend("lmdb").open(path), make_backend("lmdb").open(path)
    first.close()
    with pytest.raises(lmdb.Error, match="already open"):
        lmdb.open(str(path), readonly=True, lock=False)
    assert_same(read(second), IMAGES)
    second.close()
    lmdb.open(str(path), readonly=True, lock=False).close()


def read_again(path: Path) -> Images:
    with make_backend("lmdb").open(path) as reader:
        return read(reader)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_opens_what_its_parent_has_open(path: Path) -> None:
    with make_backend("lmdb").open(path) as reader:
        code, found = in_child("fork", read_again, path)
        assert code == 0
        assert_same(found, IMAGES)
        assert_same(read(reader), IMAGES)
