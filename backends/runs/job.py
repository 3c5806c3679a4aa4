"""Starting a job, finding it again, following its events, asking it to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.disk import free_bytes, sync
from backends.bench.plan import Plan, check_plan
from backends.bench.workdir import clean, is_there
from backends.errors import Cancelled, ImgstoreError, MachineBusy, OlderFormat, exceeded_limit
from backends.runs import events
from backends.runs import folder as files
from backends.runs.machine_lock import holder, take_lock
from backends.runs.run import Run

if TYPE_CHECKING:
    from backends.runs.conversion import ConversionSpec

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # how long a job may take to hear that it is cancelled; its clean-up may take longer
_START_SECONDS = 10.0  # how long a new process may take to its lock

_NAME = "imgstore_backends.py"
_LAUNCHERS = (Path(__file__).parents[1] / "launch" / _NAME, Path(__file__).parents[2] / _NAME)
"""The script that does a job: in a checkout, and where the program is installed."""


class Job:
    """A job's folder, and the process that works on it where this process started it.

    With ``here``, ``run`` executes the job in the thread that calls it, instead of following its process.
    """

    def __init__(
        self,
        folder: Path,
        process: subprocess.Popen[bytes] | None = None,
        *,
        here: bool = False,
        machine_lock: int | None = None,
    ) -> None:
        self.folder = folder
        self.id = folder.name
        self.here = here
        self._machine_lock = machine_lock
        self._process = process
        self._cancelled_at: float | None = None

    @property
    def spec(self) -> Plan | ConversionSpec:
        """Raises ImgstoreError where the folder is no job's."""
        return files.read_spec(self.folder)[0]

    @property
    def plan(self) -> Plan:
        """The plan of a run.  Raises ImgstoreError where the job is none."""
        return files.read_run_plan(self.folder)

    def wait(self) -> Run:
        """Execute or follow the job to its end, and return its run as far as it came."""
        recorded: list[events.Event] = []
        self.run(recorded.append)
        return Run(self.plan).after(*recorded)

    def running(self) -> bool:
        """Whether somebody works on the job."""
        return (self._process is not None and self._process.poll() is None) or _is_worked_on(self.folder)

    def run(
        self,
        emit: Callable[[events.Event], None],
        cancelled: Callable[[], bool] = lambda: False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Execute or follow the job to its end; ``emit`` takes its events, the others are as in ``follow``."""
        if self.here:
            do_job(self.folder, emit, cancelled, self._machine_lock)
            return
        for event in self.follow(stop, cancelled):
            emit(event)

    def cancel(self) -> None:
        """Ask the job to stop: it ends its trial, cleans up and says so; ``follow`` ends it if it does not."""
        (self.folder / files.CANCEL).touch()
        self._cancelled_at = self._cancelled_at or time.monotonic()

    def pause(self, paused: bool) -> None:
        """Ask a conversion to wait, or to go on."""
        (self.folder / files.PAUSE).touch() if paused else (self.folder / files.PAUSE).unlink(missing_ok=True)

    def follow(
        self, stop: Callable[[], bool] = lambda: False, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[events.Event]:
        """All events from the first on, then each as it happens.

        Ends after run-finished or job-failed; ``cancelled`` cancels the job, ``stop`` only ends the following.  They
        are functions, since a signal handler that sets a threading.Event can wait for its lock for ever.  A died job
        ends with a job-failed made here, with the last lines of its log.
        """
        tail = files.Tail(self.folder / files.EVENTS)
        while not stop():
            if self._cancelled_at is None and cancelled() and not stop():
                self.cancel()
            alive = self.running()
            new = tail.read()
            for event in new:
                yield event
                if isinstance(event, events.RunFinished | events.JobFailed):
                    if self._process is not None:  # so that what it leaves behind is known
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            self._process.wait(PATIENCE_SECONDS)
                    return
            if not alive and not new:
                yield events.JobFailed(time.time(), self._death())
                return
            if not new:
                self._kill_if_deaf()
                time.sleep(POLL_SECONDS)

    def _kill_if_deaf(self) -> None:
        """Kill a job that was cancelled and has not seen it, but never a thread: its process is the user's screen."""
        if self._cancelled_at is None or time.monotonic() - self._cancelled_at < PATIENCE_SECONDS:
            return
        spec = self.spec
        if (isinstance(spec, Plan) and spec.in_thread) or (self.folder / files.HEARD).exists():
            return
        if holder := files.lock_holder(self.folder):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(holder, signal.SIGKILL)

    def _death(self) -> str:
        if free_bytes(self.folder) == 0:
            return f"the job's process died, and the disk of {self.folder} is full: free some, or set XDG_STATE_HOME."
        lines = files.last_log_lines(self.folder)
        return "the job's process died" + (f"; its last words: {lines}" if lines else " without a word.")


def start_job(spec: Plan | ConversionSpec, jobs: Path, *, wait: bool = True) -> Job:
    """Start a job below ``jobs``, the folder of all jobs, in a process of its own that outlives this one.

    A run whose trials are executed in a thread is started by ``Job.run``.  Where another job is going on here, the new
    one waits for its end; without ``wait``, MachineBusy is raised instead.  Raises ImgstoreError where the plan cannot
    be meant, or the job's folder cannot be made.
    """
    spec = check_plan(spec) if isinstance(spec, Plan) else spec
    sweep(jobs)
    folder = files.new_folder(jobs, spec)
    try:
        lock = take_lock(jobs, folder.name)
        if lock is None and not wait:
            raise MachineBusy(*holder(jobs))
    except ImgstoreError:
        (folder / files.SPEC).unlink()
        folder.rmdir()
        raise
    if isinstance(spec, Plan) and spec.in_thread:
        return Job(folder, here=True, machine_lock=lock)
    with contextlib.ExitStack() as stack:
        locks = [] if lock is None else [lock]
        for descriptor in locks:  # it is the job's from then on
            stack.callback(os.close, descriptor)
        log = stack.enter_context((folder / files.LOG).open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-P", str(next(filter(Path.is_file, _LAUNCHERS))), str(folder), *map(str, locks)],
            pass_fds=locks,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Job(folder, process)


def open_job(folder: Path) -> Job:
    """A job that was started before, maybe by another process.  Raises ImgstoreError where there is none."""
    files.read_spec(folder)
    return Job(folder)


def sweep(jobs: Path) -> tuple[Path, ...]:
    """Remove what jobs left that died, or could not remove all, each until it is gone; what stayed is returned."""
    left: list[Path] = []
    for folder in (jobs / name for name in files.names_below(jobs)):
        with contextlib.suppress(ImgstoreError):
            if not (folder / files.CLEANED).exists() and (job_state(folder) == "died" or _left_files(folder)):
                left += clean_after(folder)
    return tuple(left)


def _left_files(folder: Path) -> bool:
    """Whether a run came to its end and says that something of its own stayed."""
    last = files.last_event(folder / files.EVENTS)
    return isinstance(last, events.RunFinished) and bool(last.left)


def clean_after(folder: Path) -> tuple[Path, ...]:
    """Remove what the died job of ``folder`` left in its work folders; what lies at their paths then is returned.

    A job is marked once nothing of its own is left: by the next time its paths may belong to somebody else.
    """
    recorded = files.Tail(folder / files.EVENTS).read()
    made = [event.made for event in recorded if isinstance(event, events.WorkFolderMade) and event.made]
    if not (folder / files.CLEANED).exists() and files.owner_of(folder) == os.geteuid() and not folder.is_symlink():
        left = tuple(path for folders in made for path in clean(folders))
        if not any(is_there(folders[0]) for folders in made):
            with contextlib.suppress(OSError):
                (folder / files.CLEANED).touch()
        if left:
            return left
    started = [event for event in recorded if isinstance(event, events.RunStarted)]
    return tuple(Path(work) for event in started for work in event.work if os.path.lexists(work))


def _is_worked_on(folder: Path) -> bool:
    """Whether a process holds the job's lock, or was started a moment ago and has not come to it yet."""
    if (folder / files.LOCK).exists():
        return files.lock_holder(folder) is not None
    with contextlib.suppress(OlderFormat):
        _, created = files.read_spec(folder)
        return 0 <= time.time() - created < _START_SECONDS
    return False


def job_state(folder: Path) -> str:
    """``waiting``, ``running``, ``finished``, ``stopped``, ``failed`` or ``died``."""
    alive = _is_worked_on(folder)  # looked at before the last event: it may end meanwhile
    match files.last_event(folder / files.EVENTS):
        case events.RunFinished(outcome=outcome):
            return "stopped" if outcome == "cancelled" else outcome
        case events.JobFailed():
            return "failed"
        case events.Waiting(why=why) if why and alive:
            return "waiting"
    return "running" if alive else "died"


def work(folder: Path, machine_lock: int | None = None) -> int:
    """Do the job of ``folder`` in this process, which SIGINT, SIGTERM and SIGHUP cancel; give the exit code."""
    from backends.bench.child import confine

    confine()
    if machine_lock is not None:
        os.set_inheritable(machine_lock, False)  # by trials
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: signals.append(number))
    do_job(folder, lambda event: None, lambda: bool(signals), machine_lock)
    return 0


def do_job(
    folder: Path,
    emit: Callable[[events.Event], None],
    cancelled: Callable[[], bool],
    machine_lock: int | None,
) -> None:
    """Do the job of ``folder`` in this thread; its events are recorded and passed to ``emit``.

    It waits for its turn where the lock of the machine was not taken for it.  It stops where ``cancelled`` says so, or
    anybody puts the file that asks for it into the folder.
    """
    lock = files.hold_lock(folder)
    journal = files.Journal(folder / files.EVENTS)
    begin = time.time()

    def record(event: events.Event) -> None:
        journal.append(event)
        emit(event)

    def is_cancelled() -> bool:
        stopping = cancelled() or (folder / files.CANCEL).exists()
        if stopping:
            with contextlib.suppress(OSError):
                (folder / files.HEARD).touch()
        return stopping

    try:
        machine_lock = _wait_for_turn(folder, record, is_cancelled) if machine_lock is None else machine_lock
        spec = files.read_spec(folder)[0]  # numpy and the codecs come with both bodies: too late for the first paint
        if isinstance(spec, Plan):
            from backends.runs.runner import run

            run(spec, record, is_cancelled, folder.name)
        else:
            from backends.runs.conversion import run_conversion

            run_conversion(spec, record, is_cancelled, (folder / files.PAUSE).exists)
    except Cancelled:
        record(events.RunFinished(time.time(), "cancelled", time.time() - begin))
    except Exception as error:  # the last place where anybody can be told
        record(_failure(error, folder))
    finally:
        journal.close()
        try:
            sync(folder)
        except OSError as error:
            with contextlib.suppress(OSError), (folder / files.LOG).open("a") as log:
                log.write(f"the record of this job may be lost by a power cut: {error}\n")
        os.close(lock)
        if machine_lock is not None:
            os.close(machine_lock)


def _failure(error: Exception, folder: Path) -> events.JobFailed:
    """The end of a job that an error ends; what nobody has foreseen is in its log, too."""
    if isinstance(error, ImgstoreError):
        return events.JobFailed(time.time(), str(error), error.exit_code)
    with (folder / files.LOG).open("a") as log:
        traceback.print_exception(error, file=log)
    limit = exceeded_limit(error)
    return events.JobFailed(time.time(), str(limit or f"the job failed: {type(error).__name__}: {error}"))


def _wait_for_turn(folder: Path, record: Callable[[events.Event], None], is_cancelled: Callable[[], bool]) -> int:
    """Take the lock of the machine as soon as it is free.  Raises Cancelled."""
    waiting = False
    while (lock := take_lock(folder.parent, folder.name)) is None:
        if is_cancelled():
            raise Cancelled
        if not waiting:
            record(events.Waiting(time.time(), holder(folder.parent)[1]))
            waiting = True
        time.sleep(POLL_SECONDS)
    if waiting:
        record(events.Waiting(time.time(), ""))
    return lock
