"""Who makes the shards: worker processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from backends.bench.child import serve_parent
from backends.bench.workers import forkserver
from backends.errors import Cancelled, UsageError
from backends.stores.plan import StorePlan
from backends.stores.shard import Sealed, make_shard, syncer

POLL_SECONDS = 0.1
STOP_SECONDS = 3.0
"""How long workers may take to hear that they are to stop, before they are killed."""

Task = Callable[[StorePlan, Path, int], Sealed]


class Shared:
    """Memory that workers share with the process that started them: their progress, and whether to wait or stop."""

    def __init__(self, shards: int) -> None:
        context = forkserver()
        self.written, self.checked = context.RawArray("q", shards + 1), context.RawArray("q", shards + 1)
        self._flags = context.RawArray("b", 2)

    @property
    def is_paused(self) -> bool:
        return bool(self._flags[0])

    def state(self, number: int) -> tuple[int, int]:
        """Images of a shard that were written, and read back."""
        return self.written[number], self.checked[number]

    def pause(self, paused: bool) -> None:
        """Let the workers wait where they are, or go on."""
        self._flags[0] = paused

    def stop(self) -> None:
        """Let the workers give up."""
        self._flags[:] = [0, 1]

    def tick(self, number: int, written: int, checked: int) -> None:
        """Record a worker's progress; wait while they are paused.  Raises Cancelled where they are to stop."""
        self.written[number], self.checked[number] = written, checked
        while self._flags[0] and not self._flags[1]:
            time.sleep(POLL_SECONDS)
        if self._flags[1]:
            raise Cancelled


_shared: Shared | None = None  # of a worker's process


def _begin_worker(shared: Shared) -> None:
    """Prepare a worker."""
    global _shared
    serve_parent()
    syncer()
    _shared = shared


def _work(plan: StorePlan, destination: Path, number: int) -> Sealed:
    """Make a shard in a worker of this machine."""
    shared = _shared
    assert shared is not None, "the worker was begun"
    return make_shard(plan, destination, number, lambda written, checked: shared.tick(number, written, checked))


@contextlib.contextmanager
def executor_of(workers: int, shared: Shared, dask: str | None) -> Iterator[tuple[Executor, Task, int]]:
    """What makes shards, the task for it, and how many of them to give it at a time.

    Raises UsageError where no Dask scheduler answers at the address ``dask``.
    """
    if dask is not None:
        yield from _dask_executor(dask)
        return
    context = forkserver([__name__])
    others = set(multiprocessing.active_children())  # of the program that uses this library
    executor = ProcessPoolExecutor(workers, context, _begin_worker, (shared,))
    try:
        yield executor, _work, workers
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + STOP_SECONDS
        for process in set(multiprocessing.active_children()) - others:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
            process.join()


def _dask_executor(address: str) -> Iterator[tuple[Executor, Task, int]]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise UsageError("--dask needs the library distributed: pip install 'imgstore-tui[dask]'") from None
    try:
        client = distributed.Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"no Dask scheduler answers at {address} ({error}): name one as tcp://HOST:8786.") from None
    with client, client.get_executor(pure=False) as executor:
        yield executor, make_shard, max(2, 2 * sum(client.ncores().values()))
