"""CIFAR-10 and CIFAR-100 in folders and archives."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backends.datasets import open_dataset
from backends.datasets.cifar import CIFAR10, read_batch
from backends.errors import DatasetDamaged, UsageError
from backends.images import Images
from backends.testing.subject import assert_same
from tests.backends.datasets import pickles


def part(images: Images, start: int, stop: int) -> Images:
    return Images(images.pixels[start:stop], images.labels[start:stop])


@pytest.fixture
def folder(cifar10_folder: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(cifar10_folder, tmp_path / "cifar-10-batches-py"))


@pytest.fixture(scope="module")
def cifar100_folder(tmp_path_factory: pytest.TempPathFactory, sample_images: Images) -> Path:
    folder = tmp_path_factory.mktemp("data") / "cifar-100-python"
    folder.mkdir()
    for name, images in (("train", part(sample_images, 0, 100)), ("test", part(sample_images, 100, 120))):
        fine = Images(images.pixels, images.labels * 10 + 9)
        coarse = {"coarse_labels": pickles.items(map(pickles.integer, images.labels.tolist()))}
        (folder / name).write_bytes(pickles.batch(fine, "fine_labels", coarse))
    (folder / "meta").write_bytes(pickles.meta("fine_label_names", [f"kind {number}" for number in range(100)]))
    return folder


@pytest.mark.parametrize(("split", "start", "stop"), [(None, 0, 200), ("train", 0, 200), ("test", 200, 240)])
def test_split_has_its_images_and_facts(
    cifar10_folder: Path, sample_images: Images, split: str | None, start: int, stop: int
) -> None:
    with open_dataset(cifar10_folder, split) as dataset:
        expected = part(sample_images, start, stop)
        read = dataset.read(np.arange(dataset.count))
        assert_same(read, expected)
        assert np.asarray(read.pixels).flags.c_contiguous
        facts = dataset.facts()
    assert (facts.kind, facts.split, facts.splits) == ("CIFAR-10", split or "train", {"train": 200, "test": 40})
    assert (facts.path, facts.source) == (str(cifar10_folder), str(cifar10_folder))
    assert (facts.count, facts.raw_bytes, facts.image_shape) == (stop - start, (stop - start) * 3072, (32, 32, 3))
    assert facts.classes == open_dataset("sample").classes
    assert facts.class_counts == tuple(np.bincount(expected.labels, minlength=10))


def test_images_have_the_names_of_their_files(cifar10_folder: Path, cifar100_folder: Path) -> None:
    for folder, each in ((cifar10_folder, 40), (cifar100_folder, 100)):
        with open_dataset(folder) as dataset:
            for id_ in (0, 1, each - 1, dataset.count - 1):
                assert dataset.name(id_) == f"picture_s_{id_ % each:06}.png"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([pickles.string("a.png"), pickles.string("b.png")], ["a.png", "b.png"]),
        ([b"U\x02\xe9\xff", pickles.string("x" * 255)], ["\udce9\udcff", "x" * 255]),
        ([b"X\x03\0\0\0\xed\xa0\x80", b"X\x02\0\0\0\xc3\xa9"], ["?", "é"]),
        ([pickles.integer(1), b"T\0\1\0\0" + b"x" * 256], ["", ""]),
        ([pickles.string("a.png")], ["", ""]),
    ],
    ids=["names", "bytes", "text", "no names", "too few"],
)
def test_names_in_a_batch_are_text_or_empty(sample_images: Images, names: list[bytes], found: list[str]) -> None:
    data = pickles.batch(part(sample_images, 0, 2), replaced={"filenames": pickles.items(names)})
    assert read_batch(data, CIFAR10)[2] == found
    assert [os.fsdecode(os.fsencode(name)) for name in found] == found


def test_cifar_100_has_fine_labels(cifar100_folder: Path, sample_images: Images) -> None:
    dataset = open_dataset(cifar100_folder)
    expected = part(sample_images, 0, 100)
    assert_same(dataset.read(np.arange(100)), Images(expected.pixels, expected.labels * 10 + 9))
    assert (dataset.facts().kind, dataset.facts().splits) == ("CIFAR-100", {"train": 100, "test": 20})
    assert dataset.classes[19] == "kind 19"


@pytest.mark.parametrize("packed", [False, True])
def test_ids_are_read_in_the_order_asked_for(
    cifar10_folder: Path, sample_images: Images, tmp_path: Path, packed: bool
) -> None:
    ids = np.array([199, 0, 40, 39, 40, 120, 0])
    with open_dataset(pickles.pack(cifar10_folder, tmp_path / "c.tar.gz") if packed else cifar10_folder) as dataset:
        for wanted in (ids, ids[::-1], ids[:0]):
            assert_same(dataset.read(wanted), sample_images, wanted)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", "several.tar.gz"])
@pytest.mark.parametrize("edition", ["cifar10_folder", "cifar100_folder"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_archive_equals_its_folder_and_extracts_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, ending: str, edition: str, form: int
) -> None:
    folder: Path = request.getfixturevalue(edition)
    path = pickles.pack(folder, tmp_path / f"any name{ending}", form)
    if ending.startswith("several"):  # gzip streams in a row, as parallel compressors write them
        plain = gzip.decompress(path.read_bytes())
        path.write_bytes(b"".join(gzip.compress(plain[at : at + 100_000]) for at in range(0, len(plain), 100_000)))
    for split in ("train", "test"):
        with open_dataset(folder, split) as unpacked, open_dataset(path, split) as packed:
            everything = np.arange(unpacked.count)
            assert_same(packed.read(everything), unpacked.read(everything))
            assert packed.facts().fingerprint == unpacked.facts().fingerprint
            assert packed.facts().splits == unpacked.facts().splits
    assert list(tmp_path.iterdir()) == [path]


def test_changed_pixel_changes_the_fingerprint(folder: Path, cifar10_folder: Path, sample_images: Images) -> None:
    before = open_dataset(folder).facts().fingerprint
    assert before == open_dataset(cifar10_folder).facts().fingerprint
    changed = np.array(part(sample_images, 0, 40).pixels)
    changed[7, 3, 2, 1] ^= 1
    (folder / "data_batch_1").write_bytes(pickles.batch(Images(changed, sample_images.labels[:40])))
    assert open_dataset(folder).facts().fingerprint != before
    assert open_dataset(folder, "test").facts().fingerprint != before


@pytest.mark.parametrize(
    ("missing", "split"),
    [(["data_batch_3", "data_batch_5"], None), (["batches.meta"], None), (["test_batch"], "test")],
)
def test_missing_files_are_named_and_other_split_opens(folder: Path, missing: list[str], split: str | None) -> None:
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(DatasetDamaged, match=f"lacks {', '.join(missing)}: get CIFAR-10 again from https"):
        open_dataset(folder, split)
    if split:
        assert open_dataset(folder).facts().splits == {"train": 200}
    with pytest.raises(UsageError, match=r"has no split 'validation': choose of train, test\."):
        open_dataset(folder, "validation")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("data_batch_2", b"", "data_batch_2 is empty"),
        ("data_batch_2", b"\x89PNG\r\n\x1a\n" + bytes(99), r"is not a CIFAR batch \(found a PNG picture\)"),
        ("test_batch", b"<html>404</html>", r"found text"),
        ("test_batch", b"\x80\x02cos\nsystem\n.", "asks for os.system, which no CIFAR batch needs"),
        ("batches.meta", pickles.meta("label_names", ["cat"]), "it has no 10 names in label_names"),
        ("batches.meta", pickles.dictionary({"label_names": b"](" + b"N" * 10 + b"e"}), "a class has no name"),
        ("batches.meta", b"\x80\x02].", "a pickled list, not a dictionary"),
    ],
)
def test_foreign_file_is_named_with_its_kind(folder: Path, name: str, content: bytes, sentence: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetDamaged, match=sentence) as refused:
        open_dataset(folder)
    assert str(folder / name) in str(refused.value)
    assert str(refused.value).endswith("; get CIFAR-10 again from https://www.cs.toronto.edu/~kriz/cifar.html.")
    os.truncate(folder / name, 1 << 40)
    with pytest.raises(DatasetDamaged, match="more than 256 MiB"):
        open_dataset(folder)


def replace_by_fifo(path: Path) -> None:
    """Opening it without care waits for a writer."""
    path.unlink()
    os.mkfifo(path)


CHANGES: dict[str, Callable[[Path, Images], object]] = {
    "other images": lambda path, images: path.write_bytes(pickles.batch(part(images, 200, 240))),
    "fewer images": lambda path, images: path.write_bytes(pickles.batch(part(images, 40, 79))),
    "gone": lambda path, _: path.unlink(),
    "fifo": lambda path, _: replace_by_fifo(path),
    "truncated": lambda path, _: path.write_bytes(path.read_bytes()[:-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_batch_changed_while_open_is_refused(folder: Path, sample_images: Images, change: str) -> None:
    dataset = open_dataset(folder)
    dataset.read(np.arange(40))
    CHANGES[change](folder / "data_batch_2", sample_images)
    with pytest.raises(DatasetDamaged, match="data_batch_2"):
        dataset.read(np.arange(40, 41))
