"""Panel 2: the configurations, and one column a size that fills with the figures of the aspect on show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import JustifyMethod
from rich.text import Text
from textual.reactive import reactive

from backends import units
from backends.bench.measurement import Aspect
from backends.bench.schedule import cells_of
from tui.draft import Draft, Row, first_draft
from tui.labels import Known, Series, cache_words, counts, title
from tui.text import fit, middle, safe_text
from tui.theme import style_of
from tui.widgets.footer import label_top
from tui.widgets.table import Table

if TYPE_CHECKING:
    from backends.bench.configuration import Configuration
    from backends.runs.run import Run

_FEW_ROWS = 4
"""Shown on a small screen before there is a run, though fewer are ticked."""
_COLUMN, _NARROW_COLUMN, _WIDEST_COLUMN = 9, 8, 12


class BackendTable(Table):
    """The table of configurations: a finished cell shows its time, a waiting one a dot, a running one its progress."""

    draft: reactive[Draft] = reactive(first_draft)
    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    aspect: reactive[Aspect] = reactive(Aspect.STORE)
    most_rows: reactive[int] = reactive(_FEW_ROWS)  # how many configurations there is room for

    def __init__(self, classes: str) -> None:
        super().__init__(cell_padding=0, classes=classes)
        self._sizes_fit = True
        self._filled: tuple[Configuration, ...] = ()  # the draft's configurations when the rows were last shown

    def on_mount(self) -> None:
        for name in ("draft", "series", "aspect", "most_rows"):
            self.watch(self, name, self.fill)
        for name in ("scroll_x", "scroll_y"):
            self.watch(self, name, self.label)
        self.app.theme_changed_signal.subscribe(self, lambda _: self.fill())

    def watch_run(self, before: Run | None, run: Run | None) -> None:
        self.fill()
        if (before and before.plan) != (run and run.plan):
            with self.prevent(Table.RowHighlighted):
                self.move_cursor(row=0)

    @property
    def configuration(self) -> Configuration:
        """The configuration under the cursor."""
        rows = self._ordered()
        return rows[min(self.cursor_row, len(rows) - 1)].configuration

    @property
    def row(self) -> int | None:
        """The draft's row under the cursor; None on a reference that the plan adds."""
        names = self.draft.configurations
        return names.index(self.configuration) if self.configuration in names else None

    @property
    def _sizes(self) -> tuple[int, ...]:
        return counts(self.aspect, self.draft.base.sizes)

    @property
    def _extras(self) -> tuple[str, ...]:
        """Columns behind the sizes, all of the largest size."""
        return ("on disk", *(("limit",) if self.draft.base.limits else ()), "files", "img/s", "durable")

    def fill(self) -> None:
        """Show the rows as they are now, in as much room as they need and there is; unticked ones wait below first."""
        if not self.size or not set(self.draft.configurations) <= set(self.series):
            return
        rows = self._ordered()
        ticked = sum(row.ticked for row in self.draft.rows)
        wanted = ticked if self.run else max(ticked, _FEW_ROWS)
        if self.most_rows > 2 * _FEW_ROWS:
            wanted = len(self.draft.rows)
        wanted += len(rows) - len(self.draft.rows)
        self.styles.height = 1 + max(1, min(len(rows), wanted, self.most_rows)) + self.gutter.height
        self.show(self._columns(), {row.configuration: self._cells(row) for row in rows})
        before, self._filled = self._filled, self.draft.configurations
        new = [number for number, row in enumerate(rows) if row.configuration in {*self._filled} - {*before}]
        if len(new) == 1:  # it was added, or has another codec
            with self.prevent(Table.RowHighlighted):
                self.move_cursor(row=new[0])
        self.label()

    on_resize = fill

    def _ordered(self) -> list[Row]:
        """The rows from the top down: what is ticked first, references last."""

        def order(row: Row) -> tuple[bool, bool]:
            return row.configuration.is_reference, not row.ticked

        added = [Row(name) for name in self.series if name not in self.draft.configurations]
        return [*sorted(self.draft.rows, key=order), *added]

    def label(self) -> None:
        """Write the top edge."""
        below = self.row_count - int(self.scroll_y) - max(1, self.size.height - 1)
        cache = cache_words(self.aspect, self.run)
        edge = " ─ ".join(("2 Backends", title(self.aspect), *((cache,) if cache else ())))
        hidden = (
            "" if self._sizes_fit and not self.scroll_x else "← → more sizes",
            f"{below} more below" if below > 0 and self.size.height else "",
        )
        label_top(self, edge, " ─ ".join(filter(None, hidden)))

    def _columns(self) -> dict[str, int | None]:
        """The headings with their widths: as many as fit share the room, the arrows lead to the others."""
        names = [*map(units.count, self._sizes), *self._extras]
        needed = len(self._sizes) + 1 + self.draft.base.limits
        first = 6 + sum(self._name_widths()) + 2
        room = self.size.width - first - 1
        column = _COLUMN if needed * _COLUMN <= room else _NARROW_COLUMN
        fitting = max(1, min(len(names), room // column))
        self._sizes_fit = fitting >= needed
        width = max(column, min(_WIDEST_COLUMN, room // fitting))
        widths = {name: max(width, _COLUMN) if name == "on disk" else width for name in names}
        gap = max(0, room - sum(list(widths.values())[:fitting])) if width < _WIDEST_COLUMN else 0
        return {" ": first + gap, **widths}

    def _name_widths(self) -> tuple[int, int]:
        """Of the names of backends and of codecs."""
        names = max([6, *(cell_len(safe_text(name.backend, 40)) for name in self.series)])
        return names, min(16, max([5, *(cell_len(_codec(one)) for one in self.series.values())]))

    def _cells(self, row: Row) -> list[Text]:
        """The configuration, its figures by size, then those of the largest size."""
        series = self.series[row.configuration]
        grey = not row.ticked or row.configuration.is_reference
        added = row.configuration not in self.draft.configurations
        names, codecs = self._name_widths()
        name = (
            ("    " if added else "[x] " if row.ticked else "[ ] ", "" if row.ticked else "$dim"),
            (series.mark + " ", "$dim" if grey else series.role),
            (fit(safe_text(row.configuration.backend, 40), names) + "  ", "$dim" if grey else "bold"),
            (fit(middle(_codec(series), codecs), codecs), "$dim"),
        )
        figures = [self._figure(row, size) for size in self._sizes] + self._others(row)
        plain = "$dim" if row.configuration.is_reference else ""
        return [self._text(*name), *(self._text((text, style or plain), justify="right") for text, style in figures)]

    def _text(self, *parts: tuple[str, str], justify: JustifyMethod = "left") -> Text:
        return Text.assemble(*((text, style_of(self.app, style)) for text, style in parts), justify=justify)

    def _figure(self, row: Row, size: int) -> tuple[str, str]:
        """Text and style of a cell: a figure, a share, a dot, or that it failed."""
        run, key = self.run, (row.configuration, self.aspect, size)
        waiting = self._waiting(row, size)
        if run is None:
            return waiting
        if run.trial is not None and run.trial.cell == key:
            return f"▸ {run.share * 100:.0f} %", "bold"
        figure, failed = run.figures.get(key), run.failed_cells.get(key)
        if failed is not None and (figure is None or not figure.repeats):
            return ("!failed", "$error") if failed.outcome == "failed" else ("skipped", "$dim")
        if figure is None or figure.seconds is None:
            return waiting
        if failed is not None:
            return f"!{units.seconds(figure.seconds)}", "$error"
        return units.seconds(figure.seconds), "" if figure.repeats >= run.plan.repeats else "$dim"

    def _others(self, row: Row) -> list[tuple[str, str]]:
        """Text and style of the cells behind the sizes."""
        size = self._sizes[-1]
        figure = self.run.figures.get((row.configuration, self.aspect, size)) if self.run else None
        if self.run is None or figure is None or not figure.repeats:
            return [self._waiting(row, size)] * len(self._extras)
        from tui.tables import COLUMNS  # not before the first paint

        return [(COLUMNS[name](figure, self.run), "") for name in self._extras]

    def _waiting(self, row: Row, size: int) -> tuple[str, str]:
        """A dot where the plan measures the cell."""
        cells = cells_of(self.run.plan if self.run else self.draft.sketch)
        return "·" if row.ticked and (row.configuration, self.aspect, size) in cells else "", "$dim"


def _codec(series: Series) -> str:
    folder = series.configuration.folder
    return safe_text(series.codec + (f" @{folder}" if folder else ""))
