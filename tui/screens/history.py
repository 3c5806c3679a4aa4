"""History screen: the list of runs, to filter, open, compare and delete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from backends import units
from tui import messages
from tui.keys import MOVES
from tui.labels import identify, sentence_of, title
from tui.screens.dialogs import ChoiceScreen
from tui.text import fit, safe_text
from tui.widgets.footer import FooterLine
from tui.widgets.start import job_line
from tui.workers import compare, delete

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from textual.app import ComposeResult

    from backends.analysis.compare import RunComparison
    from backends.runs.history import RunFacts


class RunList(OptionList):
    """One run a row, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "open"), *MOVES]


class HistoryScreen(Screen["messages.FollowJob | None"]):
    """Dismissed with the wish to open a run, or with None."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,H", "back", "back", key_display="Esc"),
        Binding("space", "tick", "tick"),
        Binding("equals_sign,c", "compare", "compare", key_display="="),
        Binding("d,delete", "delete", "delete", key_display="d"),
        Binding("slash", "filter", "filter", key_display="/"),
    ]

    jobs: reactive[tuple[RunFacts, ...] | None] = reactive(None)
    words: reactive[str] = reactive("")
    """What each run that is listed has in it."""
    ticked: reactive[tuple[str, ...]] = reactive(())
    """Ids."""

    class Answered(Message):
        """What a thread found: a sentence, or two runs beside each other."""

        def __init__(self, sentence: str = "", compared: ComparisonScreen | None = None) -> None:
            super().__init__()
            self.sentence = sentence
            self.compared = compared

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        with Vertical(id="jobs") as box:
            box.border_title = "History"
            yield RunList(compact=True, markup=False)
            yield Input(id="filter", placeholder="filter: words in the dataset, configurations, host or state")
        yield Static(id="said", markup=False)
        yield FooterLine()

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        for name in ("jobs", "words", "ticked"):
            self.watch(self, name, self._list, init=False)
        self._list()
        self.query_one(RunList).focus()

    @property
    def listed(self) -> list[RunFacts]:
        """The runs that have every word in them."""
        words = self.words.casefold().split()
        return [job for job in self.jobs or () if all(word in _searched(job) for word in words)]

    def _list(self) -> None:
        now, shown, rows = time.time(), self.listed, self.query_one(RunList)
        place = rows.highlighted or 0
        options = [Option(self._row(job, now), id=job.id) for job in shown]
        if not options:
            said = "reading the history…" if self.jobs is None else "no runs yet" if not self.jobs else "no run matches"
            options = [Option(Content.styled(said, "$dim"), disabled=True)]
        rows.clear_options().add_options(options)
        if shown:
            rows.highlighted = min(place, len(shown) - 1)
        self.query_one("#filter").display = bool(self.words) or self.query_one(Input).has_focus
        box = self.query_one("#jobs")
        of_all = f"{len(shown)} of " if self.words else ""
        box.border_subtitle = f"{of_all}{len(self.jobs or ())} run{'s' * (len(self.jobs or ()) != 1)}"
        self.refresh_bindings()

    def _row(self, job: RunFacts, now: float) -> Content:
        box = "[x] " if job.id in self.ticked else "[ ] "
        row = Content.assemble(box, job_line(job, now), (f"  {safe_text(job.headline, 120)}", "$dim"))
        return row.truncate(max(1, self.size.width - 5), ellipsis=True)

    def on_resize(self) -> None:
        self._list()

    def say(self, sentence: str) -> None:
        """Show what was done, or why not."""
        self.query_one("#said", Static).update(Content(safe_text(sentence, 400)))

    def _ask(self, question: Callable[[], Answered]) -> None:
        def work() -> None:
            self.post_message(question())

        self.run_worker(work, thread=True, group="history", exit_on_error=False)

    @on(Answered)
    def take(self, answer: Answered) -> None:
        """Show it; what was deleted is listed no more."""
        if answer.compared is not None:
            self.app.push_screen(answer.compared)
        else:
            self.say(answer.sentence)
            self.post_message(messages.ListJobs())

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What could not be done is said here, and the list is made anew: some of it may have been."""
        if event.state is WorkerState.ERROR:
            self.take(self.Answered(sentence_of(event.worker.error)))

    @property
    def _here(self) -> RunFacts | None:
        place, shown = self.query_one(RunList).highlighted, self.listed
        return shown[place] if place is not None and place < len(shown) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("tick", "delete"):
            return bool(self.listed)
        return len(self.ticked) == 2 if action == "compare" else True

    @on(OptionList.OptionSelected)
    def choose(self) -> None:
        """Open the run under the cursor."""
        self.dismiss(messages.FollowJob(self._here) if self._here else None)

    def action_back(self) -> None:
        if self.words or self.query_one(Input).has_focus:
            self.words = self.query_one(Input).value = ""
            self.query_one(RunList).focus()
            self._list()
        else:
            self.dismiss(None)

    def action_tick(self) -> None:
        job = self._here
        if job is not None:
            known = job.id in self.ticked
            self.ticked = tuple(one for one in self.ticked if one != job.id) if known else (*self.ticked, job.id)

    def action_compare(self) -> None:
        first, second = sorted(self.ticked, key=lambda name: next(j.started for j in self.jobs or () if j.id == name))
        self._ask(
            lambda: self.Answered(compared=ComparisonScreen((first, second), compare(self._folder, first, second)))
        )

    def action_delete(self) -> None:
        names = self.ticked or ((self._here.id,) if self._here else ())

        def take(answer: str | None) -> None:
            if answer is not None:
                self.ticked = ()
                self._ask(lambda: self.Answered(delete(self._folder, names)))

        what = f"{len(names)} runs" if len(names) > 1 else f"the run {names[0]}"
        self.app.push_screen(ChoiceScreen(f"Delete {what}?", {"d": "delete for good"}), take)

    def action_filter(self) -> None:
        field = self.query_one(Input)
        field.display = True
        field.focus()

    @on(Input.Changed)
    def look_for(self, event: Input.Changed) -> None:
        """List what has the words so far."""
        self.words = event.value

    @on(Input.Submitted)
    def take_words(self) -> None:
        """Go back to the list, which stays filtered."""
        self.query_one(RunList).focus()


def _searched(job: RunFacts) -> str:
    return "\n".join((job.id, job.state, job.dataset, job.kind, job.host, *job.configurations)).casefold()


_JUDGED = {"unsure": "too few repeats", "faster": "second is faster", "slower": "second is slower"}


class ComparisonScreen(Screen[None]):
    """The older run first."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss(None)", "back", key_display="Esc"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, names: tuple[str, str], found: RunComparison) -> None:
        super().__init__()
        self._names = names
        self._found = found

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="jobs") as box:
            box.border_title = Content(f"{self._names[0]}, then {self._names[1]}")
            yield Static(Content("\n").join(comparison_rows(self._found)))
        yield FooterLine()

    def action_scroll(self, step: int) -> None:
        self.query_one("#jobs").scroll_relative(y=step, animate=False)


def comparison_rows(found: RunComparison) -> list[Content]:
    """A block for each aspect and size, then what differs around the runs."""
    series = identify(dict.fromkeys(one.configuration for one in found.cells))
    names = max([26, *(cell_len(safe_text(name, 40)) for name in series)])
    how = "repeats are paired" if found.same_plan else "the plans differ: repeats are not paired, nothing is judged"
    rows = [Content.styled(f"Medians; {how}.", "$dim")]
    rows += [Content.styled(safe_text(one, 500), "$dim") for one in found.differences]
    if found.missing:
        rows.append(Content.styled(f"{found.missing:,} figures are in one of the two only.", "$dim"))
    if not found.cells:
        return [*rows, Content("They have no figure in common.")]
    rows.append(Content.styled(" " * (names + 2) + f"{'first':>10}{'second':>10}{'ratio':>8}", "$dim"))
    block: object = None
    for one in found.cells:
        if block != (one.aspect, one.count):
            block = one.aspect, one.count
            images = f"{one.count:,} image{'' if one.count == 1 else 's'}"
            rows += [Content(""), Content.assemble((title(one.aspect), "bold"), (f", {images}", "$dim"))]
        known, outcome = series[one.configuration], one.paired.outcome if one.paired else ""
        rows.append(
            Content.assemble(
                (known.mark, known.role),
                f" {fit(safe_text(one.configuration, 40), names)}",
                f"{units.seconds(one.first):>10}{units.seconds(one.second):>10}",
                (f"{one.ratio:>7.2f}x", "" if outcome in ("", "tie") else "bold"),
                (f"  {_JUDGED.get(outcome, outcome)}", "$dim"),
            )
        )
    return rows
