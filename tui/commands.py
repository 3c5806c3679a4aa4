"""What the subcommands do."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends import units
from backends.bench.configuration import Configuration
from backends.bench.plan import Plan, article_plan, check_plan, default_sizes
from backends.datasets import open_dataset
from backends.errors import ImgstoreError, NotAllowed, UsageError
from backends.registry import backend_entries, require_backend
from backends.runs import events
from backends.runs.folder import EVENTS, Tail
from backends.runs.history import delete_run, find_run
from backends.runs.job import Job, open_job, start_run
from backends.runs.run import collect, is_special, write_file
from backends.runs.saved import is_saved_result, load_result
from tui.plan_fields import FIELDS, option_name
from tui.progress import make_narrator, say
from tui.reports import render
from tui.tables import result_text, table
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import Any

    from backends.analysis.compare import RunComparison
    from backends.runs.history import RunFacts
    from backends.runs.run import Result


def make_plan(dataset: str, configurations: tuple[str, ...], options: Mapping[str, Any]) -> Plan:
    """The plan that the options ask for; what they leave open (None) is filled in.

    Raises
    ------
    ImgstoreError
        An option cannot be meant, or the dataset cannot be opened.
    """
    given = {name: _parsed(name, text) for name, text in options.items() if text is not None}
    preset = given.pop("preset", "")
    if configurations or not preset:
        installed = tuple(name for name, entry in backend_entries().items() if entry.installed)
        given["configurations"] = configurations or installed
        check_plan(Plan(dataset, **{"sizes": (1,), **given}))
    with open_dataset(dataset, given.get("split")) as opened:
        facts = opened.survey()
    base = article_plan(dataset, facts) if preset else Plan(dataset, (), default_sizes(facts.count))
    plan = check_plan(replace(base, **given), facts)
    for text in plan.configurations:
        require_backend(Configuration.parse(text).backend)
    return plan


def _parsed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return FIELDS[name].parse(value)
    except UsageError as error:
        raise UsageError(f"{option_name(name)}: {error}") from None


def bench(plan: Plan, jobs: Path, files: Mapping[str, str]) -> int:
    """Run a plan, tell how it goes on standard error, deliver the result, and return the exit code.

    Parameters
    ----------
    files
        Where the result is written, by the format of the report; ``-`` for standard output.

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


def result_of(jobs: Path, name: str) -> Result:
    """The result called ``name``, as far as it came: a file of ``bench --json``, or a run as ``find_run`` finds it.

    Raises
    ------
    ImgstoreError
        There is none, or nothing was measured.
    """
    if is_saved_result(Path(name)):
        return load_result(Path(name))
    folder = find_run(jobs, name)
    result = collect(Tail(folder / EVENTS).read())
    if result is None:
        raise ImgstoreError(f"nothing was measured in {folder.name}: imgstore-tui history show {folder.name} says why.")
    return result


def runs_text(runs: Sequence[RunFacts]) -> str:
    """The runs, one a line."""
    rows = [
        (
            one.id,
            one.state,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started)),
            safe_text(one.dataset, 60),
            units.count(one.sizes[-1]) if one.sizes else "·",
            safe_text(one.headline or " ".join(one.configurations)),
        )
        for one in runs
    ]
    return table(("run", "state", "started", "dataset", "images", "result"), rows, left=6)


def comparison_text(found: RunComparison) -> str:
    """What two runs have in common, figure by figure, then what differs around them."""
    rows = [
        (
            safe_text(one.configuration),
            one.aspect,
            f"{one.count:,}",
            units.seconds(one.first),
            units.seconds(one.second),
            f"{one.ratio:.2f}x",
            _judged(one.paired.outcome if one.paired else ""),
        )
        for one in found.cells
    ]
    head = ("configuration", "operation", "images", "first", "second", "second / first", "second is")
    how = "repeats are paired" if found.same_plan else "the plans differ: repeats are not paired, nothing is judged"
    lines = [f"Medians; {how}.", *(safe_text(one, 500) for one in found.differences)]
    if found.missing:
        lines.append(f"{found.missing:,} figures are in one of the two only.")
    shown = table(head, rows, left=2) if rows else "They have no figure in common."
    return shown + "\n\n" + "\n".join(lines)


def _judged(outcome: str) -> str:
    return {"": "·", "unsure": "too few repeats"}.get(outcome, outcome)


def show_run(jobs: Path, name: str, files: Mapping[str, str]) -> int:
    """Print what a run found and write ``files``, following it to its end where it runs."""
    check_files(files)
    if is_saved_result(Path(name)):
        return deliver(load_result(Path(name)), None, files)
    return show_job(find_run(jobs, name), files)


def delete_runs(jobs: Path, names: Sequence[str]) -> int:
    """Delete runs and say what stayed of each; where one cannot be found, none is deleted."""
    for folder in [find_run(jobs, name) for name in names]:
        left = delete_run(folder)
        stays = (
            f"; not deleted, since the run did not make it or it cannot be removed: {', '.join(map(safe_text, left))}"
            if left
            else ""
        )
        say(f"Deleted {folder.name}{stays}.")
    return 0


def stop_run(jobs: Path, name: str) -> int:
    """Ask a run to stop and wait until it has."""
    found = open_job(find_run(jobs, name))
    if not found.running():
        say(f"{found.id} is not running.")
        return 0
    found.cancel()
    for _ in found.follow():
        pass
    return 0
