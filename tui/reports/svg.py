"""Geometry of the charts of a report: axes, ticks and the places of names.  ``chart.svg`` draws them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends import units
from tui.reports.model import Chart, Curve, Point, Unit

if TYPE_CHECKING:
    from tui.reports.model import Name

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 74, 552, 30, 316
"""Edges of the area of the curves; their names are to the right of it."""
LINE = 16
"""Pixels between the names of curves that end close to each other."""

_UNITS: dict[Unit, tuple[float, Callable[[float], str]]] = {
    "images": (10, lambda value: units.count(int(value))),
    "seconds": (10, units.seconds),
    "bytes": (32, units.size),
    "rate": (10, lambda value: units.rate(value).removesuffix(" img/s")),
}
"""For each unit, the factor between two ticks of a logarithmic axis, and how its values are written."""
_OUTLINES = {
    "●○◉": "M-4.5,0a4.5,4.5 0 1 0 9,0a4.5,4.5 0 1 0 -9,0Z",
    "▲△◭": "M0,-5.5L5.2,4H-5.2Z",
    "■□▣": "M-4.2,-4.2H4.2V4.2H-4.2Z",
    "◆◇◈": "M0,-5.8L5.8,0L0,5.8L-5.8,0Z",
    "✚✛✜": "M-1.7,-5.5H1.7V-1.7H5.5V1.7H1.7V5.5H-1.7V1.7H-5.5V-1.7H-1.7Z",
    "✖✕✗": "M-5.2,-3L-3,-5.2L0,-2.2L3,-5.2L5.2,-3L2.2,0L5.2,3L3,5.2L0,2.2L-3,5.2L-5.2,3L-2.2,0Z",
    "★☆✪": "M0,-6L1.6,-2H6L2.6,0.9L3.8,5L0,2.6L-3.8,5L-2.6,0.9L-6,-2H-1.6Z",
    "▼▽": "M0,5.5L5.2,-4H-5.2Z",
    "▶▷": "M5.5,0L-4,5.2V-5.2Z",
    "◀◁": "M-5.5,0L4,5.2V-5.2Z",
}
"""The outline of each marker of the terminal UI: solid, hollow, half filled."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels: ``low`` to ``start``, ``high`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    unit: Unit

    @classmethod
    def around(cls, values: list[float], start: float, end: float, log: bool, unit: Unit) -> Axis:
        """Return an axis with some room around the values, long enough for two ticks."""
        least, most = min(values), max(values)
        if not log:
            return cls(0.0, 1.06 * most, start, end, log, unit)
        if unit == "images":
            return cls(least / 1.15, most * (1.15 if most > least else 2), start, end, log, unit)
        base = _UNITS[unit][0]
        low, high = least / 1.4, most * 1.4
        if math.floor(math.log(high, base)) - math.ceil(math.log(low, base)) < 1:
            low, high = base ** math.floor(math.log(low, base)), base ** math.ceil(math.log(high, base))
        return cls(low, high, start, end, log, unit)

    def pixel(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the pixel and the text of each tick: powers of 10 (32 for bytes), or steps of 1, 2 or 5."""
        if self.log:
            base = _UNITS[self.unit][0]
            powers = range(math.ceil(math.log(self.low, base) - 1e-9), math.floor(math.log(self.high, base) + 1e-9) + 1)
            values = [base**power for power in powers]
        else:
            prefix = 1024.0 ** int(math.log(self.high, 1024)) if self.unit == "bytes" and self.high >= 1 else 1.0
            power = 10.0 ** math.floor(math.log10(self.high / prefix / 5))
            step = next(f * power for f in (1, 2, 5, 10) if f * power >= self.high / prefix / 5.001) * prefix
            values = [index * step for index in range(math.floor(self.high / step + 1e-9) + 1)]
        return [(self.pixel(value), _tick_text(value, self.unit)) for value in values]


def _tick_text(value: float, unit: Unit) -> str:
    """``1 ms`` rather than ``1.00 ms``."""
    text = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", _UNITS[unit][1](value))
    return text.replace(". ", " ").replace(".k", "k") if value else "0"


@dataclass(frozen=True, slots=True)
class Plot:
    """The curves of a chart that can be drawn, references first, and their axes."""

    curves: tuple[Curve, ...]
    x_axis: Axis
    y_axis: Axis

    def pixel(self, point: Point) -> tuple[float, float]:
        return self.x_axis.pixel(point.x), self.y_axis.pixel(point.y)

    def labels(self) -> list[tuple[Name, float, float, float]]:
        """Return each name with the end of its curve, and the height to write it at, so that names do not overlap."""
        ends = sorted(((curve.name, *self.pixel(_points(curve)[-1])) for curve in self.curves), key=lambda end: end[2])
        rows: list[float] = []
        for _, _, y in ends:
            rows.append(max(y, rows[-1] + LINE) if rows else y)
        limit = BOTTOM + 4.0
        for index in reversed(range(len(rows))):
            rows[index] = limit = min(rows[index], limit)
            limit -= LINE
        return [(*end, row) for end, row in zip(ends, rows, strict=True)]


def make_plot(chart: Chart) -> Plot | None:
    """Return the geometry of a chart; None where there is nothing to draw."""
    curves = [curve for curve in map(_without_bad_points, chart.curves) if curve.points]
    if not curves:
        return None
    curves.sort(key=lambda curve: curve.name.series != "reference")
    points = [point for curve in curves for point in _points(curve)]
    heights = [value for point in points for value in (point.y, point.low, point.high) if value]
    return Plot(
        tuple(curves),
        Axis.around([point.x for point in points], LEFT, RIGHT, chart.log, chart.x_unit),
        Axis.around(heights, BOTTOM, TOP, chart.log, chart.y_unit),
    )


def _points(curve: Curve) -> tuple[Point, ...]:
    return (*curve.points, curve.predicted) if curve.predicted else curve.points


def _without_bad_points(curve: Curve) -> Curve:
    """Leave out points that a logarithmic axis does not have: zero, negative, infinite, NaN."""
    good = [point for point in _points(curve) if 0 < point.x < 1e18 and 0 < point.y < 1e18]
    predicted = next((point for point in good if point is curve.predicted), None)
    return replace(curve, points=tuple(point for point in good if point is not predicted), predicted=predicted)


def marker(mark: str) -> tuple[str, str]:
    """Return the outline of a marker, and whether it is ``solid``, ``hollow`` or ``half`` filled."""
    marks = _same_shape(mark)
    return _OUTLINES[marks], ("solid", "hollow", "half")[max(0, marks.find(mark))]


def variant(mark: str, *, hollow: bool) -> str:
    """Return the solid or the hollow marker of the same shape."""
    return _same_shape(mark)[hollow]


def _same_shape(mark: str) -> str:
    return next((marks for marks in _OUTLINES if mark in marks), "★☆✪")
