"""``imgstore-tui bench``: a run without the screen."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.plan import Plan, check_plan, default_sizes
from backends.bench.presets import article_plan
from backends.datasets import open_dataset
from backends.errors import NotAllowed, UsageError
from backends.jobs import events
from backends.jobs.job import Job, open_job, start_run
from backends.jobs.result import collect, is_special, write_file
from backends.registry import backend_entries, require_backend
from tui.narrate import make_narrator, say
from tui.plan_fields import FIELDS
from tui.report import result_text
from tui.reports import render
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

    from backends.jobs.result import Result


def make_plan(dataset: str, configurations: tuple[str, ...], options: Mapping[str, Any]) -> Plan:
    """The plan that the options ask for; what they leave open (None) is filled in.

    Raises
    ------
    ImgstoreError
        An option cannot be meant, or the dataset cannot be opened.
    """
    given = {name: _parsed(name, text) for name, text in options.items() if text is not None and name != "preset"}
    if configurations or options.get("preset") is None:
        installed = tuple(name for name, entry in backend_entries().items() if entry.installed)
        given["configurations"] = configurations or installed
        check_plan(Plan(dataset, **{"sizes": (1,), **given}))
    with open_dataset(dataset, given.get("split")) as found:
        facts = found.survey()
    base = article_plan(dataset, facts) if options.get("preset") else Plan(dataset, (), default_sizes(facts.count))
    plan = check_plan(replace(base, **given), facts)
    for text in plan.configurations:
        require_backend(Configuration.parse(text).backend)
    return plan


def _parsed(name: str, value: Any) -> Any:
    if name not in FIELDS or not isinstance(value, str):
        return value
    try:
        return FIELDS[name].parse(value)
    except UsageError as error:
        raise UsageError(f"--{'cache' if name == 'caches' else name}: {error}") from None


def bench(plan: Plan, jobs: Path, files: Mapping[str, str]) -> int:
    """Run a plan, tell how it goes on standard error, deliver the result, and return the exit code.

    Parameters
    ----------
    files
        Where the result is written, by one of ``tui.reports.KINDS``; ``-`` for standard output.

    Raises
    ------
    ImgstoreError
        The run cannot start, or a file cannot be written.
    """
    check_files(files)
    result, failed, stopped = _follow(start_run(plan, jobs))
    code = deliver(result, failed, files)
    return stopped or (130 if result is not None and result.outcome == "cancelled" else code)


def show_job(folder: Path, files: Mapping[str, str]) -> int:
    """Deliver what a job found, following it to its end where it runs; interrupting leaves it running."""
    result, failed, stopped = _follow(open_job(folder), stoppable=False)
    return stopped or deliver(result, failed, files)


def deliver(result: Result | None, failed: events.JobFailed | None, files: Mapping[str, str]) -> int:
    """Write the files of a result, print it or what is to be printed, and return the exit code."""
    if result is not None:
        printed = next((kind for kind, file in files.items() if file == "-"), None)
        try:
            for kind, file in files.items():
                if file != "-":
                    write_file(Path(file), render(result, kind))
        finally:
            sys.stdout.write(render(result, printed) if printed else result_text(result) + "\n")
    if failed is not None:
        say(f"imgstore-tui: {safe_text(failed.message, limit=1000)}")
        return failed.exit_code
    return 0 if result is not None and _did_its_work(result) else 1


def _did_its_work(result: Result) -> bool:
    """Whether something was measured and nothing failed; what was stopped, or a budget left out, is no failure."""
    measured = result.outcome == "cancelled" or any(one.shown and one.outcome == "ok" for one in result.measurements)
    return measured and all(one.predicted_seconds is not None for one in result.failures if one.shown)


def _follow(job: Job, *, stoppable: bool = True) -> tuple[Result | None, events.JobFailed | None, int]:
    """Follow a job to its end, or to a signal where it is not ours to stop; a second signal leaves it to itself.

    A third finds the program on its way out, and ends it at once: no handler of Python's is there to raise then.
    The last value is the exit code where a signal came.
    """
    stopped, enough = 0, False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped, enough
        again, stopped = stopped, 128 + number
        if again or not stoppable:
            enough = True
        else:
            job.cancel()
        if job.here:  # what hangs in this thread is ended by the next signal
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    narrator = make_narrator()
    found: list[events.Event] = []

    def take(event: events.Event) -> None:
        narrator.tell(event)
        found.append(event)

    try:
        job.run(take, stop=lambda: enough)
    finally:
        narrator.close()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if stopped else handler)
    last = found[-1] if found else None
    return collect(found), last if isinstance(last, events.JobFailed) else None, stopped


def check_files(files: Mapping[str, str]) -> None:
    """See that the files can be written before anything is measured.

    Raises
    ------
    UsageError, NotAllowed
        One cannot, or two of them are the same.
    """
    if len(set(files.values())) < len(files):
        raise UsageError("two reports cannot go to one place: name a file for each.")
    for kind, file in files.items():
        if file != "-":
            _check_writable(f"--{kind} {file}", Path(file))


def _check_writable(option: str, path: Path) -> None:
    try:
        target = path.resolve()
        is_folder, has_folder, special = target.is_dir(), target.parent.is_dir(), is_special(path)
    except (OSError, RuntimeError) as error:
        raise NotAllowed(f"{option} cannot be reached ({error}).") from None
    if is_folder:
        raise UsageError(f"{option} is a folder: name a file.")
    if not has_folder:
        raise NotAllowed(f"{option}: there is no folder {target.parent} to write it in.")
    if not os.access(path if special else target.parent, os.W_OK):
        raise NotAllowed(f"{option} must not be written: name another file.")
