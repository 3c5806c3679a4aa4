"""The backend tar."""

from __future__ import annotations

import io
import json
import tarfile
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
import webdataset
from PIL import Image

from backends.codecs.pictures import decode_picture
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, join_records
from backends.registry import make_backend
from backends.testing.subject import encode, layout_of, make_images, store
from tests.backends.encoded import encoded

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images

IMAGES = make_images(12)
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "WebP": "webp"}


def write(path: Path, records: Records, layout: Layout) -> Path:
    with make_backend("tar").create(path, layout) as writer:
        writer.append(records)
    return path


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("codec", ["raw", "png", "jpeg"])
def test_an_archive_is_what_the_library_writes(tmp_path: Path, codec: str, mixed: bool) -> None:
    images = make_images(12, mixed=mixed)
    images.labels[:4] = -1, 2**40, -(2**63), 0
    records = encode(images, codec)
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for index in range(12):
            content = records.record(index).tobytes()
            if codec == "raw":
                array = io.BytesIO()
                np.save(array, images.pixels[index])
                content = array.getvalue()
            suffix = {"raw": "npy", "png": "png", "jpeg": "jpg"}[codec]
            for name, data in ((suffix, content), ("cls", str(images.labels[index]).encode())):
                info = tarfile.TarInfo(f"{index:08d}.{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        end = expected.tell()
    found = write(tmp_path / "container", records, layout_of(images, codec)).read_bytes()
    assert found[:end] == expected.getvalue()[:end]
    with tarfile.open(tmp_path / "container") as archive:
        names = ["labels", *(["shapes"] if codec == "raw" and mixed else []), "offsets", "sizes"]
        files = [*(f"{name}.npy" for name in names), "layout.json", "where.json"]
        assert archive.getnames()[24:] == [f"__imgstore__/{file}" for file in files]
        labels = archive.extractfile("__imgstore__/labels.npy")
        assert labels is not None
        np.testing.assert_array_equal(np.load(io.BytesIO(labels.read())), images.labels)
        where = json.loads(found[-1_536:-1_024].rstrip(b"\0"))
        members = {name: archive.getmember(f"__imgstore__/{name}") for name in files[:-1]}
        assert where == {name: [member.offset_data, member.size] for name, member in members.items()}


def test_webdataset_reads_every_sample_of_every_format(tmp_path: Path, sample_images: Images) -> None:
    forms = [form for form in SUFFIXES for _ in range(3)]
    files = [encoded(Image.fromarray(sample_images.pixels[index]), form) for index, form in enumerate(forms)]
    archive = write(tmp_path / "container", join_records(files, np.arange(12) - 1), Layout(12, "source", (32, 32, 3)))
    samples = list(webdataset.WebDataset(str(archive), shardshuffle=False, handler=webdataset.reraise_exception))
    assert [(sample["__key__"], int(sample["cls"])) for sample in samples] == [(f"{i:08d}", i - 1) for i in range(12)]
    assert [sample[SUFFIXES[form]] for sample, form in zip(samples, forms, strict=True)] == files
    decoded = webdataset.WebDataset(str(archive), shardshuffle=False).decode("rgb8").to_tuple("jpg;png;bmp;webp", "cls")
    for (pixels, label), file, index in zip(decoded, files, range(12), strict=True):
        np.testing.assert_array_equal(pixels, decode_picture(file))
        assert label == index - 1


def test_a_record_that_is_no_picture_has_no_name_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="source keeps JPEG, PNG, BMP, WebP, "):
        write(tmp_path / "container", join_records([b"<html>"], np.zeros(1, int)), Layout(1, "source", None))
    assert list(tmp_path.iterdir()) == []


def test_no_two_samples_have_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.containers.tar._NAME_DIGITS", 1)
    with tarfile.open(write(tmp_path / "container", encode(IMAGES, "raw"), layout_of(IMAGES, "raw"))) as archive:
        assert archive.getnames()[:-5:2] == [f"{index:02d}.npy" for index in range(12)]


@pytest.mark.parametrize("change", ["cut", "cut at a member", "longer", "no end", "empty"])
def test_an_archive_that_is_not_whole_is_refused(tmp_path: Path, change: str) -> None:
    file = write(tmp_path / "container", encode(IMAGES, "raw"), layout_of(IMAGES, "raw"))
    whole = file.read_bytes()
    spoiled = {
        "cut": whole[:-512],
        "cut at a member": whole[: len(whole) // 12 * 6] + bytes(1_024),
        "longer": whole + bytes(1_024),
        "no end": whole[:-1] + b"x",
        "empty": b"",
    }
    file.write_bytes(spoiled[change])
    with pytest.raises(ContainerDamaged, match="container"):
        make_backend("tar").open(file)


@pytest.mark.parametrize(
    ("codec", "name", "row", "value"),
    [*(("png", *case) for case in product(["offsets", "sizes"], [0, 5, 11], [-1, 2**62, 0])), ("raw", "sizes", 5, 467)],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, codec: str, name: str, row: int, value: int) -> None:
    store(make_backend("tar"), tmp_path / "container", IMAGES, layout_of(IMAGES, codec))
    with tarfile.open(tmp_path / "container") as archive:
        start = archive.getmember(f"__imgstore__/{name}.npy").offset_data
    with (tmp_path / "container").open("r+b") as file:
        file.seek(start + 128 + 8 * row)
        file.write(value.to_bytes(8, "little", signed=True))
    with pytest.raises(ContainerDamaged, match=name):
        make_backend("tar").open(tmp_path / "container")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 500, '{"labels.npy": [0, Infinity]}', '{"labels.npy": [0, 9]}', '{"layout.json": [-9, 99]}'],
)
def test_a_foreign_last_member_is_refused(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "container", encode(IMAGES, "raw"), layout_of(IMAGES, "raw"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1_536] + text.encode().ljust(512, b"\0") + bytes(1_024))
    with pytest.raises(ContainerDamaged, match="container"):
        make_backend("tar").open(file)
