"""What any number of images would take, from the sizes that were measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backends.bench.configuration import is_reference
from backends.bench.measurement import COLD, ONE_IMAGE, STORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.bench.summary import Figure

LEAST_LARGEST = 1_000
"""The largest size measured must have so many images."""

FARTHEST = 100
"""A prediction for more than this many times the largest size is unsure."""

WIDEST_TIME, WIDEST_SIZE = 0.25, 0.10
"""Half an interval's width, as a share of its middle, beyond which a time, or bytes and files, are unsure."""

_TIME_A_DECADE, _SIZE_A_DECADE = 0.05, 0.01
"""What each tenfold step beyond the largest size adds to half the width."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """A value that was not measured.

    Attributes
    ----------
    low, high
        Its interval, of about 95 %.
    unsure
        Why it should not be relied on; empty where it can be.
    measured
        Whether this very number of images was measured, and value and interval are what was found.
    """

    value: float
    low: float
    high: float
    unsure: str = ""
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one configuration would take for ``images`` images.  Never a figure: nothing here was measured.

    Attributes
    ----------
    seconds
        By aspect: ``store``, ``read``, ``shuffled cold``, and ``store durable``, with its sync.
    bytes_allocated, bytes_apparent, files
        What the container would take; None where no size of it is known.
    """

    configuration: str
    images: int
    seconds: dict[str, Predicted] = field(default_factory=dict)
    bytes_allocated: Predicted | None = None
    bytes_apparent: Predicted | None = None
    files: Predicted | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """What ``images`` images took.

    Attributes
    ----------
    doubt
        Two standard deviations of the repeats, as a share.  Their number does not narrow it: those of one size follow
        one another, and what disturbs one of them, such as another program, disturbs them all.
    owed
        What the sync after a store takes, as a share of the store: of more images, it becomes a part of it, when the
        system holds no more bytes back.
    """

    images: int
    value: float
    doubt: float
    owed: float = 0.0


DURABLE = "store durable"
"""The aspect of a store with its sync."""


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
    allocated = _size(images, ((one.count, one.bytes_allocated) for one in figures))
    too_large = memory_bytes is not None and allocated is not None and allocated.value > memory_bytes
    seconds = {}
    for aspect in dict.fromkeys(one.aspect for one in figures):
        those = [one for one in figures if one.aspect == aspect]
        warm = those[0].operation in STORES and those[0].cache != COLD
        why = "what is read warm would not fit into memory" if warm and too_large else ""
        seconds[aspect] = _time(images, those, why)
    stores = [replace(one, seconds=one.seconds_durable) for one in figures if one.aspect == "store"]
    if stores:
        seconds[DURABLE] = _time(images, stores)
    return Prediction(
        configuration=name,
        images=images,
        seconds={aspect: one for aspect, one in seconds.items() if one is not None},
        bytes_allocated=allocated,
        bytes_apparent=_size(images, ((one.count, one.bytes_apparent) for one in figures)),
        files=_size(images, ((one.count, one.files) for one in figures)),
    )


def _time(images: int, figures: Sequence[Figure], unsure: str = "") -> Predicted | None:
    points = [
        _Point(one.count, one.seconds, 2 * (one.spread or 0.0), (one.seconds_durable or one.seconds) / one.seconds - 1)
        for one in figures
        if one.seconds
    ]
    if all(one.spread is None for one in figures):
        unsure = unsure or "each size was measured once"
    return _predicted(images, points, _TIME_A_DECADE, WIDEST_TIME, unsure)


def _size(images: int, found: Iterable[tuple[int, int | None]]) -> Predicted | None:
    values = {count: value for count, value in found if value}
    points = [_Point(count, value, 0.0) for count, value in values.items()]
    return _predicted(images, points, _SIZE_A_DECADE, WIDEST_SIZE)


def _predicted(
    images: int, points: Sequence[_Point], a_decade: float, widest: float, unsure: str = ""
) -> Predicted | None:
    """The value at ``images`` with its interval; None without points."""
    points = sorted(points, key=lambda point: point.images)
    if not points:
        return None
    for point in points:
        if point.images == images:
            return Predicted(*_around(point.value, point.doubt), measured=True)
    last = points[-1]
    decades = max(0.0, math.log10(images / last.images))
    if len(points) < 2:
        value = last.value * images / last.images
        return Predicted(*_around(value, 1.0), unsure or f"one size was measured, of {last.images:,} images")
    constant, slope = _fit(points)
    value = constant + slope * images
    misfit = _misfit(points, constant, slope)
    scatter = max(point.doubt for point in points[-2:])  # three repeats may agree by chance
    doubt = math.hypot(scatter, a_decade * decades, misfit) + (_bend(points) + last.owed) * decades
    if last.images < LEAST_LARGEST:
        unsure = unsure or f"the largest size measured is {last.images:,} images"
    elif images > FARTHEST * last.images:
        unsure = unsure or f"it is {images / last.images:,.0f} times the largest size measured"
    elif doubt > widest:
        unsure = unsure or "it may be off by " + (f"{doubt:.0%}" if doubt < 1 else "more than twofold")
    return Predicted(*_around(value, doubt), unsure)


def _around(value: float, doubt: float) -> tuple[float, float, float]:
    return value, value / (1 + doubt), value * (1 + doubt)


def _fit(points: Sequence[_Point]) -> tuple[float, float]:
    """Constant and slope, each at least 0, by weighted least squares of relative errors."""
    weights = [point.images / point.value**2 for point in points]
    total = sum(weights)
    x = sum(w * p.images for w, p in zip(weights, points, strict=True)) / total
    y = sum(w * p.value for w, p in zip(weights, points, strict=True)) / total
    across = sum(w * (p.images - x) ** 2 for w, p in zip(weights, points, strict=True))
    slope = sum(w * (p.images - x) * (p.value - y) for w, p in zip(weights, points, strict=True)) / across
    if slope < 0:
        return y, 0.0
    if y < slope * x:  # through the origin
        squares = sum(w * p.images**2 for w, p in zip(weights, points, strict=True))
        return 0.0, sum(w * p.images * p.value for w, p in zip(weights, points, strict=True)) / squares
    return y - slope * x, slope


def _misfit(points: Sequence[_Point], constant: float, slope: float) -> float:
    """Root of the mean squared relative residual, weighted by size."""
    total = sum(point.images for point in points)
    squares = (p.images * ((constant + slope * p.images) / p.value - 1) ** 2 for p in points)
    return math.sqrt(sum(squares) / total)


def _bend(points: Sequence[_Point]) -> float:
    """By which share the cost of one more image changed between the two last steps, beyond what repeats explain."""
    if len(points) < 3:
        return 0.0
    first, second, third = points[-3:]
    before = (second.value - first.value) / (second.images - first.images)
    after = (third.value - second.value) / (third.images - second.images)
    change = 0.0 if before == after else abs(after / before - 1) if before > 0 and after > 0 else 1.0
    return max(0.0, change - math.hypot(first.doubt, second.doubt, third.doubt))
