"""One operation by several processes at once, each on its own range of images."""

from __future__ import annotations

import os
import pickle
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.bench.memory import MemoryWatch
from backends.bench.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

    from backends.bench.execution import Execution

    Pipe = tuple[int, int]
    Perform = Callable[[Execution], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker found; ``error`` where it failed."""

    watch: Stopwatch
    memory: MemoryWatch
    remarks: list[str]
    error: Exception | None


def perform_shared(execution: Execution, perform: Perform) -> None:
    """Do an operation with several processes: each stores and reads a shard of its own, or takes its turn of batches.

    The time is that of the slowest worker's phases, during which fetching from the source does not count, as for one;
    processor time, memory and bytes moved are those of all workers together.

    Raises
    ------
    Exception
        Whatever the first worker that failed raised.
    """
    if execution.trial.reads is None:
        execution.artefact.mkdir()
    whole = execution.artefact if execution.trial.operation == "shuffled" else None
    parts = [
        replace(execution, worker=worker, start=start, stop=stop, artefact=whole or path)
        for worker, (start, stop, path) in enumerate(execution.shards())
    ]
    begin, life = os.pipe(), os.pipe()  # whoever reads from one waits until its other end is closed everywhere
    try:
        workers = [_fork(part, perform, begin, life) for part in parts]
        os.close(begin[1])
        _add(execution, [_report(*worker) for worker in workers])
    finally:
        for descriptor in (begin[0], *life):
            os.close(descriptor)


def _fork(part: Execution, perform: Perform, begin: Pipe, life: Pipe) -> tuple[int, int]:
    """Start a worker; its process, and the pipe that its report comes through."""
    receive, send = os.pipe()
    process = os.fork()
    if not process:
        for descriptor in (begin[1], life[1], receive):
            os.close(descriptor)
        _work(part, perform, begin[0], life[0], send)
    os.close(send)
    return process, receive


def _work(part: Execution, perform: Perform, begin: int, life: int, send: int) -> NoReturn:
    """The body of a worker, which begins with all others and ends with the process that started it."""
    try:
        os.read(begin, 1)
        threading.Thread(target=_end_with_parent, args=(life,), daemon=True).start()
        one, error = replace(part, watch=Stopwatch(), memory=MemoryWatch()), None
        try:
            perform(one)
        except Exception as raised:  # the process that started this one raises it again
            error = raised
        with open(send, "wb") as file:
            pickle.dump(Report(one.watch, one.memory, one.remarks, error), file)
    finally:
        os._exit(0)


def _end_with_parent(life: int) -> None:
    os.read(life, 1)
    os._exit(1)


def _report(process: int, receive: int) -> Report:
    with open(receive, "rb") as file:
        content = file.read()
    _, status = os.waitpid(process, 0)
    if not content:
        raise ChildProcessError(f"a worker died without a word (status {status})")
    report: Report = pickle.loads(content)
    return report


def _add(execution: Execution, reports: list[Report]) -> None:
    """Put what all workers found into what the trial found."""
    for report in reports:
        if report.error is not None:
            raise report.error
    slowest = max((report.watch for report in reports), key=lambda watch: watch.total)
    watch, memory = execution.watch, execution.memory
    for phase, seconds in slowest.seconds.items():
        watch.seconds[phase] = watch.seconds.get(phase, 0.0) + seconds
        used = sum(report.watch.cpu_seconds.get(phase, 0.0) for report in reports)
        watch.cpu_seconds[phase] = watch.cpu_seconds.get(phase, 0.0) + used
    watch.bytes_read = _sum(watch.bytes_read, (report.watch.bytes_read for report in reports))
    watch.bytes_written = _sum(watch.bytes_written, (report.watch.bytes_written for report in reports))
    memory.peak_rss = max(memory.peak_rss or 0, _sum(None, (report.memory.peak_rss for report in reports)) or 0) or None
    anonymous = _sum(None, (report.memory.peak_anonymous for report in reports))
    memory.peak_anonymous = max(memory.peak_anonymous or 0, anonymous or 0) or None
    execution.remarks.extend(dict.fromkeys(remark for report in reports for remark in report.remarks))


def _sum(before: int | None, values: Iterable[int | None]) -> int | None:
    known = [value for value in (before, *values) if value is not None]
    return sum(known) if known else None
