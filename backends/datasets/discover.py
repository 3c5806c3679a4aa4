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
from backends.datasets.base import AS_FOUND, Reading, Skipped
from backends.datasets.foreign import foreign_kind
from backends.datasets.picture_archive import HoldsOther, PictureArchive
from backends.datasets.regular_file import check, kind_of, list_folder, open_regular, reading, special
from backends.datasets.structure import split_kind
from backends.datasets.tree import is_picture, is_system
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.datasets.base import Dataset

KNOWN = (
    "a folder or archive of pictures, WebDataset shards, Parquet or Arrow of Hugging Face, npz, npy, IDX, HDF5, "
    "CIFAR, or a store"
)

LOOKED_AT, DEEPEST = 2000, 8
"""Folders that are listed, and their levels, to find out what a folder holds."""

_SNIFFED = 10
"""Files without a known suffix that are opened to recognise a folder of pictures."""


def open_dataset(
    path: str | Path,
    split: str | None = None,
    poll: Callable[[int], bool] = lambda found: False,
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
    poll
        Called now and then while a folder or an archive is listed, with how many pictures were found so far; True stops
        it.
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
        ``poll`` returned True.
    """
    dataset = _open(path, split, poll, how)
    if how != AS_FOUND and not dataset.takes_reading:
        dataset.close()
        raise UsageError(f"{path} has labels and splits of its own: leave out --root, --layout and --labels.")
    return dataset


def _open(path: str | Path, split: str | None, poll: Callable[[int], bool], how: Reading) -> Dataset:
    if path == sample.NAME:
        return sample.Sample(split)
    absolute, mode = locate(os.fspath(path))
    if stat.S_ISDIR(mode):
        return _open_folder(absolute, str(path), split, poll, how)
    if stat.S_ISREG(mode):
        return _open_file(absolute, str(path), split, poll, how)
    raise DatasetNotFound(f"{absolute} is {special(mode)}, not a folder or a file: name {KNOWN}.")


def locate(text: str) -> tuple[Path, int]:
    """The absolute path that is meant, and the mode of what is there.  Raises as ``open_dataset``."""
    if not text.strip() or "\0" in text:
        raise UsageError("no dataset is named: give a path, or the word sample.")
    absolute = absolute_path(text)
    with reading(absolute):
        return absolute, absolute.stat().st_mode


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


KINDS = {
    "cifar_binary": r"(data_batch_\d|test_batch|train|test|(train|test|unlabeled)_X)\.bin",
    "idx": r".*images?.*idx\d?.*",
    "huggingface": r".+\.(parquet|arrow)",
    "numpy_arrays": r".+\.np[yz]",
    "hdf5": r".+\.(h5|hdf5|hdf)",
}
"""Names of the files of a kind of dataset, by the module whose ``open_files`` takes those of one dataset."""

_MAGICS = {
    b"\x93NUMPY": "numpy_arrays",
    b"PAR1": "huggingface",
    b"ARROW1": "huggingface",
    b"\x89HDF": "hdf5",
    b"\0\0\x08\x03": "idx",
    b"\0\0\x08\x04": "idx",
}
_ARCHIVE = r".+\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))"
_PART = r"(.*[^a-z])?(train(ing)?|test|val(id(ation)?)?|x|y|images|labels|data|\d+)([^a-z].*)?"
"""Names of files that are parts of one dataset."""

_CONTAINER_FILES = ("layout.json", "data.mdb", "zarr.json")


def _is_called(name: str, pattern: str) -> bool:
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def may_be_dataset(name: str) -> bool:
    """Whether a file is named like a dataset."""
    return any(_is_called(name, pattern) for pattern in (_ARCHIVE, *KINDS.values()))


def _container(path: Path, shown: str, split: str | None) -> Dataset | None:
    """A container of one of our backends, by the name of the module: it is built on datasets."""
    dataset: Dataset | None = import_module("backends.stores.dataset").open_container(path, shown, split)
    return dataset


def _open_folder(top: Path, path: str, split: str | None, poll: Callable[[int], bool], how: Reading) -> Dataset:
    with reading(top):
        is_store = (top / "imgstore.json").is_file()
    if is_store:
        dataset: Dataset = import_module("backends.stores.dataset").StoreDataset(top, path, split)
        return dataset
    files, folders = list_folder(top)
    editions = cifar.find_editions(top, files, folders)
    if len(editions) == 1:
        ((edition, batches),) = editions
        return _without_others(cifar.CIFAR(cifar.FolderFiles(batches), edition, path, split), top, [], poll)
    if editions:
        choices = " or ".join(str(batches) for _, batches in editions)
        raise UsageError(f"{top} holds {len(editions)} datasets: name {choices}.")
    if not set(_CONTAINER_FILES).isdisjoint(files) and (container := _container(top, path, split)) is not None:
        return container
    refusals: list[ImgstoreError] = []
    archives: list[Path] = []
    foreign = foreign_kind(files)
    for inside, names in _below(top, poll):
        has_pictures = any(name.lower().endswith(SUFFIXES) for name in names)
        for module, pattern in KINDS.items():
            found = [inside / name for name in names if _is_called(name, pattern)]
            if found and not has_pictures:
                found = _with_siblings(module, inside, found, top)
                try:
                    return _without_others(_open_files(module, found, path, split, how), top, found, poll)
                except DatasetNotFound as error:
                    refusals.append(error)
                except DatasetDamaged as error:
                    refusals.insert(0, error)
        if has_pictures or any(is_picture(inside / name) for name in names[:_SNIFFED]):
            return folder.PictureFolder(top, path, split, how, poll)
        archives = archives or [inside / name for name in names if _is_called(name, _ARCHIVE)]
        foreign = foreign or foreign_kind(names)
    if archives:
        return _without_others(_open_archives(archives, path, split, poll, how), top, archives, poll)
    if foreign:
        raise DatasetNotFound(f"{top} {foreign}")
    if refusals:
        raise refusals[0]
    entries = [*(f"{name}/" for name in folders), *files]
    more = ", ..." if len(entries) > 3 else ""
    content = f"it has {', '.join(name[:40] for name in entries[:3])}{more}" if entries else "it is empty"
    raise DatasetNotFound(f"{top} holds no known dataset ({content}): name {KNOWN}.")


def _without_others(dataset: Dataset, top: Path, files: list[Path], poll: Callable[[int], bool]) -> Dataset:
    """The dataset of ``files``; pictures and files of other datasets in the folder ``top`` are noted as left out."""
    skipped, opened = Skipped(), set(files)
    for inside, names in _below(top, poll):
        for name in names:
            picture = name.lower().endswith(SUFFIXES)
            if picture or (may_be_dataset(name) and inside / name not in opened):
                why = "pictures (name their folder)" if picture else "other datasets (name one)"
                skipped.add(why, str((inside / name).relative_to(top)))
    dataset.leave_out(skipped)
    return dataset


def _open_files(module: str, files: list[Path], path: str, split: str | None, how: Reading) -> Dataset:
    """Open the files of one dataset.  Raises UsageError where they are several."""
    alone = module == "hdf5" or any(file.suffix == ".npz" for file in files)
    if alone and len(files) > 1 and not all(_is_called(file.stem, _PART) for file in files):
        raise UsageError(f"{files[0].parent} holds {len(files)} datasets: name one, such as {files[0]}.")
    dataset: Dataset = import_module(f"backends.datasets.{module}").open_files(files, path, split, how)
    return dataset


def _with_siblings(module: str, inside: Path, found: list[Path], top: Path) -> list[Path]:
    """The files of a folder that is a split, with those of the splits beside it."""
    if module != "huggingface" or inside == top or split_kind(inside.name) < 0:
        return found
    _, folders = list_folder(inside.parent)
    splits = [inside.parent / name for name in folders if split_kind(name) >= 0]
    return [one / name for one in splits for name in list_folder(one)[0] if _is_called(name, KINDS[module])]


def _open_archives(
    archives: list[Path], path: str, split: str | None, poll: Callable[[int], bool], how: Reading
) -> Dataset:
    """Open the archives of one folder: one of any kind, or the shards of a WebDataset."""
    if len(archives) == 1:
        return _open_file(archives[0], path, split, poll, how)
    if any(archive.suffix != ".tar" for archive in archives):
        raise UsageError(f"{archives[0].parent} holds {len(archives)} archives: name one, such as {archives[0]}.")
    return PictureArchive(archives, path, split, how, poll)


def _below(top: Path, poll: Callable[[int], bool]) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, the upper ones first, each with the names of its files; system folders are not."""
    waiting = deque([(top, 0)])
    for _ in range(LOOKED_AT):
        if not waiting:
            return
        check(top, poll, 0)
        folder, depth = waiting.popleft()
        try:
            files, folders = list_folder(folder)
        except ImgstoreError:
            continue
        yield folder, [name for name in files if not is_system(name)]
        if depth < DEEPEST:
            waiting += [(folder / name, depth + 1) for name in folders if not is_system(name)]


def _open_file(file_path: Path, path: str, split: str | None, poll: Callable[[int], bool], how: Reading) -> Dataset:
    with open_regular(file_path) as file, reading(file_path):
        head = file.read(512)
    by_name = next((module for module, pattern in KINDS.items() if _is_called(file_path.name, pattern)), None)
    module = next((module for magic, module in _MAGICS.items() if head.startswith(magic)), by_name)
    if head.startswith((b"\x89HDF", b"SQLite format 3\0")):
        container = _container(file_path, path, split)
        if container is not None:
            return container
    if head and module:
        return _open_files(module, [file_path], path, split, how)
    if head.startswith(b"PK\3\4") or is_archive(head):
        try:
            return PictureArchive([file_path], path, split, how, poll, cifar.FILE_NAMES)
        except HoldsOther as other:
            return cifar.open_archived(file_path, other.name, path, split)
        except DatasetNotFound:
            container = _container(file_path, path, split)
            if container is not None:
                return container
            raise
    if foreign := foreign_kind([file_path.name]):
        raise DatasetNotFound(f"{file_path} {foreign}")
    kind = "empty" if not head else kind_of(head) or "of an unknown kind"
    hint = f"name the folder {file_path.parent} instead" if file_path.name in cifar.FILE_NAMES else f"name {KNOWN}"
    raise DatasetNotFound(f"{file_path} is no dataset (it is {kind}): {hint}.")
