"""The one screen that everything happens on: dataset, configurations, charts and verdict around one plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import OptionList, Static

from backends.errors import ImgstoreError, UsageError
from tui import messages, units
from tui.draft import Draft, command_line, draft_of, first_draft
from tui.text import safe_text
from tui.widgets import chart_panel
from tui.widgets.backend_table import BackendTable
from tui.widgets.chart_panel import ChartPanel
from tui.widgets.dataset_panel import DatasetPanel
from tui.widgets.footer_line import FooterLine
from tui.widgets.header_line import HeaderLine
from tui.widgets.start_list import StartList
from tui.widgets.status_line import StatusLine
from tui.widgets.verdict_panel import VerdictPanel

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import Resize

    from backends.bench.plan import Plan
    from backends.datasets.facts import DatasetFacts
    from backends.jobs.job import JobFacts
    from tui.messages import Place
    from tui.run_state import RunState

WIDE, TALL = 100, 30
SMALLEST = (60, 16)


class Workbench(Screen[None]):
    """Panels 1 to 5.  Its state is four values: the dataset, the draft, the run on show, and the view."""

    CSS_PATH = "workbench.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next_step", "next", id="next"),
        Binding("x", "stop", "stop", id="stop", tooltip="Cancel the run; finished trials stay"),
        Binding("space", "pick", "pick", id="pick", tooltip="Tick or untick the configuration"),
        Binding("c", "codec", "codec", id="codec", tooltip="The next codec of the configuration"),
        Binding("o", "open", "open", id="open", tooltip="Open a dataset"),
        Binding("w", "where", "where", id="where", tooltip="Where the run writes"),
        Binding("p", "plan", "plan", id="plan", tooltip="Sizes, repeats, operations"),
        Binding("left_square_bracket", "operation(-1)", "previous operation", show=False, id="operation-back"),
        Binding("right_square_bracket", "operation(1)", "operation", key_display="[ ]", id="operation"),
        Binding("s", "scale", "scale", id="scale", tooltip="Linear or logarithmic"),
        Binding("t", "numbers", "table", id="table", tooltip="Every number instead of the chart"),
        Binding("d", "disk", "disk", id="disk", tooltip="What is on disk"),
        Binding("v", "verdict", "verdict", id="verdict", tooltip="What the medians say"),
        Binding("f", "full", "full", id="full", tooltip="This panel alone"),
        Binding("r", "run", "run", show=False, id="run", tooltip="Run the plan"),
        Binding("plus", "add", "add", show=False, id="add", tooltip="Add a configuration"),
        Binding("minus", "remove", "remove", show=False, id="remove", tooltip="Remove the configuration"),
        Binding("y", "copy", "copy command", show=False, id="copy", tooltip="Copy the command line of this plan"),
        Binding("escape", "back", "back", id="back"),
        Binding("tab", "app.focus_next", "next panel", show=False),
        Binding("shift+tab", "app.focus_previous", "previous panel", show=False),
        *(Binding(str(n), f"panel({n})", f"panel {n}", show=False, id=f"panel-{n}") for n in range(1, 6)),
    ]

    facts: reactive[DatasetFacts | None] = reactive(None)
    opening: reactive[str] = reactive("")
    draft: reactive[Draft] = reactive(first_draft)
    run: reactive[RunState | None] = reactive(None)
    operation: reactive[str] = reactive("store")
    view: reactive[str] = reactive(chart_panel.START, bindings=True)
    log_scale: reactive[bool] = reactive(True)
    place: reactive[Place | None] = reactive(None)
    words: reactive[Content] = reactive(Content)
    jobs: reactive[tuple[JobFacts, ...]] = reactive(())
    folder: reactive[DatasetFacts | None] = reactive(None)
    """The current folder, where it is a dataset."""

    def compose(self) -> ComposeResult:
        yield HeaderLine().data_bind(Workbench.place)
        yield DatasetPanel(classes="panel").data_bind(Workbench.facts, Workbench.opening)
        yield BackendTable(classes="panel").data_bind(Workbench.draft, Workbench.run, Workbench.operation)
        with Horizontal(id="lower"):
            yield ChartPanel(classes="panel").data_bind(
                Workbench.view,
                Workbench.run,
                Workbench.operation,
                Workbench.words,
                Workbench.log_scale,
                Workbench.jobs,
                Workbench.folder,
            )
            yield VerdictPanel(classes="panel").data_bind(Workbench.run)
        yield StatusLine(classes="panel").data_bind(Workbench.run)
        yield FooterLine()
        yield Static(f"too small: {SMALLEST[0]} x {SMALLEST[1]} at least", id="too-small")

    def on_mount(self) -> None:
        self.watch_view()

    def on_resize(self, event: Resize) -> None:
        width, height = event.size
        self.set_class(width >= WIDE and height >= TALL, "-roomy")
        self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-tiny")

    # What the app tells this screen

    def show_dataset(self, facts: DatasetFacts) -> None:
        """A dataset was opened: plan its default sizes."""
        from backends.bench.plan import default_sizes

        self.opening, self.facts, self.run = "", facts, None
        self.draft = replace(self.draft, sizes=default_sizes(facts.count))
        self._propose()

    def show_run(self, plan: Plan, run: RunState) -> None:
        """Another run is on show."""
        self.draft = draft_of(plan)
        self.run = run
        self.operation = plan.operations[0]
        self.view = chart_panel.CHART
        self.query_one(BackendTable).focus()

    def show_words(self, words: Content) -> None:
        """Say something in the chart's place."""
        self.words = words
        self.view = chart_panel.WORDS

    def show_estimate(self, message: messages.PlanWeighed) -> None:
        """Say in one sentence what the plan will do."""
        self.place = message.place
        plan, estimate = message.plan, message.estimate
        verbs = " and ".join(plan.operations).capitalize()
        few, many = f"{plan.sizes[0]:,}", f"{plan.sizes[-1]:,}"
        span = f"{few} to {many}" if len(plan.sizes) > 1 else many
        repeats = f"{plan.repeats} repeats" if plan.repeats > 1 else "once"
        folder = f"{safe_text(message.place.folder)} ({safe_text(message.place.filesystem)})"
        size = units.capacity(estimate.bytes_at_most)
        self.show_words(
            Content.assemble(
                f"{verbs} {span} images, {repeats}. About {units.about(estimate.seconds)}, ",
                f"at most {size} in {folder}, removed afterwards. ",
                ("Enter", "bold"),
                " runs it.",
            )
        )

    # What follows from a change

    def watch_run(self, run: RunState | None) -> None:
        if run is not None and run.dataset is not None:
            self.facts = run.dataset
        phases = {"starting": "staging", "cancelled": "stopped"}
        phase = run.phase if run is not None else "ready"
        if self.is_mounted:
            self.query_one(HeaderLine).phase = phases.get(phase, phase)
        self.refresh_bindings()

    def watch_view(self) -> None:
        if self.is_mounted:
            self.query_one(BackendTable).display = self.view != chart_panel.START or self.facts is not None
            if self.view == chart_panel.START:
                self.query_one(StartList).focus()

    def _propose(self) -> None:
        """Ask what the plan of the draft will take."""
        if self.facts is None:
            return
        self.query_one(BackendTable).focus()
        try:
            self.post_message(messages.WeighPlan(self.draft.plan(self.facts.path), self.facts))
        except ImgstoreError as error:
            self.show_words(Content.styled(safe_text(str(error)), "$error"))

    def _change(self, draft: Draft) -> None:
        self.draft = draft
        self._propose()

    @property
    def busy(self) -> bool:
        """Whether the run on show goes on."""
        return self.run is not None and self.run.alive

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        has_figures = self.run is not None and self.view != chart_panel.START
        editable = self.facts is not None and not self.busy and self.view != chart_panel.START
        match action:
            case "stop":
                return self.busy and self.view != chart_panel.START
            case "pick" | "codec" | "add" | "remove" | "where" | "plan" | "run" | "copy":
                return editable
            case "next_step":
                return bool(self._next_step())
            case "operation" | "numbers" | "disk" | "verdict":
                return has_figures
            case "scale":
                return has_figures and self.view == chart_panel.CHART
            case "full":
                return self.view != chart_panel.START
            case "back":
                return self.view != chart_panel.START
            case "open":
                return not self.busy
        return True

    def describe_action(self, action: str) -> str | None:
        """The footer's word for an action whose meaning depends on the state."""
        if action == "next_step":
            return self._next_step()
        if action == "scale":
            return "linear" if self.log_scale else "log"
        if action == "numbers" and self.view == chart_panel.NUMBERS:
            return "chart"
        if action == "disk" and self.view == chart_panel.DISK:
            return "chart"
        return None

    def _next_step(self) -> str:
        if self.view == chart_panel.START:
            return "choose"
        if self.busy or self.facts is None:
            return ""
        if self.view == chart_panel.WORDS:
            return "run"
        return "next"

    def action_next_step(self) -> None:
        if self.view == chart_panel.START:
            self.query_one(StartList).action_select()
        elif self.view == chart_panel.WORDS:
            self.action_run()
        else:
            self.action_operation(1)

    def action_run(self) -> None:
        if self.facts is not None:
            try:
                self.post_message(messages.StartRun(self.draft.plan(self.facts.path)))
            except ImgstoreError as error:
                self.say(str(error), urgent=True)

    def action_stop(self) -> None:
        self.post_message(messages.StopRun())

    def action_pick(self) -> None:
        self._change(self.draft.toggle(self.query_one(BackendTable).cursor))

    def action_codec(self) -> None:
        try:
            self._change(self.draft.next_codec(self.query_one(BackendTable).cursor))
        except UsageError as error:
            self.say(str(error), urgent=True)

    def action_remove(self) -> None:
        try:
            self._change(self.draft.remove(self.query_one(BackendTable).cursor))
        except UsageError as error:
            self.say(str(error), urgent=True)

    def action_operation(self, step: int) -> None:
        operations = self.run.plan.operations if self.run else self.draft.operations
        place = operations.index(self.operation) if self.operation in operations else 0
        self.operation = operations[(place + step) % len(operations)]

    def action_scale(self) -> None:
        self.log_scale = not self.log_scale
        self.refresh_bindings()

    def action_numbers(self) -> None:
        self.view = chart_panel.CHART if self.view == chart_panel.NUMBERS else chart_panel.NUMBERS

    def action_disk(self) -> None:
        self.view = chart_panel.CHART if self.view == chart_panel.DISK else chart_panel.DISK

    def action_back(self) -> None:
        self.view = chart_panel.START

    def action_copy(self) -> None:
        if self.facts is not None:
            self.app.copy_to_clipboard(command_line(self.draft.plan(self.facts.path)))
            self.say("The command line of this plan is in the clipboard.")

    def action_panel(self, number: int) -> None:
        widgets = (DatasetPanel, BackendTable, StatusLine, ChartPanel, VerdictPanel)
        self.query_one(widgets[number - 1]).focus()

    def say(self, sentence: str, *, urgent: bool = False) -> None:
        """Show a sentence in the status line until the next key that changes something."""
        line = self.query_one(StatusLine)
        line.said, line.urgent = sentence, urgent

    # What widgets tell

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        chosen = event.option.id or ""
        if chosen == "sample":
            self.post_message(messages.OpenDataset("sample"))
        elif chosen == "folder":
            self.post_message(messages.OpenDataset(str(Path.cwd())))
