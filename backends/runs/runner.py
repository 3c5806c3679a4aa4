"""The body of a run: open the dataset, check space, stage, execute every trial, remove what was made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.budget import Pace, Places, find_places, fit_to_memory
from backends.bench.configuration import SOURCE
from backends.bench.disk import mount_of
from backends.bench.machine import ConditionsWatch, describe_environment
from backends.bench.measurement import STORE_FAILED
from backends.bench.plan import check_plan
from backends.bench.process import Trials, run_in_thread
from backends.bench.schedule import configurations, trials
from backends.bench.staging import Wanted, stage
from backends.bench.trial import COUNTER_BYTES, Task, blank
from backends.bench.workdir import WorkFolder
from backends.datasets import open_dataset
from backends.errors import Cancelled
from backends.runs import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.bench.measurement import Measurement, Trial
    from backends.bench.plan import Plan
    from backends.bench.staging import Source
    from backends.datasets.base import Dataset, DatasetFacts


PROGRESS_SECONDS, REMOVING_SECONDS = 0.1, 0.5
"""The shortest times between two events of their kinds."""

EXAMPLES = 20
"""How many pictures that do not decode are named."""


def run(plan: Plan, emit: Callable[[events.Event], None], cancelled: Callable[[], bool], name: str) -> None:
    """Execute a plan in this thread.

    ``emit`` takes every event, from run-started to run-finished; ``cancelled`` is called ten times a second, or after
    each batch where trials are executed in this thread; ``name``, unique, is that of the folders that are made.
    Raises ImgstoreError where the run cannot start: nothing was measured, and nothing is left behind.
    """
    started, begin, watch = time.time(), time.monotonic(), ConditionsWatch()
    with open_dataset(plan.dataset, plan.split, cancelled) as dataset:
        facts = dataset.survey()
        plan = check_plan(plan, facts)
        fitted = fit_to_memory(plan, facts)
        places = find_places(fitted, facts, name)
        environment, total = describe_environment(places.all), len(trials(fitted))
        work, notes = tuple(map(str, places.all)), _notes(plan, fitted, facts, places)
        emit(events.RunStarted(started, fitted, facts, environment, total, work, places.bytes_at_most, notes))
        folders: dict[Path, WorkFolder] = {}
        outcome = "finished"
        try:
            for path in places.all:
                folders[path] = WorkFolder(path)
                emit(events.WorkFolderMade(time.time(), folders[path].made))
            source = _stage(dataset, facts, fitted, folders[places.main], emit, cancelled)
            pace = Pace(plan.budget, facts, begin)
            _execute(_Execution(fitted, source, places, folders, pace, emit, cancelled))
        except Cancelled:
            outcome = "cancelled"
        finally:
            left = _remove(tuple(folders.values()), emit)
    now = time.time()
    emit(events.RunFinished(now, outcome, now - started, left, watch.found()))


def _remove(folders: tuple[WorkFolder, ...], emit: Callable[[events.Event], None]) -> tuple[str, ...]:
    """Remove what the run made, saying so twice a second at most: a million files take minutes."""
    last = 0.0

    def tick() -> None:
        nonlocal last
        if time.monotonic() - last >= REMOVING_SECONDS:
            last = time.monotonic()
            emit(events.Removing(time.time()))

    return tuple(str(path) for folder in folders for path in folder.remove_all(tick))


def _notes(requested: Plan, plan: Plan, facts: DatasetFacts, places: Places) -> tuple[str, ...]:
    notes = []
    if plan.sizes != requested.sizes:
        notes.append(
            f"The images of the largest size do not fit into the memory for staging ({plan.memory or 0:,} bytes): "
            f"the sizes are {', '.join(f'{size:,}' for size in plan.sizes)}."
        )
    if max(plan.sizes) > facts.count:
        notes.append(f"The dataset has {facts.count:,} images: larger sizes repeat them.")
    if any(mount_of(path).journal is False for path in places.all):
        notes.append(
            "This ext4 has no journal: files made within minutes of deleting others are up to 20 times slower."
        )
    if places.early:
        notes.append(
            "The disk cannot hold all artefacts at once: each is removed when nothing needs it any more. "
            "On some filesystems that slows the creation of files that follows."
        )
    return tuple(notes)


def _stage(
    dataset: Dataset,
    facts: DatasetFacts,
    plan: Plan,
    folder: WorkFolder,
    emit: Callable[[events.Event], None],
    cancelled: Callable[[], bool],
) -> Source:
    begin, last = time.perf_counter(), 0.0
    count = min(max(plan.sizes), facts.count)

    def tick(done: int, total: int) -> None:
        nonlocal last
        if cancelled():
            raise Cancelled
        now = time.perf_counter()
        if done == total or now - last >= PROGRESS_SECONDS:
            last = now
            emit(events.Staging(time.time(), done, total, now - begin))

    tick(0, count)
    codecs = {configuration.codec for configuration in plan.configurations}
    wanted = Wanted(count, plan.seed, pixels=codecs != {SOURCE}, records=SOURCE in codecs, first=plan.first)
    staged = stage(dataset, wanted, folder.claim("source"), tick)
    examples = tuple(f"{failure.name}: {failure.why}"[:200] for failure in staged.failures[:EXAMPLES])
    emit(events.Staging(time.time(), count, count, staged.seconds, len(staged.failures), examples))
    return staged.source


@dataclass(frozen=True, slots=True)
class _Execution:
    """What the trials of a run share."""

    plan: Plan
    source: Source
    places: Places
    folders: dict[Path, WorkFolder]
    pace: Pace
    emit: Callable[[events.Event], None]
    cancelled: Callable[[], bool]


def _execute(run: _Execution) -> None:
    plan, emit = run.plan, run.emit
    counter = run.folders[run.places.main].claim("counter")
    counter.write_bytes(bytes(COUNTER_BYTES))
    run_task = run_in_thread if plan.in_thread else Trials(configurations(plan)).run
    failed: dict[int, Measurement] = {}
    waiting: list[tuple[WorkFolder, str]] = []
    for _, group in groupby(trials(plan), key=lambda trial: (trial.count, trial.repeat)):
        while run.places.early and waiting:
            folder, name = waiting.pop()
            folder.remove(name)
        block = list(group)
        unaffordable = run.pace.unaffordable(block)
        for trial in block:
            if run.cancelled():
                raise Cancelled
            if skipped := _skipped(run, trial, unaffordable, failed):
                emit(events.TrialSkipped(time.time(), skipped))
                continue
            folder = run.folders[run.places.by_configuration[trial.configuration]]
            artefact = folder.root / f"{trial.index if trial.reads is None else trial.reads:05}"
            copies = run.places.copies.allowed(trial)
            task = Task(trial, run.source, artefact, counter, plan.batch, plan.seed, copies, plan.workers)
            waiting += [(folder, folder.claim(path.name).name) for path in task.made]
            begin = time.monotonic()
            emit(events.TrialStarted(time.time(), trial))
            measurement = run_task(task, _poll(trial, emit, run.cancelled))
            if measurement.outcome == "ok":
                run.pace.learn(trial, time.monotonic() - begin, measurement)
                emit(events.TrialFinished(time.time(), measurement))
            else:
                failed[trial.index] = measurement
                emit(events.TrialFailed(time.time(), measurement))


def _skipped(
    run: _Execution, trial: Trial, unaffordable: dict[int, float], failed: dict[int, Measurement]
) -> Measurement | None:
    """What to say of a trial that is not tried; None for all others."""
    if trial.index in unaffordable:
        seconds, left = unaffordable[trial.index], run.pace.left() or 0.0
        why = f"it would take about {seconds:,.1f} s, and {left:,.1f} s of the budget were left."
        return blank(trial, "skipped", why, seconds)
    if trial.reads in failed:
        return blank(trial, "skipped", STORE_FAILED + failed[trial.reads].message)
    return None


def _poll(trial: Trial, emit: Callable[[events.Event], None], cancelled: Callable[[], bool]) -> Callable[[int], None]:
    last, at = 0, time.monotonic()

    def poll(done: int) -> None:
        nonlocal last, at
        if cancelled():
            raise Cancelled
        now = time.monotonic()
        if done != last and now - at >= PROGRESS_SECONDS:
            last, at = done, now
            emit(events.Progress(time.time(), trial.index, done, trial.count))

    return poll
