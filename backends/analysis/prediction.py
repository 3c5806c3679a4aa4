"""What any number of images would take, from the sizes that were measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from backends.bench.measurement import COLD, ONE_IMAGE, STORES, Aspect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.analysis.figures import Figure
    from backends.bench.configuration import Configuration


LEAST_LARGEST = 1_000
"""The largest size measured must have so many images."""

FARTHEST = 100
"""A prediction for more than this many times the largest size is unsure."""

WIDEST = 0.25
"""Doubt, as a share of the value, beyond which a prediction is unsure."""

_A_DECADE = 0.05
"""What each tenfold step beyond the largest size adds to the doubt."""

DURABLE: Literal["store durable"] = "store durable"
"""The use that counts a store with its sync."""

Use = Aspect | Literal["store durable", "disk", "files"]
"""What configurations are compared by."""


class Point(NamedTuple):
    """What a number of images took."""

    images: int
    value: float
    scatter: float = 0.0  # two standard deviations of the repeats, as a share: what disturbs one disturbs the next too
    owed: float = 0.0  # what the sync takes, as a share of the store: with more images it becomes a part of the store


@dataclass(frozen=True, slots=True)
class Predicted:
    """A value that was not measured."""

    value: float
    low: float  # the value less its doubt
    high: float  # and plus its doubt
    unsure: str = ""  # why it should not be relied on
    measured: bool = False  # this very number of images was measured


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one configuration would take for ``images`` images."""

    configuration: Configuration
    images: int
    seconds: dict[Use, Predicted] = field(default_factory=dict)  # by aspect, and "store durable" with its sync
    bytes_allocated: Predicted | None = None
    files: Predicted | None = None


def predict(figures: Iterable[Figure], images: int, memory_bytes: int | None = None) -> tuple[Prediction, ...]:
    """Predict for each configuration, in the order of the figures; references and one-image operations are left out.

    Each quantity is a + b n of the number of images n, both at least 0, fitted by least squares of relative errors
    that weigh as much as their size, so that b comes from the largest sizes.  Warm reads of containers larger than
    ``memory_bytes``, which the page cache can hold, are unsure.
    """
    by_name: dict[Configuration, list[Figure]] = {}
    for figure in figures:
        if figure.repeats and figure.operation not in ONE_IMAGE and not figure.configuration.is_reference:
            by_name.setdefault(figure.configuration, []).append(figure)
    return tuple(_prediction(name, ours, images, memory_bytes) for name, ours in by_name.items())


def _prediction(name: Configuration, figures: list[Figure], images: int, memory_bytes: int | None) -> Prediction:
    allocated = _predicted(images, _sizes((figure.count, figure.bytes_allocated) for figure in figures))
    files = _predicted(images, _sizes((figure.count, figure.files) for figure in figures))
    too_large = memory_bytes is not None and allocated is not None and allocated.value > memory_bytes
    by_use: dict[Use, list[Figure]] = {}
    for figure in figures:
        by_use.setdefault(figure.aspect, []).append(figure)
        if figure.aspect is Aspect.STORE:
            by_use.setdefault(DURABLE, []).append(replace(figure, seconds=figure.seconds_durable))
    seconds = {}
    for use, timed in by_use.items():
        unsure = ""
        if too_large and timed[0].operation in STORES and timed[0].cache != COLD:
            unsure = "what is read warm would not fit into memory"
        elif all(figure.spread is None for figure in timed):
            unsure = "each size was measured once"
        points = [_point(figure, figure.seconds) for figure in timed if figure.seconds]
        if predicted := _predicted(images, points, unsure):
            seconds[use] = predicted
    return Prediction(name, images, seconds, allocated, files)


def _point(figure: Figure, seconds: float) -> Point:
    owed = (figure.seconds_durable or seconds) / seconds - 1
    return Point(figure.count, seconds, 2 * (figure.spread or 0.0), owed)


def _sizes(pairs: Iterable[tuple[int, int | None]]) -> list[Point]:
    """The last size that is known of each count."""
    return [Point(count, size) for count, size in {count: size for count, size in pairs if size}.items()]


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
