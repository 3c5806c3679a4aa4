"""The app: it owns the runs, reads datasets and the history in threads, and gives the screens what was read."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState, get_current_worker

from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from backends.runs import events
from backends.runs.folder import LOG
from backends.runs.job import Job
from backends.runs.run import Run
from tui import messages, workers
from tui.labels import sentence_of
from tui.screens.dialogs import ChoiceScreen, beside_question, quit_question
from tui.screens.history import HistoryScreen
from tui.screens.workbench import Workbench
from tui.theme import (
    DARK,
    LIGHT,
    SIXTEEN,
    AsciiGlyphs,
    NoColours,
    choose_theme,
    output_to,
    own_terminal,
    set_title,
    speaks_unicode,
    themes,
)
from tui.widgets.footer import commands
from tui.workers import Followed, Runs, Threads, end_process

PRESENT_SECONDS = 0.1
"""How long events of a run are gathered before the screen changes: it must not disturb what is measured."""

LONG_SECONDS = 10.0
"""A run that took longer rings at its end."""

SECOND_PRESS = 5.0
"""Seconds within which a second ctrl+c leaves."""


class ImgstoreApp(App[int]):
    """Measure how to keep lots of images."""

    TITLE = "imgstore"
    CSS_PATH = "app.tcss"
    MODES: ClassVar = {"workbench": Workbench}
    DEFAULT_MODE = "workbench"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("H", "history", "history", id="history", tooltip="History"),
        Binding("colon,ctrl+p", "command_palette", "palette", show=False, key_display=":", tooltip="Commands by name"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="help", tooltip="Help"),
        Binding("q,ctrl+q", "quit", "quit", key_display="q", id="quit", tooltip="Quit"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, system=True),
        Binding("ctrl+c", "interrupt", "Twice: leave at once", show=False, priority=True, system=True),
    ]

    def __init__(self, jobs: Path, dataset: str | None = None) -> None:
        environ = dict(os.environ)
        super().__init__()
        self.animation_level = "none"
        self.jobs = jobs
        self._dataset = dataset
        self.runs = Runs()
        self._presenting = False
        self._interrupted = -SECOND_PRESS
        self._leaving = False
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
        self.workbench.read_result = self.runs.on_show
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads())
        if not self.is_headless:
            loop.add_signal_handler(signal.SIGTERM, self.leave, 143)
            loop.add_signal_handler(signal.SIGINT, self.leave, 130)
        if self._dataset is not None:
            self.open_dataset(messages.OpenDataset(self._dataset))  # before any key is taken
        else:
            self._recognise_folder()
        self.list_jobs()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show why a worker failed; the app goes on.  A run whose worker was cancelled is stopping."""
        group = event.worker.group
        if group in self.runs:
            if event.state is WorkerState.CANCELLED and not self.runs[group].stop.is_set():
                self.runs.stopping(group)
                self._present()
                self.workbench.refresh_bindings()
        elif event.state is WorkerState.ERROR:
            sentence = sentence_of(event.worker.error)
            if group in ("folder", "jobs", "survey"):
                self.workbench.say(sentence, urgent=True)
            else:
                self.workbench.show_error(sentence)

    # Datasets, plans and the history are read in threads, for disks may take their time

    @on(messages.OpenDataset)
    def open_dataset(self, message: messages.OpenDataset) -> None:
        self.workbench.opening = message.path
        self._open(message.path)

    @work(group="dataset", exclusive=True, exit_on_error=False)
    async def _open(self, path: str) -> None:
        saved = await asyncio.to_thread(workers.saved_run, path)
        if saved is not None:
            self._show_run(self.runs.add(Followed(path, saved)))
            return
        show = self.workbench.show_dataset
        async for facts in self._read_facts(path):
            show(facts)
            show = self.workbench.show_survey

    @on(messages.StopOpening)
    def stop_opening(self) -> None:
        self.workers.cancel_group(self, "dataset")
        self.workbench.opening = ""

    @on(messages.SurveyDataset)
    @work(group="survey", exit_on_error=False)
    async def survey_dataset(self, message: messages.SurveyDataset) -> None:
        async for facts in self._read_facts(message.path):
            self.workbench.show_survey(facts)

    async def _read_facts(self, path: str) -> AsyncIterator[DatasetFacts]:
        """The facts of a dataset, each read in a thread, until the worker is cancelled."""
        worker = get_current_worker()
        reading = await asyncio.to_thread(workers.read_facts, path, lambda: worker.is_cancelled)
        while (facts := await asyncio.to_thread(next, reading, None)) is not None:
            yield facts

    @work(group="folder", exit_on_error=False)
    async def _recognise_folder(self) -> None:
        self.workbench.folder = await asyncio.to_thread(workers.facts_of_current_folder)

    @on(messages.EstimatePlan)
    @work(group="estimate", exit_on_error=False)
    async def estimate_plan(self, message: messages.EstimatePlan) -> None:
        estimate, place = await asyncio.to_thread(workers.weigh, message.plan, message.facts)
        self.workbench.show_estimate(message.plan, estimate, place)

    @on(messages.ListJobs)
    @work(group="jobs", exit_on_error=False)
    async def list_jobs(self) -> None:
        jobs = await asyncio.to_thread(workers.read_history, self.jobs)
        self.workbench.jobs = jobs
        for screen in self.screen_stack:
            if isinstance(screen, HistoryScreen):
                screen.jobs = jobs

    # Runs

    @on(messages.StartRun)
    def start_run(self, message: messages.StartRun) -> None:
        """Start a run, unless one is being started; ask first where one is going on: each would slow the other."""
        if any(worker.group == "start" and not worker.is_finished for worker in self.workers):
            return
        going_on = next(self.runs.alive(), None)
        if going_on is not None and not message.beside:
            self._ask_beside(message.plan, partial(self._show_run, going_on))
        else:
            self._start(message.plan, message.beside)

    @work(group="start", exit_on_error=False)
    async def _start(self, plan: Plan, beside: bool) -> None:
        other = None if beside else await asyncio.to_thread(workers.run_on_this_machine, self.jobs)
        if other is not None:
            self._ask_beside(plan, partial(self.follow_job, messages.FollowJob(other)))
        else:
            self.follow(await asyncio.to_thread(workers.start, plan, self.jobs), plan)

    def _ask_beside(self, plan: Plan, watch: Callable[[], object]) -> None:
        def take(choice: str | None) -> None:
            if choice == "w":
                watch()
            elif choice == "s":
                self.post_message(messages.StartRun(plan, beside=True))

        self.push_screen(beside_question(), take)

    @on(messages.FollowJob)
    def follow_job(self, message: messages.FollowJob) -> None:
        followed = self.runs.get(message.job.id)
        if followed is not None:
            self._show_run(followed)
        else:
            self._reopen(self.jobs / message.job.id)

    @work(group="start", exit_on_error=False)
    async def _reopen(self, folder: Path) -> None:
        self.follow(*await asyncio.to_thread(workers.reopen, folder))

    @on(messages.StopRun)
    def stop_run(self) -> None:
        self.workers.cancel_group(self, self.runs.shown)

    def follow(self, job: Job, plan: Plan) -> None:
        """Show a run and follow it to its end, in a worker of its own."""
        followed = self.runs.get(job.id)
        if followed is None:
            followed = self.runs.add(Followed(job.id, Run(plan), job))
            work = partial(self._perform, job, followed.stop)
            self.run_worker(work, thread=True, group=job.id, exit_on_error=False)
        self._show_run(followed)

    def _show_run(self, followed: Followed) -> None:
        self.runs.shown = followed.id
        self.workbench.opening = ""
        self.workbench.show_run(followed.run.plan, followed.run)

    def _perform(self, job: Job, stop: threading.Event) -> None:
        """Execute or follow a run in its thread, and post its events; ends when the run ends."""
        worker = get_current_worker()

        def post(event: events.Event) -> None:
            self.post_message(messages.RunEvent(job.id, event))

        log = job.folder / LOG if job.here and not self.is_headless else None
        try:
            with output_to(log) if log else nullcontext():
                job.run(post, lambda: worker.is_cancelled, stop.is_set)
        except Exception as error:  # Textual says nothing of what a cancelled worker raises
            post(events.JobFailed(time.time(), sentence_of(error)))
            raise

    @on(messages.RunEvent)
    def take_event(self, message: messages.RunEvent) -> None:
        followed = self.runs.take(message)
        if followed is None:
            return
        if isinstance(message.event, events.RunFinished | events.JobFailed):
            self._ring(followed.run)
            if self._leaving and not any(self.runs.alive()):
                self.leave(0)
        if message.run == self.runs.shown and not self._presenting:
            self._presenting = True
            self.set_timer(PRESENT_SECONDS, self._present)

    def _ring(self, run: Run) -> None:
        """Call for whoever looks elsewhere: a run that took long has ended, just now."""
        if run.seconds > LONG_SECONDS and time.time() - run.now < LONG_SECONDS:
            self.bell()
            set_title(self, f"imgstore: {run.phase}")

    def _present(self) -> None:
        """Show the latest state: many events, one change of the screen."""
        self._presenting = False
        if self.screen_stack and self.runs.shown in self.runs and self.workbench.run is not None:
            self.workbench.run = self.runs[self.runs.shown].run

    # Keys

    def action_history(self) -> None:
        """Show the history of runs."""
        self.push_screen(HistoryScreen(self.jobs), lambda chosen: self.follow_job(chosen) if chosen else None)
        self.list_jobs()

    def action_help(self) -> None:
        """Show every key."""
        from tui.screens.help import HelpScreen, key_rows

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(key_rows([*Workbench.BINDINGS, *self.BINDINGS])))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for hint in commands(screen):
            run = partial(self.run_action, hint.action, hint.node)
            yield SystemCommand(f"{hint.key}  {hint.word}", hint.tooltip, run)
        for name in (DARK, LIGHT, SIXTEEN):
            yield SystemCommand(f"theme {name}", "Change the colours", partial(setattr, self, "theme", name))

    async def action_quit(self) -> None:
        """Quit; ask first while a run is going on."""
        if not any(self.runs.alive()):
            self.leave(0)
        elif not isinstance(self.screen, ChoiceScreen):
            self.push_screen(quit_question(can_go_on=not self.runs.alive_here()), self._quit_as)

    def _quit_as(self, choice: str | None) -> None:
        alive = [followed.id for followed in self.runs.alive()]
        if choice == "s" and alive:
            self._leaving = True
            self.workbench.say("Stopping; the program ends when that is done. ctrl+c twice ends it at once.")
            for run in alive:
                self.workers.cancel_group(self, run)
        elif choice is not None:
            self.leave(0)

    def action_interrupt(self) -> None:
        """Leave at the second press within some seconds; runs in processes of their own go on."""
        now = time.monotonic()
        if now - self._interrupted < SECOND_PRESS:
            self.leave(0)
        self._interrupted = now
        after = "it ends the run too" if self.runs.alive_here() else "a run continues in the background"
        self.workbench.say(f"Press ctrl+c again to quit; {after}.")

    def leave(self, code: int) -> None:
        """End now: following stops within a tenth of a second, jobs in processes of their own go on."""
        for followed in self.runs.values():
            followed.stop.set()
        self.exit(code, return_code=code)


def run(dataset: str | None, jobs: Path) -> int:
    """Show the terminal UI until the user leaves it, with ``dataset`` open or, for None, with the start list."""
    signal.signal(signal.SIGHUP, lambda *_: os._exit(129))
    with own_terminal():
        app = ImgstoreApp(jobs, dataset)
        app.run()
    return end_process(app.return_code or 0)
