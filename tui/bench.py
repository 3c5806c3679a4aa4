"""``imgstore-tui bench``: a run without the screen."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.plan import Plan, check_plan, default_sizes
from backends.datasets import open_dataset
from backends.errors import NotAllowed, UsageError
from backends.jobs import events
from backends.jobs.job import Job, open_job, start_run
from backends.jobs.result import collect, is_special, to_json, write_file
from backends.registry import backend_entries
from tui.narrate import make_narrator, say
from tui.report import result_text
from tui.text import safe_text

if TYPE_CHECKING:
    from types import FrameType

    from backends.jobs.result import Result


def parse_sizes(text: str) -> tuple[int, ...]:
    """``10,100`` as numbers.  Raises UsageError."""
    sizes = []
    for part in text.split(","):
        try:
            sizes.append(int(part))
        except ValueError:
            raise UsageError(
                f"--sizes: {part.strip()!r} is not a number of images: write numbers such as 10,100,1000."
            ) from None
    return tuple(sizes)


def make_plan(
    dataset: str,
    configurations: tuple[str, ...],
    *,
    sizes: str | None,
    operations: str | None,
    repeats: int,
    seed: int,
    split: str | None,
    work_dir: str | None,
    in_thread: bool,
) -> Plan:
    """The plan that the options ask for; what they leave open is filled in.

    Raises
    ------
    ImgstoreError
        An option cannot be meant, or the dataset cannot be opened.
    """
    chosen = configurations or tuple(name for name, entry in backend_entries().items() if entry.installed)
    asked = parse_sizes(sizes) if sizes is not None else None
    plan = Plan(
        dataset,
        chosen,
        asked or (1,),
        repeats=repeats,
        seed=seed,
        split=split,
        work_dir=work_dir,
        in_thread=in_thread,
    )
    if operations is not None:
        plan = replace(plan, operations=tuple(part.strip() for part in operations.split(",")))
    check_plan(plan)
    for text in chosen:
        Configuration.parse(text).make()
    with open_dataset(dataset, split) as found:
        facts = found.survey()
    return check_plan(plan if asked else replace(plan, sizes=default_sizes(facts.count)), facts)


def bench(plan: Plan, jobs: Path, json_file: str | None) -> int:
    """Run a plan, tell how it goes on standard error, print the result, and return the exit code."""
    if json_file not in (None, "-"):
        _check_writable(Path(str(json_file)))
    job = start_run(plan, jobs)
    result, failed, stopped = _follow(job)
    try:
        if result is not None and json_file not in (None, "-"):
            write_file(Path(str(json_file)), to_json(result))
    finally:
        code = print_result(result, failed, as_json=json_file == "-")
    return stopped or (130 if result is not None and result.outcome == "cancelled" else code)


def show_job(folder: Path, as_json: bool) -> int:
    """Print what a job found, following it to its end where it runs; interrupting leaves it running."""
    result, failed, stopped = _follow(open_job(folder), stoppable=False)
    return stopped or print_result(result, failed, as_json=as_json)


def print_result(result: Result | None, failed: events.JobFailed | None, *, as_json: bool) -> int:
    """Print a result, say why its job failed, and return the exit code."""
    if result is not None:
        sys.stdout.write(to_json(result) if as_json else result_text(result) + "\n")
    if failed is not None:
        say(f"imgstore-tui: {safe_text(failed.message, limit=1000)}")
        return failed.exit_code
    return 1 if result is None or any(one.shown for one in result.failures) else 0


def _follow(job: Job, *, stoppable: bool = True) -> tuple[Result | None, events.JobFailed | None, int]:
    """Follow a job to its end, or to a signal where it is not ours to stop; a second signal leaves it to itself.

    The last value is the exit code where a signal came.
    """
    stopped = 0
    enough = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        again, stopped = stopped, 128 + number
        if again or not stoppable:
            enough.set()
        else:
            job.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    narrator = make_narrator()
    found: list[events.Event] = []
    try:
        for event in job.follow(enough):
            narrator.tell(event)
            found.append(event)
    finally:
        narrator.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    last = found[-1] if found else None
    return collect(found), last if isinstance(last, events.JobFailed) else None, stopped


def _check_writable(path: Path) -> None:
    try:
        target = path.resolve()
        is_folder, has_folder, special = target.is_dir(), target.parent.is_dir(), is_special(path)
    except (OSError, RuntimeError) as error:
        raise NotAllowed(f"--json {path} cannot be reached ({error}).") from None
    if is_folder:
        raise UsageError(f"--json {path} is a folder: name a file.")
    if not has_folder:
        raise NotAllowed(f"--json {path}: there is no folder {target.parent} to write it in.")
    if not os.access(path if special else target.parent, os.W_OK):
        raise NotAllowed(f"--json {path} must not be written: name another file.")
