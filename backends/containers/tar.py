"""A folder with images.tar, which WebDataset reads, and beside it where in it each record lies.

Members are ``00000042.png`` and, right behind it, ``00000042.cls``: the label in decimal, also where it is -1, since a
pipeline that asks for both stops at a sample with one.  Raw pixels are ``.npy`` members.  offsets.npy, sizes.npy and
labels.npy give random access without a walk through the archive.
"""

from __future__ import annotations

import io
from functools import cache
from tarfile import USTAR_FORMAT, TarInfo
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend
from backends.containers.array_folder import FolderWriter, RecordFileReader, write_header
from backends.containers.fileio import slices
from backends.registry import make_codec

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout, Records

ARCHIVE = "images.tar"
BLOCK = 512
END_BYTES = 2 * BLOCK
"""Two blocks of zeros end an archive (POSIX.1-1988, ustar interchange format)."""
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


class TarWriter(FolderWriter):
    """Lays out the members of a batch in one array of blocks, which is one write."""

    max_bytes = MAX_MEMBER_BYTES - NPY_HEAD_BYTES

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._codec = make_codec(layout.codec)
        self._starts, self._sizes = np.empty((2, layout.count), "<i8")
        self._name_digits = max(_NAME_DIGITS, len(str(layout.count - 1)))
        self._blocks = np.empty((0, BLOCK), np.uint8)
        self._end = 0
        self._file = self.create(ARCHIVE)

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

    def arrays(self) -> dict[str, NDArray[Any]]:
        self._file.write(bytes(END_BYTES))
        self._file.close()
        return self.columns(offsets=False) | {"offsets": self._starts, "sizes": self._sizes}

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


class TarReader(RecordFileReader):
    """Reads members without their headers and labels, which lie between them."""

    kind = "tar container"

    def spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts, sizes = (column[rows] for column in self._index())
        return starts, starts + sizes

    def _open_records(self) -> None:
        archive = self.file = self.open_file(ARCHIVE)
        starts, _ = self._index()
        self.first = int(starts[0]) if len(starts) else BLOCK
        self.distance = -(-(self.first + (self.layout.record_bytes or 0)) // BLOCK) * BLOCK + 2 * BLOCK
        end = np.zeros(min(archive.size, END_BYTES), np.uint8)
        archive.fill(end, archive.size - len(end))
        if end.any() or not self._fits(archive.size - END_BYTES):
            raise self.damaged(f"{ARCHIVE} is cut, or offsets.npy and sizes.npy do not fit it")

    def _fits(self, size: int) -> bool:
        """Whether the records follow one another, each with its label behind it, and fill ``size`` bytes.

        Then records of one size are as far apart as the first two.
        """
        starts, sizes = self._index()
        following = -(-(starts + sizes) // BLOCK) * BLOCK + 2 * BLOCK + self.first
        end = following[-1] - self.first if len(starts) else 0
        wanted = sizes if self.layout.record_bytes is None else self.layout.record_bytes
        is_sequence = np.array_equal(following[:-1], starts[1:]) and (sizes >= 0).all() and (sizes == wanted).all()
        return bool(is_sequence and self.first >= BLOCK and end == size)

    def _index(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each record starts, and how long it is."""
        shape = (self.layout.count,)
        return self.column("offsets", "<i8", shape), self.column("sizes", "<i8", shape)


@cache
def _npy_header(shape: tuple[int, ...]) -> bytes:
    """What precedes the pixels of an image in a ``.npy`` member."""
    file = io.BytesIO()
    write_header(file, "|u1", shape)
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
