"""Opens the dataset at a path, of whatever kind it is."""

from __future__ import annotations

import os
import stat
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from backends.datasets import cifar, folder, sample
from backends.datasets.archive import is_archive
from backends.datasets.regular_file import kind_of, list_folder, open_regular, reading, special
from backends.errors import DatasetNotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.datasets.base import Dataset

KNOWN = (
    "a folder of JPEG, PNG, BMP or WebP pictures, at most two levels down, a store, "
    "or CIFAR-10 or CIFAR-100 (the folder of batches or the .tar.gz of the Python version)"
)


def open_dataset(path: str | Path, split: str | None = None, cancelled: Callable[[], bool] = lambda: False) -> Dataset:
    """Open the dataset at ``path``; the string ``sample`` means the one that comes with the package.

    Parameters
    ----------
    path
        A folder, a folder that holds exactly one dataset, or an archive.  ``~`` is the home folder.
    split
        None for the dataset's first.
    cancelled
        Called now and then while a folder is listed; True stops it.

    Raises
    ------
    UsageError
        The dataset has no such split, or the path holds more than one dataset.
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
    if not text or "\0" in text:
        raise UsageError("no dataset is named: give a path, or the word sample.")
    absolute = Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 - neither raises nor follows links
    with reading(absolute):
        mode = absolute.stat().st_mode
    if stat.S_ISDIR(mode):
        return _open_folder(absolute, str(path), split, cancelled)
    if stat.S_ISREG(mode):
        return _open_file(absolute, str(path), split)
    raise DatasetNotFound(f"{absolute} is {special(mode)}, not a folder or a file: name {KNOWN}.")


def _open_folder(top: Path, path: str, split: str | None, cancelled: Callable[[], bool]) -> Dataset:
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
    if folder.holds_picture(top):
        return folder.Pictures(top, path, split, cancelled)
    names = [*(f"{name}/" for name in folders), *files]
    more = ", ..." if len(names) > 3 else ""
    content = f"it has {', '.join(name[:40] for name in names[:3])}{more}" if names else "it is empty"
    raise DatasetNotFound(f"{top} holds no known dataset ({content}): name {KNOWN}.")


def _open_file(file_path: Path, path: str, split: str | None) -> Dataset:
    with open_regular(file_path) as file, reading(file_path):
        head = file.read(512)
    if is_archive(head):
        return cifar.open_archive(file_path, path, split)
    kind = "empty" if not head else kind_of(head) or "of an unknown kind"
    is_batch = cifar.is_batch_name(file_path.name)
    hint = f"name the folder {file_path.parent} instead" if is_batch else f"name {KNOWN}"
    raise DatasetNotFound(f"{file_path} is no dataset (it is {kind}): {hint}.")
