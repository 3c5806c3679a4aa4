"""History screen: the list of runs, to filter, open, compare and delete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from backends.runs.compare import RunComparison
from backends.runs.history import RunFacts
from tui import messages
from tui.keys import MOVES
from tui.labels import sentence_of
from tui.screens.dialogs import ChoiceScreen
from tui.tables import comparison_rows
from tui.text import safe_text
from tui.widgets.footer import FooterLine
from tui.widgets.start import job_line


class RunList(OptionList):
    """One run a row, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "open"), *MOVES]


class HistoryScreen(Screen["messages.FollowJob | None"]):
    """The list of runs; dismissed with the message that opens one, or with None."""

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
        selected = rows.highlighted or 0
        options = [Option(self._row(job, now), id=job.id) for job in shown]
        if not options:
            text = "reading the history…" if self.jobs is None else "no runs yet" if not self.jobs else "no run matches"
            options = [Option(Content.styled(text, "$dim"), disabled=True)]
        rows.clear_options().add_options(options)
        if shown:
            rows.highlighted = min(selected, len(shown) - 1)
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

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what could not be done, and make the list anew: some of it may have been."""
        if event.state is WorkerState.ERROR:
            self.say(sentence_of(event.worker.error))
            self.post_message(messages.ListJobs())

    @property
    def _here(self) -> RunFacts | None:
        row, shown = self.query_one(RunList).highlighted, self.listed
        return shown[row] if row is not None and row < len(shown) else None

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
        self._compare(first, second)

    @work(exit_on_error=False)
    async def _compare(self, first: str, second: str) -> None:
        from tui.commands import compare

        comparison = await asyncio.to_thread(compare, self._folder, first, second)
        self.app.push_screen(ComparisonScreen((first, second), comparison))

    def action_delete(self) -> None:
        names = self.ticked or ((self._here.id,) if self._here else ())

        title = f"Delete {f'{len(names)} runs' if len(names) > 1 else f'the run {names[0]}'}?"

        def take(choice: str | None) -> None:
            if choice is not None:
                self._delete(names)

        self.app.push_screen(ChoiceScreen(title, {"d": "delete for good"}), take)

    @work(exit_on_error=False)
    async def _delete(self, names: Sequence[str]) -> None:
        from tui.commands import delete_runs

        self.ticked = ()
        self.say(await asyncio.to_thread(delete_runs, self._folder, names))
        self.post_message(messages.ListJobs())

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


class ComparisonScreen(Screen[None]):
    """Shows two runs beside each other, the older one first."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "dismiss(None)", "back", key_display="Esc"),
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, names: tuple[str, str], comparison: RunComparison) -> None:
        super().__init__()
        self._names = names
        self._comparison = comparison

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="jobs") as box:
            box.border_title = Content(f"{self._names[0]}, then {self._names[1]}")
            yield Static(Content("\n").join(Content.assemble(*row) for row in comparison_rows(self._comparison)))
        yield FooterLine()

    def action_scroll(self, step: int) -> None:
        self.query_one("#jobs").scroll_relative(y=step, animate=False)
