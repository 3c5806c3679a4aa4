"""Starting a job, finding it again, following its events, asking it to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.disk import free_bytes
from backends.bench.plan import Plan, check_plan
from backends.bench.workdir import clean, is_there
from backends.errors import Cancelled, ImgstoreError, NotAllowed, OlderFormat
from backends.runs import events
from backends.runs.folder import (
    CANCEL,
    CLEANED,
    EVENTS,
    HEARD,
    LOCK,
    LOG,
    Journal,
    Tail,
    hold_lock,
    last_event,
    last_words,
    lock_holder,
    new_folder,
    read_spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


POLL_SECONDS = 0.1
PATIENCE_SECONDS = 5.0
"""How long a job may take to hear that it is cancelled; its clean-up may take longer."""

_START_SECONDS = 10.0

_NAME = "imgstore_backends.py"
_LAUNCHERS = (Path(__file__).parents[1] / "launch" / _NAME, Path(__file__).parents[2] / _NAME)
"""The script that does a job: in a checkout, and where the program is installed."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job in a list.

    Attributes
    ----------
    state
        ``running``, ``finished``, ``stopped``, ``failed`` or ``died``.
    started
        Seconds since the epoch.
    """

    id: str
    folder: Path
    state: str
    started: float
    plan: Plan


class Job:
    """A job's folder, and the process that works on it where this process started it.

    Attributes
    ----------
    here
        Whether ``run`` executes the job in the thread that calls it, instead of following its process.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None = None, *, here: bool = False) -> None:
        self.folder = folder
        self.id = folder.name
        self.here = here
        self._process = process
        self._cancelled_at: float | None = None

    def running(self) -> bool:
        """Whether somebody works on the job."""
        if self._process is not None and self._process.poll() is None:
            return True
        return lock_holder(self.folder) is not None or _starting(self.folder)

    def run(
        self,
        emit: Callable[[events.Event], None],
        cancelled: Callable[[], bool] = lambda: False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Execute or follow the job to its end; ``emit`` takes its events, and ``cancelled`` says when it is to stop.

        Following, not a job executed here, ends early where ``stop`` says so: the job's process goes on.
        """
        if self.here:
            do_job(self.folder, emit, cancelled)
            return
        for event in self.follow(stop, cancelled):
            emit(event)

    def cancel(self) -> None:
        """Ask the job to stop: it ends its trial, cleans up and says so; ``follow`` ends it if it does not."""
        (self.folder / CANCEL).touch()
        self._cancelled_at = self._cancelled_at or time.monotonic()

    def follow(
        self, stop: Callable[[], bool] = lambda: False, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[events.Event]:
        """All events from the first on, then each as it happens.

        Ends after run-finished or job-failed, or within a tenth of a second when ``stop`` says so: not an Event, whose
        lock the handler of a signal would wait for forever where it has interrupted its holder.  The job is cancelled
        within the same time when ``cancelled`` says so, unless ``stop`` did before.  A job that died without a word
        ends with a job-failed made here, which has the last lines of its log.
        """
        tail = Tail(self.folder / EVENTS)
        while not stop():
            if self._cancelled_at is None and cancelled() and not stop():
                self.cancel()
            alive = self.running()
            found = tail.read()
            for event in found:
                yield event
                if isinstance(event, events.RunFinished | events.JobFailed):
                    self._reap()
                    return
            if not alive and not found:
                yield events.JobFailed(time.time(), self._death())
                return
            if not found:
                self._end_if_deaf()
                time.sleep(POLL_SECONDS)

    def _reap(self) -> None:
        """Wait for the end of the process, so that what it leaves behind is known when ``follow`` ends."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_SECONDS)

    def _end_if_deaf(self) -> None:
        if self._cancelled_at is None or time.monotonic() - self._cancelled_at < PATIENCE_SECONDS:
            return
        plan, _ = read_spec(self.folder)
        if plan.in_thread or (self.folder / HEARD).exists():  # a thread's process is somebody's screen or command line
            return
        holder = lock_holder(self.folder)
        if holder:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(holder, signal.SIGKILL)

    def _death(self) -> str:
        words = last_words(self.folder)
        if free_bytes(self.folder) == 0:
            return f"the job's process died, and the disk of {self.folder} is full: free some, or set XDG_STATE_HOME."
        return "the job's process died" + (f"; its last words: {words}" if words else " without a word.")


def start_run(plan: Plan, jobs: Path) -> Job:
    """Start a run in a process of its own, which outlives this one; where trials run in a thread, ``Job.run`` does it.

    Parameters
    ----------
    jobs
        The folder of all jobs.

    Raises
    ------
    ImgstoreError
        The plan cannot be meant, or the job's folder cannot be made.
    """
    plan = check_plan(plan)
    sweep(jobs)
    folder = new_folder(jobs, plan)
    if plan.in_thread:
        return Job(folder, here=True)
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", str(next(filter(Path.is_file, _LAUNCHERS))), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Job(folder, process)


def open_job(folder: Path) -> Job:
    """A job that was started before, maybe by another process.  Raises ImgstoreError where there is none."""
    read_spec(folder)
    return Job(folder)


def list_jobs(jobs: Path) -> tuple[JobFacts, ...]:
    """All jobs below ``jobs``, the newest first; what is not a job's folder is passed over.

    Raises
    ------
    NotAllowed
        ``jobs`` is there and cannot be listed.
    """
    found = []
    for name in names_below(jobs):
        with contextlib.suppress(ImgstoreError):
            plan, started = read_spec(jobs / name)
            found.append(JobFacts(name, jobs / name, job_state(jobs / name), started, plan))
    return tuple(found)


def names_below(jobs: Path) -> list[str]:
    """The names of what lies in ``jobs`` and belongs to its owner, the newest first; none where it does not exist.

    Raises
    ------
    NotAllowed
        It cannot be listed.
    """
    try:
        owner = jobs.stat().st_uid
        return sorted((path.name for path in jobs.iterdir() if _owner(path) == owner), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise NotAllowed(f"{jobs} cannot be listed ({error.strerror}): set XDG_STATE_HOME elsewhere.") from None


def sweep(jobs: Path) -> tuple[Path, ...]:
    """Remove what died jobs left in their work folders, each until it is gone; what stayed is returned."""
    left: list[Path] = []
    for folder in (jobs / name for name in names_below(jobs)):
        with contextlib.suppress(ImgstoreError):
            if not (folder / CLEANED).exists() and job_state(folder) == "died":
                left += clean_after(folder)
    return tuple(left)


def clean_after(folder: Path) -> tuple[Path, ...]:
    """Remove what the died job of ``folder`` left in its work folders; what lies at their paths then is returned.

    A job is marked once nothing of its own is left: by the next time its paths may belong to somebody else.
    """
    found = Tail(folder / EVENTS).read()
    made = [event.made for event in found if isinstance(event, events.WorkFolderMade) and event.made]
    if not (folder / CLEANED).exists() and _owner(folder) == os.geteuid() and not folder.is_symlink():
        left = tuple(path for folders in made for path in clean(folders))
        if not any(is_there(folders[0]) for folders in made):
            with contextlib.suppress(OSError):
                (folder / CLEANED).touch()
        if left:
            return left
    started = [event for event in found if isinstance(event, events.RunStarted)]
    return tuple(Path(work) for event in started for work in event.work if os.path.lexists(work))


def _owner(path: Path) -> int | None:
    """The owner of what lies at ``path``, a link among it; None where that is gone."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_uid
    return None


def _starting(folder: Path) -> bool:
    """Whether the job's process was started a moment ago and has not come to its lock yet."""
    if (folder / LOCK).exists():
        return False
    try:
        _, created = read_spec(folder)
    except OlderFormat:
        return False
    return 0 <= time.time() - created < _START_SECONDS


def job_state(folder: Path) -> str:
    """The state of the job of ``folder``, as in ``JobFacts``."""
    last = last_event(folder / EVENTS)
    if isinstance(last, events.RunFinished):
        return "stopped" if last.outcome == "cancelled" else last.outcome
    if isinstance(last, events.JobFailed):
        return "failed"
    return "running" if lock_holder(folder) is not None or _starting(folder) else "died"


LOOK_SECONDS = 0.1
"""How often it is looked whether somebody else asks the job to stop."""


def work(folder: Path) -> int:
    """Do the job of ``folder`` in this process, which SIGINT, SIGTERM and SIGHUP cancel; give the exit code."""
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.append(number))
    do_job(folder, lambda event: None, lambda: bool(signals))
    return 0


def do_job(folder: Path, emit: Callable[[events.Event], None], cancelled: Callable[[], bool]) -> None:
    """Do the job of ``folder`` in this thread; its events are recorded, and told to ``emit``.

    It stops where ``cancelled`` says so, or anybody puts the file that asks for it into the folder.
    """
    from backends.runs.runner import run  # numpy and the codecs come with it: too late for the first paint

    lock = hold_lock(folder)
    journal = Journal(folder / EVENTS)
    begin = time.time()

    def record(event: events.Event) -> None:
        journal.append(event)
        emit(event)

    try:
        plan, _ = read_spec(folder)
        run(plan, record, _any_cancel(folder, cancelled), folder.name)
    except Cancelled:
        record(events.RunFinished(time.time(), "cancelled", time.time() - begin))
    except ImgstoreError as error:
        record(events.JobFailed(time.time(), str(error), error.exit_code))
    except Exception as error:  # the last place where anybody can be told
        with (folder / LOG).open("a") as log:
            traceback.print_exc(file=log)
        record(events.JobFailed(time.time(), f"the job failed: {type(error).__name__}: {error}"))
    finally:
        journal.close()
        os.close(lock)


def _any_cancel(folder: Path, cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Whether the job is to stop, by ``cancelled`` or by the file; it is cheap enough to be asked after each batch."""
    asked, looked = False, 0.0

    def check() -> bool:
        nonlocal asked, looked
        if not asked:
            asked, now = cancelled(), time.monotonic()
            if not asked and now - looked >= LOOK_SECONDS:
                asked, looked = (folder / CANCEL).exists(), now
            if asked:
                with contextlib.suppress(OSError):
                    (folder / HEARD).touch()
        return asked

    return check
