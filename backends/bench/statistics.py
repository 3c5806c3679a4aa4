"""Numbers from repeats: what is typical, how sure that is, and whether two things differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev
from typing import TYPE_CHECKING

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
