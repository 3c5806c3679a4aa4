"""Tests of making stores: what is in them, what is refused, how a stopped conversion goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from backends.bench.disk import Mount
from backends.datasets import open_dataset
from backends.errors import Cancelled, DatasetDamaged, ImgstoreError, NoSpace, UsageError
from backends.images import Images
from backends.registry import backend_entries
from backends.stores import preflight
from backends.stores.convert import Control, convert, finish_store
from backends.stores.manifest import INDEX, MANIFEST, SUMS
from backends.stores.resume import Part, parse_part
from backends.stores.store import open_store
from tests.backends.containers import BACKENDS
from tests.backends.stores.conftest import request, store_at


def pixels_of(images: Images) -> list[tuple[tuple[int, ...], bytes]]:
    return [(image.shape, image.tobytes()) for image in images.pixels]


@pytest.mark.parametrize("backend", BACKENDS)
def test_store_holds_all_splits_of_the_dataset(tmp_path: Path, cifar10_folder: Path, backend: str) -> None:
    folder = tmp_path / "store"
    manifest = store_at(folder, cifar10_folder, f"{backend}+{backend_entries()[backend].codec}")
    with open_store(folder) as store:
        assert store.splits == {"train": range(200), "test": range(200, 240)}
        for split, positions in store.splits.items():
            with open_dataset(cifar10_folder, split) as dataset:
                expected = dataset.read(np.arange(dataset.count))
                got = store.read(slice(positions.start, positions.stop))
                assert np.array_equal(got.pixels, expected.pixels)
                assert np.array_equal(got.labels, expected.labels)
                assert store.classes == dataset.classes
    assert [shard.images for shard in manifest.shards] == [50, 50, 50, 50, 40]
    tops = {shard.path.partition("/")[0] for shard in manifest.shards}
    assert {path.name for path in folder.iterdir()} == {MANIFEST, INDEX, SUMS, *tops}
    subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, check=True)


@pytest.mark.parametrize("configuration", ["tar+source", "lmdb+raw", "parquet+source"])
def test_pictures_keep_names_and_bytes_and_odd_ones_are_listed(
    tmp_path: Path, pictures: Path, configuration: str
) -> None:
    manifest = store_at(tmp_path / "store", pictures, configuration, shard_images=5)
    with open_store(tmp_path / "store") as store:
        assert (len(store), manifest.failures) == (16, 2)
        assert [(split, name) for split, _, name, _ in store.failures] == [
            ("train", "cat/90.jpg"),
            ("val", "dog/91.png"),
        ]
        assert sorted(store.names)[:2] == ["cat/00.png", "cat/00.png"]
        twins = [(store.names[image], store.names[first]) for image, first in store.duplicates]
        assert twins == [("dog/11.png", "cat/00.png"), ("dog/03.png", "cat/00.png")]
        assert (manifest.duplicates, manifest.in_two_splits) == (2, 1)
        for position, name in enumerate(store.names):
            split = "train" if position in store.splits["train"] else "val"
            ((records, _),) = store.records([position])
            pixels, label = store[position]
            with Image.open(pictures / split / name) as picture:
                assert np.array_equal(pixels, np.asarray(picture))
            assert store.classes[label] == Path(name).parent.name
            if manifest.codec == "source":
                assert records.data.tobytes() == (pictures / split / name).read_bytes()


def test_images_of_another_size_than_expected_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for index in range(1200):  # so many that the headers of some are not looked at
        side = 9 if index == 777 else 8
        Image.fromarray(np.full((side, 8, 3), index % 256, np.uint8)).save(folder / f"{index:04}.png", compress_level=1)
    store_at(tmp_path / "store", folder, "hdf5+raw", shard_images=400)
    with open_store(tmp_path / "store") as store:
        images = store.read(np.arange(775, 780))
        assert [image.shape for image in images.pixels] == [(8, 8, 3), (8, 8, 3), (9, 8, 3), (8, 8, 3), (8, 8, 3)]
        assert [int(image[0, 0, 0]) for image in images.pixels] == [index % 256 for index in range(775, 780)]


def test_resized_store_is_lossy_and_shrinks_the_shorter_side(tmp_path: Path, pictures: Path) -> None:
    manifest = store_at(tmp_path / "store", pictures, "npy+raw", resize=24)
    with open_store(tmp_path / "store") as store:
        shapes = {store.names[index]: tuple(store.shapes[index]) for index in store.splits["train"]}
    assert not manifest.lossless
    assert (shapes["cat/02.png"], shapes["cat/10.png"]) == ((22, 30, 3), (24, 24, 3))


def test_picture_that_does_not_decode_stops_where_that_is_asked_for(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(DatasetDamaged, match=r"(cat/90\.jpg|dog/91\.png) does not decode"):
        convert(request(pictures, "lmdb+source", on_error="stop"), tmp_path / "store")
    assert not (tmp_path / "store" / MANIFEST).exists()


def test_webdataset_and_hugging_face_open_the_folder(
    tmp_path: Path, cifar10_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets: Any = pytest.importorskip("datasets")
    webdataset: Any = pytest.importorskip("webdataset")
    store_at(tmp_path / "parquet", cifar10_folder, "parquet+png", shard_images=100)
    store_at(tmp_path / "tar", cifar10_folder, "tar+png", shard_images=100)
    with open_dataset(cifar10_folder, "train") as dataset:
        expected = dataset.read(np.arange(200))
    loaded = datasets.load_dataset(str(tmp_path / "parquet"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 200, "test": 40}
    assert np.array_equal(np.stack([np.asarray(row["image"]) for row in loaded["train"]]), expected.pixels)
    assert loaded["train"]["label"][:] == expected.labels.tolist()
    urls = str(tmp_path / "tar" / "train-{000000..000001}.tar")
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode("rgb8"))
    assert np.array_equal(np.stack([sample["png"] for sample in samples]), expected.pixels)
    assert [int(sample["cls"]) for sample in samples] == expected.labels.tolist()


@pytest.mark.parametrize(
    ("destination", "options", "message"),
    [
        ("{dataset}/inside", {}, "is inside the dataset"),
        ("{dataset}/..", {}, "has the dataset .* in it"),
        ("{tmp}/file", {}, "is a file"),
        ("{tmp}/full", {}, "has other files in it"),
        ("{tmp}/new", {"configuration": "article-hdf5+raw"}, "is there to compare with"),
        ("{tmp}/new", {"configuration": "lmdb+raw@/tmp"}, "leave @ out"),
        ("{tmp}/new", {"configuration": "lmdb+source"}, "keeps arrays, not files"),
        ("{tmp}/new", {"configuration": "lmdb+source", "resize": 8}, "cannot be resized"),
        ("{tmp}/new", {"split": "dev"}, "no split 'dev'"),
    ],
)
def test_what_cannot_be_made_is_refused_before_the_first_byte(
    tmp_path: Path, cifar10_folder: Path, destination: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    before = sorted(tmp_path.rglob("*")), sorted(cifar10_folder.rglob("*"))
    with pytest.raises(UsageError, match=message):
        convert(request(cifar10_folder, **options), Path(destination.format(dataset=cifar10_folder, tmp=tmp_path)))
    assert (sorted(tmp_path.rglob("*")), sorted(cifar10_folder.rglob("*"))) == before


@pytest.mark.parametrize(("configuration", "refused"), [("lmdb+raw", True), ("sqlite+raw", True), ("hdf5+raw", False)])
def test_lmdb_and_sqlite_are_refused_on_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configuration: str, *, refused: bool
) -> None:
    monkeypatch.setattr(preflight, "mount_of", lambda path: Mount("/", "nfs4", "", "server:/", 4096))
    with pytest.raises(UsageError, match="nfs4, a filesystem of the network") if refused else nullcontext():
        preflight.check_target(request("sample", configuration), tmp_path / "store")


def test_too_small_a_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(NoSpace, match="not enough space"):
        convert(request("sample"), tmp_path / "store")
    monkeypatch.undo()
    monkeypatch.setattr(preflight, "free_files", lambda folder: 100)
    with pytest.raises(NoSpace, match="too many files"):
        convert(request("sample", "files+png"), tmp_path / "store")
    assert not list(tmp_path.iterdir())


def stopped_after(shards: int, folder: Path, dataset: Path, **options: Any) -> int:
    """Begin a conversion and cancel it once so many shards are durable; the images that it then called durable."""
    durable = []
    with pytest.raises(Cancelled):
        convert(
            request(dataset, **options),
            folder,
            workers=1,
            control=Control(
                report=lambda progress: durable.append((progress.sealed, progress.durable)),
                cancelled=lambda: bool(durable) and durable[-1][0] >= shards,
            ),
        )
    return durable[-1][1]


def resumed(folder: Path, dataset: Path) -> int:
    """Go on with a conversion to its end; the images that it found durable."""
    found: list[int] = []
    convert(request(dataset), folder, resume=True, control=Control(report=lambda now: found.append(now.resumed)))
    return found[0]


def test_stopped_conversion_goes_on_and_ends_in_the_same_store(
    tmp_path: Path, cifar10_folder: Path, store: Path
) -> None:
    folder = tmp_path / "store"
    durable = stopped_after(2, folder, cifar10_folder)
    assert durable >= 100
    assert not (folder / MANIFEST).exists()
    with pytest.raises(UsageError, match="unfinished conversion: add --resume"):
        convert(request(cifar10_folder), folder)
    with pytest.raises(UsageError, match=r"other options \(configuration hdf5\+raw, now lmdb\+raw\)"):
        convert(request(cifar10_folder, "lmdb+raw"), folder, resume=True)
    assert resumed(folder, cifar10_folder) >= durable
    assert (folder / MANIFEST).read_bytes() == (store / MANIFEST).read_bytes()
    assert (folder / SUMS).read_bytes() == (store / SUMS).read_bytes()
    assert convert(request(cifar10_folder), folder, resume=True) is not None
    with pytest.raises(UsageError, match="is a store already"):
        convert(request(cifar10_folder), folder)


def test_changed_dataset_is_refused(tmp_path: Path, pictures: Path) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(pictures, dataset)
    stopped_after(1, tmp_path / "store", dataset, configuration="npy+source", shard_images=3)
    shutil.copy(dataset / "train/cat/02.png", dataset / "train/cat/99.png")
    with pytest.raises(UsageError, match="the dataset has changed"):
        convert(request(dataset, "npy+source", shard_images=3), tmp_path / "store", resume=True)


def damage_journal(folder: Path) -> None:
    """Change a line, and add one that was cut."""
    data = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(data.replace(b'"images":50', b'"images":51', 1) + b'{"crc32":12,"li')


def damage_columns(folder: Path) -> None:
    data = bytearray((folder / "sealed/00001.npz").read_bytes())
    data[200] ^= 1
    (folder / "sealed/00001.npz").write_bytes(data)


@pytest.mark.parametrize("damage", [damage_journal, damage_columns])
def test_damaged_record_of_a_sealed_shard_costs_that_shard(
    tmp_path: Path, cifar10_folder: Path, store: Path, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "store"
    stopped_after(2, folder, cifar10_folder)
    sealed = (folder / "journal.jsonl").read_bytes().count(b'"sealed"')
    damage(folder)
    assert resumed(folder, cifar10_folder) == 50 * (sealed - 1)
    assert (folder / MANIFEST).read_bytes() == (store / MANIFEST).read_bytes()


def test_parts_make_the_same_store(tmp_path: Path, cifar10_folder: Path, store: Path) -> None:
    folder = tmp_path / "store"
    assert convert(request(cifar10_folder), folder, part=Part(2, 3)) is None
    assert finish_store(folder) == (None, ["shards/00000.h5", "shards/00002.h5", "shards/00003.h5"])
    with pytest.raises(UsageError, match="begun in 3 parts and not in 2"):
        convert(request(cifar10_folder), folder, part=Part(1, 2))
    assert convert(request(cifar10_folder), folder, part=Part(1, 3)) is None
    assert convert(request(cifar10_folder), folder, part=Part(3, 3)) is not None
    assert (folder / MANIFEST).read_bytes() == (store / MANIFEST).read_bytes()
    assert {path.name for path in folder.iterdir()} == {MANIFEST, INDEX, SUMS, "shards"}


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5"])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part"):
        parse_part(text)


def test_shards_follow_bytes_images_or_splits(tmp_path: Path, cifar10_folder: Path) -> None:
    by_bytes = store_at(tmp_path / "a", cifar10_folder, shard_images=None, shard_bytes=100 * 3072)
    assert [shard.images for shard in by_bytes.shards] == [100, 100, 40]
    single = store_at(tmp_path / "b", cifar10_folder, single=True)
    assert [(shard.split, shard.images) for shard in single.shards] == [("train", 200), ("test", 40)]
    assert by_bytes.digest == single.digest


def test_converted_from_store_to_store_the_images_stay_the_same(tmp_path: Path, store: Path) -> None:
    digest = json.loads((store / MANIFEST).read_bytes())["digest"]
    source, chain = store, ["tar+png", "files+raw", "parquet+png", "sqlite+raw", "zarr+png", "lmdb+raw", "npy+raw"]
    for number, configuration in enumerate(chain):
        manifest = store_at(tmp_path / str(number), source, configuration, shard_images=110)
        assert manifest.digest == digest, configuration
        assert manifest.splits == {"train": (0, 200), "test": (200, 240)}
        source = tmp_path / str(number)


def test_cancelled_paused_and_resumed(tmp_path: Path, cifar10_folder: Path) -> None:
    """While it is paused nothing is written; afterwards it goes on to its end."""
    seen: list[tuple[bool, int]] = []
    manifest = convert(
        request(cifar10_folder, shard_images=20),
        tmp_path / "store",
        workers=1,
        control=Control(
            report=lambda progress: seen.append((progress.paused, progress.durable)),
            paused=lambda: bool(seen) and seen[-1][1] >= 20 and sum(paused for paused, _ in seen) < 4,
        ),
    )
    assert manifest is not None
    durable = [durable for paused, durable in seen if paused]
    assert len(durable) >= 4
    assert durable[-1] <= durable[0] + 20, "at most the shard whose last batch was written"


def test_requests_are_equal_where_they_mean_the_same() -> None:
    assert request("sample", "lmdb") == request("sample", "lmdb+raw")
    assert msgspec.structs.replace(request("sample"), resize=3) != request("sample")


def test_no_permission_to_write(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    tmp_path.chmod(0o500)
    with pytest.raises(ImgstoreError, match="may not be written"):
        convert(request("sample"), tmp_path / "store")


@pytest.mark.parametrize("codec", ["raw", "source"])
def test_a_split_that_lacks_classes_keeps_the_names_of_its_labels(tmp_path: Path, pictures: Path, codec: str) -> None:
    dataset = tmp_path / "set"
    shutil.copytree(pictures, dataset)
    shutil.rmtree(dataset / "val/cat")
    (dataset / "val/zebra").mkdir()
    shutil.copy(pictures / "train/cat/02.png", dataset / "val/zebra")
    store_at(tmp_path / "store", dataset, f"hdf5+{codec}", shard_images=5)
    with open_store(tmp_path / "store") as store:
        assert store.classes == ("cat", "dog", "zebra")
        assert all(
            store.classes[label] == Path(name).parent.name
            for name, label in zip(store.names, store.labels.tolist(), strict=True)
        )
        assert store.reader(store.locate(len(store) - 1)[0]).labels[-1] == 2
