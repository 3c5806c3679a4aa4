"""Slow questions, each asked in a thread: they may touch disks that take their time, or never answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tui.messages import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.bench.estimate import Estimate
    from backends.bench.plan import Plan
    from backends.datasets.facts import DatasetFacts


def read_facts(path: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[DatasetFacts]:
    """What the dataset at ``path`` is: at once, and again once pictures were looked into.

    Raises ImgstoreError with the sentence to show.
    """
    from backends.datasets import open_dataset

    with open_dataset(path, None, cancelled) as dataset:
        facts = dataset.facts()
        yield facts
        surveyed = dataset.survey()
        if surveyed != facts:
            yield surveyed


def first_facts(path: str) -> DatasetFacts:
    """What the dataset at ``path`` is, as far as is known at once."""
    return next(read_facts(path))


def weigh(plan: Plan, facts: DatasetFacts) -> tuple[Estimate, Place]:
    """What ``plan`` will take, and where it will write.  Raises ImgstoreError."""
    from backends.bench.estimate import estimate

    found = estimate(plan, facts)
    return found, place_of(found.work)


def place_of(folder: Path) -> Place:
    """The filesystem of ``folder`` and what a run may still write there."""
    from backends.bench.disk import free_bytes, mount_of

    return Place(str(folder), mount_of(folder).filesystem, free_bytes(folder))


def folder_to_write(text: str) -> str:
    """The folder that ``text`` names, made absolute; empty where the run is to decide.  Raises NotAllowed."""
    from backends.bench.disk import choose_work_dir

    return str(choose_work_dir(text.strip(), None)) if text.strip() else ""


def completion(text: str) -> str | None:
    """``text`` with the first folder that begins so behind it; None where there is none."""
    place = Path(text).expanduser()
    parent, begin = (place, "") if text.endswith("/") else (place.parent, place.name)
    if not text or text == "~":
        return None
    try:
        with os.scandir(parent) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(begin) and entry.is_dir())
    except OSError:
        return None
    found = [name for name in names if begin or not name.startswith(".")]
    return text + found[0][len(begin) :] + "/" if found else None
