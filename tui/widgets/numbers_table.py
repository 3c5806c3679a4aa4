"""The numbers behind the charts, all of them, to scroll through in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import DataTable

from tui.keys import MOVES, SIDEWAYS
from tui.numbers import HEAD, number_rows
from tui.series import Known

if TYPE_CHECKING:
    from textual.binding import BindingType

    from tui.run_state import RunState


class NumbersTable(DataTable[Text], inherit_bindings=False):
    """Follows a run; the column of configurations stays in sight."""

    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *SIDEWAYS]

    run: reactive[RunState | None] = reactive(None)
    aspect: reactive[str] = reactive("store")
    series: reactive[Known] = reactive(Known)

    def __init__(self) -> None:
        super().__init__(cursor_type="row", fixed_columns=1, cell_padding=1, cursor_foreground_priority="renderable")
        self._shown: object = None

    def on_mount(self) -> None:
        for title in HEAD:
            self.add_column(Text(title, justify="left" if title == HEAD[0] else "right"), key=title)
        self._fill()

    def watch_run(self) -> None:
        self._fill()

    def watch_series(self) -> None:
        self._fill()

    def watch_aspect(self) -> None:
        self._fill()

    def _fill(self) -> None:
        if self.run is None or not self.series or not self.columns:
            return
        wanted = (id(self.run.measurements), self.aspect)
        if wanted == self._shown:
            return
        self._shown = wanted
        rows = number_rows(self.run, self.series, self.aspect)
        place = self.cursor_row
        self.clear()
        roles = {one.mark: one.role for one in self.series.values()}
        for row in rows:
            self.add_row(self._first(row[0], roles), *(self._figure(text) for text in row[1:]))
        self.move_cursor(row=min(place, max(0, len(rows) - 1)))

    def _first(self, text: str, roles: dict[str, str]) -> Text:
        variables = self.app.theme_variables
        colour = variables.get(roles.get(text[0], "").removeprefix("$"), "")
        found = Text(text)
        if colour and not colour.startswith("ansi"):
            found.stylize(colour, 0, 1)
        return found

    def _figure(self, text: str) -> Text:
        return Text(text, justify="right", style="dim" if text == "·" else "")

    def action_cursor_left(self) -> None:
        self.scroll_relative(x=-9, animate=False)

    def action_cursor_right(self) -> None:
        self.scroll_relative(x=9, animate=False)

    def action_first(self) -> None:
        self.move_cursor(row=0)

    def action_last(self) -> None:
        self.move_cursor(row=max(0, self.row_count - 1))
