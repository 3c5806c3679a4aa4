"""Sizes, mounts, and where a run may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backends.bench.disk import (
    IN_MEMORY,
    check_space,
    choose_work_dir,
    free_files,
    mount_of,
    sync,
    usage_of,
    writable_folders,
    write_durably,
)
from backends.errors import NoSpace, NotAllowed

MEMORY = Path("/dev/shm")


def test_usage_has_apparent_and_allocated_bytes_and_files(tmp_path: Path) -> None:
    (tmp_path / "box" / "inner").mkdir(parents=True)
    (tmp_path / "box" / "small").write_bytes(b"x")
    with (tmp_path / "box" / "inner" / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    (tmp_path / "box" / "link").symlink_to("/etc")
    usage = usage_of(tmp_path / "box")
    assert usage.files == 3
    assert usage.bytes_apparent == 1 + (1 << 20) + len("/etc")
    assert 0 < usage.bytes_allocated < 1 << 20


@pytest.mark.parametrize("files", [1, 50])
def test_sync_takes_files_and_folders(tmp_path: Path, files: int) -> None:
    for number in range(files):
        (tmp_path / str(number)).write_bytes(b"x")
    sync(tmp_path)
    sync(tmp_path / "0")


def test_durable_write_replaces_the_file_whole(tmp_path: Path) -> None:
    (tmp_path / ".out.partial").symlink_to(tmp_path / "mine")
    for data in (b"first", b"", b"x" * 3_000_000):
        write_durably(tmp_path / "out", data)
        assert (tmp_path / "out").read_bytes() == data
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208


def test_durable_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OSError, match="out"):
        write_durably(tmp_path / "out", b"data")
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_mount_is_named_as_in_mountinfo(tmp_path: Path) -> None:
    mount = mount_of(tmp_path / "not" / "there" / "yet")
    assert mount.block_bytes == os.statvfs(tmp_path).f_frsize
    if Path("/proc/self/mountinfo").exists():
        assert os.path.ismount(mount.point)
        assert mount.filesystem in Path("/proc/self/mountinfo").read_text()


def test_default_work_dir_is_beside_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "set").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert choose_work_dir(None, tmp_path / "data" / "set") == tmp_path / "data"
    (tmp_path / "new").mkdir()
    assert choose_work_dir(str(tmp_path / "new"), tmp_path / "data" / "set") == tmp_path / "new"


@pytest.mark.skipif(not MEMORY.is_dir(), reason="no filesystem in memory at /dev/shm")
def test_memory_filesystem_is_used_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mount_of(MEMORY).filesystem == "tmpfs"
    monkeypatch.chdir(tmp_path)
    assert choose_work_dir(None, MEMORY / "set") == tmp_path
    assert choose_work_dir(str(MEMORY), None) == MEMORY


def test_writable_folders_list_one_per_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = writable_folders()
    devices = [folder.stat().st_dev for folder, _ in found]
    assert len(set(devices)) == len(devices)
    assert all(os.access(folder, os.W_OK) and mount.filesystem not in IN_MEMORY for folder, mount in found)
    if mount_of(tmp_path).filesystem not in IN_MEMORY:
        assert tmp_path in [folder for folder, _ in found]


def test_work_dir_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for name in ("folder", "link", "folder/../link/", "./folder"):
        assert choose_work_dir(f"{tmp_path}/{name}", None) == (tmp_path / "folder").resolve()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("{}/file", "is a file: name a folder"),
        ("{}/new", "there is no folder .*/new: create it, or choose another folder"),
        ("~nobody-of-this-name/x", "cannot be reached .* choose another folder"),
        ("{}/loop/x", "cannot be reached .* choose another folder"),
        ("{}/" + "n" * 300, "cannot be reached .* choose another folder"),
    ],
)
def test_impossible_work_dir_is_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotAllowed, match=sentence):
        choose_work_dir(name.format(tmp_path), None)
    assert not (tmp_path / "new").exists()


def test_space_check_names_need_and_free_space(tmp_path: Path) -> None:
    check_space(tmp_path, 1, 1)
    with pytest.raises(NoSpace, match=r"writes up to 1,180,591,621 TB, and [\d.,]+ \w+ can be used"):
        check_space(tmp_path, 1 << 70, 1)
    if free_files(tmp_path) is not None:
        with pytest.raises(NoSpace, match="has inodes for"):
            check_space(tmp_path, 1, 1 << 60)
