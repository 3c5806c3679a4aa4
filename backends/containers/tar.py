"""One tar file, which WebDataset reads; arrays at its end say where in it each record lies.

Members are ``00000042.png`` and, right behind it, ``00000042.cls``: the label in decimal, also where it is -1, since a
pipeline that asks for both stops at a sample with one.  Raw pixels are ``.npy`` members.  Behind them,
``__imgstore__/labels.npy``, ``offsets.npy``, ``sizes.npy`` and ``layout.json`` give random access without a walk
through the archive; WebDataset skips them.  ``where.json``, the last member, says where these lie.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from functools import cache
from tarfile import USTAR_FORMAT, TarInfo
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import limits
from backends.base import Backend
from backends.containers.array_folder import NO_ARRAY, data_start, write_header
from backends.containers.fileio import MappedFile, slices
from backends.containers.records import ContainerReader, ContainerWriter, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets
from backends.registry import make_codec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK = 512
FOLDER = "__imgstore__"
END_BYTES = 2 * BLOCK
"""Two blocks of zeros end an archive (POSIX.1-1988, ustar interchange format)."""
LAST_BYTES = 2 * BLOCK + END_BYTES
"""The last member, with its header and what ends the archive."""
MAX_MEMBER_BYTES = (1 << 33) - 1
"""What eleven octal digits say."""
NPY_HEAD_BYTES = 1 << 12
"""More than the header of any image's array."""
_SIZE_AT, _SIZE_DIGITS, _CHECKSUM_AT, _CHECKSUM_DIGITS = 124, 11, 148, 6
_NAME_DIGITS, _LABEL_BYTES = 8, 20


class Tar(Backend):
    """A shard for WebDataset, which every tar unpacks."""

    name = "tar"

    def create(self, path: Path, layout: Layout) -> TarWriter:
        return TarWriter(path, layout)

    def open(self, path: Path) -> TarReader:
        return TarReader(path)


class TarWriter(ContainerWriter):
    """Lays out the members of a batch in one array of blocks, which is one write."""

    max_bytes = MAX_MEMBER_BYTES - NPY_HEAD_BYTES

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._codec = make_codec(layout.codec)
        self._starts, self._sizes = np.empty((2, layout.count), "<i8")
        self._name_digits = max(_NAME_DIGITS, len(str(layout.count - 1)))
        self._blocks = np.empty((0, BLOCK), np.uint8)
        self._end = 0
        self._file = self.path.open("xb")

    def append(self, records: Records) -> None:
        rows = np.arange(len(records)) + self.add(records)
        if not len(rows):
            return
        templates, prefixes = self._members(records)
        names = rows[:, np.newaxis] // 10 ** np.arange(self._name_digits - 1, -1, -1) % 10 + ord("0")
        sizes, before = np.diff(records.offsets), prefixes.shape[1]
        blocks = -(-(before + sizes) // BLOCK)
        ends = np.cumsum(1 + blocks + 2)
        starts = ends - blocks - 3
        labels = records.labels.astype(f"S{_LABEL_BYTES}")
        if self.layout.record_bytes is None or len(self._blocks) != ends[-1]:
            self._blocks = np.zeros((ends[-1], BLOCK), np.uint8)
        archive = self._blocks  # of the last batch: where records have one size, what was written is written again
        archive[starts] = _headers(templates, names, before + sizes)
        archive[starts + 1, :before] = prefixes
        archive[ends - 2] = _headers(self._templates([".cls"]), names, np.strings.str_len(labels))
        archive[ends - 1, :_LABEL_BYTES] = labels.view(np.uint8).reshape(-1, _LABEL_BYTES)
        places = (starts + 1) * BLOCK + before
        _fill(archive.reshape(-1), places, records, self.layout.record_bytes)
        self._starts[rows], self._sizes[rows] = self._end + places, sizes
        self._file.write(archive.data)
        self._end += archive.size

    def finish(self) -> None:
        arrays = self.columns(offsets=False) | {"offsets": self._starts, "sizes": self._sizes}
        members = {
            f"{name}.npy": _npy_header(array.shape, array.dtype.str) + array.tobytes() for name, array in arrays.items()
        }
        members["layout.json"] = self.layout.to_json().encode()
        where: dict[str, tuple[int, int]] = {}
        for name, content in members.items():
            where[name] = self._end + BLOCK, len(content)
            self._end += self._file.write(_member(name, content))
        self._file.write(_last_member(where))
        self._file.close()

    def remove(self) -> None:
        with suppress(OSError):  # of a full disk, once more
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _members(self, records: Records) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """For each record the header of its member, and what precedes it there; one row where all have the same."""
        shape = self.layout.image_shape
        if self.layout.codec != "raw":
            suffix = self._codec.suffix
            suffixes = [suffix] if suffix else [self._codec.suffix_of(records.record(i)) for i in range(len(records))]
            return self._templates(suffixes), np.empty((1, 0), np.uint8)
        shapes = np.array([shape]) if records.shapes is None else records.shapes
        heads = b"".join(_npy_header(tuple(shape)) for shape in shapes.tolist())  # of one length: numpy pads them
        return self._templates([".npy"]), np.frombuffer(heads, np.uint8).reshape(len(shapes), -1)

    def _templates(self, suffixes: list[str]) -> NDArray[np.uint8]:
        """Headers of members with these suffixes, ``(n, 512)``."""
        return np.stack([_template("0" * self._name_digits + suffix) for suffix in suffixes])


class TarReader(ContainerReader):
    """Reads members without their headers and labels, which lie between them."""

    kind = "tar container"

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        if self.layout.record_bytes is not None:
            into = row_buffer(self.layout, stop - start, out)
            self._file.fill_rows(into, self._first + start * self._distance, self._distance)
            return Records(into.reshape(-1), even_offsets(*into.shape), self.read_labels()[start:stop])
        starts, stops = self._spans(rows := np.arange(start, stop))
        first, last = (int(starts[0]), int(stops[-1])) if len(rows) else (0, 0)
        data = np.empty(last - first, np.uint8)
        self._file.fill(data, first)
        return self.joined(rows, slices(data, starts - first, stops - first), out)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        if self.layout.record_bytes is None:
            return self.joined(rows, self._file.runs(*self._spans(rows)), out)
        into = row_buffer(self.layout, len(rows), out)
        self._file.take(rows, into, self._first, self._distance)
        return Records(into.reshape(-1), even_offsets(*into.shape), self.read_labels()[rows])

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            start, size = self._where[f"{name}.npy"]
            position = start + data_start(self._piece(start, min(size, NPY_HEAD_BYTES)), size, dtype, shape)
            array = np.empty(shape, dtype)
        except (KeyError, *NO_ARRAY) as error:
            raise self.damaged(f"its {name} are not an array of shape {shape} and type {dtype} ({error})") from error
        self._file.fill(array, position)
        return array

    @property
    def is_open(self) -> bool:
        return self._file.is_open

    def release(self) -> None:
        self._file.close()

    def _open(self) -> Layout:
        self._file = MappedFile(self.path)
        try:
            self.layout = self._read_layout()
            starts, _ = self._places()
            self._first = int(starts[0]) if len(starts) else BLOCK
            self._distance = -(-(self._first + (self.layout.record_bytes or 0)) // BLOCK) * BLOCK + 2 * BLOCK
            if not self._fits(self._where["labels.npy"][0] - BLOCK):
                raise ValueError("its offsets and sizes do not fit it")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            self.release()
            if isinstance(error, ContainerDamaged):
                raise
            raise self.damaged(f"it is cut or changed ({error})") from error
        except BaseException:
            self.release()
            raise
        return self.layout

    def _read_layout(self) -> Layout:
        """The layout; where it and the arrays lie is remembered."""
        before = self._file.size - LAST_BYTES
        last = self._piece(before, LAST_BYTES)
        where = limits.parse_json(last[BLOCK : 2 * BLOCK].rstrip(b"\0"))
        self._where = {name: (int(start), int(size)) for name, (start, size) in dict(where).items()}
        if last != _last_member(self._where):
            raise ValueError("its last member is another")
        if any(min(start, size) < 0 or start + size > before for start, size in self._where.values()):
            raise ValueError("its arrays lie elsewhere")
        return Layout.from_json(self._piece(*self._where["layout.json"]))

    def _piece(self, start: int, size: int) -> bytes:
        piece = np.empty(size, np.uint8)
        self._file.fill(piece, max(0, start))
        return piece.tobytes()

    def _fits(self, size: int) -> bool:
        """Whether the records follow one another, each with its label behind it, and fill ``size`` bytes.

        Then records of one size are as far apart as the first two.
        """
        starts, sizes = self._places()
        following = -(-(starts + sizes) // BLOCK) * BLOCK + 2 * BLOCK + self._first
        end = following[-1] - self._first if len(starts) else 0
        wanted = sizes if self.layout.record_bytes is None else self.layout.record_bytes
        is_sequence = np.array_equal(following[:-1], starts[1:]) and (sizes >= 0).all() and (sizes == wanted).all()
        return bool(is_sequence and self._first >= BLOCK and end == size)

    def _spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where records start and stop in the file."""
        starts, sizes = (column[rows] for column in self._places())
        return starts, starts + sizes

    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each record starts, and how long it is."""
        shape = (self.layout.count,)
        return self.column("offsets", "<i8", shape), self.column("sizes", "<i8", shape)


def _member(name: str, content: bytes) -> bytes:
    """A member of the folder that WebDataset skips: a header, and its content in whole blocks."""
    info = TarInfo(f"{FOLDER}/{name}")
    info.size = len(content)
    return info.tobuf(USTAR_FORMAT) + content + bytes(-len(content) % BLOCK)


def _last_member(where: dict[str, tuple[int, int]]) -> bytes:
    """The member that says where the others of its folder begin and how long they are, and the end of the archive."""
    return _member("where.json", json.dumps(where).encode()) + bytes(END_BYTES)


@cache
def _npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """What precedes the data of an array, such as the pixels of an image, in a ``.npy`` member."""
    file = io.BytesIO()
    write_header(file, dtype, shape)
    return file.getvalue()


@cache
def _template(name: str) -> NDArray[np.uint8]:
    """The header of a regular file of mode 644, of nobody and of 1970, with spaces for its checksum."""
    header = np.frombuffer(TarInfo(name).tobuf(USTAR_FORMAT), np.uint8).copy()
    header[_CHECKSUM_AT : _CHECKSUM_AT + 8] = ord(" ")
    return header


def _headers(templates: NDArray[np.uint8], names: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """One block for each member, ``(n, 512)``: its template, or the one of all, with its name's digits and its size."""
    headers = np.empty((len(sizes), BLOCK), np.uint8)
    headers[:] = templates
    headers[:, : names.shape[1]] = names
    headers[:, _SIZE_AT : _SIZE_AT + _SIZE_DIGITS] = _octal(sizes, _SIZE_DIGITS)
    # The bytes from the checksum on are the same in every template.
    sums = headers[:, :_CHECKSUM_AT].sum(axis=1, dtype=np.uint16) + templates[0, _CHECKSUM_AT:].sum(dtype=np.int64)
    headers[:, _CHECKSUM_AT : _CHECKSUM_AT + _CHECKSUM_DIGITS] = _octal(sums, _CHECKSUM_DIGITS)
    headers[:, _CHECKSUM_AT + _CHECKSUM_DIGITS] = 0
    return headers


def _octal(numbers: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """The ASCII digits of each number, ``(n, width)``."""
    digits: NDArray[np.int64] = (numbers[:, np.newaxis] >> np.arange(3 * width - 3, -1, -3) & 7) + ord("0")
    return digits


def _fill(archive: NDArray[np.uint8], places: NDArray[np.int64], records: Records, size: int | None) -> None:
    """Copy each record to its place; those of one ``size`` lie as far apart as the first two."""
    if size is not None:
        data, first = records.data[records.offsets[0] : records.offsets[-1]], places[0]
        archive.reshape(len(records), -1)[:, first : first + size] = data.reshape(-1, size)
        return
    contents = slices(records.data, records.offsets[:-1], records.offsets[1:])
    view = archive.data
    for place, content in zip(places.tolist(), contents, strict=True):
        view[place : place + len(content)] = content
