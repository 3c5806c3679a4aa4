"""Thread workers: they read datasets and the history, execute and follow runs, and post messages."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends import units
from backends.errors import ImgstoreError, UsageError
from backends.runs import events
from backends.runs.run import RunState, SavedRun, collect, fold
from tui import messages
from tui.messages import Place, RunEvent
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from textual.message import Message

    from backends.analysis.compare import RunComparison
    from backends.bench.budget import Estimate
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.job import Job
    from backends.runs.run import Result


_LISTING = threading.Lock()
"""Two threads that list the runs would write one index."""


def open_path(path: str, cancelled: Callable[[], bool]) -> Iterator[Message]:
    """What is at ``path``: a dataset, at once and again once it was looked into, or a saved result."""
    from backends.runs.saved import is_saved_result, load_result

    if is_saved_result(Path(path)):
        result = load_result(Path(path))
        yield messages.JobOpened(SavedRun(path, result), result.plan)
        return
    for step, facts in enumerate(read_facts(path, cancelled)):
        yield messages.DatasetSurveyed(facts) if step else messages.DatasetOpened(facts)


def survey(path: str, cancelled: Callable[[], bool]) -> Iterator[Message]:
    """The facts of an open dataset, with what looking into its pictures tells."""
    for facts in read_facts(path, cancelled):
        yield messages.DatasetSurveyed(facts)


def recognise_folder() -> Iterator[Message]:
    """The current folder, where it is a dataset."""
    with contextlib.suppress(ImgstoreError):
        yield messages.FolderRecognised(first_facts(str(Path.cwd())))


def listed(jobs: Path) -> Iterator[Message]:
    """The runs below ``jobs``."""
    from backends.runs.history import list_runs

    with _LISTING:
        yield messages.JobsListed(list_runs(jobs))


def delete(jobs: Path, names: Sequence[str]) -> str:
    """Delete runs that have ended; give the sentence that says what stayed of them.  Raises ImgstoreError."""
    from backends.runs.history import delete_run, find_run

    left = [path for name in names for path in delete_run(find_run(jobs, name))]
    said = f"Deleted {len(names)} runs" if len(names) > 1 else f"Deleted {names[0]}"
    return said + (f"; not deleted, since no run made it: {', '.join(left)}." if left else ".")


def compare(jobs: Path, first: str, second: str) -> RunComparison:
    """Two runs beside each other.  Raises ImgstoreError."""
    from backends.analysis.compare import compare_runs
    from tui.commands import result_of

    return compare_runs(result_of(jobs, first), result_of(jobs, second))


def started(plan: Plan, jobs: Path, beside: bool) -> Iterator[Message]:
    """A run of ``plan`` begins, unless one goes on on this machine that it may not run ``beside``."""
    from backends.runs.history import list_runs
    from backends.runs.job import start_run

    with _LISTING:
        runs = () if beside else list_runs(jobs)
    for job in runs:
        if job.state == "running" and job.host in ("", socket.gethostname()):
            yield messages.RunGoesOn(plan, job)
            return
    yield messages.JobOpened(start_run(plan, jobs), plan)


def reopened(folder: Path) -> Iterator[Message]:
    """An earlier run, or one that still goes on."""
    from backends.runs.folder import read_spec
    from backends.runs.job import open_job

    yield messages.JobOpened(open_job(folder), read_spec(folder)[0])


def weighed(plan: Plan, facts: DatasetFacts) -> Iterator[Message]:
    """What ``plan`` will take."""
    yield messages.PlanWeighed(plan, *weigh(plan, facts))


def read_facts(path: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[DatasetFacts]:
    """What the dataset at ``path`` is: at once, and again once pictures were looked into.

    Raises ImgstoreError with the sentence to show.
    """
    from backends.datasets import open_dataset

    with open_dataset(path, None, cancelled) as dataset:
        facts = dataset.facts()
        yield facts
        surveyed = dataset.survey()
        if surveyed != facts:
            yield surveyed


def first_facts(path: str) -> DatasetFacts:
    """What the dataset at ``path`` is, as far as is known at once."""
    return next(read_facts(path))


def weigh(plan: Plan, facts: DatasetFacts) -> tuple[Estimate, Place]:
    """What ``plan`` will take, and where it will write.  Raises ImgstoreError."""
    from backends.bench.budget import estimate

    found = estimate(plan, facts)
    return found, place_of(found.work)


def place_of(folder: Path) -> Place:
    """The filesystem of ``folder`` and what a run may still write there."""
    from backends.bench.disk import free_bytes, mount_of

    return Place(str(folder), mount_of(folder).filesystem, free_bytes(folder))


def disks() -> list[tuple[str, str]]:
    """A folder on each disk that can be written to, and how a list shows it."""
    from backends.bench.disk import free_bytes, writable_folders

    found = [(str(folder), mount.filesystem, free_bytes(folder)) for folder, mount in writable_folders()]
    width = max((min(len(folder), 40) for folder, _, _ in found), default=0)
    return [
        (folder, f"{safe_text(folder, 40):<{width}}  {kind:<6} {units.capacity(free):>7} free")
        for folder, kind, free in found
    ]


def folder_to_write(text: str) -> str:
    """The folder that ``text`` names, made absolute; empty where the run is to decide.  Raises NotAllowed."""
    from backends.bench.disk import choose_work_dir

    return str(choose_work_dir(text.strip(), None)) if text.strip() else ""


def export(result: Result | None, text: str) -> str:
    """Write the report of ``result`` into the file that ``text`` names, in the format of its end; say where.

    Raises ImgstoreError with the sentence to show.
    """
    from backends.runs.run import write_file
    from tui.reports import render

    path = Path(text.strip()).expanduser()
    kinds = {".html": "html", ".md": "markdown", ".csv": "csv", ".json": "json"}
    if path.suffix not in kinds:
        raise UsageError(f"{text.strip()!r} has no known ending: end the name with one of {', '.join(kinds)}.")
    if result is None:
        raise UsageError("nothing was measured yet: there is nothing to write.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")
    write_file(path, render(result, kinds[path.suffix]))
    return f"The report is in {path.resolve()}."


def completion(text: str) -> str | None:
    """``text`` with the first folder that begins so behind it; None where there is none."""
    place = Path(text).expanduser()
    parent, begin = (place, "") if text.endswith("/") else (place.parent, place.name)
    if not text or text == "~":
        return None
    try:
        with os.scandir(parent) as entries:
            names = sorted(entry.name for entry in entries if entry.name.startswith(begin) and entry.is_dir())
    except OSError:
        return None
    found = [name for name in names if begin or not name.startswith(".")]
    return text + found[0][len(begin) :] + "/" if found else None


MOST_THREADS = 64
"""One for each run that is followed, and for each question that is not answered yet."""


class Threads(ThreadPoolExecutor):
    """Ends without waiting for one that waits for a dead disk."""

    def __init__(self) -> None:
        super().__init__(MOST_THREADS)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def end_process(code: int) -> int:
    """End the process at once where a thread still hangs, for which the interpreter would wait; else give ``code``."""
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)
    return code


@dataclass(slots=True)
class Followed:
    """A job of this app.  ``stop`` ends the following, not the job; ``told`` is what happened so far."""

    job: Job | SavedRun
    state: RunState
    stop: threading.Event = field(default_factory=threading.Event)
    told: list[events.Event] = field(default_factory=list)


class Runs(dict[str, Followed]):
    """By the id of the job."""

    shown = ""
    """The id of the job on show."""

    def add(self, job: Job | SavedRun, plan: Plan) -> Followed:
        """Follow one more job."""
        self[job.id] = Followed(job, RunState(plan, saved=isinstance(job, SavedRun)))
        return self[job.id]

    def take(self, message: RunEvent) -> Followed | None:
        """Fold an event into the state of its run; None where that is not followed."""
        followed = self.get(message.run)
        if followed is not None:
            if not isinstance(message.event, events.Progress):
                followed.told.append(message.event)
            followed.state = fold(followed.state, message.event)
        return followed

    def stopping(self, run: str) -> None:
        """Its worker was cancelled: the run ends at its next batch, and says so in its last event."""
        self[run].state = replace(self[run].state, stopping=self[run].state.alive)

    def alive(self) -> Iterator[Followed]:
        """Those that go on."""
        return (followed for followed in self.values() if followed.state.alive)

    def alive_here(self) -> bool:
        """Whether one goes on in a thread of this program, which cannot be left without it."""
        return any(followed.job.here for followed in self.alive())

    def result(self) -> Result | None:
        """What the run on show found, as far as it came."""
        return collect(self[self.shown].told) if self.shown in self else None
