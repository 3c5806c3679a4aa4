"""Worker processes that share one trial: each stores and reads a shard of its own, or takes its turn of batches."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from threading import Barrier

from backends.bench.meters import MemoryWatch, Stopwatch
from backends.bench.operations import Execution, Procedure

SOCKET_BYTES = 70
"""The longest path of a temporary folder whose sockets have addresses that are allowed."""


def forkserver(modules: Iterable[str] = ()) -> ForkServerContext:
    """The context of processes that a server forks, which has imported ``modules`` if it is started now.

    Its socket needs a temporary folder with a short path.
    """
    if len(os.fsencode(tempfile.gettempdir())) > SOCKET_BYTES:
        tempfile.tempdir = next((path for path in ("/tmp", "/var/tmp") if os.access(path, os.W_OK)), None)
    with contextlib.redirect_stderr(sys.__stderr__):  # it is passed on; a screen's own may be no file
        resource_tracker.ensure_running()
    context = multiprocessing.get_context("forkserver")
    # The first says which `backends` is meant: the server is a new interpreter, and PYTHONPATH may have another.
    context.set_forkserver_preload(["imgstore_backends", *modules])
    return context


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
    barrier, connections = context.Barrier(execution.workers), []
    for worker, (start, stop, path) in enumerate(execution.shards()):
        share = replace(execution, worker=worker, start=start, stop=stop, artefact=whole or path)
        receive, send = context.Pipe(duplex=False)
        context.Process(target=_work, args=(share, operation, barrier, send)).start()
        send.close()
        connections.append(receive)
    watches, memories = [], []
    for connection in connections:
        watch, memory, error = _receive(connection)
        if error is not None:
            raise error
        watches.append(watch)
        memories.append(memory)
    execution.watch.add(watches)
    execution.memory.add(memories)


def _work(share: Execution, operation: Procedure, barrier: Barrier, send: Connection) -> None:
    """The body of a worker."""
    end_with_parent()
    share, error = share.measured_anew(), None
    barrier.wait()
    try:
        operation(share)
    except Exception as raised:  # the process that started this one raises it again
        error = raised
    send.send((share.watch, share.memory, error))


def _receive(connection: Connection) -> tuple[Stopwatch, MemoryWatch, Exception | None]:
    try:
        result: tuple[Stopwatch, MemoryWatch, Exception | None] = connection.recv()
    except EOFError:
        raise ChildProcessError("a worker of the trial died.") from None
    return result
