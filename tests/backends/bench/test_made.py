"""What a run made is removed, and nothing else."""

from __future__ import annotations

from pathlib import Path

from backends.bench.made import WorkFolder, clean


def test_all_that_was_claimed_is_removed_and_the_folders_with_it(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "new" / "deeper" / "work")
    (work.claim("folder")).mkdir()
    (work.root / "folder" / "file").write_bytes(b"x")
    (work.claim("file")).write_bytes(b"x")
    work.claim("never made")
    assert work.remove_all() == ()
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_put_there_stays_and_is_named(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    (work.claim("ours")).write_bytes(b"x")
    (work.root / "theirs").write_bytes(b"precious")
    assert work.remove_all() == (work.root,)
    assert (work.root / "theirs").read_bytes() == b"precious"
    assert not (work.root / "ours").exists()


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    work = WorkFolder(tmp_path / "work")
    work.claim("link").symlink_to(precious)
    assert work.remove_all() == ()
    assert (precious / "file").exists()


def test_a_crash_leaves_a_record_by_which_the_next_start_cleans(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "work")
    (work.claim("artefact")).mkdir()
    record = work.root / "made.jsonl"
    record.write_bytes(record.read_bytes() + b'{"made": "torn')
    assert clean(work.root) == ()
    assert not work.root.exists()


def test_a_folder_without_a_record_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    assert clean(tmp_path / "work") == (tmp_path / "work",)
    assert (tmp_path / "work").exists()
    assert clean(tmp_path / "never") == ()
