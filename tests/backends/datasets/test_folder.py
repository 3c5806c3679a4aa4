"""Picture folders: which files they list, in which classes and order, and what these decode to."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backends.codecs.pictures import FORMATS, PIXEL_BYTES, decode_picture
from backends.datasets import open_dataset, tree
from backends.datasets import pictures as pictures_module
from backends.datasets.base import AS_FOUND, Reading
from backends.datasets.folder import PictureFolder
from backends.errors import Cancelled, DatasetDamaged, DatasetNotFound, UnclearLayout, UsageError
from backends.images import Images, Layout
from tests.backends.datasets.test_cifar import replace_by_fifo
from tests.backends.encoded import encoded

PICTURE = encoded(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def plant(root: Path, *names: str, content: bytes = PICTURE) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def opened(root: Path, split: str | None = None, how: Reading = AS_FOUND) -> PictureFolder:
    dataset = open_dataset(root, split, how=how)
    assert isinstance(dataset, PictureFolder)
    return dataset


def listed(root: Path, split: str | None = None, how: Reading = AS_FOUND) -> list[tuple[str, int]]:
    dataset = opened(root, split, how)
    return [(dataset.name(id_), int(dataset.labels[id_])) for id_ in range(dataset.count)]


def image_folder(root: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """The rule of torchvision's ImageFolder, written out."""
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    samples = [
        (os.path.relpath(f"{folder}/{file}", root), label)
        for label, name in enumerate(classes)
        for folder, _, files in sorted(os.walk(f"{root}/{name}", followlinks=True))
        for file in sorted(files)
        if file.lower().endswith((".jpg", ".jpeg", ".png", ".bmp", ".webp"))
    ]
    return classes, samples


@pytest.mark.parametrize("packed", [1, 4, 10_000])
def test_classes_and_order_are_those_of_image_folder(
    tmp_path: Path, packed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_PACKED", packed)
    names = ("b", "a-b", "a", "a/z", "B", "10", "9", "ä", "a b", "a/z/z", "a/z-", "\U0001f600", "\udcff", "\ue000")
    for folder in names:
        plant(tmp_path, *(f"{folder}/{name}" for name in ("2.png", "10.PNG", "1.JPEG", "é.png", "e.png", "A.bmp")))
    plant(tmp_path, "a/notes.txt", "9/list.csv", content=b"words")
    classes, samples = image_folder(tmp_path)
    assert (list(opened(tmp_path).classes), listed(tmp_path)) == (classes, samples)
    assert len(samples) == 6 * len(names)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.png", "b.JPG"), {"all": 2}),
        (("cat/a.png", "dog/b.png", "cat/deep/c.png"), {"all": 3}),
        (("val/cat/a.png", "train/cat/b.png", "train/cat/c.png", "test/d.png"), {"train": 2, "val": 1, "test": 1}),
        (("validation/a.png", "valid/b.png"), {"valid": 1, "validation": 1}),
        (("Train/a/1.png", "seg_test/x/y/b.png", "val2017/c.png"), {"Train": 1, "val2017": 1, "seg_test": 1}),
        (("train/labels.csv", "test/a.png"), {"test": 1}),
    ],
)
def test_top_folders_with_names_of_splits_are_splits(
    tmp_path: Path, names: tuple[str, ...], expected: dict[str, int]
) -> None:
    plant(tmp_path, *names)
    (tmp_path / names[0]).write_bytes(PICTURE if not names[0].endswith("csv") else b"label")
    facts = opened(tmp_path).facts()
    assert (facts.split, facts.splits, facts.count) == (next(iter(expected)), expected, next(iter(expected.values())))
    for split, count in expected.items():
        assert opened(tmp_path, split).count == count
    with pytest.raises(UsageError, match=rf"has no split 'nope': choose of {', '.join(expected)}\."):
        open_dataset(tmp_path, "nope")


def test_facts_count_classes_bytes_and_skipped_files(tmp_path: Path) -> None:
    plant(tmp_path, "flat/b.png", "flat/a.png")
    plant(tmp_path, "flat/words/readme.txt", content=b"words")
    assert listed(tmp_path / "flat") == [("a.png", -1), ("b.png", -1)]
    flat = opened(tmp_path / "flat")
    assert (flat.classes, flat.facts().class_counts, flat.read(np.arange(2)).labels.tolist()) == ((), (), [-1, -1])
    shutil.rmtree(tmp_path / "flat")
    plant(tmp_path, "train/cat/a.png", "train/cat/b.png", "train/dog/c.png", "train/beside.png")
    plant(tmp_path, "docs/d.txt", "train/docs/d.txt", content=b"words")
    (tmp_path / "train" / "bird").mkdir()
    facts = opened(tmp_path).facts()
    assert (facts.kind, facts.classes, facts.class_counts) == ("picture folder", ("bird", "cat", "dog"), (0, 2, 1))
    assert (facts.source, facts.source_bytes) == (str(tmp_path / "train"), 3 * len(PICTURE))
    assert (facts.image_shape, facts.raw_bytes) == (None, None)
    assert facts.notes == (
        "Classes without pictures: bird.",
        "Left out: files of other kinds (2, first docs/d.txt), "
        "pictures beside the classes (--layout flat reads all) (1, first train/beside.png).",
    )
    assert (facts.left_out, len(list(opened(tmp_path).skipped()))) == (3, 3)


NAMES = ("new\nline", "\x1b]52;c;x\x07", "\udcff\udc80", "[@click=app.quit]x[]", "-rf", "e\u0301", "é" * 120)


@pytest.mark.parametrize("name", NAMES)
def test_picture_of_any_name_decodes(tmp_path: Path, name: str) -> None:
    dataset = opened(plant(tmp_path, f"{name}/{name}.png", "\U0010ffff/1.png"))
    assert (dataset.name(0), dataset.classes) == (f"{name}/{name}.png", (name, "\U0010ffff"))
    layout = Layout(1, "png", None, dataset.classes)
    assert Layout.from_json(layout.to_json().encode()) == layout
    assert len(dataset.read(np.array([0]))) == 1


def test_links_are_followed_and_counted(tmp_path: Path) -> None:
    elsewhere = plant(tmp_path / "elsewhere", "x.png", "y.png")
    root = plant(tmp_path / "it", "a/1.png")
    (root / "a" / "2.png").symlink_to(elsewhere / "x.png")
    (root / "b").symlink_to(elsewhere)
    assert listed(root) == [("a/1.png", 0), ("a/2.png", 0), ("b/x.png", 1), ("b/y.png", 1)]
    assert opened(root).facts().notes == ("Followed: links to files (1), links to folders (1).",)
    assert len(opened(root).read(np.arange(4))) == 4


def test_circular_links_are_followed_once(tmp_path: Path) -> None:
    plant(tmp_path, "a/1.png", "a/deep/2.png", "b/3.png")
    for link, target in (("a/up", ".."), ("a/deep/self", "."), ("b/other", "../a")):
        (tmp_path / link).symlink_to(target)
    assert len(list(islice(os.walk(tmp_path / "a", followlinks=True), 500))) == 500, "without care there is no end"
    files = ["a/1.png", "a/deep/2.png", "b/3.png", "b/other/1.png", "b/other/deep/2.png"]
    assert [name for name, _ in listed(tmp_path)] == files
    assert "folders that links lead to again (4, first " in opened(tmp_path).facts().notes[1]


def test_special_and_hidden_files_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/1.png", "a/.hidden.png", ".thumbnails/1.png")
    monkeypatch.chdir(tmp_path)  # the address of a socket has 107 bytes at most
    os.mkfifo("a/2.png")
    os.mkfifo("a/no suffix")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a/3.png")
    Path("a/4.png").symlink_to("nowhere")
    Path("a/5.png").symlink_to("5.png")
    Path("a/6.png").symlink_to("/dev/zero")
    dataset = opened(tmp_path)
    assert dataset.count == 1
    reasons = [why for _, why in dataset.skipped()]
    assert {why: reasons.count(why) for why in reasons} == {
        "hidden and system files": 2, "links that lead nowhere": 2, "special files": 4
    }  # fmt: skip


def test_pictures_without_known_suffix_are_all_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "INSPECTED", 3)
    names = [f"{number}{suffix}" for number in range(9) for suffix in ("", ".odd", ".jfif")]
    plant(tmp_path, *names)
    plant(tmp_path, *(f"{number}.txt" for number in range(9)), content=b"words")
    dataset = opened(tmp_path)
    assert sorted(dataset.name(id_) for id_ in range(dataset.count)) == sorted(names)
    assert dataset.facts().notes[0] == "Of 9 files that end in .txt 3 were opened, and none is a picture."
    assert "files of other kinds (9, first " in dataset.facts().notes[1]


def test_picture_with_wrong_suffix_decodes(tmp_path: Path, sample_images: Images) -> None:
    pixels = sample_images.pixels[0]
    for name, form in (("png named.jpg", "PNG"), ("webp named.PNG", "WEBP"), ("bmp", "BMP")):
        plant(tmp_path, name, content=encoded(pixels, form, **({"lossless": True} if form == "WEBP" else {})))
    images = opened(tmp_path).read(np.arange(3))
    assert all(np.array_equal(image, pixels) for image in images.pixels)


@pytest.fixture
def mixed(tmp_path: Path, sample_images: Images) -> Path:
    """30 pictures of two sizes in two classes: 6 with a palette, 3 turned by EXIF; one more is words."""
    for number in range(30):
        image = Image.fromarray(sample_images.pixels[number])
        image = image.crop((0, 0, 32, 20)) if number % 2 else image
        image = image.convert("P") if number % 5 == 0 else image
        data = encoded(image, orientation=6 if number % 10 == 1 else 0)
        plant(tmp_path / "it", f"{'ab'[number % 2]}/{number:02}.png", content=data)
    return plant(tmp_path / "it", "b/words.jpg", content=b"words")


def test_survey_of_all_headers_is_exact(mixed: Path) -> None:
    dataset = opened(mixed)
    facts = dataset.survey()
    assert (facts.image_shape, facts.raw_bytes, facts.estimated) == (None, 15 * 3 * 32 * (32 + 20), False)
    assert facts.notes == (
        "9 of 31 looked at are converted: 6 palette, 3 EXIF orientation.",
        f"1 of 31 looked at do not decode, first b/words.jpg: it is no {FORMATS} picture.",
    )
    assert dataset.survey() is facts
    assert (facts.count, facts.images, facts.sampled, facts.undecodable) == (31, 30, 31, 1)
    pixels = dataset.decode(np.arange(31)).images.pixels
    assert sum(image.nbytes for image in pixels) == facts.raw_bytes
    shutil.rmtree(mixed / "b")
    assert opened(mixed).survey().image_shape == (32, 32, 3)


def test_survey_of_many_draws_the_same_headers(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures_module, "PROBED", 10)
    first = opened(mixed).survey()
    assert first == opened(mixed).survey()
    assert "of 10 looked at" in first.notes[0]
    assert first.estimated
    assert 31 * 3 * 32 * 20 < (first.raw_bytes or 0) < 31 * 3 * 32 * 32, "of both sizes, so not the first ten only"


CHANGES: dict[str, Callable[[Path], object]] = {
    "name": lambda root: (root / "a" / "00.png").rename(root / "a" / "00.PNG"),
    "class": lambda root: (root / "a" / "00.png").rename(root / "b" / "00.png"),
    "removed": lambda root: (root / "a" / "00.png").unlink(),
    "content": lambda root: (root / "a" / "00.png").write_bytes(PICTURE),
    "class name": lambda root: (root / "a").rename(root / "c"),
    "new class": lambda root: (root / "c").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_equal_folders_only_share_a_fingerprint(mixed: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(mixed, tmp_path / "splits" / "train")
    fingerprint = opened(mixed).facts().fingerprint
    assert opened(tmp_path / "splits").facts().fingerprint == fingerprint
    assert opened(tmp_path / "splits" / "train").facts().fingerprint == fingerprint
    CHANGES[change](mixed)
    assert opened(mixed).facts().fingerprint != fingerprint


@pytest.mark.parametrize("threaded_bytes", [0, 1 << 30])
def test_decode_gives_pictures_and_bytes_in_order(
    mixed: Path, threaded_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures_module, "THREADED_BYTES", threaded_bytes)
    dataset = opened(mixed)
    ids = np.array([29, 0, 15, 0, 3])
    decoded = dataset.decode(ids, source=True)
    assert decoded.ids.tolist() == ids.tolist()
    assert decoded.images.labels.tolist() == dataset.labels[ids].tolist() == [1, 0, 1, 0, 0]
    assert decoded.source is not None
    for position, id_ in enumerate(ids.tolist()):
        data = (mixed / dataset.name(id_)).read_bytes()
        assert decoded.source.record(position).tobytes() == data
        np.testing.assert_array_equal(decoded.images.pixels[position], dataset.read(np.array([id_])).pixels[0])
    nothing = dataset.decode(ids[:0], source=True)
    assert nothing.source is not None
    assert len(nothing.source) == len(nothing.images) == 0


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (replace_by_fifo, "2.png is a FIFO, not a file"),
        (lambda path: path.write_bytes(PICTURE[:-50]), "it is damaged ("),
        (lambda path: path.write_bytes(b""), "it is empty"),
        (lambda path: path.write_bytes(b"<html>404</html>"), f"it is no {FORMATS} picture"),
        (lambda path: os.truncate(path, 300 << 20), "it has more than 256 MiB"),
        (Path.unlink, "it is gone since the dataset was opened"),
        (lambda path: path.write_bytes(PICTURE + b"more"), "it has changed since the dataset was opened"),
    ],
)
def test_picture_that_does_not_decode_is_a_failure(tmp_path: Path, harm: Callable[[Path], object], why: str) -> None:
    plant(tmp_path, "a/1.png", "a/2.png", "a/3.png", "b/4.png")
    before = opened(tmp_path)
    harm(tmp_path / "a" / "2.png")
    dataset = before if "since" in why or "FIFO" in why else opened(tmp_path)
    decoded = dataset.decode(np.array([2, 1, 0]), source=True)
    assert decoded.ids.tolist() == [2, 0]
    assert decoded.source is not None
    assert len(decoded.source) == len(decoded.images) == 2
    assert [(failure.id, failure.name) for failure in decoded.failures] == [(1, "a/2.png")]
    assert why in decoded.failures[0].why
    with pytest.raises(DatasetDamaged, match=r"/a/2\.png does not decode \(.*\): replace or remove it\.$"):
        dataset.read(np.arange(3))


def test_batch_ends_where_its_pixels_exceed_the_memory(tmp_path: Path) -> None:
    large = encoded(np.zeros((4000, 4000), np.uint8))
    plant(tmp_path, *(f"{number}.png" for number in range(4)), content=large)
    plant(tmp_path, "4.png")
    dataset, ids, found = opened(tmp_path), np.arange(5), []
    while len(ids):
        decoded = dataset.decode(ids, memory=PIXEL_BYTES * 4000 * 4000)
        found.append(decoded.ids.tolist())
        ids = ids[len(decoded.ids) :]
    assert found == [[0], [1], [2], [3], [4]]
    too_large = dataset.decode(np.arange(5), memory=PIXEL_BYTES * 4000 * 4000 - 1)
    assert (too_large.ids.tolist(), len(too_large.failures)) == ([4], 4)
    assert "it has 4,000 x 4,000 pixels by its header" in too_large.failures[0].why


def test_warnings_of_pillow_are_not_shown(tmp_path: Path) -> None:
    cmyk = Image.new("CMYK", (8, 8))
    data = encoded(cmyk, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01")
    dataset = opened(plant(tmp_path, "1.jpg", content=data))
    assert len(dataset.read(np.array([0]))) == 1
    assert dataset.survey().raw_bytes == 8 * 8 * 3
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        decode_picture(data)


def test_listing_counts_pictures_and_can_be_stopped(tmp_path: Path) -> None:
    plant(tmp_path, "a/1.png", "b/2.png")
    found: list[int] = []

    def poll(number: int) -> bool:
        found.append(number)
        return number == 1

    with pytest.raises(Cancelled, match=f"{tmp_path} was not opened: it was stopped"):
        open_dataset(tmp_path, poll=poll)
    assert (set(found), found[-1], found.count(1)) == ({0, 1}, 1, 1)


@pytest.mark.parametrize("name", ["1.png", "a/1.WEBP", "train/a/1.jpe", "a/b/c/d/no suffix"])
@pytest.mark.parametrize("folder", ["", "__MACOSX/", ".git/", ".hidden"])
def test_pictures_are_found_in_folders_that_are_no_system_s(tmp_path: Path, folder: str, name: str) -> None:
    plant(tmp_path, folder + name)
    if not folder:
        assert opened(tmp_path).count == 1
        return
    with pytest.raises(DatasetNotFound, match="holds no known dataset"):
        open_dataset(tmp_path)


LAYOUTS: dict[str, tuple[tuple[str, ...], str, dict[str, int], tuple[str, ...]]] = {
    "class named train": (("bus/1.png", "train/1.png"), "", {"all": 2}, ("bus", "train")),
    "class named valid": (("invalid/1.png", "valid/1.png"), "", {"all": 2}, ("invalid", "valid")),
    "wrapped classes": (("archive/Pet/Cat/1.png", "archive/Pet/Dog/1.png"), "", {"all": 2}, ("Cat", "Dog")),
    "wrapped twice": (("d/train/train/a/1.png", "d/train/train/b/1.png", "d/test/c/1.png"), "",
        {"train": 2, "test": 1}, ("a", "b")),
    "lists beside": (("images/a/1.png", "images/b/1.png", "lists/x.txt"), "", {"all": 2}, ("a", "b")),
    "flat in a wrapper": (("x/1.png", "x/2.png"), "", {"all": 2}, ()),
    "classes named like masks": (("with_mask/w1.png", "without_mask/x1.png", "badly/b1.png"), "", {"all": 3},
        ("badly", "with_mask", "without_mask")),
    "letters": (("d/a/bar/1.png", "d/a/attic/1.png", "d/b/bay/1.png"), "", {"all": 3}, ("attic", "bar", "bay")),
    "deep classes": (("a/x/1.png", "a/y/1.png", "c/z/1.png", "bc/1/2.png"), "", {"all": 4}, ("a", "bc", "c")),
    "one class": (("x/1.png", "x/2.png"), "classes", {"all": 2}, ("x",)),
    "asked flat": (("a/1.png", "b/c/1.png", "2.png"), "flat", {"all": 3}, ()),
    "asked splits": (("old/a/1.png", "old/b/1.png", "new/a/1.png"), "splits", {"new": 1, "old": 2}, ()),
    "asked classes": (("train/a/1.png", "test/a/1.png"), "classes", {"all": 2}, ("test", "train")),
    "few in folders": (("1.png", "2.png", "small/1.png"), "", {"all": 3}, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYOUTS)
def test_folders_are_splits_or_classes_or_wrappers(tmp_path: Path, case: str) -> None:
    names, layout, splits, classes = LAYOUTS[case]
    plant(tmp_path, *(name for name in names if name.endswith("png")))
    plant(tmp_path, *(name for name in names if name.endswith("txt")), content=b"words")
    facts = opened(tmp_path, how=Reading(layout=layout)).facts()
    assert (facts.splits, facts.classes) == (splits, classes)


@pytest.mark.parametrize("packed", [False, True])
def test_other_splits_are_known_without_listing_again(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "d"
    plant(folder, "test/b/1.png", "test/c/2.png", "test/beside.png", "train/b/3.png", "val/4.png")
    plant(folder, "train/x.txt", content=b"words")
    path = Path(shutil.make_archive(str(tmp_path / "x"), "tar", folder)) if packed else folder
    with open_dataset(path) as dataset:
        alone = {name: open_dataset(path, name).facts() for name in dataset.facts().splits}
        path.rename(tmp_path / "gone")
        others = {name: dataset.of_split(name) for name in ("test", "val")}
        for name, other in [("train", dataset), *others.items()]:
            assert other is not None
            assert other.facts() == alone[name]
            assert other.name(0)[-5:] == {"train": "3.png", "test": "1.png", "val": "4.png"}[name]
        assert not any("beside" in why for _, why in dataset.skipped())


def test_masks_beside_photos_are_asked_about(tmp_path: Path) -> None:
    plant(tmp_path, "d/images/1.png", "d/images/2.png", "d/masks/1.png")
    with pytest.raises(
        UnclearLayout, match=r"\(d/images/ 2 pictures, d/masks/ 1 pictures\): choose --root d/i"
    ) as found:
        open_dataset(tmp_path)
    assert found.value.choices == {"d/images": 2, "d/masks": 1}
    for how, count in ((Reading("d/images"), 2), (Reading(layout="flat"), 3), (Reading("d", "splits"), 2)):
        assert opened(tmp_path, how=how).count == count
    with pytest.raises(UsageError, match="has no folder 'd/x' for --root: in d there are images, masks"):
        open_dataset(tmp_path, how=Reading(root="d/x"))
    with pytest.raises(UsageError, match="'tree' is no layout"):
        open_dataset(tmp_path, how=Reading(layout="tree"))


LABELS = {
    "metadata.jsonl": '{"file_name": "1.png", "label": "x"}\n{"file_name": "sub/3.png", "label": "a"}\n',
    "metadata.csv": "file_name,label\n1.png,x\nsub/3.png,a\n",
    "mine.csv": "1,x\n3.png,a\n",
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_come_from_a_file(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "1.png", "2.png", "sub/3.png")
    (tmp_path / name).write_text(LABELS[name])
    how = Reading(labels=str(tmp_path / name)) if name == "mine.csv" else AS_FOUND
    dataset = opened(tmp_path, how=how)
    assert (dataset.classes, dataset.labels.tolist()) == (("a", "x"), [1, -1, 0])
    assert f"{name} labels 2 of 3 pictures." in dataset.facts().notes


def test_unreadable_folder_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, "a/1.png", "b/2.png", "c/3.png")
    real = os.scandir

    def scandir(path: str) -> object:  # root may read everything
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [name for name, _ in listed(tmp_path)] == ["a/1.png", "c/3.png"]
    assert "folders that cannot be read: Permission denied (1, first b)" in opened(tmp_path).facts().notes[-1]
