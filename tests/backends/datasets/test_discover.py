"""What open_dataset opens, and its sentence for everything that is not a dataset."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.datasets import open_dataset
from backends.datasets.base import Reading
from backends.datasets.discover import absolute_path
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError, NotAllowed, UsageError


def test_folder_or_its_parent_can_be_named(
    cifar10_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(cifar10_folder.parent))
    monkeypatch.chdir(cifar10_folder)
    renamed = shutil.copytree(cifar10_folder, tmp_path / "renamed")
    for path in (cifar10_folder, str(cifar10_folder.parent), "~", "~/cifar-10-batches-py", ".", "..", renamed):
        facts = open_dataset(path).facts()
        assert (facts.path, facts.count) == (str(path), 200)
        assert facts.source == str(renamed if path == renamed else cifar10_folder)


def test_folder_named_sample_is_opened_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sample").mkdir()
    assert open_dataset("sample").count == 2000
    for path in ("./sample", Path("sample")):
        with pytest.raises(DatasetNotFound, match="it is empty"):
            open_dataset(path)


def test_folder_of_two_datasets_asks_which(cifar10_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(cifar10_folder, tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-100-python").mkdir()
    with pytest.raises(UsageError, match=r"holds 2 datasets: name .*/cifar-10-batches-py or .*/cifar-100-python\."):
        open_dataset(tmp_path)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def fill(*names: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).touch()

    return make


@pytest.mark.parametrize(
    ("make", "kind", "reason"),
    [
        (lambda path: None, DatasetNotFound, "does not exist: check its spelling"),
        (lambda path: path.mkdir(), DatasetNotFound, "holds no known dataset (it is empty): name a folder or"),
        (fill("a.csv", "b.csv", "c.csv", "d.csv"), DatasetNotFound, "(it has a.csv, b.csv, c.csv, ...)"),
        (fill("train/a.gz", "test/.a.png", "meta/a"), DatasetNotFound, "(it has meta/, test/, train/)"),
        (fill("x/" + "n" * 200), DatasetNotFound, "(it has x/)"),
        (fill("train", "test"), DatasetDamaged, "train is empty"),
        (fill("data_batch_1"), DatasetDamaged, "data_batch_1 is empty"),
        (write(b""), DatasetNotFound, "is no dataset (it is empty)"),
        (write(b"\x89PNG\r\n\x1a\n..."), DatasetNotFound, "(it is a PNG picture)"),
        (write(b"PK\x03\x04..."), DatasetDamaged, "is truncated or broken (File is not a zip file)"),
        (write(b"\x89HDF\r\n\x1a\n..."), DatasetDamaged, "is truncated or broken (Unable to"),
        (write(b"RIFF....WEBP"), DatasetNotFound, "(it is a WebP picture)"),
        (write(b"\x00\x01\x02"), DatasetNotFound, "(it is of an unknown kind)"),
        (write(b"some words"), DatasetNotFound, "(it is text)"),
        (write(b"\x1f\x8b rest"), DatasetDamaged, "do not decompress"),
        (os.mkfifo, DatasetNotFound, "is a FIFO, not a folder or a file"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), DatasetNotFound, "is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), DatasetNotFound, "is a device"),
        (lambda path: path.symlink_to(path), DatasetDamaged, "cannot be read: Too many levels of symbolic links"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_anything_else_gets_one_sentence(
    make: Callable[[Path], object], kind: type[ImgstoreError], reason: str
) -> None:
    with tempfile.TemporaryDirectory() as short:  # the address of a socket has 107 bytes at most
        path = Path(short, "it")
        make(path)
        with pytest.raises(kind) as refused:
            open_dataset(path)
    sentence = str(refused.value)
    assert reason in sentence
    assert str(path) in sentence
    assert re.fullmatch(r"[^\n]*\.", sentence)


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000, "~nobody-of-this-name/x", "/etc/passwd/x"])
def test_impossible_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError if len(path) < 5 else (DatasetNotFound, DatasetDamaged)):
        open_dataset(path)


@pytest.mark.parametrize(
    "paste", ["'{}'", '"{}"', "{} ", "file://{}", "  '{}' ", "backslash"]
)  # fmt: skip
def test_path_dropped_on_a_terminal_is_understood(tmp_path: Path, paste: str) -> None:
    folder = tmp_path / "my data"
    folder.mkdir()
    path = paste.format(str(folder).replace(" ", "%20") if "file" in paste else folder)
    assert absolute_path(str(folder).replace(" ", "\\ ") if paste == "backslash" else path) == folder


def test_path_that_exists_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "'x' ").mkdir()
    assert absolute_path(f"{tmp_path}/'x' ") == tmp_path / "'x' "


def test_single_batch_suggests_its_folder(cifar10_folder: Path) -> None:
    with pytest.raises(DatasetNotFound, match=rf"name the folder {cifar10_folder} instead\."):
        open_dataset(cifar10_folder / "data_batch_1")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; nobody may not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("closed", [".", "data_batch_3"])
def test_unreadable_file_is_not_allowed(cifar10_folder: Path, closed: str) -> None:
    with tempfile.TemporaryDirectory() as outside:  # pytest's own folders are closed to nobody
        Path(outside).chmod(0o755)
        folder = Path(shutil.copytree(cifar10_folder, Path(outside, "cifar-10-batches-py")))
        folder.chmod(0o755)
        with as_nobody():
            assert open_dataset(folder).count == 200
        (folder / closed).chmod(0)
        with as_nobody(), pytest.raises(NotAllowed, match="must not be read: allow it with chmod") as refused:
            open_dataset(folder)
        folder.chmod(0o755)
    assert str(folder / closed) in str(refused.value)


def test_reading_of_a_dataset_that_needs_none_is_refused(cifar10_folder: Path) -> None:
    for path in ("sample", cifar10_folder):
        with pytest.raises(
            UsageError, match="has labels and splits of its own: leave out --root, --layout and --labels"
        ):
            open_dataset(path, how=Reading(layout="flat"))
