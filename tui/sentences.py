"""What the screen says in sentences: what a plan will do, what a row is, why a trial failed."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import Configuration
from backends.bench.schedule import trials
from backends.errors import ImgstoreError, UsageError
from backends.registry import backend_entry, codec_entries

if TYPE_CHECKING:
    from backends.bench.places import Estimate
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from tui.messages import Place
    from tui.run_state import RunState


_VERBS = {
    "store": "storing",
    "read": "reading",
    "shuffled": "reading",
    "store-one": "storing single images",
    "read-one": "reading single images",
}
_NAMES = {"lmdb": "LMDB", "hdf5": "HDF5", "npy": "NumPy arrays", "sqlite": "SQLite", "tar": "tar files"}
_FILES = {"png": "PNG files", "jpeg": "JPEG files", "source": "the original files", "raw": "files of raw pixels"}
MOST_NAMED = 5
"""Configurations that a plan names; more are counted."""


def plan_sentence(plan: Plan, estimate: Estimate, place: Place) -> str:
    """``Times storing and reading 10 to 2,000 images as PNG files, LMDB and HDF5. About 25 s. Temporary files: ...``"""
    verbs = _listing(list(dict.fromkeys(_VERBS.get(name, name) for name in plan.operations)))
    few, many = f"{plan.sizes[0]:,}", f"{plan.sizes[-1]:,}"
    span = f"{few} to {many}" if len(plan.sizes) > 1 else many
    images = "image" if span == "1" else "images"
    return (
        f"Times {verbs} {span} {images} {_formats(plan)}. About {units.about(estimate.seconds)}. "
        f"Temporary files: up to {units.capacity(estimate.bytes_at_most)} in {place.folder}."
    )


def _formats(plan: Plan) -> str:
    """``as PNG files, LMDB and HDF5``."""
    if len(plan.configurations) > MOST_NAMED:
        return f"in {len(plan.configurations)} configurations"
    return "as " + _listing([spoken_name(text) for text in plan.configurations])


def spoken_name(configuration: str) -> str:
    """A configuration in words: ``PNG files``, ``LMDB``, ``HDF5+png in /scratch``."""
    one = Configuration.parse(configuration)
    if one.backend == "files":
        name = _FILES.get(one.codec, f"{one.codec} files")
    else:
        usual = one.codec in (backend_entry(one.backend).codec, "source")
        name = _NAMES.get(one.backend, one.backend) + ("" if usual else f"+{one.codec}")
    return name + (f" in {one.folder}" if one.folder else "")


def dataset_name(facts: DatasetFacts) -> str:
    """What people call a dataset: ``CIFAR-10``, or the folder's name where its kind says no more than what it is."""
    folder = PurePath(facts.path).name
    return folder if folder and facts.kind[:1].islower() else facts.kind


def describe_plan(plan: Plan) -> str:
    """``3 configurations, 4 sizes, 3 repeats, store and read: 78 trials``."""
    parts = (
        _number(len(plan.configurations), "configuration"),
        _number(len(plan.sizes), "size"),
        _number(plan.repeats, "repeat"),
        _listing(list(plan.operations)),
    )
    return f"{', '.join(parts)}: {_number(len(trials(plan)), 'trial')}"


def _listing(words: list[str]) -> str:
    """``store, read and shuffled``."""
    return " and ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def describe_row(configuration: str, aspect: str, run: RunState | None) -> tuple[str, bool]:
    """A sentence about one row, and whether it is a failure; nothing while a run goes well."""
    if run is not None:
        for (name, what, count), failed in run.failures.items():
            if (name, what) == (configuration, aspect) and failed.message:
                return f"{failed.outcome} at {count:,}: {failed.message}", True
        return "", False
    try:
        one = Configuration.parse(configuration)
    except UsageError as error:
        return str(error), True
    entry = backend_entry(one.backend)
    missing = f"; {entry.missing}" if entry.missing else ""
    folder = f", in {one.folder}" if one.folder else ""
    if entry.reference:
        return f"{entry.title}: a reference, to compare with", False
    return f"{entry.title}, {codec_entries()[one.codec].title}{folder}{missing}", bool(missing)


def sentence_of(error: BaseException | None) -> str:
    """What to show of an error: its own sentence where it has one."""
    if isinstance(error, ImgstoreError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return f"unexpected {type(error).__name__}: {error}"
