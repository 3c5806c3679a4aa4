"""Charts as SVG, to stand in an HTML page whose style sheet has their colours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from backends import units
from tui.reports.model import BYTES, IMAGES, RATE, SECONDS
from tui.text import safe_text

if TYPE_CHECKING:
    from tui.reports.model import Bars, Chart, Curve, Name, Point


WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 74, 168, 30, 44
LINE = 16
"""Pixels between the names of curves that end close to each other."""

_WRITE: dict[str, Callable[[float], str]] = {
    IMAGES: lambda value: units.count(int(value)), SECONDS: units.seconds, BYTES: units.size,
    RATE: lambda value: units.rate(value).removesuffix(" img/s"),
}  # fmt: skip
_SHAPES = {
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
"""By the marks of the screen: solid, hollow, and the third, which is half of each."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to pixels: ``start`` is where ``low`` lies, ``length`` goes to ``high``; up is negative."""

    low: float
    high: float
    start: float
    length: float
    log: bool
    counts: str

    def place(self, value: float) -> float:
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        return self.start + self.length * (at - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Where and what: decades (of 32 for bytes), or steps of 1, 2, 5."""
        base = 32.0 if self.counts == BYTES else 10.0
        if self.log:
            powers = range(math.ceil(math.log(self.low, base) - 1e-9), math.floor(math.log(self.high, base) + 1e-9) + 1)
            values = [base**power for power in powers]
        else:
            unit = 1024.0 ** int(math.log(self.high, 1024)) if self.counts == BYTES and self.high >= 1 else 1.0
            power = 10.0 ** math.floor(math.log10(self.high / unit / 5))
            step = next(f * power for f in (1, 2, 5, 10) if f * power >= self.high / unit / 5.001) * unit
            values = [index * step for index in range(math.floor(self.high / step + 1e-9) + 1)]
        return [(self.place(value), _plain(value, self.counts)) for value in values]


def _plain(value: float, counts: str) -> str:
    """``1 ms`` and not ``1.00 ms``."""
    return (
        re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", _WRITE[counts](value)).replace(". ", " ").replace(".k", "k")
        if value
        else "0"
    )


def _axis(values: list[float], start: float, length: float, log: bool, counts: str) -> _Axis:
    """With some room around the values, and two ticks at least."""
    least, most = min(values), max(values)
    if not log:
        return _Axis(0.0, 1.06 * most, start, length, log, counts)
    if counts == IMAGES:
        return _Axis(least / 1.15, most * (1.15 if most > least else 2), start, length, log, counts)
    base = 32.0 if counts == BYTES else 10.0
    low, high = least / 1.4, most * 1.4
    if math.floor(math.log(high, base)) - math.ceil(math.log(low, base)) < 1:
        low, high = base ** math.floor(math.log(low, base)), base ** math.ceil(math.log(high, base))
    return _Axis(low, high, start, length, log, counts)


def draw_chart(chart: Chart) -> str:
    """An SVG element; empty where no point can be drawn."""
    curves = [one for one in chart.curves if any(_drawable(point) for point in _points(one))]
    if not curves:
        return ""
    every = [point for one in curves for point in _points(one) if _drawable(point)]
    ends = [value for point in every for value in (point.y, point.low, point.high) if value]
    across = _axis([point.x for point in every], LEFT, WIDTH - LEFT - RIGHT, chart.log, chart.across)
    up = _axis(ends, HEIGHT - BOTTOM, TOP + BOTTOM - HEIGHT, chart.log, chart.up)
    parts = [*_frame(chart, across, up)]
    parts += [_curve(one, across, up) for one in sorted(curves, key=lambda one: one.name.series != "reference")]
    parts += _names(curves, across, up)
    return _svg(chart.title, HEIGHT, parts)


def _svg(title: str, height: float, parts: list[str]) -> str:
    label = _text(title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}"><title>{label}</title>'
        + "".join(parts) + "</svg>"
    )  # fmt: skip


def _text(value: str) -> str:
    return escape(safe_text(value, 200))


def _points(curve: Curve) -> list[Point]:
    return [*curve.points, *((curve.predicted,) if curve.predicted else ())]


def _drawable(point: Point) -> bool:
    return all(0 < value < 1e18 for value in (point.x, point.y))


def _frame(chart: Chart, across: _Axis, up: _Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    found = [f'<path class="axis" d="M{LEFT},{TOP}V{bottom}H{right}"/>']
    for y, text in up.ticks():
        found.append(f'<path class="grid" d="M{LEFT},{y:.1f}H{right}"/>')
        found.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for x, text in across.ticks():
        found.append(f'<path class="axis" d="M{x:.1f},{bottom}v5"/>')
        found.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 19}" text-anchor="middle">{text}</text>')
    found.append(f'<text class="label" x="{LEFT - 8}" y="{TOP - 14}">{_text(chart.y_label)}</text>')
    found.append(f'<text class="label" x="{right}" y="{HEIGHT - 6}" text-anchor="end">{_text(chart.x_label)}</text>')
    return found


def _curve(curve: Curve, across: _Axis, up: _Axis) -> str:
    points = [one for one in curve.points if _drawable(one)]
    places = [(across.place(one.x), up.place(one.y)) for one in points]
    found = [_line(places, "line")]
    ahead = curve.predicted
    if ahead and _drawable(ahead) and places:
        end = across.place(ahead.x), up.place(ahead.y)
        found += [
            _line([places[-1], end], "line ahead"),
            _error(ahead, end[0], up),
            _mark(curve.name, *end, ahead=True),
        ]
    for one, (x, y) in zip(points, places, strict=True):
        found += [_error(one, x, up), _mark(curve.name, x, y)]
    return f'<g class="s-{curve.name.series}">{"".join(found)}</g>'


def _line(places: list[tuple[float, float]], kind: str) -> str:
    return f'<polyline class="{kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'


def _error(point: Point, x: float, up: _Axis) -> str:
    if not point.low or not point.high or point.low >= point.high:
        return ""
    low, high = up.place(point.low), up.place(point.high)
    return f'<path class="error" d="M{x - 3:.1f},{low:.1f}h6M{x - 3:.1f},{high:.1f}h6M{x:.1f},{low:.1f}V{high:.1f}"/>'


def _family(mark: str) -> str:
    return next((marks for marks in _SHAPES if mark in marks), "★☆✪")


def twin(mark: str, *, hollow: bool) -> str:
    """The solid, or the hollow, mark of the same shape."""
    return _family(mark)[hollow]


def _mark(name: Name, x: float, y: float, *, ahead: bool = False) -> str:
    marks = _family(name.mark)
    kind = ("solid", "hollow", "half")[1 if ahead else max(0, marks.find(name.mark))]
    return f'<path class="{kind}" transform="translate({x:.1f},{y:.1f})" d="{_SHAPES[marks]}"/>'


def _names(curves: list[Curve], across: _Axis, up: _Axis) -> list[str]:
    """Beside the ends of the curves, moved down where they would lie on each other, and up where they end too low."""
    ends = []
    for one in curves:
        last = [point for point in _points(one) if _drawable(point)][-1]
        ends.append((up.place(last.y), across.place(last.x), one.name))
    ends.sort(key=lambda end: end[0])
    if all(len(one.points) == 1 for one in curves):
        return [f'<text class="name s-{name.series}" x="{x + 10:.1f}" y="{y + 4:.1f}">{_text(name.text)}</text>'
                for y, x, name in ends]  # fmt: skip
    rows: list[float] = []
    for y, _, _ in ends:
        rows.append(max(y, rows[-1] + LINE) if rows else y)
    over = max(0.0, rows[-1] - (HEIGHT - BOTTOM + 4))
    for place in range(len(rows) - 1, -1, -1):
        limit = rows[place + 1] - LINE if place + 1 < len(rows) else rows[place] - over
        rows[place] = min(rows[place], limit)
    found = []
    for row, (y, x, name) in zip(rows, ends, strict=True):
        start = WIDTH - RIGHT + 14
        found.append(f'<path class="leader" d="M{x + 7:.1f},{y:.1f}L{start:.1f},{row:.1f}"/>')
        found.append(f'<g class="s-{name.series}">{_mark(name, start + 8, row)}</g>')
        found.append(f'<text class="name s-{name.series}" x="{start + 18}" y="{row + 4:.1f}">{_text(name.text)}</text>')
    return found


def draw_bars(bars: Bars) -> str:
    """One row a configuration: allocated as a frame, apparent filled."""
    most = max((max(allocated, apparent) for _, allocated, apparent in bars.rows), default=0)
    if most <= 0:
        return ""
    left, scale, parts = 150, (WIDTH - 150 - 100) / most, []
    for row, (name, allocated, apparent) in enumerate(bars.rows):
        y = 8 + 26 * row
        wide = left + scale * max(allocated, apparent)
        parts.append(
            f'<g class="s-{name.series}"><text class="name" x="{left - 12}" y="{y + 13}" text-anchor="end">'
            f"{_text(name.text)}</text>"
            f'<rect class="apparent" x="{left}" y="{y}" width="{scale * apparent:.1f}" height="18"/>'
            f'<rect class="allocated" x="{left}" y="{y}" width="{scale * allocated:.1f}" height="18"/></g>'
            f'<text class="tick" x="{wide + 8:.1f}" y="{y + 13}">{units.size(allocated)}</text>'
        )
    return _svg(bars.title, 26 * len(bars.rows) + 12, parts)
