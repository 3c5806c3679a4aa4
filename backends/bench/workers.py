"""Worker processes that share one trial: each stores and reads a shard of its own, or takes its turn of batches."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import replace
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from backends.bench.meters import MemoryWatch, Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.connection import Connection
    from threading import Barrier

    from backends.bench.operations import Execution, Procedure

    Result = tuple[Stopwatch, MemoryWatch, Exception | None]


def end_with_parent() -> None:
    """Let this process end as soon as the one that started it has; else a killed job leaves its trials behind."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def perform_shared(execution: Execution, operation: Procedure) -> None:
    """Do an operation with several processes that begin together.

    The time is that of the slowest worker's phases, during which fetching from the source does not count, as for one;
    processor time, memory and bytes moved are those of all workers together.  Raises whatever the first worker that
    failed raised, and ChildProcessError where one died.
    """
    if execution.trial.reads is None:
        execution.artefact.mkdir()
    whole = execution.artefact if execution.trial.operation == "shuffled" else None
    context = multiprocessing.get_context("fork")  # what an execution refers to is inherited: it cannot be pickled
    barrier, results = context.Barrier(execution.workers), []
    for worker, (start, stop, path) in enumerate(execution.shards()):
        share = replace(execution, worker=worker, start=start, stop=stop, artefact=whole or path)
        receive, send = context.Pipe(duplex=False)
        context.Process(target=_work, args=(share, operation, barrier, send)).start()
        send.close()
        results.append(receive)
    _add(execution, [_receive(connection) for connection in results])


def _work(share: Execution, operation: Procedure, barrier: Barrier, send: Connection) -> None:
    """The body of a worker."""
    end_with_parent()
    share, error = replace(share, watch=Stopwatch(), memory=MemoryWatch()), None
    barrier.wait()
    try:
        operation(share)
    except Exception as raised:  # the process that started this one raises it again
        error = raised
    send.send((share.watch, share.memory, error))


def _receive(connection: Connection) -> Result:
    try:
        result: Result = connection.recv()
    except EOFError:
        raise ChildProcessError("a worker of the trial died.") from None
    return result


def _add(execution: Execution, results: list[Result]) -> None:
    """Add what all workers measured to what the trial did."""
    for _, _, error in results:
        if error is not None:
            raise error
    watches, memories = [watch for watch, _, _ in results], [memory for _, memory, _ in results]
    slowest, watch, memory = max(watches, key=lambda watch: watch.total), execution.watch, execution.memory
    for phase, seconds in slowest.seconds.items():
        watch.seconds[phase] = watch.seconds.get(phase, 0.0) + seconds
        used = sum(worker.cpu_seconds.get(phase, 0.0) for worker in watches)
        watch.cpu_seconds[phase] = watch.cpu_seconds.get(phase, 0.0) + used
    watch.bytes_read = _sum(watch.bytes_read, *(worker.bytes_read for worker in watches))
    watch.bytes_written = _sum(watch.bytes_written, *(worker.bytes_written for worker in watches))
    memory.peak_rss = _largest(memory.peak_rss, _sum(*(worker.peak_rss for worker in memories)))
    memory.peak_anonymous = _largest(memory.peak_anonymous, _sum(*(worker.peak_anonymous for worker in memories)))


def _known(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _sum(*values: int | None) -> int | None:
    return sum(_known(values)) if _known(values) else None


def _largest(*values: int | None) -> int | None:
    return max(_known(values), default=None)
