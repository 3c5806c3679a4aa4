"""A verdict in sentences."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import is_lossless
from backends.bench.measurement import COLD, OURS, PLAIN, WARM
from backends.bench.prediction import DURABLE
from backends.bench.ranking import BEHIND, has_readers, holding
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.bench.plan import Weights
    from backends.bench.ranking import Ranking, Rankings
    from backends.bench.summary import Figure

EARLY = "So far, too early to tell."

_TITLES = {
    "store": "Fastest to store",
    "read": "Fastest to read in order",
    "shuffled": "Fastest to read shuffled",
    "labels": "Fastest to read the labels",
    "store-one": "Fastest to store one image",
    "read-one": "Fastest to read one image",
    "disk": "Smallest on disk",
    "trade-off": "Best trade-off",
}


def sentences(rankings: Rankings, weights: Weights, front: Sequence[str], images: int) -> tuple[str, ...]:
    """One for each use, and one for what no other configuration beats in both speed and size."""
    uses = dict.fromkeys(use for use, _ in rankings if use not in (DURABLE, "files"))
    said = [_sentence(use, rankings, weights, images) for use in uses]
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


def _sentence(use: str, rankings: Rankings, weights: Weights, images: int) -> str:
    """``Fastest to read shuffled: hdf5+raw; lmdb+raw follows at 1.4x; about 3.2 s for 50,000 images.``"""
    title = _title(use, weights)
    ours, plain = rankings.get((use, OURS)), rankings.get((use, PLAIN))
    if ours is None:
        return f"{title}: measured with the plain library only."
    if not ours.leaders:
        return f"{title}: not decided, {_why(ours)}."
    both, amount = holding(use, rankings), _amount(ours, images) + _durable(use, rankings)
    if both or not has_readers(use):
        return f"{title}: {_listed(both)}{_next(ours, both)}{amount}."
    head = f"{title} with this program's reader: {_listed(ours.leaders)}{_next(ours, ours.leaders)}{amount}"
    if plain is None:
        return f"{head}; the plain library was not measured."
    if not plain.leaders:
        return f"{head}; with the plain library it is not decided, {_why(plain)}."
    better = "better" if use == "trade-off" else "faster"
    return f"{head}; with the plain library {better}: {_listed(plain.leaders)}."


def _title(use: str, weights: Weights) -> str:
    operation, _, cache = use.partition(" ")
    values = {one.name: getattr(weights, one.name) for one in fields(weights) if getattr(weights, one.name)}
    counted = [f"{name} {value:g}" for name, value in values.items()] if len(values) > 1 else list(values)
    by = f" by {', '.join(counted)}" if use == "trade-off" else ", from disk" if cache == COLD else ""
    return _TITLES[operation] + by


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
    if ranking.use == "trade-off" or best.predicted is None:
        return ""
    value, doubt = best.predicted.value, best.predicted.unsure
    amount = units.capacity(value) if ranking.use == "disk" else units.spoken(value)
    return f"; about {amount} for {images:,} images" + (f" (unsure: {doubt})" if doubt else "")


def _durable(use: str, rankings: Rankings) -> str:
    """What the best store takes with its sync."""
    if use != "store" or (DURABLE, OURS) not in rankings:
        return ""
    best = rankings[use, OURS].ranks[0].configuration
    found = next(one for one in rankings[DURABLE, OURS].ranks if one.configuration == best)
    return f", {units.spoken(found.predicted.value)} with its sync" if found.predicted else ""


def _why(ranking: Ranking) -> str:
    if ranking.use == "trade-off":
        return "for want of what it is made of"
    if ranking.use == "disk":
        return next(one.predicted.unsure for one in ranking.ranks if one.predicted and one.predicted.unsure)
    return "for want of three repeats" if ranking.ranks[1].ratio_interval is None else "the repeats scatter too much"
