"""Geometry of the charts of a report: axes, places of names, markers.  ``chart.svg`` draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tui.chart_data import (
    Axis,
    Curve,
    Point,
    TimeChart,
    TradeOff,
    bytes_axis,
    counts_axis,
    drawable_curves,
    rate_of_ten,
    seconds_of_ten,
    values_axis,
)

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 74, 552, 30, 316
"""Edges of the area of the curves; their names are to the right of it."""
LINE = 16
"""Pixels between the names of curves that end close to each other."""
COLUMNS, ROWS = (RIGHT - LEFT) // 8, (BOTTOM - TOP) // LINE
"""Characters that the axes have room for."""

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
class Plot:
    """The curves of a chart that can be drawn, references first, and its axes."""

    curves: tuple[Curve, ...]
    across: Axis
    up: Axis

    def pixel(self, point: Point) -> tuple[float, float]:
        return self._x(self.across.place(point[0])), self._y(self.up.place(point[1]))

    def x_ticks(self) -> list[tuple[float, str]]:
        return [(self._x(place), text) for place, text in self.across.ticks]

    def y_ticks(self) -> list[tuple[float, str]]:
        return [(self._y(place), text) for place, text in self.up.ticks]

    def error_bars(self, curve: Curve) -> Iterator[tuple[float, float, float]]:
        """The column, bottom and top of each range."""
        points = (*curve.points, *((curve.predicted,) if curve.predicted else ()))
        for point, between in zip(points, curve.ranges, strict=False):
            if between and 0 < between[0] < between[1]:
                x, low = self.pixel((point[0], between[0]))
                yield x, low, self.pixel((point[0], between[1]))[1]

    def names(self) -> list[tuple[Curve, float, float, float]]:
        """Each curve with its end, and the height to write its name at, so that names do not overlap."""
        ends = sorted(((curve, *self.pixel(curve.end)) for curve in self.curves), key=lambda end: end[2])
        rows: list[float] = []
        for _, _, y in ends:
            rows.append(max(y, rows[-1] + LINE) if rows else y)
        limit = BOTTOM + 4.0
        for index in reversed(range(len(rows))):
            rows[index] = limit = min(rows[index], limit)
            limit -= LINE
        return [(*end, row) for end, row in zip(ends, rows, strict=True)]

    def _x(self, place: float) -> float:
        return LEFT + (RIGHT - LEFT) * (place - self.across.low) / (self.across.high - self.across.low)

    def _y(self, place: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (place - self.up.low) / (self.up.high - self.up.low)


def make_plot(chart: TimeChart | TradeOff) -> Plot | None:
    """The geometry of a chart; None where there is nothing to draw."""
    curves = sorted(drawable_curves(chart.curves), key=lambda curve: curve.role != "$dim")
    if not curves:
        return None
    points = [point for curve in curves for point in (*curve.points, curve.end)]
    heights = [y for _, y in points]
    if isinstance(chart, TradeOff):
        across, up = bytes_axis([x for x, _ in points], COLUMNS), values_axis(heights, ROWS, True, rate_of_ten)
    else:
        heights += [value for curve in curves for between in curve.ranges if between for value in between if value > 0]
        across = counts_axis(chart.counts, COLUMNS, chart.log)
        up = values_axis(heights, ROWS, chart.log, seconds_of_ten)
    return Plot(tuple(curves), across, up)


def marker(mark: str) -> tuple[str, str]:
    """The outline of a marker, and whether it is ``solid``, ``hollow`` or ``half`` filled."""
    marks = _same_shape(mark)
    return _OUTLINES[marks], ("solid", "hollow", "half")[max(0, marks.find(mark))]


def variant(mark: str, *, hollow: bool) -> str:
    """The solid or the hollow marker of the same shape."""
    return _same_shape(mark)[hollow]


def _same_shape(mark: str) -> str:
    return next((marks for marks in _OUTLINES if mark in marks), "★☆✪")
