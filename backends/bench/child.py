"""Functions and objects in a process of their own, with limits: what foreign files do there ends that process only."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self, TypeVar

from backends import limits
from backends.bench.machine import usable_memory
from backends.bench.workers import end_with_parent, forkserver
from backends.errors import Cancelled, ImgstoreError, exceeded_limit

T = TypeVar("T")

POLL_SECONDS, LEAVE_SECONDS = 0.1, 5.0
LEAST_MEMORY = 2 << 30
"""Bytes that a process may always take: for Python, its libraries and a batch of pictures."""

STEERING = ("HDF5_", "SQLITE_", "ARROW_", "PARQUET_", "ZARR_", "BLOSC_", "JSIMD_", "JPEGMEM")
"""Beginnings of the names of environment variables that change what native libraries load or do."""
KEPT = "HDF5_USE_FILE_LOCKING"  # some network filesystems need it


def serve_parent(*, opening: bool = False) -> None:
    """Let this process end with the one that started it, leave Ctrl-C to it, and be confined."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    with contextlib.suppress(OSError):
        # When memory runs out, the kernel takes this process and not the screen, the job or somebody else's.
        Path("/proc/self/oom_score_adj").write_text("1000")
    confine(opening=opening)


def confine(*, opening: bool = False) -> None:
    """Bound the memory of this process, which reads foreign files; where it only opens something, time and files, too.

    Environment variables that steer native libraries are removed, and HDF5 loads no plug-ins.
    """
    for name in [name for name in os.environ if name.startswith(STEERING) and name != KEPT]:
        del os.environ[name]
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # HDF5's word for none
    bounds = {
        resource.RLIMIT_DATA: limits.PROCESS_MEMORY.value or max(LEAST_MEMORY, usable_memory()),
        resource.RLIMIT_CORE: 0,
    }
    if opening:
        bounds[resource.RLIMIT_CPU] = limits.PROCESSOR_SECONDS.value
        bounds[resource.RLIMIT_FSIZE] = limits.UNPACKED_BYTES.value
    for which, bound in bounds.items():
        now, most = resource.getrlimit(which)
        resource.setrlimit(which, (min((value for value in (now, bound) if value >= 0), default=bound), most))


def death(code: int | None) -> str:
    """What became of a process that ended without an answer, by its exit code: the end of a sentence."""
    if code is None or code >= 0:
        return f"ended with exit code {code} and no answer"
    name = signal.Signals(-code).name
    match -code:
        case signal.SIGKILL:
            return f"was killed ({name}): out of memory, or somebody ended it"
        case signal.SIGXCPU:
            return f"was ended: it took {limits.PROCESSOR_SECONDS.exceeded()}"
    return f"died of {name} inside a library, which a damaged or hostile file can do"


class Child:
    """A process that calls ``make(*arguments)`` and, where ``keep`` is set, then methods of what that returned.

    Use it as a context manager.  It ends with this process, leaves Ctrl-C to it, and may be used by several threads.
    With ``opening``, it may take only the time and write only the bytes that opening something takes.  Where the object
    is kept, it is there once this returns, and this raises as ``answer``.

    ``poll`` is called ten times a second while this process waits, with the last number that ``make`` passed to its own
    ``poll``, and ends the process by returning True.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *arguments: object,
        keep: bool = False,
        opening: bool = True,
        poll: Callable[[int], bool] | None = None,
    ) -> None:
        self._lock, self._poll, self._keep = threading.Lock(), poll, keep
        # A fork of this process is ready at once; where it has threads, one of them might hold a lock there for ever.
        context = get_context("fork") if threading.active_count() == 1 else forkserver([__name__])
        self._connection, there = context.Pipe()
        given = there, dict(os.environ), keep, opening, poll is not None, make, arguments
        self._process: BaseProcess = context.Process(target=_serve, args=given)
        self._process.start()
        there.close()
        if keep:
            try:
                self.answer()
            except BaseException:
                self.close()
                raise

    def answer(self) -> Any:
        """What ``make`` returned.

        Raises what was raised there, ImgstoreError in a sentence where the process died, and Cancelled where ``poll``
        ended it.
        """
        number: Any = 0
        while True:
            try:
                kind, value = self._connection.recv() if self._connection.poll(POLL_SECONDS) else ("polled", number)
            except (EOFError, OSError):
                self._process.join()
                raise ImgstoreError(f"the process that read it {death(self._process.exitcode)}.") from None
            if kind != "polled" and not self._keep:
                self._process.join(LEAVE_SECONDS)  # so that it leaves no semaphores of its own workers
            match kind:
                case "returned":
                    return value
                case "raised":
                    raise value
            number = value
            if self._poll is not None and self._poll(number):
                self.close()
                raise Cancelled("it was stopped.")

    def ask(self, method: str, *arguments: object) -> Any:
        """What a method of the kept object returns.  Raises as ``answer``."""
        with self._lock:
            with contextlib.suppress(OSError):  # it died, which its answer says
                self._connection.send((method, arguments))
            return self.answer()

    def signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, number)

    def close(self) -> None:
        """End the process, whatever it does.  May be called twice."""
        self._process.kill()
        self._process.join()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def in_child(
    function: Callable[..., T], *arguments: object, opening: bool = True, poll: Callable[[int], bool] | None = None
) -> T:
    """What a function returns, called in a process of its own: see ``Child``.  Raises as ``Child.answer``."""
    with Child(function, *arguments, opening=opening, poll=poll) as child:
        result: T = child.answer()
        return result


def _serve(
    connection: Connection,
    environment: dict[str, str],
    keep: bool,
    opening: bool,
    polled: bool,
    make: Callable[..., Any],
    arguments: tuple[object, ...],
) -> None:
    """The body of the process."""
    os.environ.clear()
    os.environ.update(environment)  # a server that forks has the one of its start
    serve_parent(opening=opening)

    def poll(number: int) -> bool:
        connection.send(("polled", number))
        return False

    kind, made = _call(make, *arguments, **({"poll": poll} if polled else {}))
    connection.send((kind, None if keep and kind == "returned" else made))
    while keep and kind == "returned":
        try:
            method, given = connection.recv()
        except EOFError:
            break
        connection.send(_call(getattr(made, method), *given))


def _call(function: Callable[..., Any], *arguments: object, **options: object) -> tuple[str, Any]:
    """What a function returned or raised, as another process can have it."""
    try:
        try:
            value = function(*arguments, **options)
        finally:
            sys.stdout.flush()
    except MemoryError:
        bound = limits.PROCESS_MEMORY.exceeded(resource.getrlimit(resource.RLIMIT_DATA)[0])
        return "raised", ImgstoreError(f"reading it takes {bound}, or than is free.")
    except Exception as error:
        return "raised", exceeded_limit(error) or _portable(error)
    return "returned", value


def _portable(error: Exception) -> Exception:
    """An error as another process can have it, with its traceback where it is a mistake of ours."""
    if not isinstance(error, ImgstoreError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
