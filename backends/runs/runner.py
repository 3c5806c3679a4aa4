"""The body of a run: open the dataset, check space, stage, execute every trial, remove what was made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from backends.bench.budget import Pace, RunFolders, choose_folders, fit_to_memory
from backends.bench.configuration import SOURCE
from backends.bench.disk import mount_of
from backends.bench.epoch import interpreter, require_modules
from backends.bench.machine import ConditionsWatch, describe_environment, granted_cores
from backends.bench.measurement import EPOCH, STORE_FAILED, Measurement, Trial
from backends.bench.operations import Loading, Task
from backends.bench.plan import Plan, check_plan
from backends.bench.process import Trials, run_in_thread
from backends.bench.schedule import configurations, trials
from backends.bench.staging import Source, Wanted, stage
from backends.bench.trial import blank
from backends.bench.workdir import WorkFolder
from backends.codecs.pictures import MEMORY
from backends.datasets import Dataset, open_dataset
from backends.datasets.base import DatasetFacts
from backends.errors import Cancelled
from backends.images import Layout
from backends.runs import events
from backends.stores.loader import container_loader_code

PROGRESS_SECONDS, REMOVING_SECONDS = 0.1, 0.5  # the shortest times between two events of their kinds
EXAMPLES = 20  # how many pictures that do not decode are named


def run(plan: Plan, emit: Callable[[events.Event], None], cancelled: Callable[[], bool], name: str) -> None:
    """Execute a plan in this thread.

    ``emit`` takes every event, from run-started to run-finished; ``cancelled`` is called ten times a second, or after
    each batch where trials are executed in this thread; ``name``, unique, is that of the folders that are made.
    Raises ImgstoreError where the run cannot start: nothing was measured, and nothing is left behind.
    """
    started, begin, watch = time.time(), time.monotonic(), ConditionsWatch()
    with open_dataset(plan.dataset, plan.split, events.listing(emit, cancelled), plan.how) as dataset:
        facts = dataset.survey()
        plan = check_plan(plan, facts)
        require_modules(plan)
        fitted = fit_to_memory(plan, facts)
        folders = choose_folders(fitted, facts, name)
        environment, total = describe_environment(folders.all), len(trials(fitted))
        work, notes = tuple(map(str, folders.all)), _notes(plan, fitted, facts, folders)
        emit(events.RunStarted(started, fitted, facts, environment, total, work, folders.bytes_at_most, notes))
        going = _Run(fitted, folders, Pace(plan.budget, facts, begin), emit, cancelled)
        outcome = "finished"
        try:
            going.execute(going.stage(dataset))
        except Cancelled:
            outcome = "cancelled"
        finally:
            left = going.remove()
    now = time.time()
    emit(events.RunFinished(now, outcome, now - started, left, watch.so_far()))


def _notes(requested: Plan, plan: Plan, facts: DatasetFacts, folders: RunFolders) -> tuple[str, ...]:
    notes = []
    if plan.sizes != requested.sizes:
        notes.append(
            f"The images of the largest size do not fit into the memory for staging ({plan.memory or 0:,} bytes): "
            f"the sizes are {', '.join(f'{size:,}' for size in plan.sizes)}."
        )
    if max(plan.sizes) > facts.images:
        notes.append(f"The dataset has {facts.images:,} images: larger sizes repeat them.")
    if any(mount_of(path).journal is False for path in folders.all):
        notes.append(
            "This ext4 has no journal: files made within minutes of deleting others are up to 20 times slower."
        )
    if folders.early:
        notes.append(
            "The disk cannot hold all artefacts at once: each is removed when nothing needs it any more. "
            "On some filesystems that slows the creation of files that follows."
        )
    return tuple(notes)


class _Run:
    """A run that goes on: its work folders, and what becomes of its trials."""

    def __init__(
        self,
        plan: Plan,
        folders: RunFolders,
        pace: Pace,
        emit: Callable[[events.Event], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.plan, self.folders, self.pace, self.emit, self.cancelled = plan, folders, pace, emit, cancelled
        self.made: dict[Path, WorkFolder] = {}
        self.failed: dict[int, Measurement] = {}
        self._emitted = 0.0

    def stage(self, dataset: Dataset) -> Source:
        """Make the work folders, and stage the images of the plan."""
        for path in self.folders.all:
            self.made[path] = WorkFolder(path)
            self.emit(events.WorkFolderMade(time.time(), self.made[path].made))
        begin, count = time.perf_counter(), min(max(self.plan.sizes), dataset.count)

        def tick(done: int, total: int) -> None:
            self._check_cancelled()
            now = events.Staging(time.time(), done, total, time.perf_counter() - begin)
            self._emit_seldom(now, 0.0 if done == total else PROGRESS_SECONDS)

        tick(0, count)
        codecs, plan = {configuration.codec for configuration in self.plan.configurations}, self.plan
        pixels, records, memory = codecs != {SOURCE}, SOURCE in codecs, plan.memory or MEMORY
        wanted = Wanted(count, plan.seed, pixels=pixels, records=records, first=plan.first, memory=memory)
        staged = stage(dataset, wanted, self.made[self.folders.main].claim("source"), tick)
        examples = tuple(f"{failure.name}: {failure.why}"[:200] for failure in staged.failures[:EXAMPLES])
        source = staged.source
        done = events.Staging(time.time(), source.staged, source.staged, staged.seconds, len(staged.failures), examples)
        self.emit(done)
        return source

    def execute(self, source: Source) -> None:
        """Execute all trials, block by block."""
        plan = self.plan
        run_task = run_in_thread if plan.in_thread else Trials(configurations(plan)).run
        waiting: list[tuple[WorkFolder, str]] = []
        for _, group in groupby(trials(plan), key=lambda trial: (trial.count, trial.repeat)):
            while self.folders.early and waiting:
                folder, name = waiting.pop()
                folder.remove(name)
            block = list(group)
            unaffordable = self.pace.unaffordable(block)
            for trial in block:
                self._check_cancelled()
                measurement = self._skipped(trial, unaffordable.get(trial.index))
                if measurement is None:
                    folder = self.made[self.folders.by_configuration[trial.configuration]]
                    artefact = folder.root / f"{trial.index if trial.reads is None else trial.reads:05}"
                    copies = self.folders.copies.allowed(trial)
                    task = Task(trial, source, artefact, plan.batch, plan.seed, copies, plan.workers)
                    if trial.operation == EPOCH:
                        task = replace(task, loading=self._loading(task))
                    waiting += [(folder, folder.claim(path.name).name) for path in task.made]
                    begin = time.monotonic()
                    self.emit(events.TrialStarted(time.time(), trial))
                    measurement = run_task(task, self._poll(trial))
                    if measurement.outcome == "ok":
                        self.pace.learn(trial, time.monotonic() - begin, measurement)
                    else:
                        self.failed[trial.index] = measurement
                self.emit(events.TrialFinished(time.time(), measurement))

    def _loading(self, task: Task) -> Loading:
        """How an epoch of a task's artefact is read: by the file that `loader` prints for it."""
        plan, name, count = self.plan, task.trial.configuration, task.trial.count
        shards = min(plan.workers, count)
        paths = [task.artefact / f"{number:05}" for number in range(shards)] if shards > 1 else [task.artefact]
        layout = Layout(count, name.codec, task.source.image_shape, task.source.classes)
        code = container_loader_code(name.backend, layout, paths, torch=True)
        workers = plan.loader_workers or tuple(dict.fromkeys((0, granted_cores())))
        return Loading(code, interpreter(plan), workers, plan.fetch, plan.image_size, plan.step_ms / 1000)

    def remove(self) -> tuple[str, ...]:
        """Remove what the run made, saying so now and then: a million files take minutes.  What stayed is returned."""

        def tick() -> None:
            self._emit_seldom(events.Removing(time.time()), REMOVING_SECONDS)

        self._emitted = 0.0
        return tuple(str(path) for folder in self.made.values() for path in folder.remove_all(tick))

    def _skipped(self, trial: Trial, unaffordable: float | None) -> Measurement | None:
        """What to say of a trial that is not tried; None for all others."""
        if unaffordable is not None:
            left = self.pace.left() or 0.0
            why = f"it would take about {unaffordable:,.1f} s, and {left:,.1f} s of the budget were left."
            return blank(trial, "skipped", why, unaffordable)
        if trial.reads in self.failed:
            return blank(trial, "skipped", STORE_FAILED + self.failed[trial.reads].message)
        return None

    def _poll(self, trial: Trial) -> Callable[[int], None]:
        """What takes the number of images that a trial has done."""
        last, self._emitted = 0, time.monotonic()

        def poll(done: int) -> None:
            nonlocal last
            self._check_cancelled()
            if done != last and self._emit_seldom(
                events.Progress(time.time(), trial.index, done, trial.count), PROGRESS_SECONDS
            ):
                last = done

        return poll

    def _check_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled

    def _emit_seldom(self, event: events.Event, seconds: float) -> bool:
        """Emit an event, unless one was emitted so within ``seconds``."""
        now = time.monotonic()
        due = now - self._emitted >= seconds
        if due:
            self._emitted = now
            self.emit(event)
        return due
