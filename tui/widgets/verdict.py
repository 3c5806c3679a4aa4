"""Panel 5: the verdict, and text that is scrolled by keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widgets import Static

from tui.keys import SCROLLS
from tui.labels import Known

if TYPE_CHECKING:
    from backends.runs.run import Run


class ScrolledText(VerticalScroll, can_focus=True):
    """Takes the arrows, j, k, g, G and the page keys while it has the focus.

    Its bottom edge says ``▲`` and ``▼`` where there is more, then ``below``; where it has none, its screen does.
    """

    BINDINGS: ClassVar[list[BindingType]] = SCROLLS

    below: reactive[str] = reactive("")
    more: reactive[str] = reactive("")
    """The directions in which there is more text."""

    def on_mount(self) -> None:
        for name in ("scroll_y", "virtual_size", "show_vertical_scrollbar"):
            self.watch(self, name, self._laid_out)
        for name in ("below", "more"):
            self.watch(self, name, self._mark)

    def _laid_out(self) -> None:
        self.call_after_refresh(self._look_for_more)

    def _look_for_more(self) -> None:
        self.more = "▲" * (self.scroll_y > 0) + "▼" * (self.scroll_y < self.max_scroll_y)

    def _mark(self) -> None:
        if self.styles.border_bottom[0]:
            self.border_subtitle = " ".join(filter(None, (self.more, self.below)))
        else:
            self.screen.refresh_bindings()

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def update(self, text: VisualType) -> None:
        """Show other text."""
        self.query_one(Static).update(text)


class VerdictPanel(ScrolledText):
    """The medians at the largest size, ordered, with their ratios."""

    BORDER_TITLE = "5 Verdict"

    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)

    def watch_run(self, old: Run | None, new: Run | None) -> None:
        same = old is not None and new is not None and old.block == new.block and old.phase == new.phase
        if not same:
            self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        if self.run is None:
            self.update(Content.styled("no figures yet", "$dim"))
            return
        from tui.verdict import verdict_rows

        self.update(Content("\n").join(verdict_rows(self.run, self.series, self.size.width - 1)))
        self.below = f"after {self.run.repeats_done()} of {self.run.plan.repeats} repeats"

    watch_series = on_resize = _show
