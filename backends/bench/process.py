"""A fresh process for each trial, so that a backend that dies, fills memory or leaves a mess is a failed trial.

The processes are forked from a server that has imported what trials need and opened nothing: about ten
milliseconds each, a quarter of a second where Python starts anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess

from backends import units
from backends.bench.child import death, serve_parent
from backends.bench.configuration import Configuration
from backends.bench.disk import ELSEWHERE
from backends.bench.measurement import MOST_WORKERS, Measurement
from backends.bench.operations import Task
from backends.bench.trial import blank, execute
from backends.bench.workers import forkserver
from backends.errors import Cancelled, ImgstoreError

POLL_SECONDS, SERVER_SECONDS = 0.1, 5.0
MESSAGE = 2000  # characters of a library's words that are kept

_NEARLY_FULL = 1 << 20


class Trials:
    """Executes tasks, each in a fresh process; the modules of ``configurations`` are imported before the first."""

    def __init__(self, configurations: tuple[Configuration, ...]) -> None:
        self._context = forkserver([__name__, "backends.images", *_modules(configurations)])
        self._done = self._context.RawArray("q", MOST_WORKERS)  # by each worker of the trial

    @property
    def done(self) -> int:
        """Images that all workers of the trial at work, or of the last one, have done."""
        return sum(self._done)

    def run(self, task: Task, poll: Callable[[int], None]) -> Measurement:
        """Execute a task and wait for it; its outcome is ``failed`` where it raised, or its process died.

        ``poll`` is called about ten times a second with the images done; what it raises ends the trial's process.
        """
        receive, send = self._context.Pipe(duplex=False)
        self._done[:] = [0] * MOST_WORKERS
        process = self._start(task, send)
        send.close()
        measurement: Measurement | None = None
        try:
            while not wait([receive, process.sentinel], POLL_SECONDS):
                poll(self.done)
            with contextlib.suppress(EOFError, OSError):  # it died
                measurement = receive.recv()
            process.join()
        finally:
            process.kill()
            process.join()
            receive.close()
        return measurement or blank(task.trial, "failed", _death(process.exitcode, task))

    def _start(self, task: Task, send: Connection) -> ForkServerProcess:
        """Start the process of a trial, by a new server where the last one was killed."""
        until = time.monotonic() + SERVER_SECONDS
        while True:
            process = self._context.Process(target=_child, args=(task, self._done, send))
            try:
                process.start()
                return process
            except (ConnectionError, EOFError):  # it is dying: a moment later it is seen to be dead
                if time.monotonic() > until:
                    raise
                time.sleep(POLL_SECONDS)


def run_in_thread(task: Task, poll: Callable[[int], None]) -> Measurement:
    """Execute a task in this thread; ``poll`` is called before it and after each batch, and may raise Cancelled."""
    poll(0)
    return _attempt(task, lambda worker, done: poll(done))


def _attempt(task: Task, tick: Callable[[int, int], None]) -> Measurement:
    """Execute a task; what it raises, but Cancelled, becomes a failed measurement with a sentence."""
    try:
        return execute(task, tick)
    except Cancelled:
        raise
    except ImgstoreError as error:
        return blank(task.trial, "failed", str(error))
    except MemoryError:
        return blank(task.trial, "failed", "out of memory: choose fewer images, or free some memory.")
    except Exception as error:  # whatever a library raises is this trial's result, not the run's end
        # to the descriptor, where a job's log is: in the UI, sys.stderr belongs to Textual
        os.write(2, traceback.format_exc().encode(errors="replace"))
        return blank(task.trial, "failed", _disk_full(task, error) or f"{type(error).__name__}: {error}"[:MESSAGE])


def _modules(configurations: tuple[Configuration, ...]) -> list[str]:
    """The modules of the configurations, without those that cannot be imported: they would end the server."""
    targets = [target for name in configurations for target in (name.entry.target, name.codec_entry.target)]
    modules = sorted({target.partition(":")[0] for target in targets})
    return [module for module in modules if module.startswith("backends.") or _can_import(module)]


def _can_import(module: str) -> bool:
    with contextlib.suppress(Exception, SystemExit):  # its trials say what is wrong
        import_module(module)
        return True
    return False


def _child(task: Task, images_done: ctypes.Array[ctypes.c_longlong], send: Connection) -> None:
    """The body of a trial's process.  It leaves without cleaning up: h5py crashes there after a full disk."""
    serve_parent()

    def tick(worker: int, done: int) -> None:
        images_done[worker] = done  # the job sees it, at the cost of one store to memory a batch

    send.send(_attempt(task, tick))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _death(code: int | None, task: Task) -> str:
    """A sentence on a process that ended without a result."""
    if full := _disk_full(task, None):
        return full
    return f"the trial's process {death(code)}."


def _disk_full(task: Task, error: Exception | None) -> str:
    """A sentence where the disk is full, whatever the library made of it; else empty."""
    folder = task.artefact.parent
    space, number = os.statvfs(folder), error.errno if isinstance(error, OSError) else None
    free = space.f_bavail * space.f_frsize
    if number == errno.EDQUOT:
        return f"your quota on {folder} is used up: free some, or choose {ELSEWHERE}."
    if space.f_files and not space.f_favail:
        return f"the filesystem of {folder} has no inodes left for more files (space is left): choose {ELSEWHERE}."
    if free < _NEARLY_FULL or number == errno.ENOSPC:
        return f"the disk is full: {folder} has {units.capacity(free)} left; choose {ELSEWHERE}."
    return ""
