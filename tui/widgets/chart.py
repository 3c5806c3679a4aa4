"""Panel 4, the chart's place: the list to begin with, what a plan will do, charts, numbers, an error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import DataTable, Static
from textual.worker import Worker, WorkerState

from tui.keys import MOVES, SIDEWAYS, View
from tui.labels import Known, sentence_of, time_title, title
from tui.run_charts import chart_of
from tui.tables import HEAD, number_rows
from tui.text import safe_text
from tui.theme import palette
from tui.widgets.footer import label_top
from tui.widgets.start import StartList
from tui.widgets.verdict import ScrolledText, full_rows

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from backends.datasets.base import DatasetFacts
    from backends.runs.history import RunFacts
    from backends.runs.run import RunState
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
    """Shows one of its views; which one is the screen's business."""

    view: reactive[View] = reactive(View.START)
    run: reactive[RunState | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    aspect: reactive[str] = reactive("store")
    log_scale: reactive[bool] = reactive(True)
    configuration: reactive[str] = reactive("")
    """The one whose curve is drawn last."""
    words: reactive[str] = reactive("")
    """What the plan will do, or what went wrong."""
    method: reactive[str] = reactive("")
    """How the plan that the words describe is measured, where Enter starts it."""
    jobs: reactive[tuple[RunFacts, ...]] = reactive(())
    folder: reactive[DatasetFacts | None] = reactive(None)

    class Drawn(Message):
        """A chart was drawn in a thread."""

        def __init__(self, wanted: object, chart: Text) -> None:
            super().__init__()
            self.wanted = wanted
            self.chart = chart

    def compose(self) -> ComposeResult:
        yield StartList().data_bind(ChartPanel.jobs, ChartPanel.folder)
        yield ScrolledText(id="words")
        yield Static(id="chart")

    def on_mount(self) -> None:
        self._wanted: tuple[Chart, int, int, Palette] | None = None
        self._drawn: object = None
        self._drawing = False
        for name in ("view", "run", "series", "aspect", "log_scale", "configuration", "words", "method"):
            self.watch(self, name, self._show, init=False)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show())
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        view = self.view
        label_top(self, self._title())
        self.can_focus = view in PICTURES  # else what is in it takes the focus
        self.query_one(StartList).display = view is View.START
        self.query_one("#words").display = view in (View.PLAN, View.ERROR, View.VERDICT)
        self.query_one("#chart").display = view in PICTURES
        self._show_numbers(view is View.NUMBERS)
        if view in (View.PLAN, View.ERROR, View.VERDICT):
            self.query_one(ScrolledText).update(self._said())
        elif view in PICTURES:
            self._draw()

    def _show_numbers(self, shown: bool) -> None:
        tables = list(self.query("NumbersTable"))
        if shown and not tables:
            self.mount(NumbersTable().data_bind(ChartPanel.run, ChartPanel.series, ChartPanel.aspect))
        for table in tables:
            table.display = shown

    def focus_content(self) -> None:
        """Focus what the view shows, where that takes keys of its own."""
        content: Widget = self
        if self.view is View.NUMBERS:
            content = self.query_one("NumbersTable")
        elif self.view is View.START:
            content = self.query_one(StartList)
        elif self.view not in PICTURES:
            content = self.query_one(ScrolledText)
        content.focus()

    def _said(self) -> Content:
        if self.view is View.VERDICT:
            return Content("\n").join(full_rows(self.run, self.series, self.size.width))
        if self.view is View.ERROR:
            return Content.assemble(("! ", "bold $error"), (safe_text(self.words, 1000), "$error"))
        said = safe_text(self.words, 1000)
        return (
            Content.assemble(said, " ", ("Enter", "bold"), " starts.\n\n", (self.method, "$dim"))
            if self.method
            else Content(said)
        )

    def _title(self) -> str:
        if self.view is View.NUMBERS:
            return f"{_TITLES[self.view]} ─ {title(self.aspect)}, ← → for more"
        return _TITLES.get(self.view) or f"4 Charts ─ {time_title(self.aspect, self.log_scale)}"

    def _draw(self) -> None:
        if self.run is None or not self.size:
            return
        shown = chart_of(self.view, self.run, self.series, self.aspect, self.log_scale, self.configuration)
        wanted = (shown, self.size.width, self.size.height, palette(self.app.theme_variables))
        if wanted != self._wanted:
            self._wanted = wanted
            if not self._drawing:
                self._start_drawing()

    def _start_drawing(self) -> None:
        """Draw what is wanted in a thread: one at a time, for plotext has one figure for the whole process."""
        if self._wanted is not None:
            self._drawing = True
            work = partial(self._draw_chart, *self._wanted)
            self.run_worker(work, thread=True, group="chart", exit_on_error=False)

    def _draw_chart(self, chart: Chart, width: int, height: int, colours: Palette) -> None:
        from tui.charts import draw

        self.post_message(self.Drawn((chart, width, height, colours), draw(chart, width, height, colours)))

    @on(Drawn)
    def show_drawing(self, message: Drawn) -> None:
        """Put a chart on the screen, unless another one is wanted by now: then draw that."""
        if message.wanted != self._wanted:
            self._start_drawing()
            return
        self._drawing = False
        self._drawn = message.wanted
        self.query_one("#chart", Static).update(message.chart)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A chart that could not be drawn is said in its place."""
        if event.state is WorkerState.ERROR:
            self._drawing = False
            self._drawn = self._wanted
            why = f"! {safe_text(sentence_of(event.worker.error), 400)}"
            self.query_one("#chart", Static).update(Content.styled(why, "$error"))

    @property
    def drawn(self) -> bool:
        """Whether the chart that is wanted is the one on the screen."""
        return self._drawn == self._wanted


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
        for heading in HEAD:
            self.add_column(Text(heading, justify="left" if heading == HEAD[0] else "right"), key=heading)
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
