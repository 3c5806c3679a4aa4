"""Finds what lies at a path and opens it with the right reader."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from backends.datasets import cifar, folder, sample
from backends.datasets.found import Found, Listing
from backends.datasets.regular_file import is_folder, kind_of, open_regular, reading, special
from backends.errors import DatasetNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.datasets.base import Dataset

FOLDERS: tuple[Callable[[Listing], list[Found]], ...] = (cifar.find_in_folder, folder.find_in_folder)
"""Recognisers of folders; the first that finds something wins."""

FILES: tuple[Callable[[Path, bytes], Found | None], ...] = (cifar.find_in_archive,)
"""Recognisers of files, by path and first bytes."""

KNOWN = (
    "a folder of JPEG, PNG, BMP or WebP pictures, at most two levels down, "
    "or CIFAR-10 or CIFAR-100 (the folder of batches or the .tar.gz of the Python version)"
)
LISTED = 10_000


def open_dataset(path: str | Path, split: str | None = None, cancelled: Callable[[], bool] = lambda: False) -> Dataset:
    """Open the dataset at ``path``; the text ``sample`` is the one that ships with the package.

    Parameters
    ----------
    path
        A folder, a folder that holds exactly one dataset, or an archive.  ``~`` is the home folder.
    split
        None for the dataset's first.
    cancelled
        Asked now and then while a folder is listed.

    Raises
    ------
    Cancelled
        ``cancelled`` said so.
    UsageError
        The dataset has no such split, or the path holds more than one dataset.
    DatasetNotFound
        Nothing is there, or nothing that is known.
    NotAllowed
        The operating system refuses to read it.
    DatasetDamaged
        A file of the dataset is missing, truncated, foreign or broken.
    """
    if path == sample.NAME:
        return sample.Sample(split)
    return find_dataset(path).open(str(path), split, cancelled)


def find_dataset(path: str | Path) -> Found:
    """What lies at ``path``, without reading a pixel.  Raises as ``open_dataset`` does."""
    place = _absolute(path)
    with reading(place):
        mode = place.stat().st_mode
    if stat.S_ISDIR(mode):
        return _find_in_folder(place)
    if stat.S_ISREG(mode):
        return _find_file(place)
    raise DatasetNotFound(f"{place} is {special(mode)}, not a folder or a file: name {KNOWN}.")


def _absolute(path: str | Path) -> Path:
    text = os.fspath(path)
    if not text or "\0" in text:
        raise UsageError("no dataset is named: give a path, or the word sample.")
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - neither raises nor follows links


def _find_in_folder(folder: Path) -> Found:
    listing = _list(folder)
    for recogniser in FOLDERS:
        found = recogniser(listing)
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(str(one.location) for one in found)
            raise UsageError(f"{folder} holds {len(found)} datasets: name {choices}.")
    raise DatasetNotFound(f"{folder} holds no known dataset ({_brief(listing)}): name {KNOWN}.")


def _find_file(path: Path) -> Found:
    with open_regular(path) as file, reading(path):
        head = file.read(512)
    for recogniser in FILES:
        found = recogniser(path, head)
        if found is not None:
            return found
    kind = "empty" if not head else kind_of(head) or "of an unknown kind"
    hint = f"name the folder {path.parent} instead" if cifar.is_batch_name(path.name) else f"name {KNOWN}"
    raise DatasetNotFound(f"{path} is no dataset (it is {kind}): {hint}.")


def _list(folder: Path) -> Listing:
    files: list[str] = []
    folders: list[str] = []
    with reading(folder), os.scandir(folder) as entries:
        for entry in islice(entries, LISTED):
            (folders if is_folder(entry) else files).append(entry.name)
    return Listing(folder, tuple(sorted(files)), tuple(sorted(folders)))


def _brief(listing: Listing) -> str:
    names = [*(f"{name}/" for name in listing.folders), *listing.files]
    if not names:
        return "it is empty"
    more = ", ..." if len(names) > 3 else ""
    return f"it has {', '.join(name[:40] for name in names[:3])}{more}"
