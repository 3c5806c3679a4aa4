"""Decides which folders of a tree are splits and which are classes, and packs the pictures of a split.

Order within a class is that of torchvision's ``ImageFolder``: by folder, then by name; classes are sorted by name.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.datasets.base import LAYOUTS, Reading, Skipped
from backends.errors import UnclearLayout, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from backends.datasets.tree import Folder

WHOLE = "all"
"""The one split of a dataset without any."""

_SPLIT = re.compile(
    r"(?:.*[_\-. ])?(?:(train|training)|(val|valid|validation|dev)|(test|testing|eval)|(unlabeled|pred))[_\-]?\d*", re.I
)
_SPLIT_WORD = re.compile(r"(?<![a-z])(train(?:ing)?|test(?:ing)?|valid(?:ation)?|val|dev|eval)(?![a-z])")
_COMPANION = re.compile(
    r"(?:.*[_\-])?(?:masks?|labels?|labelmaps?|annotations?|ground[_\-]?truth|gt|trimaps?|segmentation\w*|depths?)",
    re.I,
)
"""Names of folders whose pictures may belong to those in the folder beside."""

_MASK_SUFFIX = re.compile(r"[_\-]?(?:mask|gt|seg|label|trimap)?(?:\.[^.]*)?$", re.I)
_COMPARED = 100_000
"""Names of pictures in a folder that are compared with those in the folders beside."""

_LISTED = 4


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The pictures of one split, with all names in one string."""

    base: str  # the folder of the split, from the top of the tree
    names: bytes  # the paths relative to ``base``, encoded as on the filesystem, end to end
    ends: NDArray[np.int64]  # (count,): where each path ends in ``names``
    sizes: NDArray[np.int64]  # (count,), in bytes
    rows: NDArray[np.int64]  # (count,): in the index of the archive; empty on disk
    classes: tuple[str, ...]  # names by label; empty if there are no classes
    labels: NDArray[np.int64]  # (count,); -1 for a picture without a label
    label_file: str = ""  # the file of labels in ``base``

    def name(self, index: int) -> str:
        """The path of a file relative to the folder of the split; undecodable bytes become surrogates."""
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.names[start : self.ends[index]])

    def fingerprint(self) -> str:
        """Hexadecimal digest of classes, names, sizes and labels; no picture is read."""
        digest = xxhash.xxh3_128(json.dumps(self.classes).encode())
        digest.update(self.names)
        for column in (self.ends, self.sizes, self.labels):
            digest.update(column.astype("<i8").tobytes())
        return digest.hexdigest()


def split_kind(name: str) -> int:
    """0 for a name of training data, 1 for validation, 2 for tests, 3 for others; -1 for what is no split."""
    found = _SPLIT.fullmatch(name)
    return -1 if found is None else next(kind for kind in range(4) if found[kind + 1])


def split_word(name: str) -> str | None:
    """The word for a split in a name of a file or an array, in lower case."""
    found = _SPLIT_WORD.search(name.lower())
    return found[1] if found else None


def in_order(splits: Iterable[str]) -> list[str]:
    """The names of splits with that of the training data first."""
    return sorted(splits, key=lambda name: (split_kind(name) % 4, name))


def choose_split(splits: Sequence[str], wanted: str | None, where: str) -> str:
    """The split that is meant: the first if ``wanted`` is None, else by name or kind.  Raises UsageError."""
    if wanted is None:
        return splits[0]
    alike = [name for name in splits if split_kind(name) == split_kind(wanted) >= 0]
    found = [wanted] if wanted in splits else alike if len(alike) == 1 else []
    if not found:
        raise UsageError(f"{where} has no split {wanted!r}: choose of {', '.join(splits)}.")
    return found[0]


def find_splits(top: Folder, reading: Reading, where: str, notes: list[str]) -> dict[str, Folder]:
    """The folders of the splits by name, the default first; the whole tree is one where there are none.

    Raises UsageError where ``reading`` cannot be followed, UnclearLayout where it leaves several possibilities.
    """
    if reading.layout and reading.layout not in LAYOUTS:
        raise UsageError(f"{reading.layout!r} is no layout: choose from {', '.join(LAYOUTS)}.")
    folder = _root(top, reading.root, where)
    if reading.layout in ("flat", "classes"):
        return {WHOLE: folder}
    passed = folder.path
    while not folder.sizes:
        children = folder.with_pictures()
        named = [child for child in children if split_kind(child.name) >= 0]
        if reading.layout == "splits" or (children and len(named) == len(children)):
            if not children:
                raise UsageError(f"{where} has no folders with pictures: --layout splits needs some.")
            children.sort(key=lambda child: (split_kind(child.name) % 4, child.name))
            return {child.name: child for child in children}
        photos = [child for child in children if not _COMPANION.fullmatch(child.name)]
        if not reading.layout and 0 < len(photos) < len(children):
            stems = {stem for child in photos for stem in _stems(child)}
            others = [child for child in children if child not in photos]
            if any(not stems.isdisjoint(_stems(child)) for child in others):
                raise _unclear([*photos, *others], where)
        if len(children) != 1:
            break
        folder = children[0]
    if folder.path != passed:
        notes.append(f"Read from the folder {folder.path} (--root PATH reads another one).")
    return {WHOLE: folder}


def _stems(folder: Folder) -> set[str]:
    """Names of some pictures below a folder, without suffixes and what marks them as masks."""
    names = (name for one in folder.below() for name in _names(one))
    return {_MASK_SUFFIX.sub("", name) for name in islice(names, _COMPARED)}


def _root(top: Folder, root: str, where: str) -> Folder:
    folder = top
    for part in [part for part in root.split("/") if part not in ("", ".")]:
        names = {child.name: child for child in folder.folders}
        if part not in names:
            known = ", ".join(list(names)[:_LISTED]) or "none"
            raise UsageError(f"{where} has no folder {root!r} for --root: in {folder.path or '.'} there are {known}.")
        folder = names[part]
    return folder


def _unclear(children: list[Folder], where: str) -> UnclearLayout:
    """The error for pictures beside their masks: which folder to read is the user's choice."""
    choices = {child.path: child.total for child in children}
    tree = ", ".join(f"{path}/ {total:,} pictures" for path, total in list(choices.items())[:_LISTED])
    roots, layouts = " or ".join(f"--root {path}" for path in list(choices)[:_LISTED]), " or ".join(LAYOUTS)
    sentence = f"{where} can be read in several ways ({tree}): choose {roots}, or all with --layout {layouts}."
    return UnclearLayout(sentence, choices)


def pack(folder: Folder, layout: str, skipped: Skipped, notes: list[str]) -> PictureFiles:
    """The pictures of one split, with a class for each folder in it; wrappers around these are passed through."""
    while layout in ("", "splits") and not folder.sizes and len(folder.with_pictures()) == 1:
        folder = folder.with_pictures()[0]
    children = folder.with_pictures()
    below = sum(child.total for child in children)
    if layout == "flat" or not children or (len(folder.sizes) > below and layout != "classes"):
        if children and layout != "flat":
            notes.append(
                f"Read without classes: {len(folder.sizes):,} pictures lie beside the folders, {below:,} in them "
                "(--layout classes reads those)."
            )
        return _packed(folder, (), [list(folder.below())])
    for name in _names(folder):
        skipped.add("pictures beside the classes (--layout flat reads all)", f"{folder.path}/{name}".removeprefix("/"))
    classes = [child for child in folder.folders if child.total or child.empty]
    deep = not any(child.sizes for child in children)
    if deep and all(len(child.name) == 1 and child.name.islower() for child in children):  # as in Places
        classes = [inner for child in children for inner in child.with_pictures()]
    elif deep and layout != "classes":
        notes.append(f"The {len(classes):,} classes are the folders of {folder.path or 'the top'}, at any depth.")
    lacking = [child.name for child in classes if not child.total]
    if lacking:
        more = f" and {len(lacking) - 3:,} more" if len(lacking) > 3 else ""
        notes.append(f"Classes without pictures: {', '.join(lacking[:3])}{more}.")
    return _packed(folder, tuple(child.name for child in classes), [list(child.below()) for child in classes])


def _packed(base: Folder, classes: tuple[str, ...], by_class: list[list[Folder]]) -> PictureFiles:
    names, ends, sizes, rows = bytearray(), array("q"), array("q"), array("q")
    for folders in by_class:
        for folder in sorted(folders, key=lambda folder: folder.path):
            inside = folder.path[len(base.path) :].removeprefix("/") if base.path else folder.path
            prefix = os.fsencode(inside and f"{inside}/")
            for name in folder.names.split(b"\0"):
                names += prefix + name
                ends.append(len(names))
            sizes.extend(folder.sizes)
            rows.extend(folder.rows)
    counts = [sum(len(folder.sizes) for folder in folders) for folders in by_class]
    return PictureFiles(
        base=base.path,
        names=bytes(names),
        ends=np.frombuffer(ends, np.int64),
        sizes=np.frombuffer(sizes, np.int64),
        rows=np.frombuffer(rows, np.int64),
        classes=classes,
        labels=np.repeat(np.arange(len(classes)) if classes else np.array([-1]), counts),
        label_file=base.label_file,
    )


def _names(folder: Folder) -> list[str]:
    return [os.fsdecode(name) for name in folder.names.split(b"\0")] if folder.sizes else []
