"""Labels from files: ``metadata.csv`` and ``metadata.jsonl`` as Hugging Face has them, or a CSV file of the user."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends import limits
from backends.datasets.regular_file import open_regular, reading, unpacking
from backends.errors import DatasetDamaged, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

_FILE_COLUMNS = ("file_name", "file", "filename", "image", "path", "image_id", "id")
_LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "y")


def read_labels(path: Path) -> dict[str, str]:
    """The label of each file by its name, from a CSV or JSON lines file.  Raises DatasetDamaged, UsageError."""
    with open_regular(path) as file, reading(path):
        content = file.read(limits.FILE_BYTES.value + 1)
    if len(content) > limits.FILE_BYTES.value:
        raise DatasetDamaged(f"{path} has {limits.FILE_BYTES.exceeded()}.")
    try:
        text = content.decode("utf-8-sig")
        rows = _json_rows(text) if path.suffix == ".jsonl" else _csv_rows(text)
    except (ValueError, csv.Error) as error:
        raise DatasetDamaged(f"{path} is no table of labels ({error}): it needs lines of file,label.") from None
    if not rows:
        raise UsageError(f"{path} has no columns of files and labels: name them file and label in its first line.")
    return rows


def _json_rows(text: str) -> dict[str, str]:
    rows = [row for row in map(limits.parse_json, filter(None, text.splitlines())) if isinstance(row, dict)]
    columns = _columns(list(dict.fromkeys(key for row in rows for key in row)))
    if columns is None:
        return {}
    file, label = columns
    return {str(row[file]): str(row[label]) for row in rows if row.get(label) is not None and file in row}


def _csv_rows(text: str) -> dict[str, str]:
    rows = [row for row in csv.reader(text.splitlines()) if len(row) >= 2]
    columns = _columns([name.strip().lower() for name in rows[0]]) if rows else None
    if columns is None:  # without a first line of names
        return {row[0]: row[1].strip() for row in rows}
    names = [name.strip().lower() for name in rows[0]]
    file, label = map(names.index, columns)
    return {row[file]: row[label].strip() for row in rows[1:] if len(row) > max(file, label)}


def _columns(names: list[str]) -> tuple[str, str] | None:
    """The columns of the file and the label; None where they cannot be told."""
    file = next((name for name in _FILE_COLUMNS if name in names), None)
    label = next((name for name in _LABEL_COLUMNS if name in names), None)
    if file is not None and label is None and len(names) == 2:
        label = next(name for name in names if name != file)
    return None if file is None or label is None else (file, label)


def read_label_array(file: str, count: int) -> NDArray[np.generic]:
    """The labels of ``count`` images of an array, from a ``.npy`` file or a CSV file of number,label."""
    path = Path(file).expanduser()
    if path.suffix != ".npy":
        table = read_labels(path)
        return np.array([table.get(str(number), "") for number in range(count)])
    with unpacking(path), open_regular(path) as opened:
        labels: NDArray[np.generic] = np.load(opened, allow_pickle=False).reshape(-1)
    if len(labels) != count:
        raise UsageError(f"{path} has {len(labels):,} labels for {count:,} images: name the file of this split.")
    return labels


def numbered(labels: Iterable[str | None]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Class names, numbers in their order and else sorted, and the label of each image, -1 for None."""
    listed = list(labels)
    known = {label for label in listed if label is not None}
    whole = all(label.isascii() and label.isdigit() for label in known)
    names = sorted(known, key=int) if whole else sorted(known)
    if whole and known and int(names[-1]) < 2 * len(names) + 10:  # a class may lack pictures here
        names = [str(number) for number in range(int(names[-1]) + 1)]
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    return tuple(names), np.array([numbers.get(label, -1) for label in listed], np.int64)


def labels_of_files(count: int, name: Callable[[int], str], table: dict[str, str]) -> list[str | None]:
    """The label of each picture by its path, by the last part of that, or by that without its suffix."""
    found: list[str | None] = []
    for index in range(count):
        path = name(index)
        last = path.rpartition("/")[2]
        keys = (path, last, path.rpartition(".")[0], last.rpartition(".")[0])
        found.append(next((table[key] for key in keys if key in table), None))
    return found
