"""What charts show: curves, bars, and axes with ticks in words that people say (10, 1k, 10 ms, 1 s)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from backends import units

LOW = 7
"""Charts of times with fewer rows show bars instead of lines."""
LEAST, MOST = 1e-12, 1e15
"""Seconds, images and bytes outside of these are no measurements."""
PREDICTED = "◦"
"""The marker of what was not measured."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One series: points ``(images, seconds)`` or ``(bytes, images a second)``, ascending, and its name at their end.

    Dots lead to a ``predicted`` point, where nothing was measured.  A ``strong`` name is bold.  ``ranges`` is empty, or
    has least and most of the repeats at each point, then those of what is predicted.
    """

    name: str
    marker: str
    role: str
    points: tuple[Point, ...]
    predicted: Point | None = None
    strong: bool = False
    ranges: tuple[tuple[float, float] | None, ...] = ()

    @property
    def end(self) -> Point:
        """Where its name stands: what is predicted, else the last point, of which there has to be one."""
        return self.predicted or self.points[-1]


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Seconds by number of images; ``focus`` is the index of the curve that is drawn last.

    ``counts`` are all sizes of the plan, and what is predicted for, so that the axis stands still while points come in.
    """

    curves: tuple[Curve, ...]
    counts: tuple[int, ...]
    x_label: str
    y_label: str
    log: bool = True
    focus: int | None = None


@dataclass(frozen=True, slots=True)
class TradeOff:
    """Images a second by bytes on disk, a curve of one point for each configuration, both logarithmic.

    Dots lead along ``front``: the points that no other one beats in both, ascending.
    """

    title: str
    curves: tuple[Curve, ...]
    front: tuple[Point, ...]
    x_label: str
    y_label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar with ``text`` at its end, and ``note`` behind that."""

    name: str
    marker: str
    role: str
    value: float
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars from zero below a title; without bars, the title alone says why."""

    title: str
    bars: tuple[Bar, ...] = ()


Chart = TimeChart | TradeOff | Bars


def dropped(curves: Iterable[Curve]) -> int:
    """How many points cannot be drawn: zero, negative, not finite, or beyond any clock."""
    return sum(not is_drawable(point) for curve in curves for point in curve.points)


def is_drawable(point: Point) -> bool:
    return all(LEAST <= value <= MOST for value in point)


def drawable_curves(curves: Iterable[Curve]) -> list[Curve]:
    """The curves that have points, without what cannot be drawn."""
    cleaned = []
    for curve in curves:
        points = tuple(filter(is_drawable, curve.points))
        end = curve.predicted if points and curve.predicted and is_drawable(curve.predicted) else None
        every = zip((*curve.points, curve.predicted), curve.ranges, strict=False)
        ranges = tuple(between for point, between in every if point and is_drawable(point))
        cleaned.append(replace(curve, points=points, predicted=end, ranges=ranges))
    return [curve for curve in cleaned if curve.points]


def with_dropped(title: str, number: int) -> str:
    return f"{title} ({number} not positive, not drawn)" if number else title


def bars_of_times(chart: TimeChart) -> Bars:
    """The times at the largest count that all curves with points have, the least first."""
    curves = drawable_curves(chart.curves)
    if not curves:
        return Bars(f"{chart.y_label}: nothing is measured yet")
    counts = [{count for count, _ in one.points} for one in curves]
    count = max(set.intersection(*counts) or set.union(*counts))
    known = sorted((dict(one.points)[count], index) for index, one in enumerate(curves) if count in dict(one.points))
    bars = []
    for value, index in known:
        one, ratio = curves[index], value / known[0][0]
        note = units.ratio(ratio) if ratio > 1 else ""
        bars.append(Bar(one.name, one.marker, one.role, value, units.seconds(value), note))
    title = f"{chart.y_label}, {units.count(int(count))} images"
    return Bars(with_dropped(title, dropped(chart.curves)), tuple(bars))


def bar_of_rate(curve: Curve) -> Bar:
    size, rate = curve.points[0]
    return Bar(curve.name, curve.marker, curve.role, rate, f"{units.count(round(rate))} img/s", units.size(size))


@dataclass(frozen=True, slots=True)
class Axis:
    """The limits of an axis, at the outer edges of its first and last cell, and its ticks.

    Limits and ticks are places: a logarithm to base 10 where ``log``, else the value itself.
    """

    low: float
    high: float
    cells: int
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def cell(self, value: float) -> int:
        """The cell that a value falls into, from 0."""
        return int((self.place(value) - self.low) / (self.high - self.low) * self.cells)

    def middle(self, cell: int) -> float:
        """The place in the middle of a cell."""
        return self.low + (cell + 0.5) * (self.high - self.low) / self.cells


def _spread(low: float, high: float, cells: int, log: bool, ticks: Sequence[tuple[float, str]] = ()) -> Axis:
    """An axis with ``low`` and ``high`` in the middle of its first and last cell."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    half = (high - low) / max(1, cells - 1) / 2
    return Axis(low - half, high + half, cells, log, tuple(ticks))


def values_axis(values: Sequence[float], cells: int, log: bool, decade: Callable[[int], str]) -> Axis:
    """The axis of seconds or rates; ``decade`` says a power of ten."""
    if not values:
        return Axis(0.0, 1.0, cells, log, ())
    return _decades(values, cells, decade) if log else _steps(max(values), cells)


def _decades(values: Sequence[float], cells: int, decade: Callable[[int], str]) -> Axis:
    """Whole rows a decade where that fills most of the height, and two decades' ticks at least."""
    low, high = math.log10(min(values)), math.log10(max(values))
    if math.floor(high) - math.ceil(low) < 1:
        low, high = float(math.floor(low)), max(float(math.ceil(high)), math.floor(low) + 1.0)
    rows = (cells - 1) / (high - low)
    start = low - 0.5 / rows
    for whole in range(math.floor(rows), 0, -1):
        below = max(0, math.ceil((math.ceil(low) - low) * whole - 0.5))
        shifted = math.ceil(low) - (below + 0.5) / whole
        if (high - shifted) * whole < cells:
            if whole * (high - low) >= 0.6 * (cells - 1):
                rows, start = float(whole), shifted
            break
    end = start + cells / rows
    powers = range(math.ceil(start), min(math.ceil(end), math.ceil(high + 1e-9) + 1), max(1, math.ceil(1 / rows)))
    return Axis(start, end, cells, True, tuple((float(power), decade(power)) for power in powers))


def seconds_of_ten(power: int) -> str:
    """``10 ms`` for -2."""
    for base, unit in ((0, "s"), (-3, "ms"), (-6, "µs"), (-9, "ns")):
        if power >= base:
            return f"{10 ** (power - base):,} {unit}"
    return f"1e{power} s"


def rate_of_ten(power: int) -> str:
    """``10k`` for 4."""
    return units.count(10**power) if power >= 0 else f"{10.0**power:g}"


def _steps(highest: float, cells: int) -> Axis:
    """From zero in steps of 1, 2 or 5, all in one unit."""
    step = _round_step(highest / max(1, min(6, (cells - 1) // 2)))
    unit, factor = next(((u, f) for u, f in (("s", 1.0), ("ms", 1e3)) if highest * f >= 1), ("µs", 1e6))
    number = math.ceil(highest / step - 1e-9)
    ticks = [(0.0, "0"), *((i * step, f"{i * step * factor:,.10g} {unit}") for i in range(1, number + 1))]
    return _spread(0.0, number * step, cells, False, ticks)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def counts_axis(counts: Sequence[int], cells: int, log: bool) -> Axis:
    """The axis of numbers of images: a tick for each count, or even steps on a linear one."""
    if log:
        ticks = [(math.log10(count), units.count(count)) for count in counts]
        return _roomy(_spread(min(ticks)[0], max(ticks)[0], cells, True, ticks))
    step = max(1, round(_round_step(max(counts) / 5)))
    ticks = [(float(value), units.count(value)) for value in range(0, max(counts) + 1, step)]
    return _roomy(_spread(0.0, float(max(counts)), cells, False, ticks))


def bytes_axis(sizes: Sequence[float], cells: int) -> Axis:
    """A logarithmic axis of bytes with some room around them, and round ticks."""
    low, high = min(sizes) / 1.2, max(sizes) * 1.2
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    values = [v for power in range(6) for step in steps if low <= (v := float(step * 1024**power)) <= high]
    if len(values) < 2:
        values = list(dict.fromkeys((min(sizes), max(sizes))))
    ticks = [(math.log10(value), units.size(value)) for value in values]
    return _roomy(_spread(math.log10(low), math.log10(high), cells, True, ticks))


def _roomy(axis: Axis) -> Axis:
    """The axis with those ticks whose words have a blank between them, the last one first."""
    kept: list[tuple[float, str]] = []
    limit = axis.cells + 9
    for place, text in sorted(axis.ticks, reverse=True):
        middle = int((place - axis.low) / (axis.high - axis.low) * axis.cells)
        if middle + cell_len(text) // 2 + 1 < limit:
            kept.append((place, text))
            limit = middle - (cell_len(text) + 1) // 2
    return Axis(axis.low, axis.high, axis.cells, axis.log, tuple(reversed(kept)))
