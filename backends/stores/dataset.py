"""A store as a dataset: it can be measured, and converted into another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.datasets.base import Dataset, DatasetFacts, Decoded
from backends.errors import DatasetDamaged, ImgstoreError, UsageError
from backends.images import Images, Records, offsets_of
from backends.stores.store import open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        counted = np.bincount(labels[labels >= 0], minlength=len(store.classes)).tolist()
        facts = DatasetFacts(
            path=path,
            kind=f"store of {manifest.request.configuration.method}",
            split=split,
            splits={name: len(positions) for name, positions in store.splits.items()},
            count=len(rows),
            image_shape=(height, width, channels) if one_size else None,
            raw_bytes=int(shapes.prod(axis=1, dtype=np.int64).sum()),
            classes=store.classes,
            class_counts=tuple(counted) if store.classes else (),
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
