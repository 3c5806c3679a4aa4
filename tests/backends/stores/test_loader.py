"""The file that reads a store without this program: it runs in interpreters that cannot import it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from backends.datasets import open_dataset
from backends.errors import StoreNotFound, UsageError
from backends.registry import backend_entries
from backends.stores.loader import loader_code
from backends.stores.manifest import read_manifest, write_manifest
from tests.backends.stores.conftest import store_at
from tui.cli import cli

pytestmark = pytest.mark.slow

CHECK = """
import hashlib, importlib, json, multiprocessing, sys, threading
sys.path.insert(0, sys.argv[1])  # of the printed files, and of what stands for torch

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("backends", "tui", "imgstore_backends", "imgstore_tui"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Refusal())

def digest(image, label):
    assert image.dtype == "uint8" and image.flags.writeable
    return hashlib.sha256(repr((image.shape, int(label))).encode() + image.tobytes()).hexdigest()

def digests(images, positions):
    batch = images.__getitems__(positions) if hasattr(images, "__getitems__") else list(zip(*images.read(positions)))
    return [digest(*found) for found in batch]

def send(pipe, stores):
    pipe.send([digests(images, [-1, 0, 7, 7]) for images in stores])
    digests(stores[-1], list(range(len(stores[-1]))))
    pipe.send(threading.active_count())

if __name__ == "__main__":
    printed = [importlib.import_module(name) for name in sys.argv[2].split(",")]
    stores = [module.Images(*sys.argv[3:]) for module in printed]
    found = {"classes": [images.classes for images in stores], "children": [], "threads": []}
    found["all"] = [digests(images, list(range(len(images)))) for images in stores]
    found["batches"] = [[digests(images, [n, 9 - n, -n]) for n in range(9)] for images in stores]
    found["one"] = [digest(*images[-2]) for images in stores]
    found["test"] = [digests(module.Images(*sys.argv[3:], split="test"), [0, -1]) for module in printed]
    for method in ("fork", "spawn"):
        receiver, sender = multiprocessing.Pipe()
        child = multiprocessing.get_context(method).Process(target=send, args=(sender, stores))
        child.start()
        for kind in ("children", "threads"):
            found[kind].append(receiver.recv() if receiver.poll(120) else None)
        child.join()
    try:
        import backends
    except ImportError:
        print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def odd_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In ``partly/train`` pictures of one size, else of several sizes, formats, modes and orientations."""
    root, rng = tmp_path_factory.mktemp("odd"), np.random.default_rng(0)
    modes = ("RGB", "L", "RGBA", "P", "LA", "1", "CMYK", "16 bits", "turned", "webp", "profile", "transparent", "JPEG")
    for folder in ("partly/train", "partly/test", "mixed/train", "mixed/test"):
        for number, mode in enumerate((*modes, "large")):
            path = root / folder / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if folder == "partly/train":
                Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8)).save(path)
                continue
            pixels = rng.integers(0, 256, (7 + number, 9 - number // 3, 3), np.uint8)
            picture, exif = Image.fromarray(pixels), Image.Exif()
            exif[0x0112] = 6
            match mode:
                case "16 bits":
                    Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 251).save(path)
                case "turned":
                    picture.save(path.with_suffix(".jpg"), exif=exif)
                case "large":  # so that all together are decoded in threads
                    Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)).save(path)
                case "JPEG":
                    picture.save(path.with_suffix(".jpg"))
                case "CMYK":
                    picture.convert(mode).save(path.with_suffix(".jpg"))
                case "webp":
                    picture.save(path.with_suffix(f".{mode}"))
                case "profile":
                    texts, block = PngInfo(), exif.tobytes()[6:]
                    texts.add_text("Raw profile type exif", f"\nexif\n{len(block)}\n{block.hex()}\n", zip=True)
                    picture.save(path, pnginfo=texts)
                case "transparent":
                    picture.convert("P").save(path, transparency=3)
                case _:
                    picture.convert(mode).save(path)
    return root


def run(folder: Path, codes: list[str], *arguments: str) -> dict[str, list[Any]]:
    """What printed files read, in an interpreter that has no environment and cannot import this program."""
    for number, code in enumerate([*codes, CHECK]):
        (folder / f"printed_{number}.py").write_text(code)
    stands_for_torch = folder / "torch/utils"  # torch itself takes minutes to install; only these names are used
    stands_for_torch.mkdir(parents=True, exist_ok=True)
    (stands_for_torch / "data.py").write_text("Dataset, get_worker_info = object, lambda: None\n")
    names = ",".join(f"printed_{number}" for number in range(len(codes)))
    command = [sys.executable, "-I", "-W", "ignore", str(folder / f"printed_{len(codes)}.py"), str(folder), names]
    found = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder, env={})
    assert found.returncode == 0, found.stderr
    result: dict[str, list[Any]] = json.loads(found.stdout)
    return result


def digest(image: NDArray[np.uint8], label: int) -> str:
    """The digest of an image, as ``CHECK`` makes it."""
    return hashlib.sha256(repr((image.shape, label)).encode() + image.tobytes()).hexdigest()


def digests_of(dataset: Path) -> list[str]:
    """The digests of all images of a dataset."""
    found: list[str] = []
    for split in ("train", "test"):
        with open_dataset(str(dataset), split) as opened:
            images: Any = opened.decode(np.arange(opened.count)).images
        found += map(digest, images.pixels, images.labels.tolist())
    return found


def read_container(path: Path) -> list[str]:
    """The digests of what the file that is printed for a container reads, the same with simplejpeg and without."""
    names: dict[str, Any] = {"__name__": "printed"}
    exec(loader_code(path, torch=False), names)
    images, labels = names["Images"]().read(slice(None))
    names["simplejpeg"] = None
    by_pillow, _ = names["Images"]().read(slice(None))
    assert all(map(np.array_equal, images, by_pillow))
    return list(map(digest, images, labels.tolist()))


TEST = {240: 40, 28: 14}
"""Images of the split ``test``, by those of the dataset."""
KINDS = [
    ("cifar", "raw", 64, False),
    ("cifar", "png", 999, True),
    ("partly", "raw", 7, False),
    ("mixed", "source", 5, False),
    ("mixed", "source", 6, True),
]


@pytest.mark.parametrize("backend", backend_entries())
def test_printed_file_reads_what_the_dataset_holds(
    tmp_path: Path, odd_pictures: Path, cifar10_folder: Path, backend: str
) -> None:
    keeps = backend_entries()[backend].codecs
    wanted: list[list[str]] = []
    codes: list[str] = []
    classes: list[list[str]] = []
    for name, codec, shard_images, for_torch in KINDS:
        if not keeps or codec in keeps:
            dataset = cifar10_folder if name == "cifar" else odd_pictures / name
            store = tmp_path / f"{name} {codec}'s {shard_images}"
            shard = store_at(store, dataset, f"{backend}+{codec}", shard_images=shard_images).shards[0]
            wanted.append(digests_of(dataset))
            assert read_container(store / shard.path) == wanted[-1][: shard.images]
            codes.append(loader_code(store, torch=for_torch))
            classes.append(list(read_manifest(store).classes))
            assert all(len(loader_code(store, torch=torch).splitlines()) <= 82 for torch in (False, True))
    found = run(tmp_path, codes)
    assert found["all"] == wanted
    assert found["batches"] == [[[one[n], one[9 - n], one[-n]] for n in range(9)] for one in wanted]
    assert found["one"] == [one[-2] for one in wanted]
    assert found["test"] == [[one[-TEST[len(one)]], one[-1]] for one in wanted]
    assert found["children"] == [[[one[-1], one[0], one[7], one[7]] for one in wanted]] * 2
    assert min(found["threads"]) > 1  # a child is not always a worker of a DataLoader
    assert found["classes"] == classes


def test_both_variants_read_a_store_that_was_moved(tmp_path: Path, cifar10_folder: Path, store: Path) -> None:
    shutil.copytree(store, tmp_path / "store")
    codes = [loader_code(tmp_path / "store", torch=torch) for torch in (False, True)]
    (tmp_path / "store").rename(tmp_path / "moved")
    assert run(tmp_path, codes, str(tmp_path / "moved"))["all"] == [digests_of(cifar10_folder)] * 2


def test_command_prints_the_file(store: Path) -> None:
    for options in ([], ["--torch"]):
        printed = CliRunner().invoke(cli, ["loader", str(store), *options])
        assert printed.output == loader_code(store, torch=bool(options))


def test_store_of_a_plug_in_has_no_such_file(tmp_path: Path, store: Path) -> None:
    shutil.copytree(store, tmp_path / "store")
    write_manifest(tmp_path / "store", replace(read_manifest(store), backend="joined"))
    with pytest.raises(UsageError, match="another package"):
        loader_code(tmp_path / "store", torch=False)


def test_path_of_neither_store_nor_container_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing"):
        with pytest.raises(StoreNotFound, match="neither a store nor a container"):
            loader_code(path, torch=False)
