"""Panel 4, the chart's place: the list to begin with, what a plan will do, charts, numbers, an error."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from backends import units
from tui.bars import Bar, draw_bars
from tui.canvas import Row
from tui.charts import Curve, TimeChart, draw_times, dropped
from tui.sentences import sentence_of
from tui.series import Known
from tui.steps import View
from tui.text import fit, safe_text
from tui.verdict import disk_standings, verdict_rows
from tui.widgets.chart_view import ChartView
from tui.widgets.start_list import StartList

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from backends.datasets.facts import DatasetFacts
    from backends.jobs.job import JobFacts
    from tui.run_state import RunState

_TITLES = {
    View.START: "4 Start",
    View.PLAN: "4 Plan",
    View.NUMBERS: "4 Numbers",
    View.DISK: "4 Disk usage",
    View.VERDICT: "4 Verdict",
    View.ERROR: "4 Not done",
}
HOW = (
    "Each trial is a process of its own, in random order, after one warm-up that is thrown away. "
    "Every image and label is compared with its source afterwards, outside the clock."
)
_TIMES = {"store": "Storage time", "read": "Read time"}


class ChartPanel(Vertical, can_focus=True):
    """Shows one of its views; which one is the screen's business."""

    view: reactive[View] = reactive(View.START)
    run: reactive[RunState | None] = reactive(None)
    series: reactive[Known] = reactive(Known)
    operation: reactive[str] = reactive("store")
    log_scale: reactive[bool] = reactive(True)
    configuration: reactive[str] = reactive("")
    """The one whose curve is drawn last."""
    words: reactive[str] = reactive("")
    """What the plan will do, or what went wrong."""
    jobs: reactive[tuple[JobFacts, ...]] = reactive(())
    folder: reactive[DatasetFacts | None] = reactive(None)

    class Drawn(Message):
        """A chart was drawn in a thread."""

        def __init__(self, wanted: object, rows: list[Row]) -> None:
            super().__init__()
            self.wanted = wanted
            self.rows = rows

    def compose(self) -> ComposeResult:
        yield StartList().data_bind(ChartPanel.jobs, ChartPanel.folder)
        with VerticalScroll(id="words", can_focus=False):
            yield Static()
        yield ChartView()

    def on_mount(self) -> None:
        self._wanted: object = None
        self._drawn: object = None
        for name in ("view", "run", "series", "operation", "log_scale", "configuration", "words"):
            self.watch(self, name, self._show, init=False)
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        view = self.view
        self.border_title = self._title()
        self.query_one(StartList).display = view is View.START
        self.query_one("#words").display = view in (View.PLAN, View.ERROR, View.VERDICT)
        self.query_one(ChartView).display = view in (View.CHART, View.DISK)
        self._show_numbers(view is View.NUMBERS)
        if view in (View.PLAN, View.ERROR, View.VERDICT):
            self.query_one("#words Static", Static).update(self._said())
        elif view in (View.CHART, View.DISK):
            self._draw()

    def _show_numbers(self, shown: bool) -> None:
        tables = list(self.query("NumbersTable"))
        if shown and not tables:
            from tui.widgets.numbers_table import NumbersTable

            self.mount(NumbersTable().data_bind(ChartPanel.run, ChartPanel.series, ChartPanel.operation))
        for table in tables:
            table.display = shown

    def focus_content(self) -> None:
        """Focus what the view shows, where that takes keys of its own."""
        listed: Widget = self.query_one(StartList)
        if self.view is View.NUMBERS:
            listed = self.query_one("NumbersTable")
        elif self.view is not View.START:
            listed = self
        listed.focus()

    def _said(self) -> Content:
        if self.view is View.VERDICT:
            return Content("\n").join(verdict_rows(self.run, self.series, self.size.width))
        if self.view is View.ERROR:
            return Content.assemble(("! ", "bold $error"), (safe_text(self.words, 1000), "$error"))
        said = safe_text(self.words, 1000)
        before, enter, after = said.rpartition("Enter runs it.")
        if not enter or after:
            return Content(said)
        return Content.assemble(before, ("Enter", "bold"), " runs it.\n\n", (HOW, "$dim"))

    def _title(self) -> str:
        if self.view is View.NUMBERS:
            return f"{_TITLES[self.view]} ─ {self.operation.capitalize()}, ← → for more"
        if self.view is not View.CHART:
            return _TITLES[self.view]
        title = _TIMES.get(self.operation, f"{self.operation} time")
        return f"4 Log {title[0].lower()}{title[1:]}" if self.log_scale else f"4 {title}"

    def _draw(self) -> None:
        if self.run is None or not self.size:
            return
        width, height = self.size.width, self.size.height
        wanted: object
        if self.view is View.CHART:
            chart = self._times(self.run)
            notes = self._notes(self.run, chart)
            wanted = (chart, notes, width, height)
            job = partial(self._draw_times, wanted, chart, notes, width, height)
        else:
            bars = disk_bars(self.run, self.series)
            wanted = (bars, width, height)
            job = partial(self._draw_disk, wanted, bars, self.run.plan.sizes[-1], width, height)
        if wanted != self._wanted:
            self._wanted = wanted
            self.run_worker(job, thread=True, group="chart", exit_on_error=False)

    def _times(self, run: RunState) -> TimeChart:
        series = {name: self.series[name] for name in run.plan.configurations if name in self.series}
        curves = tuple(
            Curve(safe_text(one.name, 40), one.mark, one.role, _points(run, name, self.operation))
            for name, one in series.items()
        )
        names = list(series)
        focus = names.index(self.configuration) if self.configuration in names else None
        label = f"Seconds to {self.operation}"
        return TimeChart(curves, run.plan.sizes, "Number of images", label, self.log_scale, focus)

    def _notes(self, run: RunState, chart: TimeChart) -> tuple[str, ...]:
        lost = dropped(chart)
        said = [safe_text(note, 400) for note in run.notes]
        return (*said, f"{lost} figures are not positive and not drawn") if lost else tuple(said)

    def _draw_times(self, wanted: object, chart: TimeChart, notes: tuple[str, ...], width: int, height: int) -> None:
        said: list[Row] = [[(" " + fit(note, width - 2), "$dim")] for note in notes[: height // 4]]
        self.post_message(self.Drawn(wanted, said + draw_times(chart, width, height - len(said))))

    def _draw_disk(self, wanted: object, bars: tuple[Bar, ...], count: int, width: int, height: int) -> None:
        said = f" Allocated on disk by {count:,} images" if bars else f" {count:,} images are not stored yet"
        head: list[Row] = [[(said, "$dim")], []]
        self.post_message(self.Drawn(wanted, head + draw_bars(bars, width, max(0, height - 2))))

    @on(Drawn)
    def show_drawing(self, message: Drawn) -> None:
        """Put a drawing on the screen, unless another one is wanted by now."""
        if message.wanted == self._wanted:
            self._drawn = message.wanted
            self.query_one(ChartView).rows = message.rows

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A chart that could not be drawn is said in its place."""
        if event.state is WorkerState.ERROR:
            self._drawn = self._wanted
            self.query_one(ChartView).rows = [[(f"! {safe_text(sentence_of(event.worker.error), 400)}", "$error")]]

    @property
    def drawn(self) -> bool:
        """Whether the chart that is wanted is the one on the screen."""
        return self._drawn == self._wanted


def _points(run: RunState, configuration: str, operation: str) -> tuple[tuple[float, float], ...]:
    found = (run.figures.get((configuration, operation, size)) for size in run.plan.sizes)
    return tuple((one.count, one.seconds) for one in found if one is not None and one.seconds is not None)


def disk_bars(run: RunState, series: Known) -> tuple[Bar, ...]:
    """One bar a configuration: allocated bytes at the largest size, the least first."""
    count = run.plan.sizes[-1]
    bars = []
    for one in disk_standings(run, series):
        name = one.series.configuration
        figure = next(f for (c, _, n), f in run.figures.items() if (c, n) == (name, count) and f.bytes_allocated)
        files = f"{figure.files:,} file{'' if figure.files == 1 else 's'}" if figure.files is not None else ""
        note = f"{units.size(figure.bytes_apparent)} of data, {files}"
        bars.append(
            Bar(
                safe_text(one.series.name, 24), one.series.mark, one.series.role, one.value, units.size(one.value), note
            )
        )
    return tuple(bars)
