"""Finds what lies at a path and opens it with the right reader."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from backends.datasets import cifar, folder, sample
from backends.datasets.archive import is_archive
from backends.datasets.batch_files import FolderFiles
from backends.datasets.regular_file import kind_of, list_folder, open_regular, reading, special
from backends.errors import DatasetNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.datasets.base import Dataset

KNOWN = (
    "a folder of JPEG, PNG, BMP or WebP pictures, at most two levels down, "
    "or CIFAR-10 or CIFAR-100 (the folder of batches or the .tar.gz of the Python version)"
)


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
    place = _absolute(path)
    with reading(place):
        mode = place.stat().st_mode
    if stat.S_ISDIR(mode):
        return _open_folder(place, str(path), split, cancelled)
    if stat.S_ISREG(mode):
        return _open_file(place, str(path), split)
    raise DatasetNotFound(f"{place} is {special(mode)}, not a folder or a file: name {KNOWN}.")


def _absolute(path: str | Path) -> Path:
    text = os.fspath(path)
    if not text or "\0" in text:
        raise UsageError("no dataset is named: give a path, or the word sample.")
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - neither raises nor follows links


def _open_folder(place: Path, path: str, split: str | None, cancelled: Callable[[], bool]) -> Dataset:
    files, folders = list_folder(place)
    found = cifar.find_editions(place, files, folders)
    if len(found) == 1:
        ((edition, batches),) = found
        return cifar.CIFAR(FolderFiles(batches), edition, path, split)
    if found:
        choices = " or ".join(str(batches) for _, batches in found)
        raise UsageError(f"{place} holds {len(found)} datasets: name {choices}.")
    if folder.holds_picture(place):
        return folder.Pictures(place, path, split, cancelled)
    names = [*(f"{name}/" for name in folders), *files]
    more = ", ..." if len(names) > 3 else ""
    brief = f"it has {', '.join(name[:40] for name in names[:3])}{more}" if names else "it is empty"
    raise DatasetNotFound(f"{place} holds no known dataset ({brief}): name {KNOWN}.")


def _open_file(place: Path, path: str, split: str | None) -> Dataset:
    with open_regular(place) as file, reading(place):
        head = file.read(512)
    if is_archive(head):
        return cifar.open_archive(place, path, split)
    kind = "empty" if not head else kind_of(head) or "of an unknown kind"
    hint = f"name the folder {place.parent} instead" if cifar.is_batch_name(place.name) else f"name {KNOWN}"
    raise DatasetNotFound(f"{place} is no dataset (it is {kind}): {hint}.")
