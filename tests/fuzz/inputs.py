"""The inputs that are mutated, each kind with what reads it, and the mutations."""

from __future__ import annotations

import copy
import json
import os
import re
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backends.bench.configuration import Configuration
from backends.codecs.pictures import decode_picture
from backends.datasets import open_dataset
from backends.images import Images, Layout
from backends.registry import make_backend, make_codec
from backends.runs.events import decode_event, encode_event
from backends.runs.run import Run
from backends.runs.saved import load_run, to_json
from backends.stores.convert import convert
from backends.stores.journal import Journal
from backends.stores.manifest import INDEX, MANIFEST, SUMS, _encoded
from backends.stores.plan import Request, make_plan, open_splits
from backends.stores.shard import Sealed
from backends.stores.verify import verify
from tests.backends.datasets.pickles import write_cifar10
from tests.backends.encoded import encoded
from tests.tui.recorded import plan_of, run_events
from tui.reports import render

IMAGES = 24
CODECS = {"files": "png", "tar": "png", "parquet": "png"}
CONTAINERS = ("files", "lmdb", "hdf5", "npy", "sqlite", "tar", "zarr", "parquet")
PICTURES = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF")
EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\x7f", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\0\0\0\1")


@dataclass(frozen=True, slots=True)
class Kind:
    """``make`` writes an input into a folder and gives its files; ``use`` reads what is there as the program does."""

    make: Callable[[Path], list[Path]]
    use: Callable[[Path], None]
    mend: Callable[[bytes], bytes] = bytes  # makes checksums right, so that what is behind them is reached
    structured: bool = False  # whether JSON is mutated by its structure


def ignore(_: object) -> None:
    """Take a value that is only to be computed."""


def sample() -> Images:
    return open_dataset("sample").read(np.arange(IMAGES))


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to four changes of any kind."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, size = int(rng.integers(0, len(changed) + 1)), int(2 ** rng.integers(0, 8))
        match int(rng.integers(0, 6)):
            case 0 if at < len(changed):
                changed[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                changed[at : at + size] = rng.bytes(size)
            case 2:
                extreme = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
                changed[at : at + len(extreme)] = extreme
            case 3:
                del changed[at : at + size]
            case 4:
                changed[at:at] = changed[at : at + size]
            case _:
                del changed[max(1, len(changed) * 3 // 4, at) :]
    return bytes(changed)


VALUES: tuple[Any, ...] = (None, -1, 0, 1e308, 10**30, "", "\x1b[31m", "../../x", [], {}, True, [[[]]], "9" * 400)


def mutate_json(text: bytes, rng: np.random.Generator) -> bytes:
    """The JSON with a value in its structure removed, doubled or of another type."""
    root = json.loads(text)
    node: Any = root
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[int(rng.integers(0, len(keys)))]
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.2:
            break
        node = node[key]
    match int(rng.integers(0, 4)):
        case 0:
            del node[key]
        case 1 if isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        case _:
            node[key] = copy.deepcopy(VALUES[int(rng.integers(0, len(VALUES)))])
    return json.dumps(root).encode()


def mend_png(data: bytes) -> bytes:
    """The PNG with right checksums, as far as its chunks can be told."""
    mended, at = bytearray(data), 8
    while at + 12 <= len(mended):
        end = at + 8 + int.from_bytes(mended[at : at + 4])
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[at + 4 : end]))
        at = end + 4
    return bytes(mended)


def mend_manifest(data: bytes) -> bytes:
    try:
        fields = json.loads(data)
        fields.pop("checksum", None)
        return _encoded(fields)
    except (ValueError, AttributeError, TypeError):
        return data


def mend_journal(data: bytes) -> bytes:
    lines = []
    for line in data.split(b"\n"):
        text = re.sub(rb'^\{"crc32":\d+,"line":(.*)\}$', rb"\1", line)
        lines.append(b'{"crc32":%d,"line":%s}' % (zlib.crc32(text), text) if text != line else line)
    return b"\n".join(lines)


def read_dataset(path: Path) -> None:
    """Open, survey and decode all of a dataset."""
    with open_dataset(path) as dataset:
        dataset.survey()
        dataset.decode(np.arange(min(dataset.count, 4 * IMAGES)))


def picture(form: str) -> Kind:
    def make(folder: Path) -> list[Path]:
        (folder / "picture").write_bytes(encoded(Image.fromarray(sample().pixels[0]), form))
        return [folder / "picture"]

    def use(folder: Path) -> None:
        data = (folder / "picture").read_bytes()
        pixels = decode_picture(data)
        if form == "PNG":
            records = make_codec("raw", None).encode(Images(pixels[None], np.zeros(1, np.int64)))
            layout = Layout(1, "png", pixels.shape, ())
            from backends.images import Records

            one = Records(np.frombuffer(data, np.uint8), np.array([0, len(data)]), records.labels)
            assert (make_codec("png", None).decode(one, layout).pixels[0] == pixels).all(), (
                "pixels differ from Pillow's"
            )

    return Kind(make, use, mend_png if form == "PNG" else bytes)


def container(name: str) -> Kind:
    configuration = Configuration(f"{name}+{CODECS.get(name, 'raw')}")

    def make(folder: Path) -> list[Path]:
        images = sample()
        codec = make_codec(configuration.codec, configuration.codec_options)
        layout = Layout(IMAGES, configuration.codec, images.pixels[0].shape, ())
        backend = make_backend(configuration.backend, configuration.backend_options)
        with backend.create(folder / "container", layout) as writer:
            writer.append(codec.encode(images))
        there = folder / "container"
        return [there] if there.is_file() else sorted(path for path in there.rglob("*") if path.is_file())

    def use(folder: Path) -> None:
        with make_backend(configuration.backend, configuration.backend_options).open(folder / "container") as reader:
            codec = make_codec(reader.layout.codec, None)
            for rows in (slice(0, len(reader)), np.arange(len(reader))[::-1]):
                codec.decode(reader.read(rows), reader.layout)

    return Kind(make, use)


def write_arrays(folder: Path, form: str) -> list[Path]:
    """Images and labels as a file of arrays."""
    images = sample()
    if form == "npz":
        np.savez(folder / "x.npz", train_images=images.pixels, train_labels=images.labels)
    elif form == "npy":
        np.save(folder / "x.npy", images.pixels)
    elif form == "idx":
        grey, labels = np.asarray(images.pixels)[..., 0], images.labels.astype(np.uint8)
        for name, array in (("images-idx3", grey), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (folder / f"train-{name}-ubyte").write_bytes(head + np.ascontiguousarray(array).tobytes())
    elif form == "hdf5":
        import h5py

        with h5py.File(folder / "x.h5", "w") as file:
            file["images"], file["labels"] = images.pixels, images.labels
    else:
        for number, image in enumerate(images.pixels):
            (folder / "in" / str(images.labels[number])).mkdir(parents=True, exist_ok=True)
            (folder / "in" / str(images.labels[number]) / f"{number}.png").write_bytes(encoded(image))
        if form == "tar":
            with tarfile.open(folder / "x.tar", "w") as archive:
                archive.add(folder / "in", "x")
        else:
            with zipfile.ZipFile(folder / "x.zip", "w") as zipped:
                for path in sorted((folder / "in").rglob("*.png")):
                    zipped.write(path, path.relative_to(folder))
    return sorted(folder.glob("[xt]*"))


def arrays(form: str) -> Kind:
    return Kind(lambda folder: write_arrays(folder, form), lambda folder: read_dataset(sorted(folder.glob("[xt]*"))[0]))


def cifar() -> Kind:
    def make(folder: Path) -> list[Path]:
        write_cifar10(folder / "cifar-10-batches-py", sample(), 4, open_dataset("sample").classes)
        return sorted((folder / "cifar-10-batches-py").iterdir())

    return Kind(make, lambda folder: read_dataset(folder / "cifar-10-batches-py"))


def store(name: str, mend: Callable[[bytes], bytes] = bytes, *, structured: bool = False) -> Kind:
    def make(folder: Path) -> list[Path]:
        request = Request(dataset="sample", configuration=Configuration("npy+raw"), shard_images=1000)
        convert(request, folder / "store", workers=1)
        return [folder / "store" / name]

    return Kind(make, lambda folder: ignore(verify(folder / "store")), mend, structured)


def journal() -> Kind:
    def make(folder: Path) -> list[Path]:
        request = Request(dataset="sample", configuration=Configuration("npy+raw"), shard_images=500)
        plan, _ = make_plan(request, open_splits(request))
        written = Journal(folder / "journal.jsonl")
        written.begin(plan)
        for number in range(3):
            written.append(Sealed(number, 500, 0, 1000, 1, "0" * 32))
        return [folder / "journal.jsonl"]

    return Kind(make, lambda folder: ignore(Journal(folder / "journal.jsonl")), mend_journal)


def results() -> Kind:
    def make(folder: Path) -> list[Path]:
        plan = plan_of("files", "lmdb", sizes=(10, 100))
        (folder / "result.json").write_text(to_json(Run(plan).after(*run_events(plan))))
        return [folder / "result.json"]

    def use(folder: Path) -> None:
        run = load_run(folder / "result.json")
        for form in ("html", "markdown", "csv", "json"):
            text = render(run, form)
            assert "\x1b" not in text, "an escape byte in a report"

    return Kind(make, use, structured=True)


def run_events_file() -> Kind:
    def make(folder: Path) -> list[Path]:
        (folder / "events").write_bytes(b"".join(map(encode_event, run_events(plan_of("lmdb", sizes=(10,))))))
        return [folder / "events"]

    def use(folder: Path) -> None:
        told = map(decode_event, (folder / "events").read_bytes().splitlines(keepends=True))
        run = Run(plan_of()).after(*(event for event in told if event is not None))
        assert run.phase
        assert run.verdict or run.figures is not None

    return Kind(make, use)


def misbehave(folder: Path) -> None:
    """What no reader should do: raise, crash or hang, as the content says."""
    match zlib.crc32((folder / "file").read_bytes()) % 8:
        case 0 | 1 | 2:
            raise KeyError("a reader's mistake")
        case 3 | 4 | 5 | 6:
            os.abort()
    time.sleep(60)


def write_zeros(folder: Path) -> list[Path]:
    (folder / "file").write_bytes(bytes(100))
    return [folder / "file"]


KINDS: dict[str, Kind] = {
    **{form.lower(): picture(form) for form in PICTURES},
    **{f"container {name}": container(name) for name in CONTAINERS},
    **{form: arrays(form) for form in ("npz", "npy", "idx", "hdf5", "tar", "zip")},
    "pickle": cifar(),
    "manifest": store(MANIFEST, mend_manifest),
    "manifest fields": store(MANIFEST, mend_manifest, structured=True),
    "index": store(INDEX),
    "sums": store(SUMS),
    "journal": journal(),
    "events": run_events_file(),
    "results": results(),
    "misbehaving": Kind(write_zeros, misbehave),
}
