"""What paths can be typed or chosen: datasets, folders to write in, and what begins like a text."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from backends import units
from tui.labels import sentence_of
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.runs.history import RunFacts

MOST_NAMES = 1000
"""Shown of one folder."""
RECENT = 5
"""Datasets of earlier runs that are offered."""


def dataset_to_open(text: str) -> str:
    """The path, as it is written, of a dataset that is there; ``sample`` is none.  Raises ImgstoreError."""
    from backends.datasets.discover import locate

    if text != "sample":
        locate(text)
    return text


def absolute_dataset(path: str) -> str:
    """The path made absolute, since a job is resumed from anywhere; ``sample`` is none."""
    from backends.datasets.discover import absolute_path

    return path if path == "sample" else str(absolute_path(path))


def disks() -> list[tuple[str, str]]:
    """A folder on each disk that can be written to, and how a list shows it."""
    from backends.bench.disk import free_bytes, writable_folders

    rows = [(str(folder), mount.filesystem, free_bytes(folder)) for folder, mount in writable_folders()]
    width = max((min(len(folder), 40) for folder, _, _ in rows), default=0)
    return [
        (folder, f"{safe_text(folder, 40):<{width}}  {kind:<6} {units.capacity(free):>7} free")
        for folder, kind, free in rows
    ]


def folder_to_write(text: str) -> str:
    """The folder that ``text`` names, made absolute; empty where the run is to decide.  Raises NotAllowed."""
    from backends.bench.disk import choose_work_dir

    return str(choose_work_dir(text.strip(), None)) if text.strip() else ""


def completions(text: str, files: bool) -> list[str]:
    """``text`` completed with each folder that begins like it, with ``files`` also with files that may be datasets."""
    if not text or text == "~":
        return []
    try:
        path = Path(text).expanduser()
        parent, begin = (path, "") if text.endswith("/") else (path.parent, path.name)
        names, _ = _list_folder(parent, begin, files)
    except (OSError, RuntimeError):  # RuntimeError: nobody's home
        return []
    return [text + name[len(begin) :] for name in sorted(names)]


def content_of(folder: str, files: bool) -> tuple[list[str], str]:
    """The first of the names that ``completions`` offers in a folder, and a sentence about what is not among them."""
    try:
        names, others = _list_folder(Path(folder), "", files)
    except OSError as error:
        return [], safe_text(sentence_of(error))
    more = len(names) - MOST_NAMES
    notes = [f"{more:,} more: type how the name begins"] if more > 0 else []
    notes += [units.count_of(others, "other file" if files else "file")] if others else []
    return heapq.nsmallest(MOST_NAMES, names), ", ".join(notes)


def _list_folder(folder: Path, begin: str, files: bool) -> tuple[list[str], int]:
    """Names in a folder, those of folders with a slash, and how many other files there are; none of hidden ones."""
    from backends.datasets.discover import may_be_dataset

    names, others = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(begin) or (not begin and entry.name.startswith(".")):
                continue
            is_folder = False
            with contextlib.suppress(OSError):  # a link to itself
                is_folder = entry.is_dir()
            if is_folder or (files and may_be_dataset(entry.name)):
                names.append(entry.name + ("/" if is_folder else ""))
            else:
                others += 1
    return names, others


def recent_datasets(jobs: Iterable[RunFacts]) -> list[tuple[str, str]]:
    """The datasets of the latest runs that still are there, and how a list shows each."""
    paths = dict.fromkeys(job.dataset for job in jobs if os.access(job.dataset, os.R_OK))
    return [(path, safe_text(path)) for path in itertools.islice(paths, RECENT)]
