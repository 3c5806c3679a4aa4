"""The main screen: dataset, configurations, run, charts and verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Resize
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import DataTable, Static

from backends.bench.measurement import Aspect
from backends.datasets.base import AS_FOUND, Reading
from backends.errors import ImgstoreError
from tui import messages
from tui.draft import Draft, first_draft
from tui.keys import RESULTS, WORKBENCH, View, acts, after_disk, footer_actions, next_step, word_of
from tui.labels import Known, describe_plan, describe_row, identify, method_sentence, plan_sentence
from tui.messages import Place
from tui.screens.layout import SMALLEST, fit_to, label_bottom_edges, label_top_edges, show_alone
from tui.text import safe_text
from tui.widgets.chart import ChartPanel
from tui.widgets.configurations import BackendTable
from tui.widgets.dataset import DatasetPanel
from tui.widgets.footer import FooterLine
from tui.widgets.run import Remark, RunPanel
from tui.widgets.start import StartList
from tui.widgets.verdict import VerdictPanel

if TYPE_CHECKING:
    from backends.bench.budget import Estimate
    from backends.bench.configuration import Configuration
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.conversion import Conversion
    from backends.runs.history import RunFacts
    from backends.runs.run import Run

NOTHING_TICKED = "Nothing is ticked: space ticks a configuration."
PANELS = (DatasetPanel, BackendTable, RunPanel, ChartPanel, VerdictPanel)


class Workbench(Screen[None]):
    """The five panels, and the state that they show: dataset, draft, run and view."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = WORKBENCH

    facts: reactive[DatasetFacts | None] = reactive(None)
    opening: reactive[str] = reactive("", bindings=True)  # the path of the dataset that is being opened
    found: reactive[int] = reactive(0)  # pictures in it so far
    draft: reactive[Draft] = reactive(first_draft)
    series: reactive[Known] = reactive(Known)  # of every configuration in the table
    run: reactive[Run | None] = reactive(None)
    conversion: reactive[Conversion | None] = reactive(None)  # the latest
    aspect: reactive[Aspect] = reactive(Aspect.STORE, bindings=True)
    view: reactive[View] = reactive(View.START, bindings=True)
    log_scale: reactive[bool] = reactive(True, bindings=True)
    explained: reactive[tuple[Run, ...]] = reactive((), bindings=True)  # the run, once its failures were looked at
    configuration: reactive[Configuration | None] = reactive(
        None, bindings=True
    )  # under the cursor: its curve is drawn last
    place: reactive[Place | None] = reactive(None)
    remark: reactive[Remark] = reactive(Remark)
    words: reactive[Content] = reactive(Content, bindings=True)  # what the plan will do, or what went wrong
    jobs: reactive[tuple[RunFacts, ...]] = reactive(())
    folder: reactive[DatasetFacts | None] = reactive(None)  # the current folder, where it is a dataset

    table = getters.query_one(BackendTable)
    charts = getters.query_one(ChartPanel)
    verdict = getters.query_one(VerdictPanel)

    def compose(self) -> ComposeResult:
        here = Workbench
        measured = here.run, here.series, here.aspect
        yield DatasetPanel(classes="panel").data_bind(here.facts, here.opening, here.found, here.place, here.run)
        yield BackendTable(classes="panel").data_bind(*measured, here.draft)
        yield RunPanel(classes="panel").data_bind(*measured, here.remark, here.view, here.conversion)
        with Horizontal(id="lower"):
            charts = ChartPanel(classes="panel").data_bind(*measured, here.view, here.log_scale, here.configuration)
            yield charts.data_bind(here.words, here.jobs, here.folder)
            yield VerdictPanel(classes="panel").data_bind(here.run, here.series)
        yield FooterLine()
        yield Static(f"too small: {SMALLEST[0]} x {SMALLEST[1]} at least", id="too-small")

    def on_mount(self) -> None:
        self.bindings_updated_signal.subscribe(self, lambda _: label_bottom_edges(self, self.view, self.run))
        self.app.theme_changed_signal.subscribe(self, lambda _: label_top_edges(self))
        self.query_one(StartList).focus()
        self.say("Choose a dataset: every backend stores it and reads it back, on your disk.")

    def on_descendant_focus(self) -> None:
        label_top_edges(self)

    on_descendant_blur = on_descendant_focus

    def on_resize(self, event: Resize) -> None:
        fit_to(self, *event.size)

    # What the app has found out

    def show_dataset(self, facts: DatasetFacts) -> None:
        """A dataset was opened: plan its default sizes."""
        self.opening, self.facts, self.run = "", facts, None
        self.change(self.draft.for_dataset(facts))

    def show_survey(self, facts: DatasetFacts) -> None:
        """The open dataset was looked into: its codecs may change as long as nothing runs."""
        if self.facts is not None and (self.facts.path, self.facts.how) == (facts.path, facts.how):
            self.facts = facts
            if self.run is None:
                self.change(self.draft.for_dataset(facts))

    def show_estimate(self, plan: Plan, estimate: Estimate, place: Place) -> None:
        """Say in one sentence what the plan will do, if it still is the plan."""
        if not self.busy and plan == self._plan():
            self.place = place
            what, how = safe_text(plan_sentence(plan, estimate, place), 1000), method_sentence(plan)
            self.words = Content.assemble(what, " ", ("Enter", "bold"), " starts.\n\n", (how, "$dim"))

    def show_error(self, sentence: str) -> None:
        """Say in the chart's place what went wrong."""
        self.opening = ""
        self.words = Content.assemble(("! ", "bold $error"), (safe_text(sentence, 1000), "$error"))
        self.view = View.ERROR

    def show_run(self, run: Run) -> None:
        """Put a run on show, from its first event on."""
        show_alone(self, None)
        self.draft = self.draft.following(run.plan)
        self.say("")
        self.aspect, self.view, self.run = run.aspects[0], View.CHART, run
        self.configuration = self.table.configuration
        self.table.focus()

    # What follows from a change

    def change(self, draft: Draft) -> None:
        """Take a new draft and ask what its plan will take."""
        show_alone(self, None)
        self.draft, self.view = draft, View.PLAN
        if self.aspect not in draft.aspects:
            self.aspect = draft.aspects[0]
        plan = self._plan()
        self.words = Content("" if plan else NOTHING_TICKED)
        self.say(describe_plan(plan) if plan else "")
        self.table.focus()
        if plan and self.facts is not None:
            self.post_message(messages.EstimatePlan(plan, self.facts))

    def watch_run(self, before: Run | None, run: Run | None) -> None:
        if run is not None and run.start is not None:
            self.facts = run.dataset
            if before is None or before.plan != run.plan:
                self.draft = self.draft.following(run.plan)
            if run.work and (self.place is None or self.place.folder != run.folder):
                self.place = Place(run.folder, run.filesystem, None)
        if (before and before.phase) != (run and run.phase):
            self.refresh_bindings()
            if run is not None and run.phase == "failed" and not run.figures and self.view in RESULTS:
                self.say("No figure was measured.")
                self.show_error(run.message)

    def watch_conversion(self, before: Conversion | None, state: Conversion | None) -> None:
        if before is not None and before.alive and state is not None and not state.alive:
            self.say(state.message or f"{state.spec.destination}: {state.phase}", urgent=state.phase == "failed")
        if (before and before.alive) != (state and state.alive):
            self.refresh_bindings()

    def watch_draft(self, draft: Draft) -> None:
        self.series = identify(draft.known)

    def watch_view(self, view: View) -> None:
        """Focus what takes keys of its own: the list, the numbers, the verdict; afterwards panel 2 again."""
        if not self.is_mounted:
            return
        self.set_class(view is View.VERDICT, "-verdict")
        if view in (View.START, View.NUMBERS, View.VERDICT) or self.has_class("-full"):
            self.call_after_refresh(self.charts.focus_content)
        elif self.focused is not self.charts:
            self.table.focus()

    @on(DataTable.RowHighlighted, "BackendTable")
    def inspect(self) -> None:
        """Say what the cursor stands on."""
        self.configuration = self.table.configuration
        if self.facts is not None:
            sentence, urgent = describe_row(self.configuration, self.aspect, self.run)
            self.say(sentence, urgent=urgent)

    def say(self, sentence: str, *, urgent: bool = False) -> None:
        """Show a sentence in the status line; an empty one gives it back to the run."""
        self.remark = Remark(sentence, urgent)

    def _plan(self) -> Plan | None:
        try:
            return self.draft.plan(self.facts.path) if self.facts else None
        except ImgstoreError:
            return None

    # Keys

    @property
    def busy(self) -> bool:
        """Whether the run on show goes on."""
        return self.run is not None and self.run.alive

    @property
    def to_convert(self) -> Configuration:
        """What to convert to: what the verdict says, else what ranks first so far, else what the cursor stands on."""
        verdict = self.run.verdict if self.run else None
        ranks = verdict.headline.ranks if verdict and verdict.headline else ()
        best = (verdict.recommended if verdict else None) or next((rank.configuration for rank in ranks), None)
        return best or self.table.configuration

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """The operations that there are to look at."""
        return self.run.aspects if self.run else self.draft.aspects

    @property
    def table_has_focus(self) -> bool:
        """Whether keys that change the row under the cursor can act: it is marked, and nothing hides it."""
        return self.focused is self.table and self.table.display and self.table.row is not None

    @property
    def failure_to_explain(self) -> bool:
        """Whether the run failed, or the cursor stands on a row of which a trial did, and why was not looked at yet."""
        if self.run is None or self.run in self.explained:
            return False
        failed = {cell[0] for cell in self.run.failed_cells}
        return self.run.phase == "failed" or (self.focused is self.table and self.configuration in failed)

    @property
    def has_scale(self) -> bool:
        """Whether a chart with axes is shown; where there is no room for one, bars are."""
        from tui.chart_data import LOW

        return self.view is View.CHART and self.charts.size.height >= LOW

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return acts(str(parameters[0]) if action in ("look", "ask", "edit") else action, self)

    def describe_action(self, action: str) -> str:
        return word_of(action, self)

    @property
    def footer_actions(self) -> tuple[str, ...]:
        return footer_actions(self)

    async def action_next_step(self) -> None:
        step = next_step(self)
        if step is not None:
            await self.run_action(step[1])

    def action_choose(self) -> None:
        self.query_one(StartList).action_select()

    def action_plan_again(self) -> None:
        self.change(self.draft)

    def action_run(self) -> None:
        if plan := self._plan():
            self.post_message(messages.StartJob(plan))
        else:
            self.say(NOTHING_TICKED, urgent=True)

    async def action_stop(self) -> None:
        await self.run_action("app.stop_run")

    async def action_convert(self) -> None:
        await self.run_action("app.convert")

    def action_images(self) -> None:
        """Show the images of the open dataset."""
        from tui.screens.images import ImagesScreen

        if self.facts is not None:
            self.app.push_screen(ImagesScreen(self.facts.path, self.facts.split, how=self.facts.how))

    def action_edit(self, change: str) -> None:
        """Change the draft by one of its methods, at the row under the cursor where that takes one."""
        row = () if change == "article" else (self.table.row,)
        try:
            self.change(getattr(self.draft, change)(*row))
        except ImgstoreError as error:
            self.say(str(error), urgent=True)

    def action_aspect(self, step: int) -> None:
        aspects = self.aspects
        self.aspect = aspects[(aspects.index(self.aspect) + step) % len(aspects)]

    def action_scale(self) -> None:
        self.log_scale = not self.log_scale

    def action_look(self, view: str) -> None:
        self.view = View.CHART if self.view == view else View(view)

    def action_disk(self) -> None:
        self.view = after_disk(self.view)

    def action_full(self) -> None:
        """Show the verdict's panel alone where it has the focus, else the charts; what is alone takes the keys."""
        if self.has_class("-full"):
            show_alone(self, None)
        elif self.verdict.has_focus:
            show_alone(self, self.verdict)
        else:
            show_alone(self, self.charts)
            self.charts.focus_content()

    async def action_back(self) -> None:
        if self.opening:
            await self.run_action("app.stop_opening")
        elif self.has_class("-full"):
            self.action_full()
        elif self.view is not View.CHART and self.run is not None:
            self.view = View.CHART
        else:
            self.view = View.START
            await self.run_action("app.list_jobs")

    def action_copy(self) -> None:
        from tui.plan_fields import command_line

        if plan := self._plan():
            self.post_message(messages.Copy(command_line(plan, self.draft.defaults)))

    def action_panel(self, number: int) -> None:
        show_alone(self, None)
        panel = self.query_one(PANELS[number - 1])
        if isinstance(panel, VerdictPanel) and not panel.display and self.run is not None:
            self.view = View.VERDICT
        elif isinstance(panel, ChartPanel):
            panel.focus_content()
        else:
            panel.focus()

    def action_ask(self, name: str) -> None:
        """Ask for something in a dialog, and take the answer."""
        from tui.screens.dialogs import form

        answers: dict[str, Callable[[Any], None]] = {"open": self._open, "export": self.say}
        take = answers.get(name, self.change)
        self.app.push_screen(form(name, self), lambda value: None if value is None else take(value))

    def _open(self, path: str, how: Reading = AS_FOUND) -> None:
        self.post_message(messages.OpenDataset(path, how))

    def ask_reading(self, folders: dict[str, int]) -> None:
        """Ask how the dataset is to be read whose opening has failed, and open it again."""
        from tui.screens.reading import ReadingScreen

        def take(how: Reading | None) -> None:
            if how is not None:
                self._open(path, how)

        path, self.opening = self.opening, ""
        # A screen that a dialog covers before its layout is done stays blank.
        self.call_after_refresh(self.app.push_screen, ReadingScreen(path, folders), take)
