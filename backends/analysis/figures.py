"""Medians, intervals and paired comparisons of measurements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median, quantiles, stdev

from backends import units
from backends.analysis.epochs import median_epochs
from backends.bench.configuration import Configuration
from backends.bench.measurement import WARM, Aspect, Cache, Cell, EpochFacts, InCell, Measurement, Operation
from backends.registry import LIMIT

MARGIN = 1.03  # a smaller difference matters to nobody
DIFFERENCE = 1.10  # the difference that repeats must be able to show: a tie excludes it

FASTER, SLOWER, TIE, UNDECIDED = "faster", "slower", "tie", "undecided"
SIGNS = {FASTER: ">", TIE: "=", UNDECIDED: "?"}  # how an outcome is written between the better one and the other
_FEWEST = 3  # fewer pairs decide nothing
_HUGE = 700.0
_95 = 1.959964  # normal quantile of a two-sided interval of 95 %
_90 = 1.281552  # normal quantile of 90 %: how often a difference is to be found
_MOST_NEEDED = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many times the seconds of another thing one thing takes."""

    ratio: float | None  # geometric mean of the paired ratios; None without pairs
    outcome: str  # FASTER, SLOWER, TIE or UNDECIDED
    pairs: int
    dropped: int = 0  # pairs left out: of durations that were zero, negative, infinite or NaN
    needed: int | None = None  # pairs that show this difference, or 10 % if that is more, in nine of ten runs


def usable(values: Iterable[float]) -> list[float]:
    """The values that can be durations or ratios: finite and above 0."""
    return [value for value in values if 0 < value < math.inf]


def quartiles(values: Sequence[float]) -> tuple[float, float] | None:
    """The first and the third quartile, interpolated as numpy does; None without values."""
    if len(values) < 2:
        return (values[0], values[0]) if values else None
    first, _, third = quantiles(values, method="inclusive")
    return first, third


def spread(values: Sequence[float]) -> float | None:
    """Sample standard deviation as a share of the mean; None for fewer than two values."""
    return stdev(values) / fmean(values) if len(values) > 1 else None


def paired_ratios(numerators: Mapping[int, float], denominators: Mapping[int, float]) -> list[float]:
    """Ratios of the seconds in each block that both have; NaN where one of the two is no duration."""
    pairs = ((numerators[block], denominators[block]) for block in sorted(set(numerators) & set(denominators)))
    return [left / right if len(usable((left, right))) == 2 else math.nan for left, right in pairs]


def compare(ratios: Iterable[float]) -> Comparison:
    """Judge ratios of one thing's seconds to the other's, each of a pair of one block.

    The rule is Student's interval of the mean logarithm at 95 %.  One thing is faster where the interval excludes 1 and
    the mean is more than 3 % away from it; the two tie where the interval excludes a difference of 10 %; all else is
    undecided.  ``tests.benchmarks.control`` counts how often that is right.
    """
    given = list(ratios)
    logs = [math.log(ratio) for ratio in usable(given)]
    pairs, dropped = len(logs), len(given) - len(logs)
    if pairs < _FEWEST:
        return Comparison(math.exp(fmean(logs)) if logs else None, UNDECIDED, pairs, dropped)
    centre, scatter = fmean(logs), stdev(logs)
    half = _student(pairs - 1) * scatter / math.sqrt(pairs)
    if abs(centre) > max(half, math.log(MARGIN)):
        outcome = FASTER if centre < 0 else SLOWER
    else:
        outcome = TIE if abs(centre) + half < math.log(DIFFERENCE) else UNDECIDED
    needed = _needed(scatter, max(abs(centre), math.log(DIFFERENCE)))
    return Comparison(math.exp(min(centre, _HUGE)), outcome, pairs, dropped, needed)


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


@dataclass(frozen=True, slots=True)
class Figure(InCell):
    """The summary of the repeats of one cell.  Seconds are None without repeats; sizes are those of the last repeat."""

    configuration: Configuration
    operation: Operation
    count: int
    cache: Cache
    repeats: int  # measurements that went in; 0 where all failed or were skipped
    seconds: float | None  # median; least and most follow
    seconds_low: float | None
    seconds_high: float | None
    seconds_durable: float | None  # median
    bytes_apparent: int | None
    bytes_allocated: int | None
    files: int | None
    verified: bool  # every repeat was
    message: str  # why a repeat failed or was skipped
    quartiles: tuple[float, float] | None = None  # first and third of the seconds
    spread: float | None = None  # standard deviation of the seconds as a share of their mean
    cpu_seconds: float | None = None  # median
    resident: float | None = None  # largest share of the artefact that the page cache held before a read
    samples: tuple[float, ...] = ()  # the seconds, in the order of the repeats
    dropped: int = 0  # measurements whose duration was zero, negative, infinite or NaN
    epochs: tuple[EpochFacts, ...] = ()  # medians by the number of workers, the fewest first

    @property
    def best_epoch(self) -> EpochFacts | None:
        """The epochs with the fewest workers that take at most 3 % longer than the fastest."""
        fastest = min((facts.seconds for facts in self.epochs), default=0.0)
        return next((facts for facts in self.epochs if facts.seconds <= MARGIN * fastest), None)

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
    """One figure for each cell that is shown: by operation, cache and count."""
    cells: dict[Cell, list[Measurement]] = {}
    for measurement in measurements:
        if measurement.shown:
            cells.setdefault(measurement.cell, []).append(measurement)
    order = list(Aspect)
    return tuple(map(_figure, sorted(cells.values(), key=lambda cell: (order.index(cell[0].aspect), cell[0].count))))


def _figure(cell: list[Measurement]) -> Figure:
    done = [repeat for repeat in cell if repeat.outcome == "ok" and repeat.seconds is not None]
    good = [repeat for repeat in done if usable([repeat.seconds or 0.0])]
    seconds = [repeat.seconds or 0.0 for repeat in good]
    last = good[-1] if good else None
    return Figure(
        *(cell[0].configuration, cell[0].operation, cell[0].count, cell[0].cache),
        repeats=len(good),
        seconds=_median(seconds),
        seconds_low=min(seconds, default=None),
        seconds_high=max(seconds, default=None),
        seconds_durable=_median(repeat.seconds_durable for repeat in good),
        bytes_apparent=last.bytes_apparent if last else None,
        bytes_allocated=last.bytes_allocated if last else None,
        files=last.files if last else None,
        verified=bool(good) and all(repeat.verified for repeat in good),
        message=next((repeat.message for repeat in cell if repeat.message), ""),
        quartiles=quartiles(seconds),
        spread=spread(seconds),
        cpu_seconds=_median(repeat.cpu_seconds for repeat in good),
        resident=max((repeat.resident for repeat in good if repeat.resident is not None), default=None),
        samples=tuple(seconds),
        dropped=len(done) - len(good),
        epochs=median_epochs(good),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def multiple_of_limit(figure: Figure, figures: Iterable[Figure]) -> float | None:
    """How many times the seconds of bare bytes a figure takes; None where the machine's limit was not measured."""
    for limit in figures:
        if (limit.configuration.backend, limit.aspect, limit.count) == (LIMIT, figure.aspect, figure.count):
            return figure.seconds / limit.seconds if figure.seconds and limit.seconds else None
    return None


def limits_sentence(figures: Iterable[Figure]) -> str | None:
    """``The machine itself: stores 1.1 GB/s, reads 4.9 GB/s, copies 9.1 GB/s (50,000 images).``"""
    known = [figure for figure in figures if figure.configuration.backend == LIMIT and figure.seconds]
    count = max((limit.count for limit in known if limit.bytes_apparent), default=0)
    verbs = {"store": "stores", "read": "reads", "copy": "copies"}
    rates = [
        f"{verbs[limit.operation]} {units.capacity(limit.bytes_apparent / limit.seconds)}/s"
        for limit in known
        if (limit.count, limit.cache) == (count, WARM) and limit.operation in verbs
        and limit.seconds and limit.bytes_apparent
    ]  # fmt: skip
    return f"The machine itself: {', '.join(rates)} ({count:,} images)." if rates else None
