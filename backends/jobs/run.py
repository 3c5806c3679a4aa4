"""The body of a run: open the dataset, check space, stage, execute every trial, remove what was made."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.disk import check_space, choose_work_dir, mount_of
from backends.bench.environment import cgroup_memory, describe_environment, machine_memory
from backends.bench.estimate import Need, artefact_need, image_bytes, source_need, work_dir
from backends.bench.made import WorkFolder
from backends.bench.plan import check_plan, trials
from backends.bench.process import Trials, run_in_thread
from backends.bench.staging import fit_sizes, stage
from backends.bench.trial import Task, blank
from backends.datasets import open_dataset
from backends.errors import NoSpace
from backends.jobs import events

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.bench.measurement import Measurement, Trial
    from backends.bench.plan import Plan
    from backends.bench.staging import Source
    from backends.datasets.base import Dataset
    from backends.datasets.facts import DatasetFacts

MEMORY_SHARE = 4
"""Staging takes at most this part (a quarter) of the memory there is."""

PROGRESS_SECONDS = 0.1


class Cancelled(Exception):
    """Somebody asked the run to stop."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run writes.

    Attributes
    ----------
    main
        The folder of the staged images.
    by_configuration
        The folder of each configuration's artefacts.
    early
        Artefacts are removed as soon as nothing needs them, since all of them together do not fit.
    """

    main: Path
    by_configuration: dict[str, Path]
    bytes_at_most: int
    early: bool

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.main, *self.by_configuration.values())))


def run(plan: Plan, name: str, emit: Callable[[events.Event], None], cancelled: Callable[[], bool]) -> None:
    """Execute a plan.

    Parameters
    ----------
    name
        Of the folders that are made for it, unique.
    emit
        Takes every event, from run-started to run-finished.
    cancelled
        Asked about ten times a second.

    Raises
    ------
    ImgstoreError
        The run cannot start: nothing was measured, and nothing is left behind.
    """
    plan = check_plan(plan)
    started = time.time()
    with open_dataset(plan.dataset, plan.split) as dataset:
        facts = dataset.facts()
        fitted = _fit(plan, facts)
        places = _places(fitted, facts, name)
        emit(
            events.RunStarted(
                time=started,
                plan=fitted,
                dataset=facts,
                environment=describe_environment(places.all),
                trials=len(trials(fitted)),
                work=tuple(str(folder) for folder in places.all),
                bytes_at_most=places.bytes_at_most,
                notes=_notes(plan, fitted, facts, places),
            )
        )
        folders: dict[Path, WorkFolder] = {}
        outcome = "finished"
        try:
            for path in places.all:
                folders[path] = WorkFolder(path)
            source = _stage(dataset, facts, fitted, folders[places.main], emit, cancelled)
            _execute(fitted, source, places, folders, emit, cancelled)
        except Cancelled:
            outcome = "cancelled"
        finally:
            left = tuple(str(path) for folder in folders.values() for path in folder.remove_all())
    now = time.time()
    emit(events.RunFinished(now, outcome, now - started, left))


def _fit(plan: Plan, facts: DatasetFacts) -> Plan:
    memory = plan.memory or min(machine_memory(), cgroup_memory() or machine_memory()) // MEMORY_SHARE
    sizes = fit_sizes(plan.sizes, facts.count, image_bytes(facts), memory)
    return replace(plan, sizes=sizes, split=facts.split, memory=memory)


def _places(plan: Plan, facts: DatasetFacts, name: str) -> Places:
    """Where the run writes, once it is known that everything fits.  Raises NoSpace and NotAllowed."""
    folder = f"imgstore-{name}"
    main = work_dir(plan) / folder
    chosen = {text: Configuration.parse(text).folder for text in plan.configurations}
    by_configuration = {
        text: choose_work_dir(asked, None) / folder if asked else main for text, asked in chosen.items()
    }
    everything, early = _needs(plan, facts, main, by_configuration)
    places = Places(main, by_configuration, sum(need.bytes for need in everything.values()), early=False)
    try:
        for path, need in everything.items():
            check_space(path.parent, need.bytes, need.files)
    except NoSpace:
        for path, need in early.items():
            check_space(path.parent, need.bytes, need.files)
        return replace(places, bytes_at_most=sum(need.bytes for need in early.values()), early=True)
    return places


def _needs(
    plan: Plan, facts: DatasetFacts, main: Path, folders: dict[str, Path]
) -> tuple[dict[Path, Need], dict[Path, Need]]:
    """What each filesystem must hold where nothing is removed before the end, and where each block is."""
    raw = image_bytes(facts)
    mounts = {path: mount_of(path).point for path in (main, *folders.values())}
    first = {mounts[path]: path for path in reversed((main, *folders.values()))}
    staged = source_need(min(max(plan.sizes), facts.count), raw)
    everything = dict.fromkeys(first.values(), Need()) | {first[mounts[main]]: staged}
    blocks: dict[tuple[int, int], dict[Path, Need]] = {}
    for trial in trials(plan):
        if trial.reads is None:
            path = folders[trial.configuration]
            need = artefact_need(trial.configuration, trial.count, raw, mount_of(path).block_bytes)
            home = first[mounts[path]]
            everything[home] += need
            block = blocks.setdefault((trial.count, trial.repeat), dict.fromkeys(first.values(), Need()))
            block[home] += need
    early = {
        home: max((block[home] for block in blocks.values()), key=lambda need: need.bytes)
        + (staged if home == first[mounts[main]] else Need())
        for home in everything
    }
    return everything, early


def _notes(asked: Plan, plan: Plan, facts: DatasetFacts, places: Places) -> tuple[str, ...]:
    notes = []
    if plan.sizes != asked.sizes:
        notes.append(
            f"The images of the largest size do not fit into the memory for staging ({plan.memory or 0:,} bytes): "
            f"the sizes are {', '.join(f'{size:,}' for size in plan.sizes)}."
        )
    if max(plan.sizes) > facts.count:
        notes.append(f"The dataset has {facts.count:,} images: larger sizes repeat them.")
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
        now = time.perf_counter()
        if done == total or now - last >= PROGRESS_SECONDS:
            last = now
            emit(events.Staging(time.time(), done, total, now - begin))
            if cancelled():
                raise Cancelled

    tick(0, count)
    path = folder.claim("source")
    return stage(dataset, count, plan.seed, path, tick)


def _execute(
    plan: Plan,
    source: Source,
    places: Places,
    folders: dict[Path, WorkFolder],
    emit: Callable[[events.Event], None],
    cancelled: Callable[[], bool],
) -> None:
    counter = folders[places.main].claim("counter")
    counter.write_bytes(bytes(8))
    run_task = run_in_thread if plan.in_thread else Trials(plan.configurations).run
    failed: dict[int, Measurement] = {}
    waiting: list[tuple[WorkFolder, str]] = []
    block = None
    for trial in trials(plan):
        if cancelled():
            raise Cancelled
        if places.early and block not in (None, (trial.count, trial.repeat)):
            while waiting:
                folder, name = waiting.pop()
                folder.remove(name)
        block = (trial.count, trial.repeat)
        folder = folders[places.by_configuration[trial.configuration]]
        name = _artefact(trial)
        if trial.reads is None:
            artefact = folder.claim(name)
            waiting.append((folder, name))
        else:
            artefact = folder.root / name
        if trial.reads in failed:
            why = f"its store failed: {failed[trial.reads].message}"
            emit(events.TrialSkipped(time.time(), blank(trial, "skipped", why)))
            continue
        emit(events.TrialStarted(time.time(), trial))
        found = run_task(Task(trial, source, artefact, counter), _poll(trial, emit, cancelled))
        if found.outcome == "ok":
            emit(events.TrialFinished(time.time(), found))
        else:
            failed[trial.index] = found
            emit(events.TrialFailed(time.time(), found))


def _artefact(trial: Trial) -> str:
    return f"{trial.reads if trial.reads is not None else trial.index:05}"


def _poll(trial: Trial, emit: Callable[[events.Event], None], cancelled: Callable[[], bool]) -> Callable[[int], None]:
    last = 0

    def poll(done: int) -> None:
        nonlocal last
        if cancelled():
            raise Cancelled
        if done != last:
            last = done
            emit(events.Progress(time.time(), trial.index, done, trial.count))

    return poll
