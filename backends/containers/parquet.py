"""One Parquet file with the columns ``image``, as Hugging Face's Image feature (bytes and path), and ``label``.

It keeps encoded pictures only, uncompressed, in row groups of some 64 KiB, so that a single image takes few bytes.  The
schema's metadata has the features, with the class names, for the library ``datasets``, and our ``layout``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backends.base import Backend
from backends.containers.fileio import MappedFile, slices
from backends.containers.records import ContainerReader, ContainerWriter
from backends.images import Layout, Records

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

GROUP_BYTES = 1 << 16
"""Of pictures, so many or more make a row group: pyarrow reads one of 64 KiB in 60 us, one of 256 KiB in 150 us."""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SCHEMA = pa.schema([("image", _IMAGE), ("label", pa.int64())])


class Parquet(Backend):
    """A file that ``datasets.load_dataset("parquet", ...)`` reads."""

    name = "parquet"

    def create(self, path: Path, layout: Layout) -> ParquetWriter:
        return ParquetWriter(path, layout)

    def open(self, path: Path) -> ParquetReader:
        return ParquetReader(path)


class ParquetWriter(ContainerWriter):
    """Collects the records of a row group; the file's footer, written last, makes it a container."""

    max_bytes = (1 << 31) - 1  # offsets within a column have 32 bits

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._pending, self._written = np.empty(0, np.uint8), 0
        self.path.open("xb").close()
        self._file = pa.OSFile(str(self.path), "wb")
        self._schema = _SCHEMA.with_metadata({"huggingface": _features(layout), "layout": layout.to_json()})
        self._writer = pq.ParquetWriter(
            self._file, self._schema, compression="none", use_dictionary=False, write_statistics=False
        )

    def append(self, records: Records) -> None:
        self.add(records)
        self._pending = np.concatenate([self._pending, records.data[records.offsets[0] : records.offsets[-1]]])
        while len(self._pending) >= GROUP_BYTES:
            ends = self.offsets[self._written + 1 : self.filled + 1] - self.offsets[self._written]
            self._write_group(1 + int(np.searchsorted(ends, GROUP_BYTES)))

    def finish(self) -> None:
        if self.filled > self._written:
            self._write_group(self.filled - self._written)
        self._writer.close()
        self._file.close()

    def remove(self) -> None:
        with suppress(OSError):  # of a full disk, once more
            self._writer.close()
        self._writer.is_open = False  # it would try again when it is collected
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write_group(self, count: int) -> None:
        """Write the first ``count`` of the records that are pending."""
        rows = slice(self._written, self._written + count)
        edges = self.offsets[rows.start : rows.stop + 1] - self.offsets[rows.start]
        data, self._pending = self._pending[: edges[-1]], self._pending[edges[-1] :]
        buffers = [None, pa.py_buffer(edges.astype(np.int32)), pa.py_buffer(data)]
        pictures = pa.Array.from_buffers(pa.binary(), count, buffers)
        images = pa.StructArray.from_arrays([pictures, pa.nulls(count, pa.string())], fields=list(_IMAGE))
        self._writer.write_table(pa.Table.from_arrays([images, pa.array(self.labels[rows])], schema=self._schema))
        self._written += count


class ParquetReader(ContainerReader):
    """Reads each row group that has a wanted record once; the last one is kept for the next batch."""

    kind = "Parquet container"

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        groups = np.searchsorted(self._edges, rows, "right") - 1
        order = np.argsort(groups, kind="stable")
        values: list[Any] = [None] * len(rows)
        for places in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(rows) else ():
            group = int(groups[places[0]])
            data, edges = self._read_group(group)
            within = rows[places] - self._edges[group]
            for place, value in zip(places.tolist(), slices(data, edges[within], edges[within + 1]), strict=True):
                values[place] = value
        return self.joined(rows, values, out)

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            labels: NDArray[Any] = self._file.read(["label"], use_threads=False).column("label").to_numpy()
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(str(error)) from error
        if labels.shape != shape or labels.dtype.str != dtype:
            raise self.damaged(f"its labels are not {shape[0]:,} numbers")
        return labels.copy()

    @property
    def is_open(self) -> bool:
        return not self._file.closed

    def release(self) -> None:
        self._file.close()

    def _open(self) -> Layout:
        MappedFile(self.path).close()
        try:
            self._file = pq.ParquetFile(self.path, memory_map=False, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(str(error)) from error
        try:
            layout = Layout.from_json((self._file.schema_arrow.metadata or {})[b"layout"])
            facts = self._file.metadata
            if not self._file.schema_arrow.equals(_SCHEMA) or facts.num_rows != layout.count or layout.carries_shapes:
                raise ValueError("it has other columns, or another number of rows")
            counts = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            self.release()
            raise self.damaged(str(error)) from error
        self._edges = np.cumsum([0, *counts])
        self._last: tuple[int, tuple[NDArray[np.uint8], NDArray[np.int32]]] | None = None
        return layout

    def _read_group(self, group: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """The bytes of a row group's pictures, end to end, and where each begins."""
        last = self._last
        if last is None or last[0] != group:
            try:
                table = self._file.read_row_group(group, columns=["image.bytes"], use_threads=False)
            except (pa.ArrowException, OSError) as error:
                raise self.damaged(str(error)) from error
            pictures = table.column("image").combine_chunks().field("bytes")
            count = self._edges[group + 1] - self._edges[group]
            if pictures.null_count or len(pictures) != count:
                raise self.damaged("an image is missing")
            _, edges, data = pictures.buffers()
            starts = np.frombuffer(edges, np.int32)[pictures.offset : pictures.offset + count + 1]
            self._last = last = group, (np.frombuffer(data, np.uint8), starts)
        return last[1]


def _features(layout: Layout) -> str:
    """What the library ``datasets`` reads in the metadata: classes need names, of which no two are equal."""
    label: dict[str, Any] = {"dtype": "int64", "_type": "Value"}
    if layout.classes and len(set(layout.classes)) == len(layout.classes):
        label = {"names": layout.classes, "_type": "ClassLabel"}
    return json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})
