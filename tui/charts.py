"""Charts as text: data in, coloured rows out.  The only module that imports plotext; it knows nothing of Textual.

plotext draws lines, markers, bars, axes and ticks.  It has no way to keep names at line ends apart, nor words inside
the axes clear of the lines, so those are put on its finished matrix here.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from tui.chart_data import (
    LOW,
    MOST,
    PREDICTED,
    Axis,
    Bars,
    Chart,
    Curve,
    Point,
    TimeChart,
    TradeOff,
    bar_of_rate,
    bars_of_times,
    bytes_axis,
    counts_axis,
    drawable_curves,
    dropped,
    is_drawable,
    rate_of_ten,
    seconds_of_ten,
    values_axis,
    with_dropped,
)
from tui.text import fit

Colour = int | tuple[int, int, int]
"""A number of the terminal's sixteen colours, or red, green and blue."""
Palette = tuple[tuple[str, Colour], ...]
"""The colour of each role, such as ``("$series-lmdb", (82, 132, 225))``; a role without one is not coloured."""

_LOCK = threading.Lock()
"""plotext has one figure for the whole process: two threads in it draw wrong charts."""
_GUTTER = len("100 ms")
"""Cells kept for the ticks of the seconds, so that the plot stands still while points come in."""


@lru_cache(64)
def draw(chart: Chart, width: int, height: int, palette: Palette = ()) -> Text:
    """``chart`` in exactly ``height`` rows of ``width`` cells, in any thread; blank where there is no room for it."""
    if width <= 0 or height <= 0:
        return Text("\n" * (height - 1))
    with _LOCK:
        page = _Page(width, height, palette)
        if width >= 20:
            match chart:
                case TimeChart() if height < LOW:
                    _draw_bars(page, bars_of_times(chart))
                case TimeChart():
                    _draw_times(page, chart)
                case TradeOff():
                    _draw_trade_off(page, chart)
                case Bars():
                    _draw_bars(page, chart)
        drawn: str = page.matrix.string()
    return Text.from_ansi(drawn.removesuffix("\n"), no_wrap=True, end="")


class _Page:
    """plotext's matrix of a whole chart: a figure is put on it, then words where cells are free."""

    def __init__(self, width: int, height: int, palette: Palette) -> None:
        import plotext

        self.plotext: Any = plotext
        self.width, self.height = width, height
        self.colours = dict(palette)
        self.matrix: Any = plotext.matrix(width, height, self.pixel(""))

    def pixel(self, role: str, style: str | None = None) -> Any:
        """The colour of a role, on whatever the terminal has behind it."""
        return self.plotext.pixel(self.colours.get(role), "default", style)

    def marker(self, symbol: str, role: str) -> Any:
        return self.plotext.marker(symbol, self.pixel(role))

    def words(self, text: str, role: str, style: str | None = None) -> Any:
        """Coloured text without combining characters, to which plotext would give cells of their own."""
        plain = "".join(char for char in unicodedata.normalize("NFC", text) if cell_len(char))
        return self.plotext.colorize(plain, self.pixel(role, style))

    def put(self, column: int, row: int, item: Any) -> None:
        self.matrix.insert(column, row, item)

    def is_free(self, column: int, row: int, width: int) -> bool:
        """Whether nothing is written on these cells, all of them inside."""
        inside = 0 <= row < self.height and column >= 0 and column + width <= self.width
        return inside and bool(self.matrix[row, column : column + width].string(True).isspace())

    def end_of(self, row: int) -> int:
        """The column behind the last word of a row."""
        return cell_len(self.matrix[row].string(True).rstrip())

    def figure(self, width: int, height: int) -> Any:
        """plotext's only figure, empty, with quiet axes at the left and below."""
        self.plotext.terminal.limit(False, False)
        self.plotext.add_theme("quiet", text=self.pixel("$line"))
        figure = self.plotext.figure
        figure.clear()
        figure.plot_size(width, height)
        figure.theme("quiet")
        figure.legend(False)
        figure.axes(False, axis="x", side="upper")
        figure.axes(False, axis="y", side="right")
        for name in ("x", "y"):
            figure.ruler(name).alignment(lim="edge")
        return figure


@dataclass(frozen=True, slots=True)
class _Plot:
    """A figure with two axes, whose first row is ``top`` on its page and whose first column inside is ``left``."""

    page: _Page
    left: int
    top: int
    across: Axis
    up: Axis
    figure: Any = field(init=False)

    def __post_init__(self) -> None:
        figure = self.page.figure(self.left + self.across.cells, self.up.cells + 2)
        blank = ((self.up.low - 1, ""),)  # outside: keeps the width of the ticks before there are any
        for name, axis, width in (("x", self.across, 0), ("y", self.up, self.left - 2)):
            ticks = [(place, f"{text:>{width}} " if width else text) for place, text in axis.ticks or blank]
            figure.ruler(name).lim(axis.low, axis.high)
            figure.ruler(name).ticks(
                [place for place, _ in ticks], [self.page.words(text, "$dim") for _, text in ticks]
            )
        object.__setattr__(self, "figure", figure)

    def cell(self, point: Point) -> tuple[int, int]:
        """The column and row of the page that a point falls into."""
        return self.left + self.across.cell(point[0]), self.top + self.up.cells - 1 - self.up.cell(point[1])

    def draw(self, points: Sequence[Point], symbol: str, role: str) -> None:
        """Markers at points, or a line through them where ``symbol`` is braille."""
        xs, ys = [self.across.place(x) for x, _ in points], [self.up.place(y) for _, y in points]
        signal = self.figure.signal(xs, ys, marker=self.page.marker(symbol, role))
        self.figure.draw(signal.lines(symbol == "braille"))

    def draw_dots(self, start: Point, end: Point, role: str) -> None:
        """Dots on every second column between two points."""
        columns = self.across.cell(end[0]) - self.across.cell(start[0])
        y, to_y = self.up.place(start[1]), self.up.place(end[1])
        steps = range(2, columns - 1, 2)
        xs = [self.across.middle(self.across.cell(start[0]) + step) for step in steps]
        ys = [y + (to_y - y) * step / columns for step in steps]
        self.figure.draw(self.figure.signal(xs, ys, marker=self.page.marker("·", role)))


def _draw_times(page: _Page, chart: TimeChart) -> None:
    counts = [count for count in chart.counts if count > 0]
    if not counts:
        return
    order = sorted(range(len(chart.curves)), key=lambda index: index == chart.focus)
    curves = drawable_curves(chart.curves[index] for index in order)
    values = [y for one in curves for _, y in (*one.points, *((one.predicted,) if one.predicted else ()))]
    up = values_axis(values, page.height - 2, chart.log, seconds_of_ten)
    left, cells = _sides(page, chart.curves, up)
    plot = _Plot(page, left, 0, counts_axis(counts, cells, chart.log), up)
    for curve in curves:
        if curve.predicted:
            plot.draw_dots(curve.points[-1], curve.predicted, curve.role)
    for curve in curves:
        plot.draw(curve.points, "braille", curve.role)
    _finish(plot, curves, chart.x_label, with_dropped(chart.y_label, dropped(chart.curves)))


def _draw_trade_off(page: _Page, chart: TradeOff) -> None:
    curves = drawable_curves(chart.curves)
    title = with_dropped(chart.title, dropped(chart.curves))
    if not curves or page.height < LOW:
        fastest = sorted(curves, key=lambda one: -one.points[0][1])
        _draw_bars(page, Bars(title, tuple(map(bar_of_rate, fastest))))
        return
    page.put(1, 0, page.words(fit(title, page.width - 2), "$dim"))
    up = values_axis([one.points[0][1] for one in curves], page.height - 3, True, rate_of_ten)
    left, cells = _sides(page, curves, up)
    plot = _Plot(page, left, 1, bytes_axis([one.points[0][0] for one in curves], cells), up)
    for start, end in pairwise(filter(is_drawable, chart.front)):
        plot.draw_dots(start, end, "$foreground")
    _finish(plot, curves, chart.x_label, chart.y_label)


def _sides(page: _Page, curves: Iterable[Curve], up: Axis) -> tuple[int, int]:
    """The column where the plot begins and its cells: names and their markers have room behind it."""
    left = max([_GUTTER, *(cell_len(text) for _, text in up.ticks)]) + 2
    names = max((cell_len(curve.name) for curve in curves), default=0)
    return left, page.width - left - min(names + 6, page.width // 3)


def _finish(plot: _Plot, curves: Sequence[Curve], x_label: str, y_label: str) -> None:
    """Draw the markers over the lines, put the figure on its page, and the names and words around it."""
    page, owners = plot.page, dict[tuple[int, int], Curve]()
    for curve in curves:
        plot.draw(curve.points, curve.marker, curve.role)
        if curve.predicted:
            plot.draw([curve.predicted], PREDICTED, curve.role)
        owners |= {plot.cell(point): curve for point in (*curve.points, curve.end)}
    page.put(0, plot.top, plot.figure.build())
    _put_names(plot, curves, owners)
    if page.is_free(plot.left, plot.top, cell_len(y_label) + 2):
        page.put(plot.left + 1, plot.top, page.words(y_label, "$dim"))
    size, below = cell_len(x_label), plot.top + plot.up.cells
    places = [(page.end_of(below + 1) + 1, below + 1)]
    for row in (below - 1, below - 2):
        places += [
            (plot.left + column, row) for column in (plot.across.cells - size, (plot.across.cells - size) // 2, 1)
        ]
    for column, row in places:
        if page.is_free(column - 1, row, size + 1):
            page.put(column, row, page.words(x_label, "$dim"))
            return


def _put_names(plot: _Plot, curves: Sequence[Curve], owners: dict[tuple[int, int], Curve]) -> None:
    """Put each name behind the end of its line, those of one column in order of their values.

    A name stands beside its curve's own marker.  Where one cannot, because ends collide or the end is predicted, all
    names of that column have their markers repeated before them.
    """
    page, rows = plot.page, plot.up.cells
    columns: dict[int, list[Curve]] = {}
    for curve in sorted(curves, key=lambda one: -one.end[1]):
        columns.setdefault(plot.cell(curve.end)[0], []).append(curve)
    for column in sorted(columns, reverse=True):
        ends = columns[column][:rows]
        own = [plot.cell(curve.end)[1] - plot.top for curve in ends]
        placed: list[tuple[int, str, Curve]] = []
        above = -1
        for curve, wanted in zip(ends, _apart(own, rows), strict=True):
            name = fit(curve.name, min(cell_len(curve.name), page.width - column - 6))
            free = [r for r in range(above + 1, rows) if page.is_free(column + 1, plot.top + r, cell_len(name) + 5)]
            if name and free:
                above = min((abs(row - wanted), row) for row in free)[1]
                placed.append((plot.top + above, name, curve))
        beside = all(plot.cell(one.end)[1] == row and owners[column, row] is one for row, _, one in placed)
        marked = not beside or any(one.predicted for _, _, one in placed)
        for row, name, curve in placed:
            shown = f" {curve.marker} {name}" if marked else name
            page.put(column + 2, row, page.words(shown, curve.role, "bold" if curve.strong else None))


def _apart(wanted: Sequence[int], rows: int) -> list[int]:
    """Rows in the same order, no two alike: each the wanted one or as little below it as the rows allow."""
    placed: list[int] = []
    for index, row in enumerate(wanted):
        below = max(row, placed[-1] + 1) if placed else row
        placed.append(min(below, rows - len(wanted) + index))
    return placed


def _draw_bars(page: _Page, chart: Bars) -> None:
    """One row a bar from the top down, with air between them where there is room."""
    bars = [bar for bar in chart.bars if 0 <= bar.value <= MOST]
    top = 2 if page.height >= len(bars) + 2 else 1
    shown = max(0, page.height - top)
    title = f"{chart.title}, first {shown} of {len(bars)}" if 0 < shown < len(bars) else chart.title
    title = with_dropped(title, len(chart.bars) - len(bars))
    page.put(1, 0, page.words(fit(title, page.width - 2), "$dim"))
    bars = bars[:shown]
    if not bars:
        return
    step = 2 if top + 2 * len(bars) - 1 <= page.height else 1
    rows = step * (len(bars) - 1) + 1
    names = min(max(cell_len(bar.name) for bar in bars), page.width // 3)
    cells = page.width - names - 5
    texts, notes = max(cell_len(bar.text) for bar in bars) + 3, max(cell_len(bar.note) for bar in bars) + 2
    room = texts + notes if cells - texts - notes >= 8 else texts
    most = max(bar.value for bar in bars) or 1.0
    places = [rows - 0.5 - index * step for index in range(len(bars))]
    figure = page.figure(page.width, rows)
    figure.axes(False, axis="x")
    figure.ruler("x").lim(0, most * cells / max(1, cells - room))
    figure.ruler("x").ticks([], [])
    for bar, place in zip(bars, places, strict=True):
        note = page.words(f"  {bar.note}" if room > texts else "", "$dim")
        figure.draw(figure.text(bar.value, place, page.words(f"  {bar.text}", "$foreground", "bold") + note))
    solid = [page.marker("hd", bar.role) for bar in bars]
    figure.draw(figure.bar(places, [b.value for b in bars], marker=solid, width=0.9 / step, orientation="h"))
    labels = [page.words(f" {b.marker}", b.role) + page.words(f" {fit(b.name, names)} ", "$foreground") for b in bars]
    figure.ruler("y").lim(0, rows)
    figure.ruler("y").ticks(places, labels)
    page.put(0, top, figure.build())
