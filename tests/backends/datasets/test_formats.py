"""The same images in every format that datasets come in: the same pixels, labels and splits; and what damage says."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backends.bench.staging import digests_of
from backends.datasets import Dataset, open_dataset
from backends.datasets.base import Reading
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError, UsageError
from backends.images import Images, Layout
from backends.registry import backend_entries, make_backend, make_codec
from tests.backends.encoded import encoded

COUNT = 60


@pytest.fixture(scope="module")
def images(sample_images: Images) -> Images:
    """Of three classes, sorted by them, as folders of classes are."""
    chosen = np.flatnonzero(sample_images.labels < 3)[:COUNT]
    chosen = chosen[np.argsort(sample_images.labels[chosen], kind="stable")]
    return Images(np.asarray(sample_images.pixels)[chosen], sample_images.labels[chosen])


def files_of(images: Images) -> dict[str, bytes]:
    """Class folders of PNG files."""
    pairs = zip(images.pixels, images.labels.tolist(), strict=True)
    return {f"data/{label}/{number:03}.png": encoded(image) for number, (image, label) in enumerate(pairs)}


def tar(path: Path, files: dict[str, bytes], mode: str = "w", kind: int = tarfile.PAX_FORMAT) -> None:
    with tarfile.open(path, mode, format=kind) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def long_names(path: Path, images: Images, kind: int) -> None:
    tar(
        path / "x.tar",
        {name.replace("data/", f"{'d' * 120}/ü/"): data for name, data in files_of(images).items()},
        kind=kind,
    )


def tar_of_tars(path: Path, images: Images) -> None:
    inner = {}
    for label in "012":
        file = path / f"{label}.tmp"
        tar(file, {name[7:]: data for name, data in files_of(images).items() if name[5] == label})
        inner[f"{label}.tar"] = file.read_bytes()
        file.unlink()
    tar(path / "x.tar", inner)


def zipped(path: Path, images: Images, method: int) -> None:
    with zipfile.ZipFile(path / "x.zip", "w", method) as archive:
        for name, data in files_of(images).items():
            archive.writestr(name, data)


def webdataset(path: Path, images: Images, suffix: str = "cls") -> None:
    for shard in range(2):
        files: dict[str, bytes] = {}
        for index in range(shard * COUNT // 2, (shard + 1) * COUNT // 2):
            label = int(images.labels[index])
            files[f"{index:05}.png"] = encoded(images.pixels[index])
            files[f"{index:05}.{suffix}"] = str(label).encode() if suffix == "cls" else b'{"label": %d}' % label
        tar(path / f"set-{shard:06}.tar", files)


def table(images: Images) -> pa.Table:
    names = [str(label) for label in range(3)]
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    rows = [{"bytes": encoded(image), "path": None} for image in images.pixels]
    made = pa.table({"image": rows, "label": images.labels})
    return made.replace_schema_metadata({b"huggingface": json.dumps(info).encode()})


def parquet(path: Path, images: Images) -> None:
    (path / "data").mkdir()
    for shard in range(2):
        part = table(Images(images.pixels[shard * 30 : shard * 30 + 30], images.labels[shard * 30 : shard * 30 + 30]))
        pq.write_table(part, path / f"data/train-{shard:05}-of-00002.parquet", row_group_size=7)


def arrow(path: Path, images: Images) -> None:
    (path / "train").mkdir()
    made = table(images)
    with (
        pa.OSFile(str(path / "train/data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, made.schema) as to,
    ):
        to.write_table(made, max_chunksize=7)
    (path / "dataset_dict.json").write_text('{"splits": ["train"]}')


def npz(path: Path, images: Images) -> None:
    empty = np.zeros((2, 32, 32, 3), np.uint8)
    np.savez_compressed(
        path / "x.npz", train_images=images.pixels, train_labels=images.labels[:, None], test_images=empty
    )


def npy(path: Path, images: Images) -> None:
    np.save(path / "cifar10.1_v6_data.npy", images.pixels)
    np.save(path / "cifar10.1_v6_labels.npy", images.labels)


def hdf5(path: Path, images: Images) -> None:
    with h5py.File(path / "x.h5", "w") as file:
        group = file.create_group("train")
        group.create_dataset(
            "x", data=np.moveaxis(np.asarray(images.pixels), 3, 1), chunks=(7, 3, 32, 32), compression=1
        )
        group["y"] = images.labels


def cifar_binary(path: Path, images: Images) -> None:
    planes = np.moveaxis(np.asarray(images.pixels), 3, 1).reshape(COUNT, -1)
    rows = np.hstack([images.labels.astype(np.uint8)[:, None], planes])
    for part in range(2):
        (path / f"data_batch_{part + 1}.bin").write_bytes(rows[part * 30 : part * 30 + 30].tobytes())
    (path / "batches.meta.txt").write_text("0\n1\n2\n")


def write_container(path: Path, images: Images, backend: str) -> None:
    codec = "png" if backend == "parquet" else "raw"
    layout = Layout(COUNT, codec, (32, 32, 3), ("0", "1", "2"))
    with make_backend(backend).create(path / f"it.{backend}", layout) as writer:
        writer.append(make_codec(codec).encode(images))


MAKERS: dict[str, Callable[[Path, Images], None]] = {
    "tar": lambda path, images: tar(path / "x.tar", files_of(images)),
    **{f"tar.{kind}": lambda path, images, kind=kind: tar(path / f"x.tar.{kind}", files_of(images), f"w:{kind}")  # type: ignore[misc]
       for kind in ("gz", "bz2", "xz")},
    "pax names": lambda path, images: long_names(path, images, tarfile.PAX_FORMAT),
    "GNU names": lambda path, images: long_names(path, images, tarfile.GNU_FORMAT),
    "tar of tars": tar_of_tars,
    "zip": lambda path, images: zipped(path, images, zipfile.ZIP_STORED),
    "deflated zip": lambda path, images: zipped(path, images, zipfile.ZIP_DEFLATED),
    "WebDataset": webdataset,
    "WebDataset with JSON": lambda path, images: webdataset(path, images, "json"),
    "Parquet": parquet,
    "Arrow": arrow,
    "npz": npz,
    "npy": npy,
    "HDF5": hdf5,
    "CIFAR binary": cifar_binary,
    **{f"{name} container": lambda path, images, name=name: write_container(path, images, name)  # type: ignore[misc]
       for name in backend_entries()},
}  # fmt: skip


def make(path: Path, images: Images, kind: str) -> Path:
    """The dataset, and what to name: its only file, or the folder."""
    MAKERS[kind](path, images)
    first, *others = path.iterdir()
    return path if others else first


def assert_same(dataset: Dataset, images: Images) -> None:
    ids = np.random.default_rng(0).permutation(COUNT)
    found = dataset.read(ids)
    np.testing.assert_array_equal(digests_of(found.pixels), digests_of(images.pixels)[ids])
    assert found.labels.tolist() == images.labels[ids].tolist()
    assert (dataset.count, dataset.classes) == (COUNT, ("0", "1", "2"))


@pytest.mark.parametrize("kind", MAKERS)
def test_same_images_come_out_of_every_format(tmp_path: Path, images: Images, kind: str) -> None:
    path = make(tmp_path, images, kind)
    with open_dataset(path) as dataset, open_dataset(path) as again:
        assert_same(dataset, images)
        assert dataset.survey().raw_bytes == COUNT * 3072
        assert again.facts().fingerprint == dataset.facts().fingerprint


@pytest.mark.parametrize("kind", ["tar.gz", "deflated zip", "Parquet", "Arrow", "WebDataset"])
def test_source_bytes_are_those_of_the_pictures(tmp_path: Path, images: Images, kind: str) -> None:
    with open_dataset(make(tmp_path, images, kind)) as dataset:
        decoded = dataset.decode(np.array([COUNT - 1, 0]), source=True)
    assert decoded.source is not None
    assert decoded.source.record(1).tobytes() == encoded(images.pixels[0])


def test_few_images_keep_the_numbers_of_their_classes(tmp_path: Path) -> None:
    for label in (0, 7):
        (tmp_path / f"data_batch_{1 + label // 7}.bin").write_bytes(bytes([label]) + bytes(3072))
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij"))
    with open_dataset(tmp_path) as dataset:
        assert (dataset.classes, dataset.labels.tolist()) == (tuple("abcdefghij"), [0, 7])


@pytest.mark.parametrize("zipped_", [False, True])
@pytest.mark.parametrize("dash", ["-", "."])
def test_idx_has_images_labels_and_splits(tmp_path: Path, images: Images, dash: str, zipped_: bool) -> None:
    grey = np.asarray(images.pixels)[:, :28, :28, 0]
    contents = {
        f"images{dash}idx3-ubyte": struct.pack(">IIII", 2051, COUNT, 28, 28) + grey.tobytes(),
        f"labels{dash}idx1-ubyte": struct.pack(">II", 2049, COUNT) + images.labels.astype("u1").tobytes(),
    }
    (tmp_path / "raw").mkdir()
    for part, (name, data) in product(("train", "t10k"), contents.items()):
        file = tmp_path / "raw" / f"{part}-{name}{'.gz' * zipped_}"
        file.write_bytes(gzip.compress(data) if zipped_ else data)
    with open_dataset(tmp_path) as dataset:
        assert dataset.facts().splits == {"train": COUNT, "test": COUNT}
        assert_same(dataset, Images(grey[..., None], images.labels))


@pytest.mark.parametrize(
    "kind", ["tar", "tar.gz", "tar.xz", "deflated zip", "npz", "npy", "HDF5", "CIFAR binary", "Parquet", "Arrow"]
)
def test_cut_file_is_refused_by_one_sentence(tmp_path: Path, images: Images, kind: str) -> None:
    path = make(tmp_path, images, kind)
    parts = sorted(one for one in path.rglob("*") if one.suffix in (".parquet", ".arrow", ".npy", ".bin"))
    cut = parts[0] if path.is_dir() else path
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2 - 1])
    with pytest.raises(ImgstoreError, match=rf"^[^\n]*{cut.name}[^\n]*\.$"), open_dataset(path) as dataset:
        dataset.read(np.arange(dataset.count))


def test_flipped_byte_in_a_zip_is_a_failure(tmp_path: Path, images: Images) -> None:
    path = make(tmp_path, images, "zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    path.write_bytes(data)
    with open_dataset(path) as dataset:
        decoded = dataset.decode(np.arange(COUNT))
    assert [failure.why for failure in decoded.failures] == [
        "its bytes in the zip archive are not those that were put there"
    ]


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path: Path, images: Images) -> None:
    hdf5(tmp_path, images)
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["images"] = h5py.ExternalLink(str(tmp_path / "x.h5"), "/train/x")
        file["soft"] = h5py.SoftLink("/images")
    with pytest.raises(DatasetNotFound, match=r"y\.h5 has no array of images \(none\)"):
        open_dataset(tmp_path / "y.h5")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("train.beton", "is FFCV, which only the ffcv library reads"),
        ("shard.00000.mds", "is MosaicML's MDS"),
        ("chunk-0-0.bin", "is LitData"),
        ("train-00000-of-00001.tfrecord", "is TFRecord"),
        ("data.mdb", "is an LMDB of another program"),
        ("train_32x32.mat", "is a MATLAB file"),
        (".zgroup", "is a Zarr store of another program"),
    ],
)
def test_format_of_another_program_is_named(tmp_path: Path, name: str, what: str) -> None:
    (tmp_path / name).write_bytes(bytes(64))
    with pytest.raises(DatasetNotFound, match=rf"{what}.*: export its images as files, WebDataset or Parquet"):
        open_dataset(tmp_path)


def test_labels_of_arrays_come_from_a_file(tmp_path: Path, images: Images) -> None:
    np.save(tmp_path / "x.npy", images.pixels)
    np.save(tmp_path / "mine.npy", images.labels)
    with open_dataset(tmp_path / "x.npy", how=Reading(labels=str(tmp_path / "mine.npy"))) as dataset:
        assert_same(dataset, images)
    with open_dataset(tmp_path / "x.npy") as dataset:
        assert (dataset.classes, set(dataset.labels.tolist())) == ((), {-1})


def test_empty_file_of_labels_is_one_sentence(tmp_path: Path, images: Images) -> None:
    np.save(tmp_path / "x.npy", images.pixels)
    (tmp_path / "mine.npy").touch()
    with pytest.raises(DatasetDamaged, match=r"mine\.npy is truncated or broken \(No data left in file\): get it"):
        open_dataset(tmp_path / "x.npy", how=Reading(labels=str(tmp_path / "mine.npy")))


@pytest.mark.parametrize("dtype", ["f4", "i8", "O"])
def test_arrays_that_are_no_images_are_refused(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8), dtype))
    with pytest.raises(DatasetNotFound, match=r"has no array of images \("):
        open_dataset(tmp_path / "x.npy")


def test_several_files_of_arrays_are_asked_about(tmp_path: Path, images: Images) -> None:
    for name in ("blood", "path"):
        np.savez(tmp_path / f"{name}mnist.npz", train_images=images.pixels)
    with pytest.raises(UsageError, match=r"holds 2 datasets: name one, such as .*/bloodmnist\.npz\."):
        open_dataset(tmp_path)


@pytest.mark.parametrize("kind", ["npz", "npy", "HDF5", "CIFAR binary", "tar", "CIFAR-10"])
def test_what_lies_beside_a_packed_dataset_is_named(
    tmp_path: Path, images: Images, cifar10_folder: Path, kind: str
) -> None:
    if kind == "CIFAR-10":
        (tmp_path / "cifar-10-batches-py").symlink_to(cifar10_folder)
    else:
        (tmp_path / "a").mkdir()
        MAKERS[kind](tmp_path / "a", images)
    with open_dataset(tmp_path) as dataset:
        before = dataset.facts()
    beside = ["zoo/old.npz"] if kind == "tar" else ["zebras/1.png", "zebras/2.JPG", "zoo/old.npz"]
    for name in (*beside, ".hidden/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    with open_dataset(tmp_path) as dataset:
        facts, skipped = dataset.facts(), [*dataset.skipped()]
    assert (facts.fingerprint, facts.left_out) == (before.fingerprint, before.left_out + len(beside))
    assert [name for name, _ in skipped if not name.startswith("a/")] == beside
    assert "other datasets (name one) (1, first zoo/old.npz)" in facts.notes[-1]
    assert kind == "tar" or "pictures (name their folder) (2, first zebras/1.png)" in facts.notes[-1]


def test_broken_table_beside_pictures_does_not_hide_them(tmp_path: Path, images: Images) -> None:
    (tmp_path / "00000.parquet").write_bytes(b"PAR1x")
    with pytest.raises(DatasetDamaged, match=r"00000\.parquet is truncated or broken"):
        open_dataset(tmp_path)
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000/1.png").write_bytes(encoded(images.pixels[0]))
    assert open_dataset(tmp_path).count == 1
