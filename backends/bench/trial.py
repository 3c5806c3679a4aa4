"""One trial: exactly one operation, timed by phases, its result compared with the source outside the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench import references
from backends.bench.disk import usage_of
from backends.bench.measurement import (
    COLD,
    FOLDER_BYTES,
    LEAST_SECONDS,
    MOST_LOOPS,
    MOST_WORKERS,
    Measurement,
    Trial,
)
from backends.bench.meters import SYNC, MemoryWatch, Stopwatch, make_cold, make_present, make_warm
from backends.bench.operations import OPERATIONS, Execution
from backends.bench.staging import Source
from backends.bench.workers import perform_shared
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.bench.configuration import Configuration
    from backends.bench.measurement import Operation
    from backends.bench.operations import Procedure


SHARED = ("store", "read", "shuffled")
"""Operations that workers can share."""

COUNTER_BYTES = 8 * MOST_WORKERS
BESIDE_PIXELS = 8192
"""Bytes of memory for what keeping an image may take besides its pixels: an inode and names, the rest of pages."""


@dataclass(frozen=True, slots=True)
class Task:
    """A trial with what its process needs to execute it."""

    trial: Trial
    source: Source
    artefact: Path  # the container that a store makes and a read reads
    counter: Path  # a file of COUNTER_BYTES: the number of images that each worker has done so far
    batch: int = 256  # of shuffled reads
    seed: int = 0
    copy_bytes: int = 0  # of further containers that a short store may make when it is repeated
    workers: int = 1  # processes that share the work, where there is enough of it

    @property
    def rehearsal(self) -> Path:
        """A folder for a container of one image, which is stored and read before the clock starts."""
        return self._beside(self.trial.aspect.replace(" ", "-"))

    @property
    def decoded(self) -> Path:
        """The folder of the digests of what a lossy codec's records decode to."""
        return self._beside("decoded")

    @property
    def loops(self) -> Path:
        """The folder of what a store makes besides its artefact."""
        return self._beside("loops")

    @property
    def made(self) -> tuple[Path, ...]:
        """All that the trial may leave behind."""
        stored = (self.artefact, self.decoded, self.loops)
        return (*(stored if self.trial.reads is None else ()), self.rehearsal)

    def _beside(self, name: str) -> Path:
        return self.artefact.with_name(f"{self.artefact.name}.{name}")


def execute(task: Task, tick: Callable[[int, int], None] = lambda worker, done: None) -> Measurement:
    """Do the trial.

    ``tick`` is called after each batch, with the clock stopped, with a worker's number and the images it has done; what
    it raises ends the trial.  Raises whatever the backend, the codec or the operating system raises, and
    ContainerDamaged where what is read differs from the source.
    """
    trial, configuration = task.trial, task.trial.configuration
    shared = trial.operation in SHARED and not configuration.is_reference
    execution = Execution(
        trial=trial,
        source=task.source.first(trial.count),
        artefact=task.artefact,
        watch=Stopwatch(),
        memory=MemoryWatch(),
        tick=tick,
        batch=task.batch,
        seed=task.seed,
        start=0,
        stop=trial.count,
        decoded=task.decoded,
        workers=min(task.workers, trial.count) if shared else 1,
    )
    operation = _operation(configuration, trial.operation)
    _rehearse(execution, task.rehearsal, operation)
    if execution.workers > 1:
        operation = partial(perform_shared, operation=operation)
    make_present(int(execution.source.record_ends(trial.count, "raw")[-1]) + trial.count * BESIDE_PIXELS)
    resident = None
    if trial.reads is not None:
        resident = make_cold(task.artefact) if trial.cache == COLD else make_warm(task.artefact)
    execution = replace(execution, watch=Stopwatch(), memory=MemoryWatch())
    operation(execution)
    usage = usage_of(task.artefact)
    loops = 1 + (0 if trial.cache == COLD else _loop(task, execution, operation, usage.bytes_allocated))
    watch, memory = execution.watch, execution.memory
    phases = {phase: seconds / loops for phase, seconds in watch.seconds.items()}
    return replace(
        blank(trial, "ok"),
        seconds=watch.total / loops,
        seconds_durable=watch.total / loops + phases.get(SYNC, 0.0),
        phases=phases,
        cpu_seconds=sum(used for phase, used in watch.cpu_seconds.items() if phase != SYNC) / loops,
        loops=loops,
        peak_rss=memory.peak_rss,
        peak_anonymous=memory.peak_anonymous,
        bytes_read=watch.bytes_read,
        bytes_written=watch.bytes_written,
        resident=resident,
        bytes_apparent=usage.bytes_apparent,
        bytes_allocated=usage.bytes_allocated,
        files=usage.files,
        verified=True,
    )


def blank(trial: Trial, outcome: str, message: str = "", predicted_seconds: float | None = None) -> Measurement:
    """The measurement of a trial with nothing measured: what failed or was skipped, and why."""
    configuration = trial.configuration
    return Measurement(
        trial=trial.index,
        configuration=configuration,
        backend=configuration.backend,
        codec=configuration.codec,
        operation=trial.operation,
        count=trial.count,
        cache=trial.cache,
        repeat=trial.repeat,
        outcome=outcome,
        shown=trial.shown,
        predicted_seconds=predicted_seconds,
        message=message,
    )


def _operation(configuration: Configuration, name: Operation) -> Procedure:
    if not configuration.is_reference:
        return OPERATIONS[name]
    return (references.LIMITS if configuration.backend == LIMIT else references.ARTICLE)[name]


def _rehearse(execution: Execution, folder: Path, operation: Procedure) -> None:
    """Store one image and do the operation on it, so that what libraries load on first use is in no figure."""
    folder.mkdir()
    single = replace(
        execution,
        trial=replace(execution.trial, count=1),
        artefact=folder / "container",
        decoded=folder / "decoded",
        stop=1,
        workers=1,
        tick=lambda worker, done: None,
    )
    if execution.trial.reads is not None:
        _operation(execution.configuration, "store")(single)
    operation(single)


def _loop(task: Task, execution: Execution, operation: Procedure, bytes_each: int) -> int:
    """Repeat a short operation until it has taken long enough, and return how often; each store makes a container."""
    if not task.trial.repeat:
        return 0
    stores, loops = task.trial.reads is None, 0
    most = min(MOST_LOOPS, task.copy_bytes // (bytes_each + FOLDER_BYTES)) if stores else MOST_LOOPS
    execution = replace(execution, repeated=True)
    execution.watch.light = True
    while execution.watch.total < LEAST_SECONDS and loops < most:
        if stores:
            folder = task.loops / f"{loops:03d}"
            folder.mkdir(parents=True)
            execution = replace(execution, artefact=folder / "container")
        operation(execution)
        loops += 1
        if execution.workers == 1:  # workers count for themselves, and are killed with their processes
            execution.check_cancelled()
    return loops
