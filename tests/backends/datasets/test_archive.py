"""Archives that are truncated, damaged, hostile, or of something else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.datasets import open_dataset
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError
from tests.backends.datasets import pickles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def packed(cifar10_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pickles.pack(cifar10_folder, tmp_path_factory.mktemp("packed") / "cifar-10-python.tar.gz")


def member(name: str, content: bytes = b"", **fields: object) -> bytes:
    """One header and its padded content; ``fields`` of TarInfo."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ImgstoreError) as refused:
        open_dataset(path)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert isinstance(refused.value, DatasetDamaged | DatasetNotFound)
    return sentence


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_archive_is_refused(packed: Path, tmp_path: Path, share: float, gzipped: bool) -> None:
    content = packed.read_bytes() if gzipped else gzip.decompress(packed.read_bytes()).rstrip(b"\0")
    assert "is truncated" in refusal(tmp_path / "cut.tar.gz", content[: int(len(content) * share)])


def test_flipped_bit_fails_the_checksum(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    for at in np.random.default_rng(0).integers(100, len(content), 20):
        content[at] ^= 1
        refusal(tmp_path / "flipped.tar.gz", bytes(content))
        content[at] ^= 1


def test_archive_changed_while_open_is_refused(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / packed.name
    shutil.copy(packed, path)
    content = bytearray(path.read_bytes())
    with open_dataset(path) as dataset:
        content[1000:-1000] = np.random.default_rng(0).bytes(len(content) - 2000)
        path.write_bytes(content)
        with pytest.raises(DatasetDamaged, match=str(path)):
            dataset.read(np.arange(200))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (member("d/data_batch_1", size=10 << 30), "has a data_batch_1 of 10,737,418,240 bytes"),
        (member("d/data_batch_1", size=300 << 20), "data_batch_1 of 314,572,800 bytes"),
        (member("d/data_batch_1", size=-5), "no tar header at byte 0"),
        (member("d/batches.meta", b"x") + member("e/batches.meta", b"x"), "found text"),
        (member("../data_batch_1", b"x") + bytes(1024), "holds no pictures (it has nothing)"),
        (member("/d/data_batch_1", b"x") + bytes(1024), "is not a CIFAR batch (found text)"),
        (member("a/b/c/data_batch_1", b"x") + bytes(1024), "holds no pictures (it has a/b/c/data_batch_1)"),
        (
            member("d/data_batch_1", type=tarfile.SYMTYPE, linkname="/etc/passwd") + bytes(1024),
            "holds no pictures (it has nothing)",
        ),
        (
            member("d/data_batch_1", type=tarfile.LNKTYPE, linkname="/etc/passwd") + bytes(1024),
            "holds no pictures (it has nothing)",
        ),
        (member("d/data_batch_1", type=tarfile.FIFOTYPE) + bytes(1024), "holds no pictures (it has nothing)"),
        (member("d/data_batch_1", type=tarfile.GNUTYPE_SPARSE) + bytes(1024), "holds no pictures (it has nothing)"),
        (member("a\x1b]0;x") + bytes(1024), "(it has a\\x1b]0;x)"),
        (member("cat.png", b"x") + b"x" * 512, "no tar header at byte 1,024"),
        (b"\x89PNG\r\n\x1a\n" + bytes(600), "is a PNG picture, not an archive"),
        (b"", "is truncated"),
        (bytes(4 << 20), "holds no pictures (it has nothing)"),
    ],
)
def test_foreign_or_hostile_archive_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(tmp_path / "x.tar.gz", gzip.compress(content, 1))


def test_same_file_twice_is_refused(tmp_path: Path) -> None:
    meta = pickles.meta("label_names", "0123456789")
    content = member("a/batches.meta", meta) + member("b/batches.meta", meta) + bytes(1024)
    assert "has batches.meta twice" in refusal(tmp_path / "x.tar", content)


def test_bomb_behind_the_end_is_refused_and_garbage_ignored(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    zeros = gzip.compress(bytes(64 << 20))
    assert len(zeros) < 1 << 17
    assert "more data behind its end" in refusal(path, packed.read_bytes() + zeros)
    path.write_bytes(packed.read_bytes() + bytes(512))
    assert open_dataset(path).count == 200


LIMITED: dict[str, tuple[str, str, bytes]] = {
    "files": ("MEMBERS", "has more than 3 files", b"".join(member(f"{n}.txt", b"x") for n in range(4))),
    "files of CIFAR": (
        "CIFAR_MEMBERS",
        "has more than 3 files",
        b"".join(member(f"{name}", b"x") for name in "abc") + member("x/batches.meta", b"x"),
    ),
    "name": ("NAME_BYTES", "has more than 3 B", member("pictures/1.txt", b"x")),
    "GNU name": ("HEADER_BYTES", "a header in it has more than 3 B", member("@LongLink", b"name", type=b"L")),
    "pax fields": ("HEADER_BYTES", "a header in it has more than 3 B", member("x", b"11 path=ab\n", type=b"x")),
}


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("limited", [True, False])
def test_archive_beyond_a_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limited: bool
) -> None:
    limit, reason, content = LIMITED[name]
    if limited:
        monkeypatch.setenv(f"IMGSTORE_MAX_{limit}", "3")
    sentence = refusal(tmp_path / "x.tar", content + bytes(1024))
    assert (reason in sentence) == limited


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_UNPACKED_BYTES", "1M")
    assert "unpacks to more than 1.00 MiB" in refusal(tmp_path / "x.tar", pack(bytes(2 << 20)))


def test_ten_megabytes_of_empty_gzip_members_take_seconds(tmp_path: Path) -> None:
    empty, begin = gzip.compress(b""), time.process_time()
    assert "truncated" in refusal(tmp_path / "x.tar.gz", empty * ((10 << 20) // len(empty)))
    assert time.process_time() - begin < 8
