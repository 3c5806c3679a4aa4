"""Charts: data in, rows of text out.  The only module that imports plotext, and no part of it knows Textual.

plotext draws the curves on a bare braille canvas; axes, ticks, marks and names are placed here, to the cell.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache

from rich.cells import cell_len

from tui import units

Row = list[tuple[str, str]]
"""One line of a chart: pieces of text, each with the name of its role (a theme variable) or an empty one."""

_LOCK = threading.Lock()
"""plotext has one figure for the whole process; two threads in it draw wrong charts."""

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
        ``(images, seconds)``, ascending; what is not positive and finite is left out and counted.
    """

    name: str
    mark: str
    role: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class TimeChart:
    """Seconds by number of images.

    Attributes
    ----------
    counts
        All sizes of the plan, so that the axis stands still while points come in.
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
class Bar:
    """One horizontal bar; ``note`` stands behind its value."""

    name: str
    mark: str
    role: str
    value: float
    text: str
    note: str = ""


@dataclass(slots=True)
class _Canvas:
    """Cells of one character and one role each."""

    width: int
    height: int
    cells: list[list[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self.cells = [[(" ", "")] * self.width for _ in range(self.height)]

    def put(self, column: int, row: int, text: str, role: str) -> None:
        """Write ``text``; what lies outside is cut off."""
        if not 0 <= row < self.height:
            return
        for char in text:
            wide = cell_len(char)
            if column >= 0 and column + wide <= self.width:
                self.cells[row][column] = (char, role)
                if wide == 2:
                    self.cells[row][column + 1] = ("", role)
            column += wide

    def free(self, column: int, row: int, width: int) -> bool:
        """Whether nothing is written on these cells, all of them inside."""
        if not (0 <= row < self.height and column >= 0 and column + width <= self.width):
            return False
        return all(char == " " for char, _ in self.cells[row][column : column + width])

    def rows(self) -> list[Row]:
        """Pieces of one role each."""
        found = []
        for cells in self.cells:
            row: Row = []
            for char, role in cells:
                if row and row[-1][1] == role:
                    row[-1] = (row[-1][0] + char, role)
                else:
                    row.append((char, role))
            found.append(row)
        return found


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps values to cells: ``position`` is in cells from the axis, as a fraction of a cell."""

    low: float
    per_unit: float
    log: bool

    def position(self, value: float) -> float:
        place = math.log10(value) if self.log else value
        return (place - self.low) * self.per_unit + 0.5


def dropped(chart: TimeChart) -> int:
    """How many points cannot be drawn: zero, negative, infinite or not a number."""
    return sum(not _drawable(point) for curve in chart.curves for point in curve.points)


def _drawable(point: tuple[float, float]) -> bool:
    return all(math.isfinite(value) and value > 0 for value in point)


@lru_cache(32)
def draw_times(chart: TimeChart, width: int, height: int) -> list[Row]:
    """The chart in exactly ``height`` rows of ``width`` cells; blank where there is no room for one."""
    canvas = _Canvas(max(0, width), max(0, height))
    curves = [Curve(c.name, c.mark, c.role, tuple(filter(_drawable, c.points))) for c in chart.curves]
    seconds = [y for curve in curves for _, y in curve.points]
    counts = [count for count in chart.counts if count > 0]
    if not counts or width < 12 or height < 4:
        return canvas.rows()
    ticks_y = _value_ticks(seconds, height - 2, chart.log)
    left = max([_GUTTER, *(cell_len(text) for _, text in ticks_y[1])]) + 2
    names = max((cell_len(curve.name) for curve in curves), default=0)
    right = min(names + 2, max(2, width // 3))
    plot_width, plot_height = width - left - right, height - 2
    if plot_width < 4:
        return canvas.rows()
    scale_x = _span(counts, plot_width, chart.log)
    scale_y = ticks_y[0]
    _draw_axes(canvas, left, plot_width, plot_height, ticks_y, _count_ticks(counts, scale_x, chart.log))
    _draw_curves(canvas, curves, chart.focus, left, plot_width, plot_height, scale_x, scale_y)
    _draw_names(canvas, curves, left, plot_height, scale_x, scale_y)
    _draw_labels(canvas, chart, left, plot_width, plot_height)
    return canvas.rows()


def _span(values: list[int], cells: int, log: bool) -> _Scale:
    places = [math.log10(value) if log else float(value) for value in values]
    low, high = (min(places), max(places)) if log else (0.0, max(places))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return _Scale(low, (cells - 1) / (high - low), log)


def _value_ticks(seconds: list[float], cells: int, log: bool) -> tuple[_Scale, list[tuple[int, str]]]:
    """The scale of the seconds and its ticks as (row from the bottom, text)."""
    if not seconds:
        return _Scale(0.0, 1.0, log), []
    return _decades(seconds, cells) if log else _steps(max(seconds), cells)


def _decades(seconds: list[float], cells: int) -> tuple[_Scale, list[tuple[int, str]]]:
    """Whole rows a decade where that fills most of the height, and two decades' ticks at least."""
    low, high = math.log10(min(seconds)), math.log10(max(seconds))
    if math.floor(high) - math.ceil(low) < 1:
        low, high = float(math.floor(low)), max(float(math.ceil(high)), math.floor(low) + 1.0)
    fitting = (cells - 1) / (high - low)
    scale = _Scale(low, fitting, True)
    for rows in range(math.floor(fitting), 0, -1):
        above = (math.ceil(low) - low) * rows
        shifted = _Scale(low - (math.ceil(above) - above) / rows, float(rows), True)
        if shifted.position(10.0**high) < cells:
            if rows * (high - low) >= 0.6 * (cells - 1):
                scale = shifted
            break
    step = max(1, math.ceil(1 / scale.per_unit))
    powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, step)
    ticks = [(int(scale.position(10.0**power) + 1e-9), _decade_text(power)) for power in powers]
    above = math.ceil(high + 1e-9) if step == 1 else 0
    if above and int(scale.position(10.0**above) + 1e-9) < cells:
        ticks.append((int(scale.position(10.0**above) + 1e-9), _decade_text(above)))
    return scale, [(row, text) for row, text in ticks if 0 <= row < cells]


def _decade_text(power: int) -> str:
    for base, unit in ((0, "s"), (-3, "ms"), (-6, "µs"), (-9, "ns")):
        if power >= base:
            return f"{10 ** (power - base):,} {unit}"
    return f"1e{power} s"


def _steps(highest: float, cells: int) -> tuple[_Scale, list[tuple[int, str]]]:
    """From zero in steps of 1, 2 or 5, all in one unit."""
    wanted = max(1, min(6, (cells - 1) // 2))
    step = _nice(highest / wanted)
    unit, factor = next(((u, f) for u, f in (("s", 1.0), ("ms", 1e3)) if highest * f >= 1), ("µs", 1e6))
    top = math.ceil(highest / step - 1e-9) * step
    scale = _Scale(0.0, (cells - 1) / top, False)
    number = math.ceil(top / step - 1e-9)
    texts = ["0", *(f"{i * step * factor:,.10g} {unit}" for i in range(1, number + 1))]
    return scale, [(int(scale.position(i * step)), text) for i, text in enumerate(texts)]


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _count_ticks(counts: list[int], scale: _Scale, log: bool) -> list[tuple[int, str]]:
    """Ticks of the sizes as (column, text); on a linear axis, even steps."""
    if log:
        return [(int(scale.position(count)), units.count(count)) for count in counts]
    step = max(1, round(_nice(max(counts) / 5)))
    return [(int(scale.position(value)), units.count(value)) for value in range(0, max(counts) + 1, step)]


def _draw_axes(
    canvas: _Canvas,
    left: int,
    width: int,
    height: int,
    ticks_y: tuple[_Scale, list[tuple[int, str]]],
    ticks_x: list[tuple[int, str]],
) -> None:
    axis = left - 1
    for row in range(height):
        canvas.put(axis, row, "│", "$line")
    canvas.put(axis, height, "└" + "─" * width, "$line")
    for row, text in ticks_y[1]:
        canvas.put(axis, height - 1 - row, "┤", "$line")
        canvas.put(axis - 1 - cell_len(text), height - 1 - row, text, "$dim")
    for column, text in reversed(ticks_x):
        canvas.put(left + column, height, "┬", "$line")
        start = max(axis, left + column - (cell_len(text) - 1) // 2)
        if canvas.free(start - 1, height + 1, min(cell_len(text) + 2, canvas.width - start + 1)):
            canvas.put(start, height + 1, text, "$dim")


def _draw_curves(
    canvas: _Canvas,
    curves: list[Curve],
    focus: int | None,
    left: int,
    width: int,
    height: int,
    scale_x: _Scale,
    scale_y: _Scale,
) -> None:
    order = [index for index in range(len(curves)) if index != focus]
    order += [focus] if focus is not None and focus < len(curves) else []
    places = [[(scale_x.position(x), scale_y.position(y)) for x, y in curve.points] for curve in curves]
    for row, pieces in enumerate(_canvas_rows([places[index] for index in order], width, height)):
        column = left
        for text, which in pieces:
            if which is not None:
                canvas.put(column, row, text, curves[order[which]].role)
            column += len(text)
    for index in order:
        for x, y in places[index]:
            canvas.put(left + int(x), height - 1 - int(y), curves[index].mark, curves[index].role)


def _canvas_rows(lines: list[list[tuple[float, float]]], width: int, height: int) -> list[list[tuple[str, int | None]]]:
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


def _draw_names(
    canvas: _Canvas,
    curves: list[Curve],
    left: int,
    height: int,
    scale_x: _Scale,
    scale_y: _Scale,
) -> None:
    """Names behind the last points, from the top down, each on the nearest row that is free for it.

    Of several curves that end in one cell, the one whose mark is seen there has its name beside it.
    """
    ends = []
    for curve in curves:
        if curve.points:
            x, y = curve.points[-1]
            row, column = height - 1 - int(scale_y.position(y)), left + int(scale_x.position(x))
            hidden = canvas.cells[row][column][0] != curve.mark
            ends.append((row, column, hidden, curve))
    for row, column, _, curve in sorted(ends, key=lambda end: end[:3]):
        room = canvas.width - column - 2
        name = curve.name if cell_len(curve.name) <= room else curve.name[: max(0, room - 1)] + "…"
        for offset in sorted(range(-height, height + 1), key=lambda step: (abs(step), step < 0)):
            inside = 0 <= row + offset < height
            if inside and canvas.free(column + 1, row + offset, cell_len(name) + 1):
                canvas.put(column + 2, row + offset, name, curve.role)
                break


def _draw_labels(canvas: _Canvas, chart: TimeChart, left: int, width: int, height: int) -> None:
    """The words of the axes, inside the plot where it is blank: seconds at the top left, images at the bottom."""
    if canvas.free(left, 0, cell_len(chart.y_label) + 2):
        canvas.put(left + 1, 0, chart.y_label, "$dim")
    size = cell_len(chart.x_label)
    for row in (height - 1, height - 2):
        for column in (left + width - size, left + (width - size) // 2, left + 1):
            if canvas.free(column - 1, row, size + 2):
                canvas.put(column, row, chart.x_label, "$dim")
                return


def draw_bars(bars: tuple[Bar, ...], width: int, height: int) -> list[Row]:
    """Horizontal bars from zero, one row each with air between them where there is room."""
    canvas = _Canvas(max(0, width), max(0, height))
    if not bars or width < 20:
        return canvas.rows()
    names = max(cell_len(bar.name) for bar in bars)
    texts = max(cell_len(bar.text) for bar in bars)
    notes = max(cell_len(bar.note) for bar in bars)
    room = max(1, width - names - texts - notes - 9)
    most = max((bar.value for bar in bars if math.isfinite(bar.value)), default=0.0)
    step = 2 if len(bars) * 2 <= height + 1 else 1
    for index, bar in enumerate(bars[:height]):
        row = index * step
        canvas.put(1, row, bar.mark, bar.role)
        canvas.put(3, row, bar.name, "")
        share = bar.value / most if most > 0 and math.isfinite(bar.value) else 0.0
        column = names + 5
        drawn = _bar(share * room)
        canvas.put(column, row, drawn, bar.role)
        canvas.put(column + len(drawn) + 1, row, bar.text, "bold")
        canvas.put(column + len(drawn) + 3 + cell_len(bar.text), row, bar.note, "$dim")
    return canvas.rows()


def _bar(cells: float) -> str:
    eighths = max(1, round(cells * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
