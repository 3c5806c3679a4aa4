"""The app: it owns the runs, asks slow questions in threads, and tells the screens what came back."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.filter import LineFilter
from textual.worker import Worker, WorkerState

from backends.bench.plan import Plan
from backends.datasets.facts import DatasetFacts
from backends.errors import ImgstoreError
from backends.jobs.job import Job, list_jobs, open_job, start_run
from tui import messages
from tui.run_state import RunState, fold
from tui.screens.workbench import Workbench
from tui.text import safe_text
from tui.theme import AsciiGlyphs, NoColours, choose_theme, speaks_unicode, themes


@dataclass(slots=True)
class Followed:
    """A job that this app follows.  ``stop`` ends the following, not the job."""

    job: Job
    state: RunState
    stop: threading.Event


class ImgstoreApp(App[int]):
    """Measure how to keep lots of images."""

    TITLE = "imgstore"
    MODES: ClassVar = {"workbench": Workbench}
    DEFAULT_MODE = "workbench"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "keys", key_display="?", id="help"),
        Binding("q,ctrl+q", "quit", "quit", key_display="q", id="quit"),
        Binding("ctrl+c", "interrupt", "quit at the second press", show=False, priority=True, system=True),
    ]

    def __init__(self, jobs: Path, dataset: str | None = None) -> None:
        environ = dict(os.environ)
        super().__init__()
        self.animation_level = "none"
        self.jobs = jobs
        self._dataset = dataset
        self._runs: dict[str, Followed] = {}
        self._shown = ""
        for theme in themes():
            self.register_theme(theme)
        self.theme = choose_theme(environ)
        self._last_filters: list[LineFilter] = [NoColours()] if self.no_color else []
        if not speaks_unicode(environ):
            self._last_filters.append(AsciiGlyphs())

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), *self._last_filters]

    @property
    def workbench(self) -> Workbench:
        """The screen at the bottom of the stack."""
        screen = self.screen_stack[0]
        assert isinstance(screen, Workbench)
        return screen

    def on_mount(self) -> None:
        if self._dataset is not None:
            self.post_message(messages.OpenDataset(self._dataset))
        else:
            self._ask("folder", self._recognise_folder)
        self._ask("jobs", self._list_jobs)

    # Threads: each asks one slow question and posts the answer

    def _ask(self, group: str, question: object) -> None:
        self.run_worker(question, thread=True, group=group, exit_on_error=False)  # type: ignore[arg-type]

    def _recognise_folder(self) -> None:
        from backends.datasets import open_dataset

        try:
            with open_dataset(Path.cwd(), None) as dataset:
                self.post_message(messages.FolderRecognised(dataset.facts()))
        except ImgstoreError:
            return

    def _list_jobs(self) -> None:
        self.post_message(messages.JobsListed(list_jobs(self.jobs)))

    def _open_dataset(self, path: str) -> None:
        from backends.datasets import open_dataset

        with open_dataset(path, None) as dataset:
            self.post_message(messages.DatasetOpened(dataset.facts()))

    def _weigh(self, plan: Plan, facts: DatasetFacts) -> None:
        from backends.bench.disk import free_bytes, mount_of
        from backends.bench.estimate import estimate

        found = estimate(plan, facts)
        place = messages.Place(str(found.work), mount_of(found.work).filesystem, free_bytes(found.work))
        self.post_message(messages.PlanWeighed(plan, found, place))

    def _start(self, plan: Plan) -> None:
        self.post_message(messages.JobOpened(start_run(plan, self.jobs), plan))

    def _reopen(self, folder: Path, plan: Plan) -> None:
        self.post_message(messages.JobOpened(open_job(folder), plan))

    def _follow(self, job: Job, stop: threading.Event) -> None:
        for event in job.follow(stop):
            self.post_message(messages.message_of(job.id, event))

    # Wishes of the screens

    @on(messages.OpenDataset)
    def open_dataset(self, wish: messages.OpenDataset) -> None:
        self.workbench.opening = wish.path
        self._ask("dataset", partial(self._open_dataset, wish.path))

    @on(messages.WeighPlan)
    def weigh_plan(self, wish: messages.WeighPlan) -> None:
        self._ask("estimate", partial(self._weigh, wish.plan, wish.facts))

    @on(messages.StartRun)
    def start_run(self, wish: messages.StartRun) -> None:
        self._ask("start", partial(self._start, wish.plan))

    @on(messages.FollowJob)
    def follow_job(self, wish: messages.FollowJob) -> None:
        self._ask("start", partial(self._reopen, wish.job.folder, wish.job.plan))

    @on(messages.StopRun)
    def stop_run(self) -> None:
        if self._shown in self._runs:
            self._runs[self._shown].job.cancel()

    # Answers

    @on(messages.JobsListed)
    def show_jobs(self, answer: messages.JobsListed) -> None:
        self.workbench.jobs = answer.jobs

    @on(messages.FolderRecognised)
    def show_folder(self, answer: messages.FolderRecognised) -> None:
        self.workbench.folder = answer.facts

    @on(messages.DatasetOpened)
    def show_dataset(self, answer: messages.DatasetOpened) -> None:
        self.workbench.show_dataset(answer.facts)

    @on(messages.PlanWeighed)
    def show_estimate(self, answer: messages.PlanWeighed) -> None:
        self.workbench.show_estimate(answer)

    @on(messages.JobOpened)
    def follow(self, answer: messages.JobOpened) -> None:
        job = answer.job
        if job.id not in self._runs:
            followed = Followed(job, RunState(answer.plan), threading.Event())
            self._runs[job.id] = followed
            self._ask(job.id, partial(self._follow, job, followed.stop))
        self._shown = job.id
        self.workbench.show_run(answer.plan, self._runs[job.id].state)

    @on(messages.JobEvent)
    def take_event(self, message: messages.JobEvent) -> None:
        followed = self._runs.get(message.job)
        if followed is None:
            return
        followed.state = fold(followed.state, message.event)
        if message.job == self._shown:
            self.workbench.run = followed.state

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What failed in a thread is said where the user looks; the app goes on."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            said = str(error) if isinstance(error, ImgstoreError) else f"unexpected: {type(error).__name__}: {error}"
            self.workbench.opening = ""
            self.workbench.show_words(Content.styled(safe_text(said, 1000), "$error"))

    async def action_quit(self) -> None:
        self.leave(0)

    def leave(self, code: int) -> None:
        """End now: following stops within a tenth of a second, jobs go on."""
        for followed in self._runs.values():
            followed.stop.set()
        self.exit(code, return_code=code)


def run(dataset: str | None, jobs: Path) -> int:
    """Show the terminal UI until the user leaves it.

    Parameters
    ----------
    dataset
        A path, or ``sample``; None for the list to begin with.
    jobs
        The folder of job folders.
    """
    signal.signal(signal.SIGHUP, lambda *_: os._exit(129))
    app = ImgstoreApp(jobs, dataset)
    app.run()
    return app.return_code or 0
