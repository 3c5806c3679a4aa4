"""Numbers from repeats: what is typical, how sure that is, and whether two things differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MARGIN = 1.03
"""Ratios from 1 / MARGIN to MARGIN make no difference to anybody."""

FASTER, SLOWER, TIE, UNSURE = "faster", "slower", "tie", "unsure"

_FEWEST = 3
"""Fewer values have no interval, fewer pairs no winner."""
_ROBUST = 9
"""The fewest values whose least and most can be left out of a 95 % interval of the median."""
_HUGE = 700.0
_EXACT = 50
_LEVEL = 0.025
_NORMAL = 1.959964
_STUDENT = {3: 6.965, 4: 4.541, 5: 3.747, 6: 3.365, 7: 3.143, 8: 2.998}
"""By the number of values, Student's t for an interval of 98 %."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times the seconds of another thing one thing takes.

    Attributes
    ----------
    ratio, low, high
        Typical paired ratio and an interval that covers it in 95 % of cases at least; None with too few pairs.
    outcome
        ``faster`` or ``slower`` where the whole interval lies outside 1 +- 3 %, ``unsure`` where there are fewer than
        three pairs, else ``tie``.
    pairs, dropped
        How many ratios went in, and how many were none: of durations that were zero, negative, infinite or NaN.
    """

    ratio: float | None
    low: float | None
    high: float | None
    outcome: str
    pairs: int
    dropped: int = 0


def usable(values: Iterable[float]) -> list[float]:
    """The values that can be durations or ratios: finite and above 0."""
    return [value for value in values if 0 < value < math.inf]


def quartiles(values: Sequence[float]) -> tuple[float, float] | None:
    """The first and the third quartile, interpolated as numpy does; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return _quantile(ordered, 0.25), _quantile(ordered, 0.75)


def interval_of_median(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % bootstrap interval of the median; None for fewer than three values.

    The distribution of a resample's median is known (Maritz and Jarrett 1978), so nothing is drawn.  From 5 values on
    it says something: it covers the median in 94 of 100 cases there, of 3 values (all between least and most) in 75.
    """
    if len(values) < _FEWEST:
        return None
    ordered = sorted(values)
    rank = _bootstrap_rank(len(ordered))
    return ordered[rank], ordered[-1 - rank]


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation as a share of the mean; None for fewer than two values."""
    return stdev(values) / fmean(values) if len(values) > 1 else None


def paired_ratios(one: Mapping[int, float], other: Mapping[int, float]) -> list[float]:
    """Ratios of the seconds in each block that both have; NaN where one of the two is no duration."""
    pairs = ((one[block], other[block]) for block in sorted(set(one) & set(other)))
    return [left / right if len(usable((left, right))) == 2 else math.nan for left, right in pairs]


def compare(ratios: Iterable[float]) -> Comparison:
    """Judge paired ratios, one thing's seconds by the other's, each pair of one block.

    Up to eight pairs have Student's t interval of the mean logarithm, at 98 %, since disturbances are not normal: at
    95 %, one of 23 comparisons of equals on a busy machine had a winner.  (A bootstrap of three ratios finds one in
    four.)  From nine on it is the sign test's interval of the median, which a disturbed
    block or two do not widen.
    """
    found = list(ratios)
    logs = [math.log(ratio) for ratio in usable(found)]
    pairs, dropped = len(logs), len(found) - len(logs)
    if pairs < _FEWEST:
        return Comparison(math.exp(fmean(logs)) if logs else None, None, None, UNSURE, pairs, dropped)
    if pairs < _ROBUST:
        centre, half = fmean(logs), _STUDENT[pairs] * stdev(logs) / math.sqrt(pairs)
        ends = (centre - half, centre + half)
    else:
        centre, rank = median(logs), _sign_rank(pairs)
        ends = sorted(logs)[rank], sorted(logs)[-1 - rank]
    low, high = (math.exp(min(end, _HUGE)) for end in ends)
    outcome = FASTER if high < 1 / MARGIN else SLOWER if low > MARGIN else TIE
    return Comparison(math.exp(centre), low, high, outcome, pairs, dropped)


@lru_cache(256)
def _bootstrap_rank(n: int) -> int:
    """The place, from 0, of the ordered value at which the bootstrap distribution of the median reaches 2.5 %."""
    if n > _EXACT:
        return max(0, math.floor(n / 2 - _NORMAL * math.sqrt(n) / 2))
    middle = (n + 1) // 2
    return next(place for place in range(n) if _at_least(middle, n, (place + 1) / n) > _LEVEL)


@lru_cache(256)
def _sign_rank(n: int) -> int:
    """The last place, from 0, of the ordered value that the median of all there could be is below in 2.5 % at most."""
    if n > _EXACT:
        return math.floor(n / 2 - _NORMAL * math.sqrt(n) / 2) - 1
    return max(place for place in range(n) if _at_least(n - place, n, 0.5) <= _LEVEL)


def _at_least(successes: int, n: int, chance: float) -> float:
    """Probability of ``successes`` or more in ``n`` tries."""
    return sum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(successes, n + 1))


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    left = math.floor(place)
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (ordered[right] - ordered[left]) * (place - left)
