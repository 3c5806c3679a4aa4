"""Stores images as tutorials do and reads them by a plain PyTorch DataLoader, without anything of this program.

    python plain.py CONFIG FOLDER WORKERS BATCH item|batch EPOCHS

prints as JSON the mean seconds of EPOCHS after a first one, or of that if EPOCHS is 0, the least of several WORKERS.
"""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np


class Stored:
    """Images of one container; each process opens it when it reads its first."""

    file: Any

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shape, self.same, self.labels = json.loads((folder / "facts.json").read_text())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.image(self.record(index)), self.labels[index]

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, int]]:
        return [self[index] for index in indices]

    def image(self, record: Any) -> Any:
        if self.shape:
            return np.array(np.frombuffer(record, np.uint8).reshape(self.shape))
        from PIL import Image

        return np.array(Image.open(io.BytesIO(record)))

    def record(self, index: int) -> Any:
        return self.file[index]


class Files(Stored):
    def write(self, records: Sequence[bytes]) -> None:
        for index, record in enumerate(records):
            (self.folder / f"{index}.image").write_bytes(record)

    def record(self, index: int) -> bytes:
        return (self.folder / f"{index}.image").read_bytes()


class Lmdb(Stored):
    def write(self, records: Sequence[bytes]) -> None:
        import lmdb

        environment = lmdb.open(str(self.folder / "lmdb"), map_size=1 << 34)
        with environment.begin(write=True) as transaction:
            for index, record in enumerate(records):
                transaction.put(f"{index:08}".encode(), record)
        environment.close()

    @cached_property
    def file(self) -> Any:
        import lmdb

        return lmdb.open(str(self.folder / "lmdb"), readonly=True, lock=False, readahead=False, meminit=False)

    def record(self, index: int) -> bytes:
        with self.file.begin() as transaction:
            record: bytes = transaction.get(f"{index:08}".encode())
        return record


class Sqlite(Stored):
    def write(self, records: Sequence[bytes]) -> None:
        database = sqlite3.connect(self.folder / "images.db")
        database.execute("CREATE TABLE images (id INTEGER PRIMARY KEY, image BLOB)")
        database.executemany("INSERT INTO images VALUES (?, ?)", enumerate(records))
        database.commit()
        database.close()

    @cached_property
    def file(self) -> Any:
        return sqlite3.connect(self.folder / "images.db")

    def record(self, index: int) -> bytes:
        query = "SELECT image FROM images WHERE id = ?"
        record: bytes = self.file.execute(query, (index,)).fetchone()[0]
        return record


class Hdf5(Stored):
    def write(self, records: Sequence[bytes]) -> None:
        import h5py

        arrays = [np.frombuffer(record, np.uint8) for record in records]
        with h5py.File(self.folder / "images.h5", "w") as file:
            if self.shape:
                file["images"] = np.stack(arrays).reshape(-1, *self.shape)
            else:
                images = file.create_dataset("images", len(arrays), h5py.vlen_dtype(np.uint8))
                for index, array in enumerate(arrays):
                    images[index] = array

    @cached_property
    def file(self) -> Any:
        import h5py

        return h5py.File(self.folder / "images.h5")["images"]

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, int]]:
        order = np.argsort(indices)
        found = self.file[np.array(indices)[order]]
        records = {indices[place]: record for place, record in zip(order.tolist(), found, strict=True)}
        return [(self.image(records[index]), self.labels[index]) for index in indices]


class MappedSqlite(Sqlite):
    @cached_property
    def file(self) -> Any:
        database = super().file
        database.execute("PRAGMA mmap_size = 1099511627776")
        return database


class Npy(Stored):
    def write(self, records: Sequence[bytes]) -> None:
        np.save(self.folder / "images.npy", np.frombuffer(b"".join(records), np.uint8).reshape(-1, *self.shape))

    @cached_property
    def file(self) -> Any:
        return np.load(self.folder / "images.npy", mmap_mode="r")

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, int]]:
        return list(zip(np.array(self.file[indices]), [self.labels[index] for index in indices], strict=True))


class MappedHdf5(Npy):
    """Reads images that HDF5 keeps in one piece where they lie in its file."""

    @cached_property
    def file(self) -> Any:
        import h5py

        path = self.folder / "images.h5"
        with h5py.File(path) as file:
            images = file["images"]
            return np.memmap(path, images.dtype, "r", images.id.get_offset(), images.shape)


KINDS: dict[str, type[Any]] = {"files": Files, "lmdb": Lmdb, "sqlite": Sqlite, "hdf5": Hdf5, "npy": Npy}
KINDS |= {"mapped-sqlite": MappedSqlite, "mapped-hdf5": MappedHdf5}
MAPPED = {name: f"mapped-{name}" for name in ("sqlite+raw", "sqlite+source", "hdf5+raw")}
"""Configurations that can also be read through a memory map, by the name for that."""


def store(configuration: str, folder: Path, images: Sequence[Any], files: Sequence[bytes], labels: list[int]) -> None:
    """Write images, or the picture files they were in, into a new folder."""
    backend, codec = configuration.split("+")
    folder.mkdir()
    facts = [images[0].shape if codec == "raw" else None, len({image.shape for image in images}) == 1, labels]
    (folder / "facts.json").write_text(json.dumps(facts))
    KINDS[backend](folder).write(files if codec == "source" else [encoded(image, codec) for image in images])


def encoded(image: Any, codec: str) -> bytes:
    if codec == "raw":
        return bytes(image.data)
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, codec)
    return file.getvalue()


def tensors(batch: list[tuple[Any, int]]) -> Any:
    """A batch of images of any sizes."""
    import torch

    return [torch.from_numpy(image) for image, _ in batch], torch.tensor([label for _, label in batch])


def main(configuration: str, folder: str, workers: str, batch: str, fetch: str, epochs: str) -> None:
    from torch.utils.data import DataLoader

    means = []
    for number in map(int, workers.split(",")):
        images = KINDS[configuration.partition("+")[0]](Path(folder))
        if fetch == "item":
            images.__getitems__ = None
        collate = None if images.same else tensors
        loader = DataLoader(
            images, int(batch), True, num_workers=number, collate_fn=collate, persistent_workers=number > 0
        )
        seconds = []
        for _ in range(1 + int(epochs)):
            begin = time.perf_counter()
            for _ in loader:
                pass
            seconds.append(time.perf_counter() - begin)
        means.append(float(np.mean(seconds[1:] or seconds)))
    sys.stdout.write(json.dumps(min(means)))


if __name__ == "__main__":
    main(*sys.argv[1:])
