"""Picture files in zip and tar archives, WebDataset shards among them, read in place through an index."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from backends.codecs.pictures import SUFFIXES
from backends.datasets.archive import Member, Stream, members_of
from backends.datasets.labels import numbered
from backends.datasets.pictures import PictureTree
from backends.datasets.regular_file import FILE_BYTES, open_regular, reading
from backends.datasets.structure import split_kind
from backends.datasets.tree import HIDDEN, OTHERS, Skipped, is_system, tree_of
from backends.errors import Cancelled, DatasetDamaged, PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backends.datasets.base import Reading

BETWEEN_BOOKMARKS = 256 << 10
MOST_BOOKMARKS = 1000
"""Each takes 40 KB; where there are more, every second one is dropped, and they are twice as far apart."""

_LABEL_BYTES = 64 << 10
_LABEL_KEYS = ("label", "cls", "class", "class_id", "target")


class HoldsOther(Exception):
    """An archive begins with files of another kind of dataset; ``name`` is that of one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Archive(ABC):
    """An open archive."""

    threads = 2

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Its regular files; what ``read`` takes as their start need not be a position."""

    @abstractmethod
    def read(self, start: int, size: int) -> bytes:
        """The content of a member.  Raises DatasetDamaged, PictureDamaged where it cannot be read."""

    @abstractmethod
    def close(self) -> None:
        """Close it.  May be called twice."""


class Tar(Archive):
    """A tar archive.  In a gzipped one, reading goes on from the last bookmark before a member."""

    def __init__(self, path: Path) -> None:
        self._stream = Stream(path)
        self._marks, self._back = [0], [self._stream.bookmark()]
        self._spacing = BETWEEN_BOOKMARKS
        if not self._stream.in_place:
            self.threads = 1

    def members(self) -> Iterator[Member]:
        for member in members_of(self._stream):
            if not self._stream.in_place and member.start - self._marks[-1] >= self._spacing:
                self._marks.append(member.start)
                self._back.append(self._stream.bookmark())
                if len(self._marks) > MOST_BOOKMARKS:
                    self._marks, self._back, self._spacing = self._marks[::2], self._back[::2], 2 * self._spacing
            yield member

    def read(self, start: int, size: int) -> bytes:
        if self._stream.in_place:
            return self._stream.read_at(start, size)
        mark = bisect_right(self._marks, start) - 1
        if not self._marks[mark] <= self._stream.position <= start:
            self._back[mark]()
        self._stream.skip_to(start)
        return self._stream.read_exactly(size)

    def close(self) -> None:
        self._stream.close()


class Zip(Archive):
    """A zip archive of stored and deflated files."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, open_regular(path)
        self._packed: dict[int, tuple[int, int]] = {}  # compressed size and CRC by the position of the local header

    def members(self) -> Iterator[Member]:
        try:
            infos = zipfile.ZipFile(self._file).infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DatasetDamaged(f"{self._path} is a broken zip archive ({error}): get it again.") from None
        for info in infos:
            if not info.is_dir() and not info.flag_bits & 1 and info.compress_type in (0, 8):
                self._packed[info.header_offset] = info.compress_size, info.CRC
                parts = [part for part in info.filename.split("/") if part not in ("", ".", "..")]
                yield Member("/".join(parts), info.header_offset, info.file_size)

    def read(self, start: int, size: int) -> bytes:
        packed, crc = self._packed[start]
        with reading(self._path):
            head = os.pread(self._file.fileno(), 30, start)
            if len(head) < 30 or not head.startswith(b"PK\3\4"):
                raise PictureDamaged("its header in the zip archive is broken")
            method, name, extra = struct.unpack_from("<H16xHH", head, 8)
            data = os.pread(self._file.fileno(), packed, start + 30 + name + extra)
        try:
            data = zlib.decompressobj(-15).decompress(data, size + 1) if method == 8 else data
        except zlib.error:
            raise PictureDamaged("it does not decompress") from None
        if len(data) != size or zlib.crc32(data) != crc:
            raise PictureDamaged("its bytes in the zip archive are not those that were put there")
        return data

    def close(self) -> None:
        self._file.close()


class PictureArchive(PictureTree):
    """One split of the pictures in an archive, or in the shards of a WebDataset, whose labels are files beside them.

    Raises as ``PictureTree``, DatasetDamaged where an archive is broken, and HoldsOther where one of ``others`` comes
    before any picture in it.
    """

    def __init__(
        self,
        archives: list[Path],
        path: str,
        split: str | None,
        how: Reading,
        cancelled: Callable[[], bool] = lambda: False,
        others: Collection[str] = (),
    ) -> None:
        self._others = others
        self._archives: list[Archive] = []
        self._which, self._starts, self._sizes = array("i"), array("q"), array("q")
        self._names: list[str] = []
        self._label_of: dict[str, str] = {}  # by key: a name without what follows its first dot
        skipped = Skipped()
        folders = _split_folders(archives)
        try:
            for folder, archive in zip(folders, archives, strict=True):
                if cancelled():
                    raise Cancelled(f"{path} was not opened: it was stopped.")
                self._index(archive, folder, skipped)
            rows = range(len(self._sizes))
            tree = tree_of(zip(self._names, self._sizes, rows, strict=True))
            labelled = bool(self._label_of)
            kind = "WebDataset" if labelled or len(archives) > 1 else f"{_suffix(archives[0])} archive"
            self.threads = min(archive.threads for archive in self._archives)
            source = archives[0] if len(archives) == 1 else archives[0].parent
            super().__init__(tree, skipped, [], kind=kind, path=path, source=source, split=split, how=how)
        except BaseException:
            self.close()
            raise
        self._names = []

    def close(self) -> None:
        for archive in self._archives:
            archive.close()

    def _index(self, path: Path, folder: str, skipped: Skipped) -> None:
        with reading(path), path.open("rb") as file:
            archive = Zip(path) if file.read(2) == b"PK" else Tar(path)
        self._archives.append(archive)
        keep_json = True
        for member in archive.members():
            name, low = folder + member.name, member.name.lower()
            if not self._names and low.count("/") < 2 and (last := low.rpartition("/")[2]) in self._others:
                raise HoldsOther(last)
            if is_system(member.name):
                skipped.add(HIDDEN, name)
            elif low.endswith(SUFFIXES):
                self._which.append(len(self._archives) - 1)
                self._starts.append(member.start)
                self._sizes.append(member.size)
                self._names.append(name)
            elif low.endswith(".cls") or (keep_json and low.endswith(".json") and member.size <= _LABEL_BYTES):
                label = _label(archive.read(member.start, member.size))
                keep_json = label is not None or low.endswith(".cls")
                if label is not None:
                    self._label_of[_key(name)] = label
                elif low.endswith(".json"):
                    skipped.add(OTHERS, name)
            else:
                skipped.add(OTHERS, name)

    def _labels(self, how: Reading, notes: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        if how.labels or not self._label_of:
            return super()._labels(how, notes)
        return numbered(self._label_of.get(_key(self._names[row])) for row in self._files.rows.tolist())

    def _open(self, id_: int) -> BinaryIO:
        row = int(self._files.rows[id_])
        if self._sizes[row] > FILE_BYTES:
            raise PictureDamaged(f"it has more than {FILE_BYTES >> 20} MiB")
        return io.BytesIO(self._archives[self._which[row]].read(self._starts[row], self._sizes[row]))


def _split_folders(archives: list[Path]) -> list[str]:
    """A folder for the members of each shard, named like its split, where the names of all shards have one."""
    names = [re.sub(r"[-_.]?[\d{}.]*$", "", archive.name.removesuffix(".tar")) for archive in archives]
    named = len(archives) > 1 and all(split_kind(name) >= 0 for name in names)
    return [f"{name}/" if named else "" for name in names]


def _key(name: str) -> str:
    """What the files of one sample of a WebDataset have in common."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _label(content: bytes) -> str | None:
    """The label in a ``.cls`` or ``.json`` file of a sample."""
    text = content.decode("utf-8", "replace").strip()
    if not text.startswith(("{", "[")):
        return text or None
    with suppress(ValueError):
        fields = json.loads(text)
        if isinstance(fields, dict):
            found = next((fields[key] for key in _LABEL_KEYS if isinstance(fields.get(key), int | str)), None)
            return None if found is None else str(found)
    return None


def _suffix(path: Path) -> str:
    found = re.search(r"\.(zip|tar(\.\w+)?|tgz|tbz2?|txz)$", path.name.lower())
    return found[1] if found else "tar"
