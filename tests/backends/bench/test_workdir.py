"""What a run made is removed, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backends.bench.workdir import WorkFolder, clean
from backends.errors import NotAllowed


def test_claimed_files_and_new_folders_are_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    work = WorkFolder(tmp_path / "new" / "deeper" / "work")
    (work.claim("folder")).mkdir()
    (work.root / "folder" / "file").write_bytes(b"x")
    (work.claim("file")).write_bytes(b"x")
    work.claim("link").symlink_to(precious)
    work.claim("never made")
    assert work.remove_all() == ()
    assert list(tmp_path.iterdir()) == [precious]
    assert (precious / "file").exists(), "links are not followed"


def test_foreign_file_stays_and_folder_is_returned(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    (work.claim("ours")).write_bytes(b"x")
    (work.root / "theirs").write_bytes(b"precious")
    assert work.remove_all() == (work.root,)
    assert (work.root / "theirs").read_bytes() == b"precious"
    assert not (work.root / "ours").exists()


def test_record_of_crashed_run_is_enough_to_clean(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    (work.claim("artefact")).mkdir()
    record = work.root / "made.jsonl"
    record.write_bytes(record.read_bytes() + b'{"made": "torn')
    assert clean(work.made) == ()
    assert not work.root.exists()


@pytest.mark.parametrize(
    "line",
    [
        b'{"made": "."}',
        b'{"made": ".."}',
        b'{"made": "../precious"}',
        b'{"made": "/%b/precious"}',
        b'{"made": ""}',
        b"[" * 100_000,
        b"5",
        b"\xff",
        b"[]",
    ],
    ids=range(9),
)
def test_spoilt_record_removes_nothing_else(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "precious").mkdir()
    work = WorkFolder(tmp_path / "work")
    (work.root / "theirs").write_bytes(b"precious")
    record = work.root / "made.jsonl"
    record.write_bytes(line.replace(b"%b", bytes(tmp_path)) + b"\n" + record.read_bytes())
    assert clean(work.made) == (work.root,)
    assert (tmp_path / "precious").is_dir()
    assert (work.root / "theirs").exists()


def test_work_folder_is_private_and_cleaned_by_several(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "new" / "work")
    for name in map(str, range(300)):
        work.claim(name).write_bytes(b"x")
    assert work.root.stat().st_mode & 0o777 == 0o700
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(clean, [work.made] * 4)) <= {(), (work.root,)}
    assert list(tmp_path.iterdir()) == []


def test_impossible_folder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    with pytest.raises(NotAllowed, match=r"nowhere/work cannot be made \(File exists\)"):
        WorkFolder(tmp_path / "nowhere" / "work")
    with pytest.raises(NotAllowed, match="File name too long"):
        WorkFolder(tmp_path / "new" / ("n" * 300))
    assert not (tmp_path / "new").exists()


def test_folder_put_in_place_of_ours_is_left_alone(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    work.root.rename(tmp_path / "aside")
    assert clean(work.made) == ()
    work.root.mkdir()
    (work.root / "made.jsonl").write_text('{"made": "theirs"}')
    (work.root / "theirs").touch()
    assert clean(work.made) == (work.root,)
    assert (work.root / "theirs").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("ours")])
def test_record_that_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    work = WorkFolder(tmp_path / "work")
    work.claim("ours").write_text('{"made": "theirs"}')
    (work.root / "theirs").touch()
    (work.root / "made.jsonl").unlink()
    make(work.root / "made.jsonl")
    assert clean(work.made) == (work.root,)
    assert {path.name for path in work.root.iterdir()} == {"made.jsonl", "ours", "theirs"}


def test_parents_are_removed_without_work_folder(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "new" / "deeper" / "work")
    assert [Path(folder.path).name for folder in work.made] == ["work", "deeper", "new"]
    shutil.rmtree(work.root)
    assert clean(work.made) == ()
    assert list(tmp_path.iterdir()) == []
