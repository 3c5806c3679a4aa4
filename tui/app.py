"""The app: it owns the runs, reads datasets and the history in threads, and gives the screens what was read."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState, get_current_worker

from backends.datasets.base import AS_FOUND, Reading
from backends.errors import MachineBusy, UnclearLayout
from tui import messages, workers
from tui.draft import first_draft
from tui.following import Followed, Threads, end_process, state_of, stop_job
from tui.labels import sentence_of
from tui.screens.workbench import Workbench
from tui.settings import Settings
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
from tui.widgets.footer import active_hints, key_name

if TYPE_CHECKING:
    from textual.command import Provider

    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.conversion import Conversion, ConversionSpec
    from backends.runs.events import Event
    from backends.runs.job import Job
    from backends.runs.run import Run
    from tui.screens.convert import ConvertScreen

PRESENT_SECONDS = 0.1
"""How long events of a run are gathered before the screen changes: it must not disturb what is measured."""

LONG_SECONDS = 10.0
"""A run that took longer rings at its end."""

SECOND_PRESS = 5.0
"""Seconds within which a second ctrl+c leaves."""


def _commands() -> type[Provider]:
    from tui.screens.help import Commands  # not before the first paint

    return Commands


class ImgstoreApp(App[int]):
    """Measure how to keep lots of images."""

    TITLE = "imgstore"
    COMMANDS: ClassVar = {_commands}
    CSS_PATH: ClassVar = ["app.tcss", "screens/workbench.tcss"]  # read once, before the first paint
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("H", "history", "history", id="history", tooltip="History"),
        Binding("colon,ctrl+p", "command_palette", "palette", show=False, key_display=":", tooltip="Commands by name"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="help", tooltip="Help"),
        Binding("q,ctrl+q", "quit", "quit", key_display="q", id="quit", tooltip="Quit"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, system=True),
        Binding("ctrl+c", "interrupt", "Twice: leave at once", show=False, priority=True, system=True),
    ]

    def __init__(self, jobs: Path, dataset: str | None = None, settings: Settings | None = None) -> None:
        environ = dict(os.environ)
        super().__init__()
        self.animation_level = "none"
        self.jobs = jobs
        self.settings = settings or Settings()
        self._dataset = dataset
        self.runs: dict[str, Followed] = {}  # by the id of the job, or the path of the saved run
        self.shown = ""  # the id of the run on show
        self.converting = ""  # the id of the conversion that was shown last
        self.convert_screen: ConvertScreen | None = None
        self._presenting = False
        self._interrupted = -SECOND_PRESS
        self._leaving = False
        for theme in themes():
            self.register_theme(theme)
        self.theme = {"dark": DARK, "light": LIGHT, "16": SIXTEEN}.get(self.settings.theme) or choose_theme(environ)
        self._last_filters: list[LineFilter] = [NoColours()] if self.no_color else []
        if self.settings.markers == "ascii" or (self.settings.markers == "auto" and not speaks_unicode(environ)):
            self._last_filters.append(AsciiGlyphs())

    def get_default_screen(self) -> Workbench:
        self.workbench = Workbench()
        if self.settings.plan:
            self.workbench.set_reactive(Workbench.draft, first_draft(self.settings.plan))
        return self.workbench

    def get_line_filters(self) -> list[LineFilter]:
        return [*super().get_line_filters(), *self._last_filters]

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads())
        if not self.is_headless:
            loop.add_signal_handler(signal.SIGTERM, self.leave, 143)
            loop.add_signal_handler(signal.SIGINT, self.leave, 130)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))  # Textual may show what was there
        self.workbench.opening = self._dataset or ""  # before any key is taken
        self.call_after_refresh(self._look_around)  # what threads import would delay the first paint

    def _look_around(self) -> None:
        gc.freeze()
        gc.enable()
        if self.settings.problem:
            self.workbench.say(self.settings.problem, urgent=True)
        if self._dataset is None:
            self._recognise_folder()
        elif self.workbench.opening:
            self._open(self._dataset)
        self.action_list_jobs()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show why a worker failed; the app goes on.  A run whose worker was cancelled is stopping."""
        group = event.worker.group
        if group in self.runs:
            followed = self.runs[group]
            if event.state is WorkerState.CANCELLED and not followed.stop.is_set():
                followed.run = replace(followed.run, stopping=followed.run.alive)
                self._present()
                self.workbench.refresh_bindings()
        elif event.state is WorkerState.ERROR:
            sentence = sentence_of(event.worker.error)
            if group in ("folder", "jobs"):
                self.workbench.say(sentence, urgent=True)
            elif isinstance(event.worker.error, UnclearLayout):
                self.workbench.ask_reading(event.worker.error.choices)
            else:
                self.workbench.show_error(sentence)

    # Datasets, plans and the history are read in threads, for disks may take their time

    @on(messages.OpenDataset)
    def open_dataset(self, message: messages.OpenDataset) -> None:
        self.workbench.opening, self.workbench.found = message.path, 0
        self._open(message.path, message.how)

    @work(group="dataset", exclusive=True, exit_on_error=False)
    async def _open(self, path: str, how: Reading = AS_FOUND) -> None:
        from backends.runs.saved import is_saved_run, load_run

        if await asyncio.to_thread(is_saved_run, Path(path)):
            self._show_job(Followed(path, await asyncio.to_thread(load_run, Path(path))))
            return
        show = self.workbench.show_dataset
        async for facts in self._read_facts(path, how):
            show(facts)
            show = self.workbench.show_survey

    @on(messages.Listed)
    def count_pictures(self, message: messages.Listed) -> None:
        self.workbench.found = message.found

    def action_stop_opening(self) -> None:
        """Stop reading the dataset that is being opened."""
        self.workers.cancel_group(self, "dataset")
        self.workbench.opening = ""

    async def _read_facts(self, path: str, how: Reading) -> AsyncIterator[DatasetFacts]:
        """The facts of a dataset, each read in a thread, until the worker is cancelled."""
        from backends.runs.events import listing

        worker = get_current_worker()
        poll = listing(lambda event: self.post_message(messages.Listed(event.found)), lambda: worker.is_cancelled)
        reading = await asyncio.to_thread(workers.read_facts, path, how, poll)
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

    @work(group="jobs", exit_on_error=False)
    async def action_list_jobs(self) -> None:
        """Read the history again for the start list."""
        from backends.runs.history import list_runs

        self.workbench.jobs = await asyncio.to_thread(list_runs, self.jobs)

    @on(messages.Copy)
    def copy(self, message: messages.Copy) -> None:
        """Copy a text by the terminal, and into a file for terminals that do not copy; say so."""
        self.copy_to_clipboard(message.text)
        path, where = self.jobs.parent / "copied.txt", ""
        with suppress(OSError):
            path.write_text(message.text + "\n")
            where = f", also to {path}"
        getattr(self.screen, "say", self.workbench.say)(f"Copied{where}: {message.text}")

    # Runs and conversions

    @on(messages.StartJob)
    def start_job(self, message: messages.StartJob) -> None:
        """Start a job, unless one is being started; ask first where one is going on: each would slow the other."""
        if not any(worker.group == "start" and not worker.is_finished for worker in self.workers):
            self._start(message.spec, message.wait)

    @work(group="start", exit_on_error=False)
    async def _start(self, spec: Plan | ConversionSpec, wait: bool) -> None:
        from backends.runs.job import start_job

        try:
            self.follow(await asyncio.to_thread(start_job, spec, self.jobs, wait=wait))
        except MachineBusy as busy:
            self._ask_what_first(spec, busy)

    def _ask_what_first(self, spec: Plan | ConversionSpec, busy: MachineBusy) -> None:
        from tui.screens.dialogs import busy_question

        def take(choice: str | None) -> None:
            if choice == "w":
                self.post_message(messages.FollowJob(busy.job))
            elif choice is not None:
                if choice == "s":
                    self.run_worker(partial(stop_job, self.jobs / busy.job), thread=True, exit_on_error=False)
                self.post_message(messages.StartJob(spec, wait=True))

        self.push_screen(busy_question(busy.words), take)

    @on(messages.FollowJob)
    @work(group="start", exit_on_error=False)
    async def follow_job(self, message: messages.FollowJob) -> None:
        from backends.runs.job import open_job

        followed = self.runs.get(message.job)
        if followed is not None:
            self._show_job(followed)
        else:
            self.follow(await asyncio.to_thread(open_job, self.jobs / message.job))

    def action_stop_run(self) -> None:
        """Cancel the run on show; what has finished stays."""
        self.workers.cancel_group(self, self.shown)

    @property
    def alive(self) -> list[Followed]:
        """The runs and conversions that go on."""
        return [followed for followed in self.runs.values() if followed.run.alive]

    def follow(self, job: Job) -> None:
        """Show a job and follow it to its end, in a worker of its own."""
        followed = self.runs.get(job.id)
        if followed is None:
            followed = Followed(job.id, state_of(job), job)
            self.run_worker(partial(self._perform, followed, job), thread=True, group=job.id, exit_on_error=False)
        self._show_job(followed)

    def _show_job(self, followed: Followed) -> None:
        from backends.runs.run import Run

        self.runs[followed.id] = followed
        if isinstance(followed.run, Run):
            if self.convert_screen is not None:
                self.convert_screen.dismiss(None)
            self.shown = followed.id
            self.workbench.opening = ""
            self.workbench.show_run(followed.run)
        else:
            self.converting = followed.id
            self._open_convert_screen(followed.run.spec, followed.run)

    def _open_convert_screen(self, spec: ConversionSpec, state: Conversion | None) -> None:
        """Show a conversion, or with no state what one would take, on the Convert screen that is open or a new one."""
        from tui.screens.convert import ConvertScreen

        def close(_: None) -> None:
            self.convert_screen = None
            self.action_list_jobs()

        if self.convert_screen is None:
            self.convert_screen = ConvertScreen(spec, self.workbench.facts, state)
            self.push_screen(self.convert_screen, close)
        self.convert_screen.spec, self.convert_screen.conversion = spec, state
        self.workbench.conversion = state or self.workbench.conversion

    def action_convert(self) -> None:
        """Show the conversion that is going on, else what one of the open dataset takes."""
        followed = self.runs.get(self.converting)
        if followed is not None and followed.run.alive:
            self._show_job(followed)
        elif self.workbench.facts is not None:
            self._offer_conversion(self.workbench.facts)

    @work(group="convert", exclusive=True, exit_on_error=False)
    async def _offer_conversion(self, facts: DatasetFacts) -> None:
        bench = self.workbench
        work = bench.place.folder if bench.place else ""
        spec = await asyncio.to_thread(workers.first_conversion, facts, bench.to_convert, work)
        self._open_convert_screen(spec, None)

    @work(group="failures", exclusive=True, exit_on_error=False)
    async def action_failures(self) -> None:
        """Show what failed in the run on show, where, why, and the end of its log."""
        from backends.runs.folder import last_log_lines
        from tui.labels import failure_rows
        from tui.screens.help import TextScreen

        run, job = self.workbench.run, self.runs[self.shown].job
        if run is not None:
            log = await asyncio.to_thread(last_log_lines, job.folder) if job is not None else ""
            text = Content("\n").join(failure_rows(run, log))
            self.workbench.explained = (run,)
            self.push_screen(TextScreen("Why it failed", text))

    def action_stop_conversion(self) -> None:
        """Cancel the conversion on show; what is durable stays."""
        self.workers.cancel_group(self, self.converting)

    def action_pause_conversion(self) -> None:
        """Let the conversion on show wait, or go on."""
        job, state = self.runs[self.converting].job, self.workbench.conversion
        if job is not None and state is not None:
            job.pause(not state.is_paused)

    def _perform(self, followed: Followed, job: Job) -> None:
        from backends.runs.folder import LOG

        worker = get_current_worker()

        def post(event: Event) -> None:
            self.post_message(messages.RunEvent(job.id, event))

        with output_to(job.folder / LOG) if job.here and not self.is_headless else nullcontext():
            followed.perform(job, post, worker)

    @on(messages.RunEvent)
    def take_event(self, message: messages.RunEvent) -> None:
        followed = self.runs[message.run]
        followed.run = followed.run.after(message.event)
        if not followed.run.alive:
            self._ring(followed.run)
            if self._leaving and not self.alive:
                self.leave(0)
        if message.run in (self.shown, self.converting) and not self._presenting:
            self._presenting = True
            self.set_timer(PRESENT_SECONDS, self._present)

    def _ring(self, run: Run | Conversion) -> None:
        """Call for whoever looks elsewhere: a job that took long has ended, just now."""
        if run.seconds > LONG_SECONDS and time.time() - run.now < LONG_SECONDS:
            if self.settings.bell:
                self.bell()
            set_title(self, f"imgstore: {run.phase}")

    def _present(self) -> None:
        """Show the latest state: many events, one change of the screen."""
        self._presenting = False
        from backends.runs.run import Run

        for followed in (self.runs.get(self.shown), self.runs.get(self.converting)):
            if followed is None or not self.screen_stack:
                continue
            if not isinstance(followed.run, Run):
                self.workbench.conversion = followed.run
                if self.convert_screen is not None and self.convert_screen.conversion is not None:
                    self.convert_screen.conversion = followed.run
            elif self.workbench.run is not None:
                self.workbench.run = followed.run

    # Keys

    def action_history(self) -> None:
        """Show the history of runs."""
        from tui.screens.history import HistoryScreen

        def take(chosen: str | None) -> None:
            self.action_list_jobs()
            if chosen is not None:
                self.post_message(messages.FollowJob(chosen))

        self.push_screen(HistoryScreen(self.jobs), take)

    def action_help(self) -> None:
        """Show every key."""
        from tui.screens.help import TextScreen, help_text

        self.push_screen(TextScreen("Help", partial(help_text, [*self.screen.BINDINGS, *self.BINDINGS])))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        first = list(getattr(screen, "footer_actions", ()))
        for hint in sorted(
            active_hints(screen), key=lambda hint: [*first, hint.binding.action].index(hint.binding.action)
        ):
            if hint.binding.id:
                run = partial(self.run_action, hint.binding.action, hint.node)
                yield SystemCommand(f"{key_name(hint.binding)}  {hint.word}", hint.binding.tooltip, run)
        facts = self.workbench.facts
        if facts is not None and (facts.left_out or facts.undecodable):
            yield SystemCommand(
                "left out", "List the files of the dataset that are left out, and why", self.list_left_out
            )
        for name in (DARK, LIGHT, SIXTEEN):
            yield SystemCommand(f"theme {name}", "Change the colours", partial(setattr, self, "theme", name))

    @work(group="left out", exclusive=True, exit_on_error=False)
    async def list_left_out(self) -> None:
        """Show the files of the dataset that are passed over or do not decode."""
        from tui.screens.help import TextScreen

        if self.workbench.facts is not None:
            text = Content(await asyncio.to_thread(workers.left_out, self.workbench.facts))
            self.push_screen(TextScreen("Left out", text))

    async def action_quit(self) -> None:
        """Quit; ask first while a run is going on."""
        from tui.screens.dialogs import ChoiceScreen, quit_question

        if not self.alive:
            self.leave(0)
        elif not isinstance(self.screen, ChoiceScreen):
            here = any(followed.here for followed in self.alive)
            self.push_screen(quit_question(self.alive[0].kind, can_go_on=not here), self._quit_as)

    def _quit_as(self, choice: str | None) -> None:
        if choice == "s" and self.alive:
            self._leaving = True
            self.workbench.say("Stopping; the program ends when that is done. ctrl+c twice ends it at once.")
            for followed in self.alive:
                self.workers.cancel_group(self, followed.id)
        elif choice is not None:
            self.leave(0)

    def action_interrupt(self) -> None:
        """Leave at the second press within some seconds; runs in processes of their own go on."""
        now = time.monotonic()
        if now - self._interrupted < SECOND_PRESS:
            self.leave(0)
        self._interrupted = now
        here = any(followed.here for followed in self.alive)
        after = "it ends the run too" if here else "a run continues in the background"
        self.workbench.say(f"Press ctrl+c again to quit; {after}.")

    def leave(self, code: int) -> None:
        """End now: following stops within a tenth of a second, jobs in processes of their own go on."""
        for followed in self.runs.values():
            followed.stop.set()
        self.exit(code, return_code=code)


def run(dataset: str | None, jobs: Path, settings: Settings) -> int:
    """Show the terminal UI until the user leaves it, with ``dataset`` open or, for None, with the start list."""
    signal.signal(signal.SIGHUP, lambda *_: os._exit(129))
    with own_terminal():
        app = ImgstoreApp(jobs, dataset, settings)
        app.run()
    return end_process(app.return_code or 0)
