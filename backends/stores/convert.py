"""Makes a store: the shards that are not durable yet, by any number of workers, then the index and the manifest."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from backends import units
from backends.bench.disk import make_folder
from backends.errors import Cancelled, ImgstoreError, NoSpace, UsageError, exceeded_limit
from backends.stores.executors import POLL_SECONDS, STOP_SECONDS, Shared, Task, executor_of
from backends.stores.finish import finish
from backends.stores.journal import Journal, Lock
from backends.stores.manifest import Manifest, is_store, read_manifest
from backends.stores.plan import Request, StorePlan, absolute_request, make_plan, open_splits
from backends.stores.preflight import Estimate, check_room, estimate
from backends.stores.progress import Progress, ShardState
from backends.stores.resume import (
    Part,
    complete_store,
    is_begun,
    journals_of,
    missing_shards,
    plan_to_go_on,
    tidy,
)
from backends.stores.shard import SEALED, WORK, Sealed, file_digest, remove

REPORT_SECONDS = 0.25
NO_MEMORY = ("start new thread", "map segment", "allocate memory")
"""What other errors than MemoryError say where memory is short."""
STOPPED = "the conversion was stopped; what is durable stays."
FINISH_SECONDS = 60.0
"""How long a part waits for another one that is looking whether the store is complete."""


@dataclass(frozen=True, slots=True)
class Control:
    """What whoever started a conversion hears of it and can do to it; the last two are called ten times a second."""

    listed: Callable[[int], object] = lambda found: None  # the pictures found so far, while they are listed

    announce: Callable[[StorePlan, Estimate], None] = lambda plan, needs: None  # before the first byte
    report: Callable[[Progress], None] = lambda progress: None
    cancelled: Callable[[], bool] = lambda: False
    paused: Callable[[], bool] = lambda: False

    def poll(self, found: int) -> bool:
        """Tell how many pictures were found; whether to stop."""
        self.listed(found)
        return self.cancelled()


def prepare(
    request: Request, destination: Path, workers: int = 0, poll: Callable[[int], bool] = lambda found: False
) -> tuple[StorePlan, Estimate]:
    """The plan of a conversion and what it takes; nothing is written.  Raises ImgstoreError where it cannot begin."""
    with ExitStack() as stack:
        splits = [stack.enter_context(split) for split in open_splits(request, poll)]
        plan, sample = make_plan(request, splits)
        needs = estimate(plan, sample, splits, destination, _workers(workers))
    return plan, needs


def convert(
    request: Request,
    destination: Path,
    *,
    workers: int = 0,
    part: Part | None = None,
    resume: bool = False,
    dask: str | None = None,
    control: Control | None = None,
) -> Manifest | None:
    """Make the store of ``request`` at ``destination``, or a part of it; return its manifest once it is complete.

    Parameters
    ----------
    workers
        Processes that make shards; 0 for one on each processor.
    part
        The share of the shards to make.  A part goes on where it was, and the one that completes the store finishes it.
    resume
        Go on with a conversion that was stopped; a missing, empty or complete destination is fine too.
    dask
        The address of a Dask scheduler whose workers make the shards; they must see the dataset and the destination.

    Raises
    ------
    UsageError, NotAllowed, NoSpace, StoreBusy
        The conversion cannot begin; nothing was changed.
    Cancelled
        ``control.cancelled`` returned True: what is durable stays.
    ImgstoreError
        It could not go on: what is durable stays.
    """
    request, control, destination = absolute_request(request), control or Control(), destination.absolute()
    resume, part = resume or part is not None, part or Part()
    if resume and is_store(destination):
        tidy(destination)
        return complete_store(request, destination)
    begun = is_begun(request, destination)
    plan, needs = prepare(request, destination, workers, control.poll)
    if not begun:
        check_room(needs, destination)
    with _explained(destination):
        return _convert(plan, needs, destination, workers, part, dask, control, resume=resume)


def _convert(
    plan: StorePlan,
    needs: Estimate,
    destination: Path,
    workers: int,
    part: Part,
    dask: str | None,
    control: Control,
    *,
    resume: bool,
) -> Manifest | None:
    make_folder(destination)
    request = plan.request
    with Lock(destination / part.file("lock")).acquire() as lock:
        if is_store(destination):
            return complete_store(request, destination)
        if journals_of(destination) and not resume:
            raise UsageError(
                f"{destination} holds an unfinished conversion: add --resume to go on, or remove that folder."
            )
        plan = plan_to_go_on(plan, destination, part)
        lock.check_folder(shard.path for shard in plan.shards)
        shared = Shared(len(plan.shards))
        with executor_of(min(_workers(workers), len(plan.shards)), shared, dask) as workforce:
            journal = Journal(destination / part.file("journal", ".jsonl"))
            journal.begin(plan)
            control.announce(plan, needs)
            conversion = _Conversion(plan, destination, part, journal, lock, control)
            conversion.clean()
            conversion.make(shared, *workforce)
        if part.of == 1:
            return finish(destination, plan)
    with Lock(destination / "lock").acquire(FINISH_SECONDS):
        if is_store(destination):
            return read_manifest(destination)
        return None if missing_shards(destination)[1] else finish(destination, plan)


def finish_store(destination: Path) -> tuple[Manifest | None, list[str]]:
    """Write the manifest of a store whose shards are all durable; else return the paths of those that are missing.

    Raises UsageError where no conversion was begun.
    """
    if is_store(destination):
        tidy(destination)
        return read_manifest(destination), []
    if not journals_of(destination):
        raise UsageError(f"{destination} holds no conversion to finish: imgstore-tui convert begins one.")
    with _explained(destination), Lock(destination / "lock").acquire() as lock:
        plan, missing = missing_shards(destination)
        lock.check_folder(shard.path for shard in plan.shards)
        return (None, missing) if missing else (finish(destination, plan), [])


def _workers(workers: int) -> int:
    return workers or len(os.sched_getaffinity(0))


class _Conversion:
    """The making of the shards of one part."""

    def __init__(
        self, plan: StorePlan, destination: Path, part: Part, journal: Journal, lock: Lock, control: Control
    ) -> None:
        self.plan, self.destination, self.part, self.journal = plan, destination, part, journal
        self.lock, self.control = lock, control
        self.mine = [shard for shard in plan.shards if part.has(shard.number)]
        journal.sealed = {number: sealed for number, sealed in journal.sealed.items() if self._is_whole(sealed)}
        self.resumed = sum(sealed.images + sealed.failures for sealed in journal.sealed.values())
        self._last_report = 0.0
        self.recent: list[int] = []

    def _is_whole(self, sealed: Sealed) -> bool:
        """Whether a shard that the journal has is still there, with columns that are as they were written."""
        columns = self.destination / SEALED / f"{sealed.number:05}.npz"
        there = columns.is_file() and os.path.lexists(self.destination / self.plan.shards[sealed.number].path)
        return there and file_digest(columns) == sealed.digest

    def clean(self) -> None:
        """Remove what workers that died have left of this part's shards."""
        for path in (self.destination / WORK).glob("*"):
            number = path.name.partition(".")[0]
            if number.isdigit() and self.part.has(int(number)):
                remove(path)

    def make(self, shared: Shared, executor: Executor, task: Task, room: int) -> None:
        """Make all shards that are not durable.  Raises ImgstoreError with the reason where one cannot be made."""
        waiting = [shard.number for shard in reversed(self.mine) if shard.number not in self.journal.sealed]
        self.report(shared, [], now=True)
        running: dict[Future[Sealed], int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < room:
                    number = waiting.pop()
                    running[executor.submit(task, self.plan, self.destination, number)] = number
                done, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    self.recent = [*self.recent, running.pop(future)][-4:]
                    self.journal.append(future.result())
                self.lock.beat()
                if self.control.cancelled():
                    raise Cancelled(STOPPED)
                shared.pause(self.control.paused())
                self.report(shared, sorted(running.values()), now=bool(done))
        except BrokenProcessPool:
            if self.control.cancelled():  # by a signal to all processes, which the workers did not outlive
                raise Cancelled(STOPPED) from None
            raise
        finally:
            shared.stop()
            for future in running:
                future.cancel()
            wait(running, STOP_SECONDS)
        self.report(shared, [], now=True)

    def report(self, shared: Shared, at_work: list[int], *, now: bool) -> None:
        """Tell how far the conversion is, now or if it was not told for a while."""
        if not now and time.monotonic() - self._last_report < REPORT_SECONDS:
            return
        self._last_report = time.monotonic()
        sealed, shards = self.journal.sealed, self.plan.shards
        durable = sum(one.images for one in sealed.values())
        shown = [
            *(self._sealed_state(sealed[number]) for number in self.recent),
            *(ShardState(shards[n].path, shards[n].stop - shards[n].start, *shared.state(n)) for n in at_work),
        ]
        self.control.report(
            Progress(
                images=sum(shard.stop - shard.start for shard in self.mine),
                written=durable + sum(shared.state(number)[0] for number in at_work),
                durable=durable,
                shards=len(self.mine),
                sealed=len(sealed),
                failures=sum(one.failures for one in sealed.values()),
                bytes=sum(one.bytes for one in sealed.values()),
                resumed=self.resumed,
                shown=tuple(shown),
                paused=shared.is_paused,
            )
        )

    def _sealed_state(self, sealed: Sealed) -> ShardState:
        path, images = self.plan.shards[sealed.number].path, sealed.images
        return ShardState(path, images, images, images, sealed.bytes)


@contextlib.contextmanager
def _explained(destination: Path) -> Iterator[None]:
    """Raise an error that says in one sentence why a store could not be made, and what to do."""
    try:
        yield
    except Exception as error:  # a library may raise anything, as where memory is short
        if isinstance(error, Cancelled) or (isinstance(error, ImgstoreError) and destination.is_dir()):
            raise
        raise _explanation(error, destination) from error


def _explanation(error: BaseException, destination: Path) -> ImgstoreError:
    resume = "then go on with --resume; what is durable stays."
    number = error.errno if isinstance(error, OSError) else None
    if not destination.is_dir():
        return ImgstoreError(f"{destination} was removed while it was made: convert again.")
    space = os.statvfs(destination)
    free = space.f_bavail * space.f_frsize
    if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY and free >= 1 << 20:
        number = errno.EFBIG if number in (errno.ENOSPC, errno.EIO) else number  # LMDB and SQLite call it so
    if number == errno.EDQUOT:
        return NoSpace(f"your quota on the disk of {destination} is used up: free some, {resume}")
    # what the workers gave up is free again: the scarcer of both was the reason
    if number == errno.ENOSPC and space.f_files and space.f_favail / space.f_files < space.f_bavail / space.f_blocks:
        return NoSpace(f"the disk of {destination} has no inodes left, though bytes: free some, {resume}")
    if number == errno.ENOSPC or (number is None and free < 1 << 20):
        return NoSpace(f"the disk of {destination} is full, with {units.capacity(free)} left: free some, {resume}")
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(words in str(error) for words in NO_MEMORY):
        return ImgstoreError(f"out of memory: make smaller shards or take fewer --workers, {resume}")
    if isinstance(error, BrokenProcessPool):
        return ImgstoreError(f"a worker process was killed: out of memory, or somebody ended it; {resume}")
    why = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    unknown = ImgstoreError(f"{destination} could not be written ({why}): mend that, {resume}")
    return exceeded_limit(OSError(number, "")) or unknown
