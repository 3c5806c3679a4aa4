"""Medians, intervals and paired comparisons of measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

from backends import units
from backends.bench.measurement import CACHES, OPERATIONS, WARM, Cell, InCell, Measurement
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


MARGIN = 1.03
"""A smaller difference matters to nobody."""

DIFFERENCE = 1.10
"""The difference that repeats must be able to show: a tie excludes it."""

FASTER, SLOWER, TIE, UNDECIDED = "faster", "slower", "tie", "undecided"
SIGNS = {FASTER: ">", TIE: "=", UNDECIDED: "?"}
"""How an outcome is written between the better one and the other."""

_FEWEST = 3
"""Fewer pairs decide nothing."""
_HUGE = 700.0
_95 = 1.959964
"""Normal quantile of a two-sided interval of 95 %."""
_90 = 1.281552
"""Normal quantile of 90 %: how often a difference is to be found."""
_MOST_NEEDED = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times the seconds of another thing one thing takes.

    Attributes
    ----------
    ratio
        Geometric mean of the paired ratios; None without pairs.
    outcome
        ``faster``, ``slower``, ``tie`` or ``undecided``.
    pairs, dropped
        How many ratios went in, and how many were left out: of durations that were zero, negative, infinite or NaN.
    needed
        How many pairs would show this difference, or one of 10 % if it is smaller, in nine of ten runs; None where too
        few were measured to say.
    """

    ratio: float | None
    outcome: str
    pairs: int
    dropped: int = 0
    needed: int | None = None


def usable(values: Iterable[float]) -> list[float]:
    """The values that can be durations or ratios: finite and above 0."""
    return [value for value in values if 0 < value < math.inf]


def quartiles(values: Sequence[float]) -> tuple[float, float] | None:
    """The first and the third quartile, interpolated as numpy does; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return _quantile(ordered, 0.25), _quantile(ordered, 0.75)


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation as a share of the mean; None for fewer than two values."""
    return stdev(values) / fmean(values) if len(values) > 1 else None


def paired_ratios(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Ratios of the seconds in each block that both have; NaN where one of the two is no duration."""
    pairs = ((one[block], other[block]) for block in sorted(set(one) & set(other)))
    return [left / right if len(usable((left, right))) == 2 else math.nan for left, right in pairs]


def compare(ratios: Iterable[float]) -> Comparison:
    """Judge paired ratios, one thing's seconds by the other's, each pair of one block.

    The rule is Student's interval of the mean logarithm at 95 %.  One thing is faster where the interval excludes 1 and
    the mean is more than 3 % away from it; the two tie where the interval excludes a difference of 10 %; all else is
    undecided.  ``tests.benchmarks.control`` counts how often that is right.
    """
    found = list(ratios)
    logs = [math.log(ratio) for ratio in usable(found)]
    pairs, dropped = len(logs), len(found) - len(logs)
    if pairs < _FEWEST:
        return Comparison(math.exp(fmean(logs)) if logs else None, UNDECIDED, pairs, dropped)
    centre, scatter = fmean(logs), stdev(logs)
    half = _student(pairs - 1) * scatter / math.sqrt(pairs)
    if abs(centre) > max(half, math.log(MARGIN)):
        outcome = FASTER if centre < 0 else SLOWER
    else:
        outcome = TIE if abs(centre) + half < math.log(DIFFERENCE) else UNDECIDED
    return Comparison(
        math.exp(min(centre, _HUGE)), outcome, pairs, dropped, _needed(scatter, max(abs(centre), math.log(DIFFERENCE)))
    )


def _needed(scatter: float, effect: float) -> int:
    """How many pairs of logarithms that scatter so show ``effect`` in 90 % of runs; at most 1,000."""
    pairs = _FEWEST
    while pairs < _MOST_NEEDED and (_student(pairs - 1) + _90) * scatter / math.sqrt(pairs) > effect:
        pairs += 1
    return pairs


@lru_cache(_MOST_NEEDED)
def _student(freedom: int) -> float:
    """Student's t for a two-sided interval of 95 %, by the expansion of Abramowitz and Stegun 26.7.5; 2 or more."""
    z = _95
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    left = math.floor(place)
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (ordered[right] - ordered[left]) * (place - left)


@dataclass(frozen=True, slots=True)
class Figure(InCell):
    """What the repeats of one configuration, operation and count say.

    Attributes
    ----------
    repeats
        How many measurements went in; 0 where all failed or were skipped.
    dropped
        How many were left out because their duration was none: zero, negative, infinite or NaN.
    samples
        The ``seconds`` that went in, in the order of the repeats.
    seconds, seconds_low, seconds_high
        Median, least and most of the repeats' ``seconds``; None without repeats.
    quartiles
        First and third of ``seconds``.
    spread
        Their standard deviation as a share of their mean; None for fewer than two repeats.
    cpu_seconds
        Median of the repeats' ``cpu_seconds``.
    resident
        The largest share of the artefact's bytes that the page cache held before a repeat's read.
    seconds_durable
        Median of the repeats' ``seconds_durable``.
    bytes_apparent, bytes_allocated, files
        Of the last repeat: what the container takes on disk.
    verified
        Whether every repeat was verified.
    message
        Why a repeat failed or was skipped; empty where none was.
    """

    configuration: str
    operation: str
    count: int
    cache: str
    repeats: int
    seconds: float | None
    seconds_low: float | None
    seconds_high: float | None
    seconds_durable: float | None
    bytes_apparent: int | None
    bytes_allocated: int | None
    files: int | None
    verified: bool
    message: str
    quartiles: tuple[float, float] | None = None
    spread: float | None = None
    cpu_seconds: float | None = None
    resident: float | None = None
    samples: tuple[float, ...] = ()
    dropped: int = 0

    @property
    def range(self) -> tuple[float, float] | None:
        """Least and most of the repeats' seconds; None for fewer than two repeats."""
        if self.repeats < 2 or self.seconds_low is None or self.seconds_high is None:
            return None
        return self.seconds_low, self.seconds_high

    @property
    def images_per_second(self) -> float | None:
        return self.count / self.seconds if self.seconds else None


def summarise(measurements: Iterable[Measurement]) -> tuple[Figure, ...]:
    """One figure for each cell that is shown: by operation, count and cache."""
    cells: dict[Cell, list[Measurement]] = {}
    for found in measurements:
        if found.shown:
            cells.setdefault(found.cell, []).append(found)
    ordered = sorted(cells.values(), key=lambda found: _order(found[0]))
    return tuple(_figure(found) for found in ordered)


def multiple_of_limit(figure: Figure, figures: Iterable[Figure]) -> float | None:
    """How many times the seconds of bare bytes a figure takes; None where the machine's limit was not measured."""
    same = (figure.operation, figure.cache, figure.count)
    for one in figures:
        if one.configuration.startswith(f"{LIMIT}+") and (one.operation, one.cache, one.count) == same:
            return figure.seconds / one.seconds if figure.seconds and one.seconds else None
    return None


def limits_sentence(figures: Iterable[Figure]) -> str | None:
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


def _order(one: Measurement) -> tuple[int, int, int]:
    operation = (*OPERATIONS, "copy").index(one.operation)
    return operation, one.count, CACHES.index(one.cache)


def _figure(found: list[Measurement]) -> Figure:
    done = [one for one in found if one.outcome == "ok" and one.seconds is not None]
    good = [one for one in done if usable([one.seconds or 0.0])]
    seconds = [one.seconds for one in good if one.seconds is not None]
    last = good[-1] if good else None
    return Figure(
        configuration=found[0].configuration,
        operation=found[0].operation,
        count=found[0].count,
        cache=found[0].cache,
        repeats=len(good),
        seconds=median(seconds) if seconds else None,
        seconds_low=min(seconds, default=None),
        seconds_high=max(seconds, default=None),
        seconds_durable=_median(one.seconds_durable for one in good),
        bytes_apparent=last.bytes_apparent if last else None,
        bytes_allocated=last.bytes_allocated if last else None,
        files=last.files if last else None,
        verified=bool(good) and all(one.verified for one in good),
        message=next((one.message for one in found if one.message), ""),
        quartiles=quartiles(seconds),
        spread=spread(seconds),
        cpu_seconds=_median(one.cpu_seconds for one in good),
        resident=max((one.resident for one in good if one.resident is not None), default=None),
        samples=tuple(seconds),
        dropped=len(done) - len(good),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
