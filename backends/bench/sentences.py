"""A verdict in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import is_lossless
from backends.bench.measurement import COLD, WARM
from backends.bench.prediction import DURABLE
from backends.bench.ranking import BEHIND
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.bench.ranking import Ranking, Rankings
    from backends.bench.summary import Figure

EARLY = "So far, too early to tell."

_TITLES = {
    "store": "Fastest to store",
    "read": "Fastest to read in order",
    "shuffled": "Fastest to read shuffled",
    "store-one": "Fastest to store one image",
    "read-one": "Fastest to read one image",
    "disk": "Smallest on disk",
}


def sentences(rankings: Rankings, front: Sequence[str], images: int) -> tuple[str, ...]:
    """One for each use, and one for what no other configuration beats in both speed and size."""
    said = [_sentence(use, rankings, images) for use in rankings if use not in (DURABLE, "files")]
    if len(front) > 1:
        said.append(f"Not beaten in both shuffled reads and disk: {_listed(front)}.")
    return tuple(said)


def limits_sentence(figures: Sequence[Figure]) -> str | None:
    """``The machine itself: stores 1.1 GB/s, reads 4.9 GB/s, copies 9.1 GB/s (50,000 images).``"""
    known = [one for one in figures if one.configuration.startswith(f"{LIMIT}+") and one.seconds and one.bytes_apparent]
    count = max((one.count for one in known), default=0)
    verbs = {"store": "stores", "read": "reads", "copy": "copies"}
    rates = [
        f"{verbs[one.operation]} {units.capacity(one.bytes_apparent / one.seconds)}/s"
        for one in known
        if one.count == count and one.operation in verbs and one.cache == WARM and one.seconds and one.bytes_apparent
    ]
    return f"The machine itself: {', '.join(rates)} ({count:,} images)." if rates else None


def _sentence(use: str, rankings: Rankings, images: int) -> str:
    """``Fastest to read shuffled: hdf5+raw; lmdb+raw follows at 1.4x; about 3.2 s for 50,000 images.``"""
    ranking, (operation, _, cache) = rankings[use], use.partition(" ")
    title = _TITLES[operation] + (", from disk" if cache == COLD else "")
    if not ranking.leaders:
        return f"{title}: not decided, {_why(ranking)}."
    named = ranking.leaders
    return f"{title}: {_listed(named)}{_next(ranking, named)}{_amount(ranking, images)}{_durable(use, rankings)}."


def _listed(names: Sequence[str]) -> str:
    said = [name if is_lossless(name) else f"{name} (lossy)" for name in names]
    return f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else said[0]


def _next(ranking: Ranking, named: Sequence[str]) -> str:
    """How far behind the first one that does not tie is, and which ones cannot be told apart from the best."""
    if len(ranking.ranks) == 1:
        return ", the only one measured"
    behind = next((one for one in ranking.ranks if one.outcome == BEHIND), None)
    unsure = [
        f"{one.configuration} ({units.ratio(one.ratio)})"
        for one in ranking.ranks
        if one.outcome != BEHIND and one.configuration not in named
    ]
    tie = ", which tie" if len(named) > 1 else ""
    follows = f"; {behind.configuration} follows at {units.ratio(behind.ratio)}" if behind else ""
    return f"{tie}{follows}" + (f"; not decided for {' and '.join(unsure)}" if unsure else "")


def _amount(ranking: Ranking, images: int) -> str:
    """What the best takes, in what it is counted in."""
    best = ranking.ranks[0]
    if best.predicted is None:
        return ""
    value, doubt = best.predicted.value, best.predicted.unsure
    amount = units.capacity(value) if ranking.use == "disk" else units.spoken(value)
    return f"; about {amount} for {images:,} images" + (f" (unsure: {doubt})" if doubt else "")


def _durable(use: str, rankings: Rankings) -> str:
    """What the best store takes with its sync."""
    if use != "store" or DURABLE not in rankings:
        return ""
    best = rankings[use].ranks[0].configuration
    found = next(one for one in rankings[DURABLE].ranks if one.configuration == best)
    return f", {units.spoken(found.predicted.value)} with its sync" if found.predicted else ""


def _why(ranking: Ranking) -> str:
    if ranking.use == "disk":
        return next(one.predicted.unsure for one in ranking.ranks if one.predicted and one.predicted.unsure)
    return "for want of three repeats" if ranking.ranks[1].ratio_interval is None else "the repeats scatter too much"
