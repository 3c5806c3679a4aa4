"""Panel 2: the configurations, and one column a size that fills with the figures of the aspect on show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from backends import units
from backends.analysis.figures import multiple_of_limit
from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect, Cell
from backends.bench.schedule import cells_of
from backends.runs.run import Run
from tui.draft import Draft, Row, first_draft
from tui.keys import MOVES, SIDEWAYS
from tui.labels import Known, Series, cache_words, counts, title
from tui.text import fit, safe_text
from tui.widgets.footer import label_top

_FEW_ROWS = 4
"""Shown on a small screen before there is a run, though fewer are ticked."""
_COLUMN, _NARROW_COLUMN, _WIDEST_COLUMN = 9, 8, 12
_EXTRAS = ("on disk", "files", "img/s", "durable")
"""Columns behind the sizes, as many as fit; all of the largest size."""
_LIMIT = "limit"
"""The column that comes after the first of these where the machine's limits are measured."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the columns stand, in cells; ``start`` and ``fitting`` say which sizes are shown."""

    names: int
    codecs: int
    start: int
    fitting: int
    extras: tuple[str, ...]
    width: int
    gap: int


class BackendTable(Widget, can_focus=True):
    """The table of configurations: a finished cell shows its time, a waiting one a dot, a running one its progress."""

    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *SIDEWAYS]

    draft: reactive[Draft] = reactive(first_draft)
    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    aspect: reactive[Aspect] = reactive(Aspect.STORE)
    cursor: reactive[int] = reactive(0)
    """Which of the rows, from the top, keys act on."""
    most_rows: reactive[int] = reactive(_FEW_ROWS)
    """How many configurations there is room for."""
    column: reactive[int] = reactive(0)
    """The first size that is shown, where not all fit."""

    class Moved(Message):
        """The cursor stands on another row."""

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.draft.rows) - 1))

    @property
    def _order(self) -> list[int]:
        """The rows of the draft from the top down: what the run on show measures first, references last."""
        measured = set(self.run.plan.configurations) if self.run else set(self.draft.configurations)

        def order(index: int) -> tuple[bool, bool]:
            name = self.draft.rows[index].configuration
            return name.is_reference, name not in measured

        return sorted(range(len(self.draft.rows)), key=order)

    @property
    def _limits(self) -> list[Configuration]:
        """The references that the plan adds, below the rows of the draft."""
        return [name for name in self.series if name not in self.draft.configurations]

    @property
    def row(self) -> int:
        """The draft's row under the cursor."""
        return self._order[self.cursor]

    def watch_draft(self) -> None:
        self.cursor = self.cursor
        self._fit()

    def watch_series(self) -> None:
        self._fit()

    def watch_run(self, before: Run | None, run: Run | None) -> None:
        if (before and before.plan) != (run and run.plan):
            self.cursor = 0
            self._fit()
        self.label()

    def watch_most_rows(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Take the rows that are needed, as far as there is room; unticked ones wait below first."""
        ticked = sum(row.ticked for row in self.draft.rows)
        wanted = ticked if self.run else max(ticked, _FEW_ROWS)
        if self.most_rows > 2 * _FEW_ROWS:
            wanted = len(self.draft.rows)
        rows = max(1, min(len(self.draft.rows), wanted, self.most_rows - len(self._limits)))
        edges = self.styles.border_top[0] != "", self.styles.border_bottom[0] != ""
        self.styles.height = rows + len(self._limits) + 1 + sum(edges)
        self.label()

    def label(self) -> None:
        """Write the top edge."""
        below = len(self.draft.rows) - self._first_row() - self._room
        cache = cache_words(self.aspect, self.run)
        edge = " ─ ".join(("2 Backends", title(self.aspect), *((cache,) if cache else ())))
        label_top(self, edge, f"{below} more below" if below > 0 and self.size.height else "")

    @property
    def _room(self) -> int:
        """Rows for the draft's, between the head and the limits."""
        return max(1, self.size.height - 1 - len(self._limits))

    def on_resize(self) -> None:
        self._fit()

    def watch_cursor(self) -> None:
        self.label()
        self.post_message(self.Moved())

    def watch_aspect(self) -> None:
        self.label()

    def action_cursor_up(self) -> None:
        self.cursor -= 1

    def action_cursor_down(self) -> None:
        self.cursor += 1

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self.draft.rows) - 1

    def action_cursor_left(self) -> None:
        self.column = max(0, self.column - 1)

    def action_cursor_right(self) -> None:
        self.column = min(self.column + 1, len(self._sizes) - self._grid().fitting)

    @property
    def _sizes(self) -> tuple[int, ...]:
        return counts(self.aspect, self.draft.base.sizes)

    @property
    def configuration(self) -> Configuration:
        """The configuration under the cursor."""
        return self.draft.rows[self.row].configuration

    def on_click(self, event: Click) -> None:
        offset = event.y - 2
        if 0 <= offset < len(self.draft.rows):
            self.cursor = offset + self._first_row()

    def render(self) -> Content:
        grid, first = self._grid(), self._first_row()
        lines = [self._head(grid)]
        for number, index in enumerate(self._order[first : first + self._room], first):
            row = self.draft.rows[index]
            if row.configuration in self.series:
                lines.append(self._row(row, grid, chosen=number == self.cursor))
        lines += [self._row(Row(name), grid, box="    ") for name in self._limits]
        return Content("\n").join(lines)

    def _first_row(self) -> int:
        return max(0, min(self.cursor - self._room + 1, len(self.draft.rows) - self._room))

    def _grid(self) -> _Grid:
        series = self.series.values()
        names = max([6, *(cell_len(one.configuration.backend) for one in series)])
        codecs = min(16, max([5, *(cell_len(_codec(one)) for one in series)]))
        room = self.size.width - 6 - names - 2 - codecs - 1
        sizes = len(self._sizes)
        wanted = [_EXTRAS[0], *((_LIMIT,) if self.draft.base.limits else ()), *_EXTRAS[1:]]
        least = 1 + self.draft.base.limits
        extras = max(least, min(len(wanted), room // (_COLUMN + 1) - sizes))
        column = _NARROW_COLUMN if (sizes + extras) * _COLUMN > room else _COLUMN
        fitting = max(1, min(sizes, room // column - extras))
        width = max(column, min(_WIDEST_COLUMN, room // (fitting + extras)))
        start = min(self.column, sizes - fitting)
        gap = max(0, room - width * (fitting + extras)) if width < _WIDEST_COLUMN else 0
        return _Grid(names, codecs, start, fitting, tuple(wanted[:extras]), width, gap)

    def _head(self, grid: _Grid) -> Content:
        sizes = self._sizes
        text = " " * (6 + grid.names + 2 + grid.codecs + grid.gap)
        for place in range(grid.start, grid.start + grid.fitting):
            label = units.count(sizes[place])
            before = "‹ " if place == grid.start > 0 else ""
            after = " ›" if place == grid.start + grid.fitting - 1 < len(sizes) - 1 else ""
            text += fit(before + label + after, grid.width, right=True)
        return Content.styled(text + "".join(fit(name, _width(name, grid), right=True) for name in grid.extras), "$dim")

    def _row(self, row: Row, grid: _Grid, *, chosen: bool = False, box: str = "") -> Content:
        series = self.series[row.configuration]
        grey = not row.ticked or series.configuration.is_reference
        parts: list[Content | tuple[str, str]] = [
            (box or ("[x] " if row.ticked else "[ ] "), "" if row.ticked else "$dim"),
            (series.mark + " ", "$dim" if grey else series.role),
            (fit(safe_text(series.configuration.backend, 40), grid.names) + "  ", "$dim" if grey else "bold"),
            (fit(_codec(series), grid.codecs) + " " * grid.gap, "$dim"),
        ]
        shown = self._sizes[grid.start : grid.start + grid.fitting]
        cells = [self._cell(row.configuration, size, row.ticked) for size in shown]
        widths = [*(grid.width for _ in cells), *(_width(name, grid) for name in grid.extras)]
        cells += self._extras(row.configuration, row.ticked, grid.extras)
        for (text, style), width in zip(cells, widths, strict=True):
            parts.append((fit(text, width, right=True), style or ("$dim" if series.configuration.is_reference else "")))
        line = Content.assemble(*parts)
        line = Content.assemble(line, " " * max(0, self.size.width - line.cell_length))
        if chosen and self.has_focus:
            line = line.stylize("reverse" if self.app.native_ansi_color else "on $cursor")
        return line

    def _cell(self, configuration: Configuration, size: int, ticked: bool) -> tuple[str, str]:
        """Text and style of a cell: a figure, a share, a dot, or that it failed."""
        run = self.run
        key = (configuration, self.aspect, size)
        waiting = self._waiting(key, ticked)
        if run is None:
            return waiting
        if run.trial is not None and run.trial.cell == key:
            return f"▸ {run.share * 100:.0f} %", "bold"
        figure = run.figures.get(key)
        failed = run.failed_cells.get(key)
        if failed is not None and (figure is None or not figure.repeats):
            return ("!failed", "$error") if failed.outcome == "failed" else ("skipped", "$dim")
        if figure is None or figure.seconds is None:
            return waiting
        if failed is not None:
            return f"!{units.seconds(figure.seconds)}", "$error"
        return units.seconds(figure.seconds), "" if figure.repeats >= run.plan.repeats else "$dim"

    def _extras(self, configuration: Configuration, ticked: bool, names: tuple[str, ...]) -> list[tuple[str, str]]:
        """Text and style of the cells behind the sizes, all of the largest one."""
        run, key = self.run, (configuration, self.aspect, self._sizes[-1])
        figure = run.figures.get(key) if run is not None else None
        if run is None or figure is None or not figure.repeats:
            return [self._waiting(key, ticked)] * len(names)
        limit = multiple_of_limit(figure, run.figures.values())
        texts = {
            "on disk": units.size(figure.bytes_allocated),
            _LIMIT: units.ratio(limit) if limit is not None else "·",
            "files": f"{figure.files:,}" if figure.files is not None else "·",
            "img/s": units.rate(figure.images_per_second).removesuffix(" img/s"),
            "durable": units.seconds(figure.seconds_durable),
        }
        return [(texts[name], "") for name in names]

    def _waiting(self, key: Cell, ticked: bool) -> tuple[str, str]:
        """A dot where the plan measures the cell."""
        return "·" if ticked and key in cells_of(self.run.plan if self.run else self.draft.sketch) else "", "$dim"


def _width(name: str, grid: _Grid) -> int:
    """Of a column behind the sizes: where these are narrow, ``39.1 MiB`` needs a cell more than ``115x``."""
    return grid.width + {_EXTRAS[0]: 1, _LIMIT: -1}.get(name, 0) * (grid.width == _NARROW_COLUMN)


def _codec(series: Series) -> str:
    folder = series.configuration.folder
    return safe_text(series.codec + (f" @{folder}" if folder else ""), 60)
