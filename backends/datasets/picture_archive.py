"""Picture files in zip and tar archives, WebDataset shards among them, read in place through an index."""

from __future__ import annotations

import io
import re
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from backends import limits
from backends.codecs.pictures import SUFFIXES
from backends.datasets.archive import Archive, open_archive
from backends.datasets.base import Skipped
from backends.datasets.labels import numbered
from backends.datasets.pictures import PictureTree
from backends.datasets.regular_file import check
from backends.datasets.structure import split_kind
from backends.datasets.tree import CHECK_EVERY, HIDDEN, OTHERS, is_system, tree_of
from backends.errors import PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backends.datasets.base import Reading

_LABEL_BYTES = 64 << 10
_LABEL_KEYS = ("label", "cls", "class", "class_id", "target")


class HoldsOther(Exception):
    """An archive begins with files of another kind of dataset; ``name`` is that of one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


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
        poll: Callable[[int], bool],
        others: Collection[str] = (),
    ) -> None:
        self._others, self._poll = others, poll
        self._archives: list[Archive] = []
        self._which, self._starts, self._sizes = array("i"), array("q"), array("q")
        self._names: list[str] = []
        self._label_of: dict[str, str] = {}  # by key: a name without what follows its first dot
        skipped = Skipped()
        folders = _split_folders(archives)
        try:
            for folder, archive in zip(folders, archives, strict=True):
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
        archive = open_archive(path)
        self._archives.append(archive)
        keep_json = True
        for number, member in enumerate(archive.members()):
            if number % CHECK_EVERY == 0:
                check(path, self._poll, len(self._names))
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
        base, names = self._files.base and f"{self._files.base}/", map(self._files.name, range(len(self._files.sizes)))
        return numbered(self._label_of.get(_key(base + name)) for name in names)

    def _open(self, id_: int) -> BinaryIO:
        row = int(self._files.rows[id_])
        if self._sizes[row] > limits.FILE_BYTES.value:
            raise PictureDamaged(f"it has {limits.FILE_BYTES.exceeded()}")
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
        fields = limits.parse_json(text)
        if isinstance(fields, dict):
            found = next((fields[key] for key in _LABEL_KEYS if isinstance(fields.get(key), int | str)), None)
            return None if found is None else str(found)
    return None


def _suffix(path: Path) -> str:
    found = re.search(r"\.(zip|tar(\.\w+)?|tgz|tbz2?|txz)$", path.name.lower())
    return found[1] if found else "tar"
