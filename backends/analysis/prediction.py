"""What any number of images would take, from the sizes that were measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from backends.analysis.figures import Figure
from backends.bench.configuration import Configuration
from backends.bench.measurement import COLD, ONE_IMAGE, STORES, Aspect

LEAST_LARGEST = 1_000  # the largest size measured must have so many images
FARTHEST = 100  # a prediction for more than this many times the largest size is unsure
WIDEST = 0.25  # doubt, as a share of the value, beyond which a prediction is unsure
_A_DECADE = 0.05  # what each tenfold step beyond the largest size adds to the doubt

DURABLE: Literal["store durable"] = "store durable"  # the use that counts a store with its sync

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
    for point in points:
        if point.images == images:
            low, high = point.value / (1 + point.scatter), point.value * (1 + point.scatter)
            return Predicted(point.value, low, high, measured=True)
    last, doubt = points[-1].images, 1.0
    value = _extrapolate(points, images)
    if len(points) > 1:
        decades = max(0.0, math.log10(images / last))
        scatter = max(point.scatter for point in points[-2:])  # few repeats may agree by chance
        doubt = math.hypot(scatter, _A_DECADE * decades) + (_missed(points) + points[-1].owed) * decades
    if len(points) < 2:
        unsure = unsure or f"one size was measured, of {last:,} images"
    elif last < LEAST_LARGEST:
        unsure = unsure or f"the largest size measured is {last:,} images"
    elif images > FARTHEST * last:
        unsure = unsure or f"it is {images / last:,.0f} times the largest size measured"
    elif doubt > WIDEST:
        unsure = unsure or "it may be off by " + (f"{doubt:.0%}" if doubt < 1 else "more than twofold")
    return Predicted(value, value / (1 + doubt), value * (1 + doubt), unsure)


def _extrapolate(points: Sequence[Point], images: int) -> float:
    """The fitted line's value, its constant and slope at least 0; relative errors weigh as their number of images."""
    weighted = [(point.images / point.value**2, point.images, point.value) for point in points]
    total = sum(w for w, _, _ in weighted)
    x = sum(w * n for w, n, _ in weighted) / total
    y = sum(w * value for w, _, value in weighted) / total
    across = sum(w * (n - x) ** 2 for w, n, _ in weighted)
    slope = sum(w * (n - x) * (value - y) for w, n, value in weighted) / across if across else y / x
    if slope < 0:
        return y
    if y < slope * x:  # through the origin
        return images * sum(w * n * value for w, n, value in weighted) / sum(w * n**2 for w, n, _ in weighted)
    return y + slope * (images - x)


def _missed(points: Sequence[Point]) -> float:
    """By which share the smaller sizes would have missed the largest one, beyond what repeats explain."""
    if len(points) < 3:
        return 0.0
    *smaller, largest = points
    ratio = largest.value / _extrapolate(smaller, largest.images)
    return max(0.0, max(ratio, 1 / ratio) - 1 - math.hypot(smaller[-1].scatter, largest.scatter))
