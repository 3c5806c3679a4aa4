"""One trial: exactly one operation, timed by phases, its result compared with the source outside the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from backends.bench import references
from backends.bench.configuration import Configuration
from backends.bench.disk import usage_of
from backends.bench.epoch import epoch
from backends.bench.measurement import COLD, EPOCH, FOLDER_BYTES, LEAST_SECONDS, MOST_LOOPS, Measurement, Trial
from backends.bench.meters import SYNC, make_cold, make_present, make_warm
from backends.bench.operations import OPERATIONS, Execution, Procedure, Task
from backends.bench.workers import perform_shared
from backends.registry import LIMIT

SHARED = ("store", "read", "shuffled")  # operations that workers can share

BESIDE_PIXELS = 8192
"""Bytes of memory for what keeping an image may take besides its pixels: an inode and names, the rest of pages."""


def execute(task: Task, tick: Callable[[int, int], None] = lambda worker, done: None) -> Measurement:
    """Do the trial.

    ``tick`` is called after each batch, with the clock stopped, with a worker's number and the images it has done; what
    it raises ends the trial.  Raises whatever the backend, the codec or the operating system raises, and
    ContainerDamaged where what is read differs from the source.
    """
    trial = task.trial
    operation = _operation(trial.configuration, trial.operation)
    if trial.operation != EPOCH:
        _rehearse(task, operation)
    task = replace(task, source=task.source.first(trial.count))
    workers = min(task.workers, trial.count)
    if workers == 1 or trial.operation not in SHARED or trial.configuration.is_reference:
        workers = 1
    else:
        operation = partial(perform_shared, operation=operation)
    make_present(int(task.source.record_ends(trial.count, "raw")[-1]) + trial.count * BESIDE_PIXELS)
    resident = None
    if trial.reads is not None:
        resident = make_cold(task.artefact) if trial.cache == COLD else make_warm(task.artefact)
    execution = Execution(task, tick, task.artefact, 0, trial.count, workers=workers)
    operation(execution)
    usage = usage_of(task.artefact)
    loops = 1 + (
        0 if trial.cache == COLD or trial.operation == EPOCH else _loop(execution, operation, usage.bytes_allocated)
    )
    watch, memory, epochs = execution.watch, execution.memory, execution.epochs
    phases = {phase: seconds / loops for phase, seconds in watch.seconds.items()}
    return replace(
        blank(trial, "ok"),
        seconds=watch.total / loops,
        seconds_durable=watch.total / loops + phases.get(SYNC, 0.0),
        phases=phases,
        cpu_seconds=sum(used for phase, used in watch.cpu_seconds.items() if phase != SYNC) / loops,
        loops=min(epochs, key=lambda facts: facts.seconds).epochs if epochs else loops,
        peak_rss=memory.peak_rss,
        peak_anonymous=memory.peak_anonymous,
        bytes_read=watch.bytes_read,
        bytes_written=watch.bytes_written,
        resident=max(execution.resident, default=resident),
        bytes_apparent=usage.bytes_apparent,
        bytes_allocated=usage.bytes_allocated,
        files=usage.files,
        verified=True,
        epochs=tuple(sorted(epochs, key=lambda facts: facts.workers)),
    )


def blank(trial: Trial, outcome: str, message: str = "", predicted_seconds: float | None = None) -> Measurement:
    """The measurement of a trial with nothing measured: what failed or was skipped, and why."""
    return Measurement(
        trial=trial.index,
        configuration=trial.configuration,
        backend=trial.configuration.backend,
        codec=trial.configuration.codec,
        operation=trial.operation,
        count=trial.count,
        cache=trial.cache,
        repeat=trial.repeat,
        outcome=outcome,
        shown=trial.shown,
        predicted_seconds=predicted_seconds,
        message=message,
    )


def _operation(configuration: Configuration, name: str) -> Procedure:
    if name == EPOCH:
        return epoch
    if not configuration.is_reference:
        return OPERATIONS[name]
    return (references.LIMITS if configuration.backend == LIMIT else references.ARTICLE)[name]


def _rehearse(task: Task, operation: Procedure) -> None:
    """Store one image and do the operation on it, so that what libraries load on first use is in no figure."""
    artefact = task.rehearsal / "container"
    artefact.parent.mkdir()
    single = replace(task, trial=replace(task.trial, count=1), source=task.source.first(1), artefact=artefact)
    execution = Execution(single, lambda worker, done: None, artefact, 0, 1)
    if task.trial.reads is not None:
        _operation(task.trial.configuration, "store")(execution)
    operation(execution)


def _loop(execution: Execution, operation: Procedure, bytes_each: int) -> int:
    """Repeat a short operation until it has taken long enough, and return how often; each store makes a container."""
    task = execution.task
    if not task.trial.repeat:
        return 0
    stores, loops = task.trial.reads is None, 0
    most = min(MOST_LOOPS, task.copy_bytes // (bytes_each + FOLDER_BYTES)) if stores else MOST_LOOPS
    execution = replace(execution, repeated=True)
    execution.watch.light = True
    while execution.watch.total < LEAST_SECONDS and loops < most:
        if stores:
            folder: Path = task.loops / f"{loops:03d}"
            folder.mkdir(parents=True)
            execution = replace(execution, artefact=folder / "container")
        operation(execution)
        loops += 1
        if execution.workers == 1:  # workers count for themselves, and are killed with their processes
            execution.check_cancelled()
    return loops
