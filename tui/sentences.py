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
    from backends.datasets.facts import DatasetFacts
    from tui.messages import Place
    from tui.run_state import RunState


_VERBS = {
    "shuffled": "read shuffled",
    "store-one": "store one by one",
    "read-one": "read one by one",
}


def plan_sentence(plan: Plan, estimate: Estimate, place: Place) -> str:
    """``Store and read 10 to 2,000 images, 3 repeats. About 20 s, at most 46 MB in /var/tmp (ext4), ...``"""
    verbs = _listing([_VERBS.get(name, name) for name in plan.operations]).capitalize()
    few, many = f"{plan.sizes[0]:,}", f"{plan.sizes[-1]:,}"
    span = f"{few} to {many}" if len(plan.sizes) > 1 else many
    images = "image" if span == "1" else "images"
    repeats = f"{plan.repeats} repeats" if plan.repeats > 1 else "once each"
    size = units.capacity(estimate.bytes_at_most)
    return (
        f"{verbs} {span} {images}, {repeats}. About {units.about(estimate.seconds)}, at most {size} in "
        f"{place.folder} ({place.filesystem}), removed afterwards. Enter runs it."
    )


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
