"""Conversions in processes of their own, which report what is durable and wait, to be killed, starved or cut off."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import time
import warnings
from collections import Counter
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from backends.errors import ImgstoreError
from backends.stores import executors, journal, shard
from backends.stores.convert import Control, convert
from backends.stores.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from backends.stores.plan import Request, StorePlan
    from tests.faults.case import Case

PATIENCE = 60.0
"""Seconds after which something that must happen is taken not to."""


def body(pipe: Connection, request: Request, folder: Path, unprotected: str, options: dict[str, Any]) -> None:
    """Convert; say what is durable, and wait each time for the word to go on as long as that is asked for."""
    os.setsid()
    forkserver._forkserver.__init__()  # type: ignore[misc]  # it has those of the tests, and begins its own
    resource_tracker._resource_tracker.__init__()  # type: ignore[misc]
    if unprotected:
        globals()[unprotected]()
    durable, waits = 0, True

    def say(*message: Any) -> None:
        nonlocal waits
        pipe.send(message)
        if waits:
            waits = pipe.recv()

    def report(progress: Progress) -> None:
        nonlocal durable
        if progress.durable > max(durable, progress.resumed):
            durable = progress.durable
            say("durable", durable)

    control = Control(announce=lambda plan, needs: say("begun"), report=report)
    try:
        convert(request, folder, resume=True, control=control, **{"workers": 2, **options})
        pipe.send(("done",))
    except ImgstoreError as error:
        pipe.send(("failed", str(error)))


def without_journal() -> None:
    """Let shards be reported without a line in the journal."""

    def forget(self: journal.Journal, sealed: shard.Sealed) -> None:
        self.sealed[sealed.number] = sealed

    journal.Journal.append = forget  # type: ignore[method-assign]


def without_errors() -> None:
    """Let shards that could not be made be reported as if they were."""
    executors._work = _work_without_errors  # type: ignore[assignment]


def _work_without_errors(plan: StorePlan, folder: Path, number: int) -> shard.Sealed:
    try:
        return shard.make_shard(plan, folder, number)
    except (ImgstoreError, OSError, MemoryError, RuntimeError):
        return shard.Sealed(number, plan.shards[number].stop - plan.shards[number].start, 0, 0, 0, "")


class Child:
    """A conversion in a process that was begun, and waits for ``go`` before it writes its first image."""

    begun: ClassVar[list[Child]] = []

    def __init__(self, case: Case, folder: Path, unprotected: str = "", **options: Any) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        arguments = (theirs, case.request, folder, unprotected, options)
        self.process = context.Process(target=body, args=arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            self.process.start()
        theirs.close()
        self.pid: int = self.process.pid or 0
        self.durable = 0
        self.last: tuple[Any, ...] = ()
        self.waits = False
        self.begun.append(self)
        self.next()

    def next(self) -> tuple[Any, ...]:
        """The next message; ``("ended",)`` behind the last one."""
        try:
            message = self.pipe.recv()
        except (EOFError, ConnectionError):
            return ("ended",)
        if message[0] == "durable":
            self.durable = message[1]
        self.last, self.waits = message, True
        return self.last

    def go(self, *, wait: bool = False) -> None:
        """Let it go on if it waits, and not wait again unless that is asked for."""
        if self.waits:
            self.waits = False
            with contextlib.suppress(ConnectionError):
                self.pipe.send(wait)

    def durable_shards(self, count: int) -> None:
        """Let it go on until it has reported so many more times; it waits then."""
        for _ in range(count):
            self.go(wait=True)
            if self.next()[0] != "durable":
                return

    def signal(self, number: int) -> None:
        """Send a signal to the process and to all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """Stop all its processes, and take what it has said until then."""
        self.signal(signal.SIGSTOP)
        while self.pipe.poll() and self.next() != ("ended",):
            pass

    def end(self) -> int:
        """Take what it still says and wait for its end, which all that it has started must come to as well."""
        while self.next() != ("ended",):
            pass
        self.process.join(PATIENCE)
        left = left_behind(self.pid)
        self.signal(signal.SIGKILL)
        assert not left, f"processes left behind: {left}"
        assert self.process.exitcode is not None
        return self.process.exitcode

    def workers(self) -> list[int]:
        """The processes that make shards."""
        found = members(self.pid)
        return [pid for pid, parent in found.items() if parent != self.pid and parent in found]


def members(session: int) -> dict[int, int]:
    """The processes of a session that live, each with its parent."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                found[int(path.parent.name)] = int(parent)
    return found


def left_behind(session: int) -> dict[int, int]:
    """The processes of a session that do not come to an end."""
    until = time.monotonic() + PATIENCE
    while (left := members(session)) and time.monotonic() < until:
        time.sleep(0.01)
    return left


@contextlib.contextmanager
def traced(child: Child, log: Path, *arguments: str) -> Iterator[None]:
    """Trace a child that waits, and all that it starts, until its end."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt install strace")
    command = ["strace", "-f", "-o", str(log), *arguments, "-p", str(child.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        if "attached" not in (line := strace.stderr.readline()):
            pytest.skip(f"strace cannot trace here: {line.strip()}")
        try:
            yield
        finally:
            strace.communicate(timeout=PATIENCE)


def calls(log: Path) -> set[tuple[str, int]]:
    """The system calls of a trace, each with how many of its name a process had made by then."""
    counts: Counter[tuple[str, ...]] = Counter()
    found = set()
    for call in re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE):
        counts[call] += 1
        found.add((call[1], counts[call]))
    return found
