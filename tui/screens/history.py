"""Every run there was: replay one, or go on following one that still runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.keys import MOVES
from tui.widgets.footer_line import FooterLine
from tui.widgets.start_list import job_line

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from backends.jobs.job import JobFacts


class JobList(OptionList):
    """One row a job, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "open"), *MOVES]


class HistoryScreen(Screen["JobFacts | None"]):
    """Dismissed with the job to open, or with None."""

    CSS_PATH = "history.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,H", "dismiss(None)", "back", key_display="Esc")]

    jobs: reactive[tuple[JobFacts, ...] | None] = reactive(None)

    def compose(self) -> ComposeResult:
        with Vertical(id="jobs") as box:
            box.border_title = "History"
            yield JobList(compact=True, markup=False)
        yield FooterLine()

    def watch_jobs(self) -> None:
        if not self.is_mounted:
            return
        jobs = self.jobs or ()
        now = time.time()
        options = [Option(job_line(job, now), id=job.id) for job in jobs]
        if not options:
            said = "no runs yet" if self.jobs is not None else "looking…"
            options = [Option(Content.styled(said, "$dim"), disabled=True)]
        listed = self.query_one(JobList)
        place = listed.highlighted or 0
        listed.clear_options().add_options(options)
        if jobs:
            listed.highlighted = min(place, len(jobs) - 1)
        self.query_one("#jobs").border_subtitle = f"{len(jobs)} runs" if jobs else ""

    def on_mount(self) -> None:
        self.watch_jobs()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Open the job under the cursor."""
        self.dismiss(next((job for job in self.jobs or () if job.id == event.option.id), None))
