"""History screen: the list of runs, to filter, open, compare and delete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import DataTable, Input

from backends import units
from backends.runs.history import RunFacts, list_runs, read_run
from tui.screens.dialogs import ChoiceScreen, export_form
from tui.screens.help import TextScreen
from tui.screens.saying import SayingScreen
from tui.tables import comparison_rows
from tui.text import safe_text
from tui.widgets.start import job_words
from tui.widgets.table import Table

COLUMNS = dict.fromkeys(("    state", "dataset", "backends", "images", "started", "result"))
ORDERS: dict[str, Callable[[RunFacts], Any]] = {
    "started": lambda job: -job.started,
    "state": lambda job: job.state,
    "dataset": lambda job: job.dataset.rstrip("/").rpartition("/")[2],
    "backends": lambda job: job.configurations,
    "images": lambda job: -max(job.sizes, default=0),
}
"""What the list can be sorted by; equal ones stay newest first."""


class HistoryScreen(SayingScreen[str | None]):
    """The list of runs, newest first; dismissed with the id of the one to open, or with None."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", key_display="Enter"),
        Binding("escape,H", "back", "back", key_display="Esc"),
        Binding("space", "tick", "tick"),
        Binding("equals_sign,c", "compare", "compare", key_display="="),
        Binding("d,delete", "delete", "delete", key_display="d"),
        Binding("e", "export", "export"),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter", key_display="/"),
    ]

    jobs: reactive[tuple[RunFacts, ...] | None] = reactive(None)
    words: reactive[str] = reactive("")  # what each run that is listed has in it
    ticked: reactive[tuple[str, ...]] = reactive(())  # ids
    order: reactive[str] = reactive("started")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "History"
            yield Table(cell_padding=1)
            yield Input(id="filter", placeholder="filter: words in the dataset, configurations, host or state")
        yield from self.compose_foot()

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False
        for name in ("jobs", "words", "ticked", "order"):
            self.watch(self, name, self._list, init=False)
        self._list()
        self.query_one(Table).focus()
        self._read()

    @work(exit_on_error=False)
    async def _read(self) -> None:
        self.jobs = await asyncio.to_thread(list_runs, self._folder)

    @property
    def listed(self) -> dict[str, RunFacts]:
        """By id: the runs that have every word in them, sorted."""
        matching = [job for job in self.jobs or () if job.matches(self.words)]
        return {job.id: job for job in sorted(matching, key=ORDERS[self.order])}

    @property
    def _here(self) -> RunFacts | None:
        table = self.query_one(Table)
        return self.listed.get(str(list(table.rows)[table.cursor_row].value)) if table.row_count else None

    def _list(self) -> None:
        now, shown, count = time.time(), self.listed, len(self.jobs or ())
        rows = {job.id: self._cells(job, now) for job in shown.values()}
        if not rows:
            text = "reading the history…" if self.jobs is None else "no run matches" if count else "no runs yet"
            rows = {"": [Text(text), *[Text()] * (len(COLUMNS) - 1)]}
        self.query_one(Table).show(COLUMNS, rows, left=len(COLUMNS))
        self.query_one("#filter").display = bool(self.words) or self.query_one(Input).has_focus
        of_all = f"{len(shown)} of " if self.words else ""
        self.query_one(".box").border_subtitle = f"{of_all}{units.count_of(count, 'run')}, by {self.order}"
        self.refresh_bindings()

    def _cells(self, job: RunFacts, now: float) -> list[Text]:
        state = ("[x] " if job.id in self.ticked else "[ ] ") + job.state
        return [Text(text) for text in (state, *job_words(job, now), safe_text(job.headline, 120))]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("open", "tick", "delete", "export", "sort"):
            return bool(self.listed)
        return len(self.ticked) == 2 if action == "compare" else True

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Open the run under the cursor."""
        if self._here:
            self.dismiss(self._here.id)

    def action_back(self) -> None:
        if self.words or self.query_one(Input).has_focus:
            self.words = self.query_one(Input).value = ""
            self.query_one(Table).focus()
            self._list()
        else:
            self.dismiss(None)

    def action_tick(self) -> None:
        if job := self._here:
            others = tuple(name for name in self.ticked if name != job.id)
            self.ticked = others if job.id in self.ticked else (*others, job.id)

    def action_compare(self) -> None:
        first, second = reversed([job.id for job in self.jobs or () if job.id in self.ticked])
        self._compare(first, second)

    @work(exit_on_error=False)
    async def _compare(self, first: str, second: str) -> None:
        from tui.commands import compare

        comparison = await asyncio.to_thread(compare, self._folder, first, second)
        text = Content("\n").join(Content.assemble(*row) for row in comparison_rows(comparison))
        self.app.push_screen(TextScreen(f"{first}, then {second}", text))

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
        try:
            self.say(await asyncio.to_thread(delete_runs, self._folder, names))
        finally:  # some of them may have been deleted
            self._read()

    def action_export(self) -> None:
        """Ask for a file, and write the report of the run under the cursor into it."""
        job = self._here
        if job is not None and job.job == "bench":
            name = (Path(job.dataset).name or "images") + f"-{job.id}.html"
            self.app.push_screen(
                export_form(name, lambda: read_run(self._folder / job.id)), lambda said: self.say(said or "")
            )
        elif job is not None:
            self.say("A conversion has no report: Enter shows it.")

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]

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
        self.query_one(Table).focus()
