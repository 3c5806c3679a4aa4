"""How the plain libraries read what the backends write: the lines that a user would write, and the README shows.

A raw record is pixels, every other one a picture file for Pillow.  Libraries are imported by the functions that use
them: importing this module costs nothing.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8] | list[NDArray[np.uint8]]
    Everything = tuple[Pixels, NDArray[np.int64]]
    Fetch = Callable[[NDArray[np.int64]], Pixels]

CODECS = ("raw", "png", "source", "jpeg")
_ORIENTATION = 0x0112
_SUFFIXES = {"raw": ".raw", "png": ".png", "jpeg": ".jpg"}


@dataclass(frozen=True, slots=True)
class PlainRows:
    """A container opened with its plain library.

    ``labels`` is ``(count,)`` int64; ``fetch`` takes rows, ``(n,)`` int64 in any order and repeated as one likes, and
    returns their images as ``read_all`` does; ``close`` ends it.
    """

    labels: NDArray[np.int64]
    fetch: Fetch
    close: Callable[[], object]


def has_plain(backend: str, codec: str, mixed: bool) -> bool:
    """Whether a plain library reads this; ``mixed``: images differ in size, which records of raw pixels do not say."""
    return backend in _OPEN and codec in CODECS and not (mixed and codec == "raw")


def read_all(backend: str, codec: str, path: Path) -> Everything:
    """Read a container into memory.

    Returns
    -------
    ``(count, height, width, channels)`` uint8 where all images have one size, else a list of
    ``(height, width, channels)`` arrays; and ``(count,)`` int64 labels.
    """
    import numpy as np

    if f"{backend}_{codec}" in SHOWN:
        images, labels = SHOWN[f"{backend}_{codec}"](str(path))
        return _joined(images), labels
    rows = _OPEN[backend](str(path), codec, True)
    try:
        return rows.fetch(np.arange(len(rows.labels))), rows.labels
    finally:
        rows.close()


def open_rows(backend: str, codec: str, path: Path) -> PlainRows:
    """Open a container for batches of rows; labels and offsets are read, and of ``tar`` all headers, but no image."""
    return _OPEN[backend](str(path), codec, False)


# What the README shows, line by line; it has the imports at its top.


def files_png(path: str) -> Everything:
    import numpy as np
    from PIL import Image

    labels = np.load(f"{path}/labels.npy")
    images = [np.array(Image.open(f"{path}/{i // 100:03d}/{i:06d}.png")) for i in range(len(labels))]
    return images, labels


def lmdb_raw(path: str) -> Everything:
    import lmdb
    import numpy as np

    with lmdb.open(path, readonly=True, lock=False) as env, env.begin() as txn:
        labels, shape = np.frombuffer(txn.get(b"labels"), np.int64), json.loads(txn.get(b"layout"))["image_shape"]  # type: ignore[arg-type]
        images = np.array([np.frombuffer(txn.get(i.to_bytes(8, "big")), np.uint8) for i in range(len(labels))])  # type: ignore[arg-type]
        images = images.reshape(-1, *shape)
    return images, labels


def hdf5_raw(path: str) -> Everything:
    import h5py

    with h5py.File(path) as file:
        images, labels = file["images"][:], file["labels"][:]
    return images, labels


def npy_raw(path: str) -> Everything:
    import numpy as np

    images = np.load(f"{path}/images.npy")
    labels = np.load(f"{path}/labels.npy")
    return images, labels


def sqlite_raw(path: str) -> Everything:
    import numpy as np

    with closing(sqlite3.connect(path)) as database:
        ((layout,),) = database.execute("SELECT json FROM layout")
        records, numbers = zip(*database.execute("SELECT record, label FROM images ORDER BY id"), strict=True)
    images = np.frombuffer(b"".join(records), np.uint8).reshape(-1, *json.loads(layout)["image_shape"])
    labels = np.array(numbers)
    return images, labels


def tar_raw(path: str) -> Everything:
    import numpy as np

    with tarfile.open(f"{path}/images.tar") as archive:
        contents = [archive.extractfile(member).read() for member in archive]  # type: ignore[union-attr]
    images = np.array([np.load(io.BytesIO(content)) for content in contents[::2]])
    labels = np.array([int(content) for content in contents[1::2]])
    return images, labels


# What opens a container.  ``everything``: all rows will be asked for, once and in order.


def _files(path: str, codec: str, everything: bool) -> PlainRows:
    import numpy as np

    with open(f"{path}/layout.json") as file:  # noqa: PTH123
        image = _decoder(codec, json.load(file)["image_shape"])
    suffixes = np.load(f"{path}/suffixes.npy").astype(str) if codec == "source" else None

    def one(row: int) -> NDArray[np.uint8]:
        name = f"{path}/{row // 100:03d}/{row:06d}{_SUFFIXES[codec] if suffixes is None else suffixes[row]}"
        return image(np.fromfile(name, np.uint8) if codec == "raw" else name)

    return PlainRows(np.load(f"{path}/labels.npy"), _each(one), lambda: None)


def _lmdb(path: str, codec: str, everything: bool) -> PlainRows:
    import lmdb
    import numpy as np

    env: Any = lmdb.open(path, readonly=True, lock=False)
    txn = env.begin()
    labels, layout = np.frombuffer(txn.get(b"labels"), np.int64), json.loads(txn.get(b"layout"))
    image = _decoder(codec, layout["image_shape"])
    return PlainRows(labels, _each(lambda row: image(txn.get(row.to_bytes(8, "big")))), env.close)


def _hdf5(path: str, codec: str, everything: bool) -> PlainRows:
    import h5py
    import numpy as np

    file = h5py.File(path)
    labels = file["labels"][:]
    if codec != "raw":
        data = file["data"][:] if everything else file["data"]
        return PlainRows(labels, _pieces(data, file["offsets"][:]), file.close)

    def fetch(rows: NDArray[np.int64]) -> Pixels:
        ascending, order = np.unique(rows, return_inverse=True)  # h5py takes no others
        images: NDArray[np.uint8] = file["images"][ascending]
        return images[order]

    return PlainRows(labels, fetch, file.close)


def _npy(path: str, codec: str, everything: bool) -> PlainRows:
    import numpy as np

    labels, name = np.load(f"{path}/labels.npy"), "images" if codec == "raw" else "data"
    pixels = np.load(f"{path}/{name}.npy", mmap_mode=None if everything else "r")
    if codec == "raw":
        return PlainRows(labels, lambda rows: pixels[rows], lambda: None)
    return PlainRows(labels, _pieces(pixels, np.load(f"{path}/offsets.npy")), lambda: None)


def _sqlite(path: str, codec: str, everything: bool) -> PlainRows:
    import numpy as np

    database = sqlite3.connect(path)
    ((layout, labels),) = database.execute("SELECT json, labels FROM layout")
    image, one = _decoder(codec, json.loads(layout)["image_shape"]), "SELECT record FROM images WHERE id = ?"
    fetch = _each(lambda row: image(database.execute(one, (row,)).fetchone()[0]))
    if everything:
        records = [record for (record,) in database.execute("SELECT record FROM images ORDER BY id")]
        fetch = _each(lambda row: image(records[row]))
    return PlainRows(np.frombuffer(labels, np.int64), fetch, database.close)


def _tar(path: str, codec: str, everything: bool) -> PlainRows:
    import numpy as np

    archive: Any = tarfile.TarFile.open(f"{path}/images.tar")
    members = archive.getmembers()[::2]
    image = np.load if codec == "raw" else _decoder(codec, None)
    fetch = _each(lambda row: image(io.BytesIO(archive.extractfile(members[row]).read())))
    return PlainRows(np.load(f"{path}/labels.npy"), fetch, archive.close)


def _decoder(codec: str, shape: list[int] | None) -> Callable[[Any], NDArray[np.uint8]]:
    """What makes pixels of a record, or of the file that a name says."""
    import numpy as np
    from PIL import Image, ImageOps

    def picture(record: Any) -> NDArray[np.uint8]:
        image: Image.Image = Image.open(record if isinstance(record, str | io.BytesIO) else io.BytesIO(record))
        if "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        if image.mode not in ("L", "RGB", "RGBA", "I;16"):
            image = image.convert("L" if image.mode == "1" else "RGBA" if image.has_transparency_data else "RGB")
        pixels = np.array(image)
        return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)

    return picture if codec != "raw" else lambda record: np.frombuffer(record, np.uint8).reshape(shape)


def _each(one: Callable[[int], NDArray[np.uint8]]) -> Fetch:
    return lambda rows: _joined([one(row) for row in rows.tolist()])


def _pieces(data: Any, ends: NDArray[np.int64]) -> Fetch:
    image = _decoder("picture", None)
    return _each(lambda row: image(data[ends[row] : ends[row + 1]]))


def _joined(images: Pixels) -> Pixels:
    """One array where all have one size; grey images have one channel, not none."""
    import numpy as np

    images = [image.reshape(*image.shape[:2], -1) for image in images] if isinstance(images, list) else images
    return np.array(images) if len({image.shape for image in images}) == 1 else images


SHOWN = {read.__name__: read for read in (files_png, lmdb_raw, hdf5_raw, npy_raw, sqlite_raw, tar_raw)}
_OPEN = {"files": _files, "lmdb": _lmdb, "hdf5": _hdf5, "npy": _npy, "sqlite": _sqlite, "tar": _tar}
