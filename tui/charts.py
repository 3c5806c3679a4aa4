"""Charts: data in, rows of text out.  The only module that imports plotext, and no part of it knows Textual.

plotext draws the curves on a bare braille canvas; axes, ticks, marks and names are placed here, to the cell.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from rich.cells import cell_len

from tui.canvas import Canvas, Row
from tui.scales import Scale, Tick, count_ticks, rate_of_ten, seconds_of_ten, size_ticks, span, value_ticks

_LOCK = threading.Lock()
"""plotext has one figure for the whole process; two threads in it draw wrong charts."""

_LEAST, _MOST = 1e-12, 1e15
"""Seconds, images and bytes outside of these are no measurements."""

PREDICTED = "◦"
"""The mark of what was not measured."""

_FIRST_COLOUR = 16
_GUTTER = len("100 ms")
"""Cells kept for the ticks of the seconds, so that the plot stands still while they come."""
_PIECE = re.compile(r"\x1b\[(?:0|38;5;(\d+))m|([^\x1b]+)")


@dataclass(frozen=True, slots=True)
class Curve:
    """One series.

    Attributes
    ----------
    points
        ``(images, seconds)``, or ``(bytes, images a second)``, ascending; what is not positive and finite is left out
        and counted.
    predicted
        Where it goes on though nothing was measured there: drawn as dots, with a hollow mark at its end.
    strong
        Its name stands out.
    """

    name: str
    mark: str
    role: str
    points: tuple[tuple[float, float], ...]
    predicted: tuple[float, float] | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Seconds by number of images.

    Attributes
    ----------
    counts
        All sizes of the plan, and what is predicted for, so that the axis stands still while points come in.
    focus
        The index of the curve that is drawn last; None for the order given.
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

    Attributes
    ----------
    front
        The points that no other one beats in both, ascending: dots lead from one to the next.
    """

    curves: tuple[Curve, ...]
    front: tuple[tuple[float, float], ...]
    x_label: str
    y_label: str


def dropped(chart: TimeChart) -> int:
    """How many points cannot be drawn: zero, negative, not finite, or beyond any clock."""
    return sum(not _drawable(point) for curve in chart.curves for point in curve.points)


def _drawable(point: tuple[float, float]) -> bool:
    return all(_LEAST <= value <= _MOST for value in point)


@dataclass(frozen=True, slots=True)
class _Plot:
    """The area inside the axes: where it starts, its cells, and its scales."""

    left: int
    width: int
    height: int
    across: Scale
    up: Scale

    def cell(self, point: tuple[float, float]) -> tuple[int, int]:
        """The (column, row) of the canvas that a point falls into."""
        return self.left + int(self.across.position(point[0])), self.height - 1 - int(self.up.position(point[1]))


@lru_cache(32)
def draw_times(chart: TimeChart, width: int, height: int) -> list[Row]:
    """The chart in exactly ``height`` rows of ``width`` cells; blank where there is no room for one."""
    canvas = Canvas(max(0, width), max(0, height))
    curves = [replace(c, points=tuple(filter(_drawable, c.points))) for c in chart.curves]
    counts = [count for count in chart.counts if count > 0]
    if not counts or width < 12 or height < 4:
        return canvas.rows()
    values = [y for curve in curves for _, y in (*curve.points, *((curve.predicted,) if curve.predicted else ()))]
    up, ticks_up = value_ticks(values, height - 2, chart.log, seconds_of_ten)
    left, plot_width = _sides(curves, ticks_up, width)
    if plot_width < 4:
        return canvas.rows()
    across = span(counts, plot_width, chart.log)
    plot = _Plot(left, plot_width, height - 2, across, up)
    _draw_axes(canvas, plot, ticks_up, count_ticks(counts, across, chart.log))
    _draw_curves(canvas, plot, curves, chart.focus)
    _draw_names(canvas, plot, curves)
    _draw_labels(canvas, plot, chart.x_label, chart.y_label)
    return canvas.rows()


@lru_cache(8)
def draw_trade_off(chart: TradeOff, width: int, height: int) -> list[Row]:
    """The chart in exactly ``height`` rows of ``width`` cells; blank where there is nothing, or no room for it."""
    canvas = Canvas(max(0, width), max(0, height))
    curves = [curve for curve in chart.curves if all(map(_drawable, curve.points))]
    if not curves or width < 12 or height < 4:
        return canvas.rows()
    up, ticks_up = value_ticks([y for curve in curves for _, y in curve.points], height - 2, True, rate_of_ten)
    left, plot_width = _sides(curves, ticks_up, width)
    if plot_width < 4:
        return canvas.rows()
    across, ticks = size_ticks([x for curve in curves for x, _ in curve.points], plot_width)
    plot = _Plot(left, plot_width, height - 2, across, up)
    _draw_axes(canvas, plot, ticks_up, ticks)
    for curve in curves:
        canvas.put(*plot.cell(curve.points[0]), curve.mark, curve.role)
    _draw_names(canvas, plot, curves)
    for first, second in pairwise(chart.front):
        canvas.dots(plot.cell(first), plot.cell(second), "$foreground")
    _draw_labels(canvas, plot, chart.x_label, chart.y_label)
    return canvas.rows()


def _sides(curves: list[Curve], ticks_up: list[Tick], width: int) -> tuple[int, int]:
    """Where the plot begins and how wide it is: names have room behind it."""
    left = max([_GUTTER, *(cell_len(text) for _, text in ticks_up)]) + 2
    names = max((cell_len(curve.name) for curve in curves), default=0)
    return left, width - left - min(names + 2, max(2, width // 3))


def _draw_axes(canvas: Canvas, plot: _Plot, ticks_up: list[Tick], ticks_across: list[Tick]) -> None:
    axis, height = plot.left - 1, plot.height
    for row in range(height):
        canvas.put(axis, row, "│", "$line")
    canvas.put(axis, height, "└" + "─" * plot.width, "$line")
    for row, text in ticks_up:
        canvas.put(axis, height - 1 - row, "┤", "$line")
        canvas.put(axis - 1 - cell_len(text), height - 1 - row, text, "$dim")
    for column, text in reversed(ticks_across):
        canvas.put(plot.left + column, height, "┬", "$line")
        start = max(axis, plot.left + column - (cell_len(text) - 1) // 2)
        if canvas.free(start - 1, height + 1, min(cell_len(text) + 2, canvas.width - start + 1)):
            canvas.put(start, height + 1, text, "$dim")


def _draw_curves(canvas: Canvas, plot: _Plot, curves: list[Curve], focus: int | None) -> None:
    order = [index for index in range(len(curves)) if index != focus]
    order += [focus] if focus is not None and focus < len(curves) else []
    ordered = [curves[index] for index in order]
    lines = [[(plot.across.position(x), plot.up.position(y)) for x, y in curve.points] for curve in ordered]
    for row, pieces in enumerate(_braille(lines, plot.width, plot.height)):
        column = plot.left
        for text, which in pieces:
            if which is not None:
                canvas.put(column, row, text, ordered[which].role)
            column += len(text)
    for curve in ordered:
        if curve.predicted and curve.points:
            canvas.dots(plot.cell(curve.points[-1]), plot.cell(curve.predicted), curve.role)
            canvas.put(*plot.cell(curve.predicted), PREDICTED, curve.role)
        for point in curve.points:
            canvas.put(*plot.cell(point), curve.mark, curve.role)


def _braille(lines: list[list[tuple[float, float]]], width: int, height: int) -> list[list[tuple[str, int | None]]]:
    """Lines in cell coordinates as rows of (text, index of the line; None for blanks), by plotext."""
    import plotext

    with _LOCK:
        plotext.terminal.limit(False, False)
        figure = plotext.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("colorless")
        figure.axes(False)
        figure.legend(False)
        for axis, cells in (("x", width), ("y", height)):
            figure.ruler(axis).lim(0, cells)
            figure.ruler(axis).ticks([], [])
        for index, line in enumerate(lines):
            if len(line) > 1:
                braille = plotext.marker("braille", plotext.pixel(_FIRST_COLOUR + index))
                figure.draw(figure.signal([x for x, _ in line], [y for _, y in line], marker=braille).lines())
        drawn: str = figure.build().string()
    return [list(_pieces(row)) for row in drawn.splitlines()[:height]]


def _pieces(row: str) -> list[tuple[str, int | None]]:
    """The text of one coloured line, by the index of the line that a colour stands for."""
    found: list[tuple[str, int | None]] = []
    which: int | None = None
    for match in _PIECE.finditer(row):
        colour, text = match.groups()
        if text is None:
            which = int(colour) - _FIRST_COLOUR if colour else None
        elif which is None or text.isspace():
            found.append((text, None))
        else:
            found.append((text, which))
    return found


def _draw_names(canvas: Canvas, plot: _Plot, curves: list[Curve]) -> None:
    """Names behind the last points, from the top down, each on the nearest row that is free for it.

    Of several curves that end in one cell, the one whose mark is seen there has its name beside it; names of those that
    end higher are looked for a place above it first, all others below.
    """
    ends, seen = [], dict[tuple[int, int], float]()
    for curve in filter(lambda one: one.points, curves):
        end = curve.predicted or curve.points[-1]
        value, (column, row) = end[1], plot.cell(end)
        hidden = canvas.cells[row][column] not in _own(curve)
        if not hidden:
            seen[row, column] = value
        ends.append((row, column, hidden, value, curve))
    for row, column, hidden, value, curve in sorted(ends, key=lambda end: end[:3]):
        room = canvas.width - column - 2
        name = curve.name if cell_len(curve.name) <= room else curve.name[: max(0, room - 1)] + "…"
        up = -1 if hidden and value > seen.get((row, column), value) else 1
        for step in sorted(range(-plot.height, plot.height + 1), key=lambda step: (abs(step), step * up < 0)):
            if 0 <= row + step < plot.height and canvas.free(column + 1, row + step, cell_len(name) + 1):
                canvas.put(column + 2, row + step, name, f"bold {curve.role}" if curve.strong else curve.role)
                break


def _own(curve: Curve) -> tuple[tuple[str, str], tuple[str, str]]:
    return (curve.mark, curve.role), (PREDICTED, curve.role)


def _draw_labels(canvas: Canvas, plot: _Plot, x_label: str, y_label: str) -> None:
    """The words of the axes, inside the plot where it is blank: those of the values at the top left."""
    if canvas.free(plot.left, 0, cell_len(y_label) + 2):
        canvas.put(plot.left + 1, 0, y_label, "$dim")
    size = cell_len(x_label)
    for row in (plot.height - 1, plot.height - 2):
        for column in (plot.left + plot.width - size, plot.left + (plot.width - size) // 2, plot.left + 1):
            if canvas.free(column - 1, row, size + 2):
                canvas.put(column, row, x_label, "$dim")
                return
