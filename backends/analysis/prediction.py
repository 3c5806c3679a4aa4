"""What any number of images would take, from the sizes that were measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from backends.bench.configuration import is_reference
from backends.bench.measurement import COLD, ONE_IMAGE, STORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.analysis.figures import Figure


LEAST_LARGEST = 1_000
"""The largest size measured must have so many images."""

FARTHEST = 100
"""A prediction for more than this many times the largest size is unsure."""

WIDEST = 0.25
"""Doubt, as a share of the value, beyond which a prediction is unsure."""

_A_DECADE = 0.05
"""What each tenfold step beyond the largest size adds to the doubt."""

DURABLE = "store durable"
"""The aspect of a store with its sync."""


class Point(NamedTuple):
    """What ``images`` images took.

    Attributes
    ----------
    scatter
        Two standard deviations of the repeats, as a share.  Their number does not narrow it: what disturbs one repeat
        disturbs those that follow it.
    owed
        What the sync after a store takes, as a share of the store: of more images it becomes a part of the store, when
        the system holds no more bytes back.
    """

    images: int
    value: float
    scatter: float = 0.0
    owed: float = 0.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """A value that was not measured.

    Attributes
    ----------
    low, high
        The value less and plus its doubt.
    unsure
        Why it should not be relied on; empty where it can be.
    measured
        Whether this very number of images was measured.
    """

    value: float
    low: float
    high: float
    unsure: str = ""
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one configuration would take for ``images`` images.

    Attributes
    ----------
    seconds
        By aspect: ``store``, ``read``, ``shuffled cold``, and ``store durable``, with its sync.
    bytes_allocated, files
        What the container would take; None where no size of it is known.
    """

    configuration: str
    images: int
    seconds: dict[str, Predicted] = field(default_factory=dict)
    bytes_allocated: Predicted | None = None
    files: Predicted | None = None


def predict(figures: Iterable[Figure], images: int, memory_bytes: int | None = None) -> tuple[Prediction, ...]:
    """Predict for each configuration, in the order of the figures; references and one-image operations are left out.

    Each quantity is a + b n of the number of images n, both at least 0, fitted by least squares of relative errors
    that weigh as much as their size, so that b comes from the largest sizes.

    Parameters
    ----------
    memory_bytes
        What the page cache can hold; warm reads of larger containers are unsure.  None where it is not known.
    """
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.repeats and figure.operation not in ONE_IMAGE and not is_reference(figure.configuration):
            found.setdefault(figure.configuration, []).append(figure)
    return tuple(_prediction(name, ours, images, memory_bytes) for name, ours in found.items())


def _prediction(name: str, figures: list[Figure], images: int, memory_bytes: int | None) -> Prediction:
    allocated = _predicted(images, _sizes((one.count, one.bytes_allocated) for one in figures))
    too_large = memory_bytes is not None and allocated is not None and allocated.value > memory_bytes
    timed = [(one.aspect, one) for one in figures]
    timed += [(DURABLE, replace(one, seconds=one.seconds_durable)) for one in figures if one.aspect == "store"]
    seconds = {}
    for aspect in dict.fromkeys(aspect for aspect, _ in timed):
        those = [one for which, one in timed if which == aspect]
        warm_read = those[0].operation in STORES and those[0].cache != COLD
        why = "what is read warm would not fit into memory" if warm_read and too_large else ""
        if all(one.spread is None for one in those):
            why = why or "each size was measured once"
        points = [
            Point(
                one.count, one.seconds, 2 * (one.spread or 0.0), (one.seconds_durable or one.seconds) / one.seconds - 1
            )
            for one in those
            if one.seconds
        ]
        if found := _predicted(images, points, why):
            seconds[aspect] = found
    files = _predicted(images, _sizes((one.count, one.files) for one in figures))
    return Prediction(name, images, seconds, allocated, files)


def _sizes(found: Iterable[tuple[int, int | None]]) -> list[Point]:
    return [Point(count, value) for count, value in {count: value for count, value in found if value}.items()]


def _predicted(images: int, points: Sequence[Point], unsure: str = "") -> Predicted | None:
    """The value at ``images``; None without points."""
    points = sorted(points)
    if not points:
        return None
    for one in points:
        if one.images == images:
            return Predicted(one.value, one.value / (1 + one.scatter), one.value * (1 + one.scatter), measured=True)
    last, doubt = points[-1].images, 1.0
    constant, slope = _fit(points)
    value = constant + slope * images
    if len(points) > 1:
        decades = max(0.0, math.log10(images / last))
        scatter = max(one.scatter for one in points[-2:])  # few repeats may agree by chance
        doubt = math.hypot(scatter, _A_DECADE * decades, _misfit(points, constant, slope))
        doubt += (_bend(points) + points[-1].owed) * decades
    if len(points) < 2:
        unsure = unsure or f"one size was measured, of {last:,} images"
    elif last < LEAST_LARGEST:
        unsure = unsure or f"the largest size measured is {last:,} images"
    elif images > FARTHEST * last:
        unsure = unsure or f"it is {images / last:,.0f} times the largest size measured"
    elif doubt > WIDEST:
        unsure = unsure or "it may be off by " + (f"{doubt:.0%}" if doubt < 1 else "more than twofold")
    return Predicted(value, value / (1 + doubt), value * (1 + doubt), unsure)


def _fit(points: Sequence[Point]) -> tuple[float, float]:
    """Constant and slope, each at least 0, by least squares of relative errors that weigh as their number of images."""
    weighted = [(one.images / one.value**2, one.images, one.value) for one in points]
    total = sum(w for w, _, _ in weighted)
    x = sum(w * n for w, n, _ in weighted) / total
    y = sum(w * value for w, _, value in weighted) / total
    across = sum(w * (n - x) ** 2 for w, n, _ in weighted)
    slope = sum(w * (n - x) * (value - y) for w, n, value in weighted) / across if across else y / x
    if slope < 0:
        return y, 0.0
    if y < slope * x:  # through the origin
        return 0.0, sum(w * n * value for w, n, value in weighted) / sum(w * n**2 for w, n, _ in weighted)
    return y - slope * x, slope


def _misfit(points: Sequence[Point], constant: float, slope: float) -> float:
    """Root of the mean squared relative residual, weighted by size."""
    squares = (one.images * ((constant + slope * one.images) / one.value - 1) ** 2 for one in points)
    return math.sqrt(sum(squares) / sum(one.images for one in points))


def _bend(points: Sequence[Point]) -> float:
    """By which share the cost of one more image changed between the two last steps, beyond what repeats explain."""
    if len(points) < 3:
        return 0.0
    first, second, third = points[-3:]
    before = (second.value - first.value) / (second.images - first.images)
    after = (third.value - second.value) / (third.images - second.images)
    change = 0.0 if before == after else abs(after / before - 1) if before > 0 and after > 0 else 1.0
    return max(0.0, change - math.hypot(first.scatter, second.scatter, third.scatter))
