"""Figures from measurements: one for each configuration, operation and count."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from backends import units
from backends.bench.measurement import CACHES, OPERATIONS, WARM, Cell, InCell, Measurement
from backends.bench.statistics import quartiles, spread, usable
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable


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
