"""A store, or a single container, as a dataset: it can be measured, and converted into another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.bench.disk import usage_of
from backends.datasets.base import Dataset, DatasetFacts, Decoded
from backends.datasets.structure import WHOLE
from backends.errors import ContainerDamaged, DatasetDamaged, ImgstoreError, NotAllowed, UsageError
from backends.images import Images, Records, offsets_of
from backends.registry import backend_entries, make_backend, make_codec
from backends.stores.store import open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.base import Reader

AS_FILES = ("source", "png", "jpeg")
"""Codecs whose records are picture files, which ``source`` passes on."""


class StoreDataset(Dataset):
    """One split of a store; the first if ``split`` is None.

    Raises UsageError where there is no such split, StoreDamaged where the manifest or the index is damaged.
    """

    def __init__(self, folder: Path, path: str, split: str | None) -> None:
        self._store = store = open_store(folder)
        manifest = store.manifest
        split = next(iter(store.splits)) if split is None else split
        if split not in store.splits:
            raise UsageError(f"{folder} has no split {split!r}: choose of {', '.join(store.splits)}.")
        self._range = rows = store.splits[split]
        part = slice(rows.start, rows.stop)
        labels, shapes = store.labels[part], store.shapes[part]
        one_size = len(shapes) > 0 and bool((shapes == shapes[0]).all())
        height, width, channels = map(int, shapes[0]) if one_size else (0, 0, 0)
        bytes_ = sum(shard.bytes for shard in manifest.shards if shard.split == split)
        facts = DatasetFacts(
            path=path,
            kind=f"store of {manifest.request.configuration.method}",
            split=split,
            splits={name: len(positions) for name, positions in store.splits.items()},
            image_shape=(height, width, channels) if one_size else None,
            raw_bytes=int(shapes.prod(axis=1, dtype=np.int64).sum()),
            classes=store.classes,
            fingerprint=xxhash.xxh3_128_hexdigest(store.digests[part].tobytes() + labels.tobytes()),
            source=str(folder),
            source_bytes=bytes_ if manifest.codec in AS_FILES else None,
        )
        super().__init__(facts, labels)

    def name(self, id_: int) -> str:
        return self._store.names[self._range[id_]]

    def decode(self, ids: NDArray[np.int64], *, source: bool = False, memory: int | None = None) -> Decoded:
        if not source:
            return Decoded(ids, self.read(ids))
        if self._facts.source_bytes is None:
            return super().decode(ids, source=True)
        batches = [records for records, _ in self._store.records(self._range.start + ids)]
        data = np.concatenate([np.empty(0, np.uint8), *(batch.data for batch in batches)])
        lengths = np.concatenate([np.empty(0, np.int64), *(np.diff(batch.offsets) for batch in batches)])
        return Decoded(ids, self.read(ids), Records(data, offsets_of(lengths), self.labels[ids]))

    def read(self, ids: NDArray[np.int64]) -> Images:
        try:
            return self._store.read(self._range.start + ids)
        except ImgstoreError as error:
            how = f"imgstore-tui verify {self._facts.source} says what else is."
            raise DatasetDamaged(f"an image of the store is damaged ({error}): {how}") from None

    def close(self) -> None:
        self._store.close()


SAMPLE = 64
"""Images of a container that are decoded to know their sizes."""


class ContainerDataset(Dataset):
    """The images of one container, such as a shard that was copied alone."""

    def __init__(self, reader: Reader, backend: str, path: str, source: Path, split: str | None) -> None:
        if split not in (None, WHOLE):
            raise UsageError(f"{source} is a container without splits: leave out --split.")
        layout, labels = reader.layout, reader.labels
        self._reader, self._codec = reader, make_codec(layout.codec)
        bytes_ = usage_of(source).bytes_apparent
        sample = self._decoded(np.linspace(0, layout.count - 1, min(SAMPLE, layout.count)).astype(np.int64), labels)
        shapes = {image.shape for image in sample.pixels}
        mean = sum(image.size for image in sample.pixels) / max(1, len(sample))
        facts = DatasetFacts(
            path=path,
            kind=f"{backend}+{layout.codec} container",
            split=WHOLE,
            splits={WHOLE: layout.count},
            image_shape=layout.image_shape or (shapes.pop() if len(shapes) == 1 else None),
            raw_bytes=round(mean * layout.count),
            classes=layout.classes,
            fingerprint=xxhash.xxh3_128_hexdigest(f"{layout.to_json()} {bytes_}".encode() + labels.tobytes()),
            source=str(source),
            source_bytes=bytes_ if layout.codec in AS_FILES else None,
            estimated=layout.image_shape is None and layout.count > SAMPLE,
        )
        super().__init__(facts, labels)

    def decode(self, ids: NDArray[np.int64], *, source: bool = False, memory: int | None = None) -> Decoded:
        if source and self._facts.source_bytes is None:
            return super().decode(ids, source=True)
        return Decoded(ids, self.read(ids), self._reader.read(ids) if source else None)

    def read(self, ids: NDArray[np.int64]) -> Images:
        return self._decoded(ids, self.labels)

    def _decoded(self, ids: NDArray[np.int64], labels: NDArray[np.int64]) -> Images:
        try:
            return self._codec.decode(self._reader.read(ids), self._reader.layout)
        except ContainerDamaged as error:
            raise DatasetDamaged(f"an image of the container is damaged ({error}): make it again.") from None

    def close(self) -> None:
        self._reader.close()


def open_container(path: Path, shown: str, split: str | None) -> Dataset | None:
    """The container at ``path``, of whichever installed backend it is; None where it is of none.

    Raises DatasetDamaged where it is one whose images cannot be read.
    """
    damage: DatasetDamaged | None = None
    for name in [name for name, entry in backend_entries().items() if entry.installed]:
        try:
            return ContainerDataset(make_backend(name).open(path), name, shown, path, split)
        except DatasetDamaged as error:  # some backends have files in common
            damage = error
        except (ContainerDamaged, NotAllowed, OSError):
            continue
    if damage is not None:
        raise damage
    return None
