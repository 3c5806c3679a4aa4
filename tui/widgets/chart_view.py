"""A chart that was drawn elsewhere: rows of text, shown as they are."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.canvas import Row


class ChartView(Widget):
    """Shows the rows it was given last; drawing them is slow and happens in a thread."""

    rows: reactive[list[Row]] = reactive(list[Row], always_update=True)

    def render(self) -> Content:
        return Content("\n").join(Content.assemble(*row) for row in self.rows)
