"""Panel 5: what the medians say."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive

from tui.run_state import RunState
from tui.series import Known
from tui.verdict import verdict_rows
from tui.widgets.scrolled_text import ScrolledText


class VerdictPanel(ScrolledText):
    """The medians at the largest size, ordered, with their ratios."""

    BORDER_TITLE = "5 Verdict"

    run: reactive[RunState | None] = reactive(None)
    series: reactive[Known] = reactive(Known)

    def watch_run(self, old: RunState | None, new: RunState | None) -> None:
        same = old is not None and new is not None and old.block == new.block and old.phase == new.phase
        if not same:
            self._show()

    def watch_series(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        run = self.run
        if self.is_mounted:
            self.update(Content("\n").join(verdict_rows(run, self.series, self.size.width - 1)))
        if run is not None:
            self.border_subtitle = f"after {run.repeats_done()} of {run.plan.repeats} repeats"
