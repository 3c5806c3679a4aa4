"""Panel 4: every figure of the operation on show."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive

from backends.bench.measurement import Aspect
from backends.runs.run import Run
from tui.labels import Known
from tui.tables import HEAD, number_rows
from tui.theme import style_of
from tui.widgets.table import Table


class NumbersTable(Table):
    """Follows a run: a row for each configuration and size that has a figure."""

    run: reactive[Run | None] = reactive(None)
    aspect: reactive[Aspect] = reactive(Aspect.STORE)
    series: reactive[Known] = reactive(Known)

    def __init__(self) -> None:
        super().__init__(cell_padding=1)

    def on_mount(self) -> None:
        for name in ("run", "series", "aspect"):
            self.watch(self, name, self._fill)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._fill())

    def _fill(self) -> None:
        if self.run is None or not self.series:
            return
        roles = {known.mark: known.role for known in self.series.values()}
        rows = {}
        for name, *figures in number_rows(self.run, self.series, self.aspect):
            first = Text.assemble((name[0], style_of(self.app, roles[name[0]])), name[1:])
            others = (Text.assemble((text, "dim" if text == "·" else ""), justify="right") for text in figures)
            rows[f"{name} {figures[0]}"] = [first, *others]
        self.show(dict.fromkeys(HEAD), rows)
