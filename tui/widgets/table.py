"""A table of texts with the keys of every list, whose cursor is seen while the table has the focus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import DataTable

from tui.keys import MOVES, SIDEWAYS

_STEP = 9
"""Cells by which a key moves sideways: about a column."""


class Table(DataTable[Text], inherit_bindings=False, inherit_css=False):
    """The first column stays in sight when the others move sideways."""

    BINDINGS: ClassVar[list[BindingType]] = [*MOVES, *SIDEWAYS]
    COMPONENT_CLASSES: ClassVar[set[str]] = DataTable.COMPONENT_CLASSES

    def __init__(self, *, cell_padding: int, classes: str | None = None) -> None:
        super().__init__(
            cursor_type="row",
            fixed_columns=1,
            cell_padding=cell_padding,
            cursor_foreground_priority="renderable",
            classes=classes,
        )
        self._head: dict[str, int | None] = {}

    def show(self, columns: Mapping[str, int | None], rows: Mapping[str, Sequence[Text]], left: int = 1) -> None:
        """Show ``rows`` under headings with their widths, the first ``left`` of these aligned left.

        The cursor stays on its row, and no message tells of it.  Where only some cells differ from what is shown, these
        alone change.
        """
        before, keys = [str(key.value) for key in self.rows], list(rows)
        if self._head == columns and before == keys:
            for key, cells in rows.items():
                for name, cell in zip(columns, cells, strict=True):
                    if self.get_cell(key, name) != cell:
                        self.update_cell(key, name, cell, update_width=columns[name] is None)
            return
        with self.prevent(DataTable.RowHighlighted):
            cursor, self._head = self.cursor_row, dict(columns)
            under = before[cursor] if cursor < len(before) else ""
            self.clear(columns=True)
            for number, (name, width) in enumerate(columns.items()):
                heading = Text(name, justify="left" if number < left else "right")
                self.add_column(heading, width=width, key=name)
            for key, cells in rows.items():
                self.add_row(*cells, key=key)
            self.move_cursor(row=keys.index(under) if under in keys else min(cursor, max(0, len(rows) - 1)))

    def action_cursor_left(self) -> None:
        self.scroll_relative(x=-_STEP, animate=False)

    def action_cursor_right(self) -> None:
        self.scroll_relative(x=_STEP, animate=False)

    def action_first(self) -> None:
        self.move_cursor(row=0)

    def action_last(self) -> None:
        self.move_cursor(row=max(0, self.row_count - 1))
