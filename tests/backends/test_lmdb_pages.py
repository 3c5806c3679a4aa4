"""The pages of LMDB files: the library reads and changes ours, we read the library's, and no broken one does harm."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import lmdb
import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Layout, Records, offsets_of
from backends.lmdb_tree import PAGE_HEADER
from backends.registry import make_backend

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BACKEND = make_backend("lmdb")
SIZES = {
    "a page each": np.full(1_000, 3_072),
    "three levels": np.full(2_000, 784),
    "many in a leaf": np.full(36_000, 1),
    "one leaf more than a branch takes": np.full(1_133, 784),
    "as large as a leaf takes": np.arange(2_016, 2_030).repeat(20),
    "as large as a page takes": np.arange(4_074, 4_090).repeat(5),
    "of any size": np.random.default_rng(0).integers(1, 9_000, 1_500),
    "large": np.array([3_000_000, 5, 1_000_000]),
    "one": np.array([3_072]),
    "none": np.empty(0, np.int64),
}
EVERY_SIZE = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES.keys())


def values_of(sizes: NDArray[np.int64]) -> tuple[Layout, NDArray[np.uint8], NDArray[np.int64]]:
    """The layout of records of these sizes, their bytes, and where each begins and ends."""
    offsets = offsets_of(sizes)
    data = np.random.default_rng(1).integers(0, 256, offsets[-1], np.uint8)
    one_size = len(set(sizes.tolist())) == 1
    return Layout(len(sizes), *(("raw", (1, 1, int(sizes[0]))) if one_size else ("png", None))), data, offsets


def store(path: Path, sizes: NDArray[np.int64], batches: tuple[int, ...] = (300, 1, 7)) -> list[bytes]:
    """Store records of these sizes in batches of varying length; return them."""
    layout, data, offsets = values_of(sizes)
    start, turn = 0, 0
    with BACKEND.create(path, layout) as writer:
        while start < len(sizes):
            stop = min(len(sizes), start + batches[turn % len(batches)])
            first = offsets[start]
            some = data[first : offsets[stop]]
            writer.append(Records(some, offsets[start : stop + 1] - first, np.arange(start, stop)))
            start, turn = stop, turn + 1
    return [data[begin:end].tobytes() for begin, end in pairwise(offsets.tolist())]


def read(path: Path, key: slice | NDArray[np.int64]) -> list[bytes]:
    with BACKEND.open(path) as reader:
        records = reader.read(key)
    return [records.record(i).tobytes() for i in range(len(records))]


def faults(path: Path) -> list[str]:
    verify = pytest.importorskip("lmdb.verify", reason="lmdb 3 brings a verifier")
    found: list[str] = verify.verify(str(path))
    return found


@EVERY_SIZE
def test_the_library_reads_what_is_written_and_finds_no_fault(tmp_path: Path, sizes: NDArray[np.int64]) -> None:
    values = store(tmp_path / "container", sizes)
    assert faults(tmp_path / "container") == []
    with lmdb.open(str(tmp_path / "container"), readonly=True, lock=False) as environment, environment.begin() as txn:
        assert txn.stat()["entries"] == len(sizes) + 2
        assert [value for key, value in txn.cursor() if len(key) == 8] == values
        assert np.frombuffer(txn.get(b"labels", b""), np.int64).tolist() == list(range(len(sizes)))


@EVERY_SIZE
def test_rows_and_ranges_are_found(tmp_path: Path, sizes: NDArray[np.int64]) -> None:
    values = store(tmp_path / "container", sizes)
    shuffled = np.random.default_rng(2).permutation(len(sizes))
    for key in (slice(None), slice(1, 2), slice(len(sizes) // 3, None), shuffled, shuffled[:3]):
        assert read(tmp_path / "container", key) == [values[row] for row in np.arange(len(sizes))[key]]


@EVERY_SIZE
def test_the_library_goes_on_writing_where_ours_ends(tmp_path: Path, sizes: NDArray[np.int64]) -> None:
    values = store(tmp_path / "container", sizes)
    changes = random.Random(3)
    with lmdb.open(str(tmp_path / "container"), map_size=1 << 30, lock=False) as environment:
        for row in changes.sample(range(len(values)), min(len(values), 60)):
            values[row] = changes.randbytes(changes.choice([5, 900, 3_000, 20_000]))
            with environment.begin(write=True) as transaction:
                transaction.put(row.to_bytes(8, "big"), values[row])
        with environment.begin(write=True) as transaction:
            transaction.put(b"mine", b"of the user")
    assert faults(tmp_path / "container") == []
    with lmdb.open(str(tmp_path / "container"), readonly=True, lock=False) as environment, environment.begin() as txn:
        assert [value for key, value in txn.cursor() if len(key) == 8] == values


@EVERY_SIZE
@pytest.mark.parametrize("order", ["ascending", "random"])
def test_what_the_library_wrote_is_read(tmp_path: Path, sizes: NDArray[np.int64], order: str) -> None:
    layout, data, offsets = values_of(sizes)
    values = [data[begin:end].tobytes() for begin, end in pairwise(offsets.tolist())]
    rows = np.arange(len(sizes)) if order == "ascending" else np.random.default_rng(4).permutation(len(sizes))
    with lmdb.open(str(tmp_path / "container"), map_size=1 << 30, lock=False, sync=False) as environment:
        for start in range(0, len(rows) + 1, 170):
            with environment.begin(write=True) as transaction:
                for row in rows[start : start + 170].tolist():
                    transaction.put(row.to_bytes(8, "big"), values[row])
        with environment.begin(write=True) as transaction:
            transaction.put(b"labels", np.arange(len(sizes)).tobytes())
            transaction.put(b"layout", layout.to_json().encode())
    for key in (slice(None), slice(len(sizes) // 3, None), rows[:500], rows[:2]):
        assert read(tmp_path / "container", key) == [values[row] for row in np.arange(len(sizes))[key]]


@pytest.mark.parametrize("name", ["a page each", "three levels", "of any size"])
def test_whatever_is_in_a_page_is_read_or_refused(tmp_path: Path, name: str) -> None:
    store(tmp_path / "container", SIZES[name])
    file = tmp_path / "container" / "data.mdb"
    whole = file.read_bytes()
    rows = np.arange(len(SIZES[name]))
    pages = [page for page in range(len(whole) // 4_096) if PAGE_HEADER.unpack_from(whole, page * 4_096)[2] != 4]
    chance = random.Random(5)
    refused = 0
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 4])):
            place = chance.choice(pages) * 4_096 + chance.choice([chance.randrange(64), chance.randrange(4_096)])
            broken[place] = chance.choice([0, 1, 127, 255, chance.randrange(256)])
        file.write_bytes(broken)
        try:
            for key in (slice(None), rows[::-1], rows[-2:]):
                read(tmp_path / "container", key)
        except ContainerDamaged:
            refused += 1
    assert refused > 5


def test_a_page_that_leads_to_itself_ends(tmp_path: Path) -> None:
    store(tmp_path / "container", SIZES["three levels"])
    file = tmp_path / "container" / "data.mdb"
    whole = np.frombuffer(file.read_bytes(), np.uint8).copy()
    pages = whole.reshape(-1, 4_096)
    root = len(pages) - 1
    for page in np.flatnonzero(pages[:, 10] == 1).tolist():  # every branch names the root, wherever it led
        count = (int(pages[page, 12:14].view("<u2")[0]) - PAGE_HEADER.size) // 2
        for place in pages[page, PAGE_HEADER.size :].view("<u2")[:count].tolist():
            pages[page, place : place + 4].view("<u4")[0] = root
    file.write_bytes(whole.tobytes())
    with pytest.raises(ContainerDamaged):
        read(tmp_path / "container", np.arange(20))
