"""Aspects in words, and which cells a plan fills: what titles, axes and tables say of an operation."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from backends.bench.measurement import COLD, ONE_IMAGE, STORES
from backends.bench.schedule import trials

if TYPE_CHECKING:
    from backends.bench.measurement import Cell
    from backends.bench.plan import Plan
    from tui.run_state import RunState

_TIMES = {
    "store": "Storage time",
    "read": "Read time",
    "shuffled": "Shuffled read time",
    "store-one": "Time to store one image",
    "read-one": "Time to read one image",
}
_VERBS = {"shuffled": "read shuffled"}


def title(aspect: str) -> str:
    """``Read``, ``Shuffled cold``, ``Read one image``."""
    operation, cold = _parts(aspect)
    return operation.capitalize().replace("-one", " one image") + (" cold" if cold else "")


def time_title(aspect: str, log: bool) -> str:
    """``Log read time, from disk``."""
    operation, cold = _parts(aspect)
    name = _TIMES[operation]
    name = f"Log {name[0].lower()}{name[1:]}" if log and operation not in ONE_IMAGE else name
    return name + (", from disk" if cold else "")


def seconds_title(aspect: str) -> str:
    """``Seconds to read shuffled``: the word beside the axis."""
    operation = _parts(aspect)[0]
    return f"Seconds to {_VERBS.get(operation, operation)}"


def is_one_image(aspect: str) -> bool:
    """Whether its count is 1."""
    return _parts(aspect)[0] in ONE_IMAGE


def counts(aspect: str, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of images that an aspect has figures for."""
    return (1,) if is_one_image(aspect) else sizes


def cache_words(aspect: str, run: RunState | None) -> str:
    """Where the reads of an aspect find their bytes: ``from the page cache``, ``from disk, 0 % resident``."""
    operation, cold = _parts(aspect)
    if operation not in STORES:
        return ""
    if not cold:
        return "from the page cache"
    found = [one.resident for one in run.figures.values() if one.aspect == aspect and one.resident is not None] \
        if run else []  # fmt: skip
    return "from disk" + (f", {max(found):.0%} resident".replace("%", " %") if found else "")


@lru_cache(32)
def cells_of(plan: Plan) -> frozenset[Cell]:
    """Every cell that a plan fills."""
    return frozenset(trial.cell for trial in trials(replace(plan, repeats=1)) if trial.shown)


def _parts(aspect: str) -> tuple[str, bool]:
    operation, _, cache = aspect.partition(" ")
    return operation, cache == COLD
