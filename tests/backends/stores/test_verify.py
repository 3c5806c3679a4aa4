"""Tests of what verify finds, names and mends."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from backends.bench.json_files import to_builtins
from backends.errors import StoreDamaged, StoreNotFound
from backends.stores.manifest import INDEX, MANIFEST, SUMS, _encoded, read_manifest
from backends.stores.store import open_store
from backends.stores.verify import Finding, repair, strangers, verify
from tests.backends.stores.conftest import store_at


@pytest.fixture
def copy(tmp_path: Path, store: Path) -> Path:
    """A store that a test may damage."""
    return Path(shutil.copytree(store, tmp_path / "store"))


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def test_whole_store_has_no_findings(copy: Path) -> None:
    assert [verify(copy, level) for level in ("quick", "sample", "full")] == [[], [], []]


def test_damaged_image_is_named_and_its_shard_made_again(tmp_path: Path, pictures: Path) -> None:
    folder = tmp_path / "store"
    store_at(folder, pictures, "npy+source", shard_images=5)
    with open_store(folder) as store:
        number, row = store.locate(7)
        offsets = np.load(folder / store.manifest.shards[number].path / "offsets.npy")
        name = store.names[7]
    flip(folder / f"shards/{number:05}" / "data.npy", 128 + int(offsets[row]) + 50)
    assert verify(folder, "quick") == []
    (finding,) = verify(folder, "full")
    assert (finding.path, finding.index, finding.name) == (f"shards/{number:05}", 7, name)
    assert finding in verify(folder, "sample"), "a store of so few images is read whole"
    assert repair(folder, [finding]) == [f"shards/{number:05}"]
    assert verify(folder, "full") == []


@pytest.mark.parametrize(
    ("name", "why"),
    [("shards/00002.h5", "it has"), (INDEX, "it has"), (SUMS, "its lines are not")],
)
def test_cut_and_missing_files_are_found(copy: Path, name: str, why: str) -> None:
    os.truncate(copy / name, (copy / name).stat().st_size - 1)
    findings = verify(copy, "full")
    assert {finding.path for finding in findings} == {name}
    assert findings[0].why.startswith(why)
    (copy / name).unlink()
    assert Finding(name, "it is gone") in verify(copy, "quick")


def test_swapped_shards_are_found_and_made_again(copy: Path) -> None:
    one, two, aside = copy / "shards/00001.h5", copy / "shards/00002.h5", copy / "aside"
    one.rename(aside), two.rename(one), aside.rename(two)
    findings = verify(copy, "full")
    assert {finding.path for finding in findings} == {"shards/00001.h5", "shards/00002.h5"}
    assert len(findings) == 100
    repair(copy, findings)
    assert verify(copy, "full") == []


def test_every_byte_of_the_manifest_counts(copy: Path) -> None:
    size = (copy / MANIFEST).stat().st_size
    for position in range(0, size, 97):
        flip(copy / MANIFEST, position)
        with pytest.raises(StoreDamaged, match="is damaged"):
            read_manifest(copy)
        flip(copy / MANIFEST, position)
    assert verify(copy, "quick") == []
    (copy / MANIFEST).unlink()
    with pytest.raises(StoreNotFound):
        verify(copy)


def test_damaged_index_is_found_and_cannot_be_mended(copy: Path) -> None:
    flip(copy / INDEX, 3000)
    findings = verify(copy, "full")
    assert {finding.path for finding in findings} == {INDEX}
    with pytest.raises(StoreDamaged, match="without it nothing can be mended"):
        repair(copy, findings)


def test_a_dataset_that_changed_mends_nothing(tmp_path: Path, pictures: Path) -> None:
    dataset, folder = tmp_path / "set", tmp_path / "store"
    shutil.copytree(pictures, dataset)
    store_at(folder, dataset, "lmdb+source", shard_images=5)
    (folder / "shards/00001.lmdb").rename(tmp_path / "shard")
    findings = verify(folder, "quick")
    shutil.copy(dataset / "train/cat/02.png", dataset / "train/cat/99.png")
    with pytest.raises(Exception, match="has changed"):
        repair(folder, findings)
    (tmp_path / "shard").rename(folder / "shards/00001.lmdb")
    assert verify(folder, "full") == []
    assert strangers(folder) == ["repair"]


def test_other_files_are_no_damage(copy: Path) -> None:
    (copy / "notes.txt").touch()
    assert verify(copy, "full") == []
    assert strangers(copy) == ["notes.txt"]


def test_shard_that_kills_its_reader_is_a_finding(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LMDB reads a cut file through a map, which ends its process; the size would tell, so that is made to agree."""
    store_at(copy.with_name("lmdb"), "sample", "lmdb+raw", shard_images=1000)
    shard = next(copy.with_name("lmdb").glob("shards/00001.lmdb"))
    file = shard / "data.mdb" if shard.is_dir() else shard
    os.truncate(file, file.stat().st_size // 8)
    monkeypatch.setattr("backends.stores.verify._quick", lambda folder, manifest: [])
    findings = verify(copy.with_name("lmdb"), "full")
    assert {finding.path for finding in findings} == {"shards/00001.lmdb"}


@pytest.mark.parametrize("path", ["../thesis", "/home", "shards/../../thesis", "shards//1", ""])
def test_manifest_whose_shards_lie_elsewhere_is_refused(copy: Path, path: str) -> None:
    """A store from a stranger must not make ``--repair`` remove what is not in it."""
    manifest = read_manifest(copy)
    fields = to_builtins(manifest)
    fields["shards"][0]["path"] = path
    (copy / MANIFEST).write_bytes(_encoded(fields))
    with pytest.raises(StoreDamaged, match="is not inside the store"):
        verify(copy)
