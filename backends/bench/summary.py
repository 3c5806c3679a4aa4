"""Figures from measurements: one for each configuration, operation and count."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from backends.bench.measurement import OPERATIONS, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Figure:
    """What the repeats of one configuration, operation and count say.

    Attributes
    ----------
    repeats
        How many measurements went in; 0 where all failed or were skipped.
    seconds, seconds_low, seconds_high
        Median, least and most of the repeats' ``seconds``; None without repeats.
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

    @property
    def images_per_second(self) -> float | None:
        return self.count / self.seconds if self.seconds else None


def summarise(measurements: Iterable[Measurement]) -> tuple[Figure, ...]:
    """One figure for each configuration, operation and count that is shown, in the order of first appearance
    by operation."""
    cells: dict[tuple[str, str, int], list[Measurement]] = {}
    for found in measurements:
        if found.shown:
            cells.setdefault((found.configuration, found.operation, found.count), []).append(found)
    ordered = sorted(cells.items(), key=lambda item: (OPERATIONS.index(item[0][1]), item[0][2]))
    return tuple(_figure(*cell, found) for cell, found in ordered)


def _figure(configuration: str, operation: str, count: int, found: list[Measurement]) -> Figure:
    good = [one for one in found if one.outcome == "ok" and one.seconds is not None]
    seconds = [one.seconds for one in good if one.seconds is not None]
    durable = [one.seconds_durable for one in good if one.seconds_durable is not None]
    last = good[-1] if good else None
    return Figure(
        configuration=configuration,
        operation=operation,
        count=count,
        repeats=len(good),
        seconds=median(seconds) if seconds else None,
        seconds_low=min(seconds, default=None),
        seconds_high=max(seconds, default=None),
        seconds_durable=median(durable) if durable else None,
        bytes_apparent=last.bytes_apparent if last else None,
        bytes_allocated=last.bytes_allocated if last else None,
        files=last.files if last else None,
        verified=bool(good) and all(one.verified for one in good),
        message=next((one.message for one in found if one.message), ""),
    )
