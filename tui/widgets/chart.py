"""Panel 4: the start list, what a plan will do, charts, numbers, or an error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from backends.bench.measurement import Aspect
from tui.keys import View
from tui.labels import Known, sentence_of, time_title, title
from tui.text import safe_text
from tui.theme import palette, style_of
from tui.widgets.footer import label_top
from tui.widgets.start import StartList
from tui.widgets.table import Table
from tui.widgets.verdict import ScrolledText

if TYPE_CHECKING:
    from backends.bench.configuration import Configuration
    from backends.datasets.base import DatasetFacts
    from backends.runs.history import RunFacts
    from backends.runs.run import Run
    from tui.chart_data import Chart
    from tui.charts import Palette

_TITLES = {
    View.START: "4 Start",
    View.PLAN: "4 Plan",
    View.NUMBERS: "4 Numbers",
    View.DISK: "4 Charts ─ Disk usage",
    View.TRADE_OFF: "4 Charts ─ Trade-off",
    View.VERDICT: "4 Verdict",
    View.ERROR: "4 Not done",
}
PICTURES = (View.CHART, View.DISK, View.TRADE_OFF)


class ChartPanel(Vertical, can_focus=True):
    """Shows one view, which the screen chooses."""

    view: reactive[View] = reactive(View.START)
    run: reactive[Run | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    aspect: reactive[Aspect] = reactive(Aspect.STORE)
    log_scale: reactive[bool] = reactive(True)
    configuration: reactive[Configuration | None] = reactive(None)
    """The one whose curve is drawn last."""
    words: reactive[Content] = reactive(Content)
    """What the plan will do, or what went wrong."""
    jobs: reactive[tuple[RunFacts, ...]] = reactive(())
    folder: reactive[DatasetFacts | None] = reactive(None)

    def compose(self) -> ComposeResult:
        yield StartList().data_bind(ChartPanel.jobs, ChartPanel.folder)
        yield ScrolledText(id="words")
        yield Table(cell_padding=1)
        yield Static(id="chart")

    def on_mount(self) -> None:
        self._wanted: tuple[Chart, int, int, Palette] | None = None
        self._drawn: tuple[Chart, int, int, Palette] | None = None
        self._drawing = False
        for name in ("view", "run", "series", "aspect", "log_scale", "configuration", "words"):
            self.watch(self, name, self._show, init=False)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show())
        self._show()

    def on_resize(self) -> None:
        self._show()
        self.screen.refresh_bindings()  # a chart that gives way to bars has no scale to change

    def _show(self) -> None:
        view = self.view
        self.label()
        self.can_focus = view in PICTURES  # else what is in it takes the focus
        self.query_one(StartList).display = view is View.START
        self.query_one("#words").display = view in (View.PLAN, View.ERROR, View.VERDICT)
        self.query_one("#chart").display = view in PICTURES
        self.query_one(Table).display = view is View.NUMBERS
        if view is View.NUMBERS:
            self._fill_numbers()
        elif view in (View.PLAN, View.ERROR, View.VERDICT):
            self.query_one(ScrolledText).update(self._text())
        elif view in PICTURES:
            self._draw()

    def _fill_numbers(self) -> None:
        """A row for each configuration and size that has a figure."""
        if self.run is None or not self.series:
            return
        from tui.tables import HEAD, number_rows

        roles = {known.mark: known.role for known in self.series.values()}
        rows = {}
        for name, *figures in number_rows(self.run, self.series, self.aspect):
            first = Text.assemble((name[0], style_of(self.app, roles[name[0]])), name[1:])
            others = (Text.assemble((text, "dim" if text == "·" else ""), justify="right") for text in figures)
            rows[f"{name} {figures[0]}"] = [first, *others]
        self.query_one(Table).show(dict.fromkeys(HEAD), rows)

    def focus_content(self) -> None:
        """Focus what the view shows, where that takes keys of its own."""
        content: Widget = self
        if self.view is View.NUMBERS:
            content = self.query_one(Table)
        elif self.view is View.START:
            content = self.query_one(StartList)
        elif self.view not in PICTURES:
            content = self.query_one(ScrolledText)
        content.focus()

    def label(self) -> None:
        """Write the top edge, and into it where there is more text if there is no bottom edge."""
        label_top(self, self._title(), "" if self.styles.border_bottom[0] else self.words_more)

    @property
    def words_more(self) -> str:
        """The directions in which there is more of the text on show."""
        words = self.query_one(ScrolledText)
        return words.more if words.display else ""

    def _text(self) -> Content:
        if self.view is View.VERDICT:
            from tui.verdict import verdict_rows

            return Content("\n").join(verdict_rows(self.run, self.series, self.size.width))
        return self.words

    def _title(self) -> str:
        if self.view is View.NUMBERS:
            return f"{_TITLES[self.view]} ─ {title(self.aspect)}, ← → for more"
        if self.view is not View.CHART:
            return _TITLES[self.view]
        from tui.chart_data import LOW

        return f"4 Charts ─ {time_title(self.aspect, self.log_scale and self.size.height >= LOW)}"

    def _draw(self) -> None:
        if self.run is None or not self.size:
            return
        from tui.run_charts import chart_of

        shown = chart_of(self.view, self.run, self.series, self.aspect, self.log_scale, self.configuration)
        wanted = (shown, self.size.width, self.size.height, palette(self.app.theme_variables))
        if wanted != self._wanted:
            self._wanted = wanted
            if not self._drawing:
                self._drawing = True
                self._draw_wanted()

    @work(group="chart")
    async def _draw_wanted(self) -> None:
        """Draw in a thread until what is wanted is drawn: one chart at a time, for plotext has only one figure."""
        from tui.charts import draw

        while self._wanted is not None and self._drawn != self._wanted:
            wanted = self._wanted
            try:
                chart: Text | Content = await asyncio.to_thread(draw, *wanted)
            except Exception as error:
                chart = Content.styled(f"! {safe_text(sentence_of(error), 400)}", "$error")
            if wanted == self._wanted:
                self.query_one("#chart", Static).update(chart)
            self._drawn = wanted
        self._drawing = False

    @property
    def drawn(self) -> bool:
        """Whether the chart that is wanted is the one on the screen."""
        return self._drawn == self._wanted
