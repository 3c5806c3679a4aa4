"""Bits that flip and files that are cut short: found in a finished store, and made again in an unfinished one."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.bench.disk import tree
from backends.errors import StoreDamaged
from backends.stores import journal
from backends.stores.manifest import INDEX, MANIFEST, SUMS
from backends.stores.shard import SEALED
from backends.stores.verify import verify
from tests.faults.child import Child
from tests.faults.conftest import POINTS, some

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.case import Case, Tally

TOGETHER = 5
"""Places of a store that are damaged at a time: each is to be found."""


def damage(path: Path, rng: np.random.Generator, *, flip: bool) -> None:
    """Flip a bit of a file, or of one in a folder, or cut the file short."""
    files = [file for file in sorted(tree(path)[0]) if file.stat().st_size]
    sizes = np.array([file.stat().st_size for file in files])
    file = files[rng.choice(len(files), p=sizes / sizes.sum())]
    data = bytearray(file.read_bytes())
    place = int(rng.integers(len(data)))
    if flip:
        data[place] ^= 1 << int(rng.integers(8))
    file.write_bytes(data if flip else data[:place])


@pytest.fixture
def unfinished(case: Case, tmp_path: Path) -> Path:
    """A store of which half is durable."""
    child = Child(case, tmp_path / "unfinished")
    child.durable_shards(6)
    child.signal(signal.SIGKILL)
    child.end()
    return tmp_path / "unfinished"


@pytest.mark.parametrize("flip", [True, False], ids=["flip", "truncation"])
def test_damage_is_found_by_verify(
    case: Case, flip: bool, tally: Tally, tmp_path: Path, rng: np.random.Generator
) -> None:
    """And nothing else is; ``quick``, which compares no digests, is the control: it finds no flip."""
    tally.row[0] = "flip is found" if flip else "truncation is found"
    shards = [shard.path for shard in case.manifest.shards]
    for number in range(POINTS // TOGETHER):
        paths = {*rng.choice(shards, TOGETHER - 1, replace=False).tolist(), INDEX}
        for some_paths in (paths, {SUMS}, {MANIFEST}):
            folder = tmp_path / f"{number}-{len(some_paths)}"
            shutil.copytree(case.reference, folder, dirs_exist_ok=True)
            for path in some_paths:
                damage(folder / path, rng, flip=flip)
            with contextlib.ExitStack() as stack:
                for _ in some_paths:
                    stack.enter_context(tally.point())
                if some_paths == {MANIFEST}:
                    with pytest.raises(StoreDamaged):
                        verify(folder)
                    continue
                found = {finding.path for finding in verify(folder, "full")}
                # a shard with a damaged line is named, and not the line
                assert found == some_paths or (some_paths == {SUMS} and found and len(found - {SUMS}) <= 1)
                assert not flip or not verify(folder, "quick")


def test_untouched_store_has_no_findings(case: Case) -> None:
    assert verify(case.reference, "full") == []


def test_damaged_journal_or_columns_are_made_again(
    case: Case, tally: Tally, unfinished: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = tmp_path / "store"
    for point in range(max(2, POINTS // 2)):
        shutil.copytree(unfinished, folder)
        with tally.point():
            damage(folder / ("journal.jsonl", SEALED)[point % 2], rng, flip=bool(rng.integers(2)))
            with contextlib.suppress(StoreDamaged):  # which says to resume
                case.resume(folder)
            case.resume(folder)
        shutil.rmtree(folder)


@some("lmdb")
def test_journal_without_checksums_is_seen_to_harm(
    case: Case, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without them a changed digit makes another store."""
    path = unfinished / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b',"stop":20}', b',"stop":10}', 1))
    monkeypatch.setattr(journal, "_checked", lambda data: json.loads(data)["line"] if data else None)
    with pytest.raises(AssertionError):
        case.resume(unfinished)


@some("parquet")
def test_damaged_shard_of_unfinished_store_is_found(case: Case, unfinished: Path, rng: np.random.Generator) -> None:
    shard = next(shard for shard in case.manifest.shards if (unfinished / shard.path).exists())
    damage(unfinished / shard.path, rng, flip=True)
    with pytest.raises(AssertionError, match=shard.path):
        case.resume(unfinished)
    assert {finding.path for finding in verify(unfinished)} == {shard.path}
