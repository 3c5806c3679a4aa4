"""Opens the dataset at a path, of whatever kind it is."""

from __future__ import annotations

import os
import re
import stat
from collections import deque
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from backends.codecs.pictures import SUFFIXES
from backends.datasets import cifar, folder, sample
from backends.datasets.archive import is_archive
from backends.datasets.base import AS_FOUND, Reading
from backends.datasets.regular_file import kind_of, list_folder, open_regular, reading, special
from backends.datasets.tree import is_picture, is_system
from backends.errors import DatasetNotFound, ImgstoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.datasets.base import Dataset

KNOWN = "a folder of pictures, a store, or CIFAR-10 or CIFAR-100 (the folder of batches or the .tar.gz)"

LOOKED_AT, DEEPEST = 2000, 8
"""Folders that are listed, and their levels, to find out what a folder holds."""

_SNIFFED = 10
"""Files without a known suffix that are opened to recognise a folder of pictures."""


def open_dataset(
    path: str | Path,
    split: str | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    how: Reading = AS_FOUND,
) -> Dataset:
    """Open the dataset at ``path``; the string ``sample`` means the one that comes with the package.

    Parameters
    ----------
    path
        A folder, a folder that holds exactly one dataset, or a file.  ``~`` is the home folder; quotes, backslashes and
        ``file://`` as terminals write them for a file that is dropped on them are understood.
    split
        None for the dataset's first.
    cancelled
        Called now and then while a folder is listed; True stops it.
    how
        How folders and labels are understood where that is not to be found out.

    Raises
    ------
    UsageError
        The dataset has no such split or folder, or the path holds more than one dataset.
    UnclearLayout
        The folders of pictures can be understood in several ways.
    DatasetNotFound, NotAllowed
        There is no dataset of a known kind, or it must not be read.
    DatasetDamaged
        A file of the dataset is missing, truncated, foreign or broken.
    Cancelled
        ``cancelled`` returned True.
    """
    if path == sample.NAME:
        return sample.Sample(split)
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise UsageError("no dataset is named: give a path, or the word sample.")
    absolute = absolute_path(text)
    with reading(absolute):
        mode = absolute.stat().st_mode
    if stat.S_ISDIR(mode):
        return _open_folder(absolute, str(path), split, cancelled, how)
    if stat.S_ISREG(mode):
        return _open_file(absolute, str(path), split)
    raise DatasetNotFound(f"{absolute} is {special(mode)}, not a folder or a file: name {KNOWN}.")


def absolute_path(text: str) -> Path:
    """The absolute path that is meant: as it is written if it exists, else as a terminal wrote a dropped file."""
    stripped = text.strip()
    plain = stripped[1:-1] if stripped[:1] in "'\"" and stripped[-1:] == stripped[:1] else stripped
    if plain.startswith("file://"):
        plain = unquote(plain.removeprefix("file://").removeprefix("localhost"))
    for candidate in (text, stripped, plain, re.sub(r"\\(.)", r"\1", plain)):
        path = os.path.abspath(os.path.expanduser(candidate))  # noqa: PTH100, PTH111 - neither raises nor follows links
        if os.path.lexists(path):
            return Path(path)
    return Path(os.path.abspath(os.path.expanduser(plain)))  # noqa: PTH100, PTH111


def _open_folder(top: Path, path: str, split: str | None, cancelled: Callable[[], bool], how: Reading) -> Dataset:
    with reading(top):
        is_store = (top / "imgstore.json").is_file()
    if is_store:  # by name, as backends are: a store is read by what is built on datasets
        dataset: Dataset = import_module("backends.stores.dataset").StoreDataset(top, path, split)
        return dataset
    files, folders = list_folder(top)
    editions = cifar.find_editions(top, files, folders)
    if len(editions) == 1:
        ((edition, batches),) = editions
        return cifar.CIFAR(cifar.FolderFiles(batches), edition, path, split)
    if editions:
        choices = " or ".join(str(batches) for _, batches in editions)
        raise UsageError(f"{top} holds {len(editions)} datasets: name {choices}.")
    if any(_holds_picture(*one) for one in _below(top)):
        return folder.PictureFolder(top, path, split, how, cancelled)
    names = [*(f"{name}/" for name in folders), *files]
    more = ", ..." if len(names) > 3 else ""
    content = f"it has {', '.join(name[:40] for name in names[:3])}{more}" if names else "it is empty"
    raise DatasetNotFound(f"{top} holds no known dataset ({content}): name {KNOWN}.")


def _below(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, the upper ones first, each with the names of its files; system folders are not."""
    waiting = deque([(top, 0)])
    for _ in range(LOOKED_AT):
        if not waiting:
            return
        folder, depth = waiting.popleft()
        try:
            files, folders = list_folder(folder)
        except ImgstoreError:
            continue
        yield folder, [name for name in files if not is_system(name)]
        if depth < DEEPEST:
            waiting += [(folder / name, depth + 1) for name in folders if not is_system(name)]


def _holds_picture(folder: Path, files: list[str]) -> bool:
    """Whether one of the files is a picture, by suffixes and the first bytes of a few."""
    return any(name.lower().endswith(SUFFIXES) for name in files) or any(
        is_picture(folder / name) for name in files[:_SNIFFED]
    )


def _open_file(file_path: Path, path: str, split: str | None) -> Dataset:
    with open_regular(file_path) as file, reading(file_path):
        head = file.read(512)
    if is_archive(head):
        return cifar.open_archive(file_path, path, split)
    kind = "empty" if not head else kind_of(head) or "of an unknown kind"
    is_batch = cifar.is_batch_name(file_path.name)
    hint = f"name the folder {file_path.parent} instead" if is_batch else f"name {KNOWN}"
    raise DatasetNotFound(f"{file_path} is no dataset (it is {kind}): {hint}.")
