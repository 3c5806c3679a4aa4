"""Tables of pictures as Hugging Face keeps them: Parquet files, and the Arrow files of ``save_to_disk``."""

from __future__ import annotations

import io
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import xxhash

from backends import limits
from backends.datasets.arrays import common_source
from backends.datasets.base import DatasetFacts
from backends.datasets.labels import numbered, read_label_array
from backends.datasets.pictures import Pictures
from backends.datasets.regular_file import open_regular, unpacking
from backends.datasets.structure import WHOLE, choose_split, in_order, split_word
from backends.errors import BackendUnavailable, DatasetNotFound, PictureDamaged, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.datasets.base import Reading

CACHED_BYTES = 256 << 20
"""Bytes of row groups that are kept, about."""

_IMAGES = ("image", "img", "jpg", "png", "picture", "pixel_values")
_LABELS = ("label", "labels", "fine_label", "class", "cls", "category", "target", "y")


class Table:
    """One file: the row groups of Parquet, or the record batches of Arrow."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise BackendUnavailable(f"{path} needs pyarrow: pip install 'imgstore-tui[parquet]'.") from None
        self.path = path
        with open_regular(path) as file:
            magic = file.read(6)
        with unpacking(path, pa.ArrowException):
            if magic.startswith(b"PAR1"):
                self._file, self._batches = pq.ParquetFile(path, memory_map=True), None
                groups = [self._file.metadata.row_group(index) for index in range(self._file.num_row_groups)]
                self.schema, self.rows = self._file.schema_arrow, [group.num_rows for group in groups]
            else:
                mapped = pa.memory_map(str(path))
                opener = pa.ipc.open_file if magic == b"ARROW1" else pa.ipc.open_stream
                whole = opener(mapped).read_all()
                whole.validate(full=True)  # wrong offsets would end the process
                self.schema, self._batches = whole.schema, whole.to_batches()
                self.rows = [batch.num_rows for batch in self._batches]

    def values(self, name: str) -> list[Any]:
        """All values of a column, such as labels."""
        return [value for index in range(len(self.rows)) for value in self.group(index, name).to_pylist()]

    def group(self, index: int, name: str) -> Any:
        """A column of one row group or batch."""
        if self._batches is not None:
            return self._batches[index].column(name)
        import pyarrow as pa

        with unpacking(self.path, pa.ArrowException):
            return self._file.read_row_group(index, [name]).column(name).combine_chunks()

    def features(self) -> dict[str, Any]:
        """What Hugging Face's metadata say of the columns."""
        try:
            found = limits.parse_json((self.schema.metadata or {})[b"huggingface"])["info"]["features"]
        except (KeyError, ValueError, TypeError):
            found = {}
        return found if isinstance(found, dict) else {}


class PictureTable(Pictures):
    """One split of the pictures in tables; splits are told by the names of files or of their folders.

    Raises DatasetNotFound where they have no column of pictures, UsageError where there is no such split,
    BackendUnavailable without pyarrow.
    """

    def __init__(self, files: list[Path], path: str, split: str | None, how: Reading) -> None:
        if how.root or how.layout:
            raise UsageError(f"{path} has no folders: leave out --root and --layout.")
        by_split: dict[str, list[Path]] = {}
        for file in sorted(files):
            by_split.setdefault(split_word(file.name) or split_word(file.parent.name) or WHOLE, []).append(file)
        names = in_order(by_split)
        split = choose_split(names, split, path)
        tables = {name: [Table(file) for file in by_split[name]] for name in names}
        self._tables = tables[split]
        self._image = _column(self._tables[0], _IMAGES, pictures=True)
        if self._image is None:
            listed = ", ".join(self._tables[0].schema.names[:6])
            raise DatasetNotFound(f"{path} has no column of pictures ({listed}): name one that has.")
        counts = [rows for table in self._tables for rows in table.rows]
        self._ends, self._cached = np.cumsum(counts), OrderedDict[int, Any]()
        self._groups = [(table, index) for table in self._tables for index in range(len(table.rows))]
        self._lock = Lock()
        count = sum(counts)
        classes, labels = self._read_labels(how, count)
        digest = xxhash.xxh3_128(repr((counts, classes, self._image)).encode() + labels.astype("<i8").tobytes())
        digest.update(repr([table.path.stat().st_size for table in self._tables]).encode())
        kind = "Parquet" if self._tables[0].path.suffix == ".parquet" else "Arrow"
        facts = DatasetFacts(
            path=path,
            kind=f"{kind} table",
            split=split,
            splits={name: sum(sum(table.rows) for table in tables[name]) for name in names},
            classes=classes,
            fingerprint=digest.hexdigest(),
            source=str(common_source(files)),
            how=how,
            source_bytes=sum(table.path.stat().st_size for table in self._tables),
        )
        super().__init__(facts, labels)

    def name(self, id_: int) -> str:
        return f"row {id_}"

    def _open(self, id_: int) -> BinaryIO:
        group = int(np.searchsorted(self._ends, id_, side="right"))
        column = self._column_of(group)
        value = column[id_ - (int(self._ends[group - 1]) if group else 0)].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            elsewhere = value.get("path") if isinstance(value, dict) else None
            raise PictureDamaged(f"its picture is not in the table but in {elsewhere}" if elsewhere else "it is empty")
        return io.BytesIO(data)

    def _column_of(self, group: int) -> Any:
        """The pictures of a row group; those read last are kept."""
        with self._lock:
            if group not in self._cached:
                table, index = self._groups[group]
                self._cached[group] = table.group(index, str(self._image))
                while len(self._cached) > 1 and sum(one.nbytes for one in self._cached.values()) > CACHED_BYTES:
                    self._cached.popitem(last=False)
            self._cached.move_to_end(group)
            return self._cached[group]

    def _read_labels(self, how: Reading, count: int) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Names of the classes, from Hugging Face's metadata if they have them, and labels."""
        name = _column(self._tables[0], _LABELS, pictures=False)
        if how.labels:
            return numbered(text or None for text in map(str, read_label_array(how.labels, count).tolist()))
        if name is None:
            return (), np.full(count, -1, np.int64)
        values = [value for table in self._tables for value in table.values(name)]
        names = self._tables[0].features().get(name, {}).get("names")
        numbers = {None, *range(-1, len(names))} if isinstance(names, list) else set()
        if isinstance(names, list) and all(value in numbers for value in values):
            return tuple(map(str, names)), np.array([-1 if value is None else value for value in values], np.int64)
        return numbered(None if value is None else str(value) for value in values)


open_files = PictureTable


def _column(table: Table, names: tuple[str, ...], *, pictures: bool) -> str | None:
    """The first column of one of these names and a fitting type; else any column of pictures."""
    import pyarrow as pa

    def fits(field: Any) -> bool:
        if pictures:
            binary = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
            return bool(binary or (pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0))
        return bool(pa.types.is_integer(field.type) or pa.types.is_string(field.type))

    fields = {field.name: field for field in table.schema if fits(field)}
    found = next((name for name in names if name in fields), None)
    return found or (next(iter(fields), None) if pictures else None)
