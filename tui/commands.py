"""What the subcommands do.  Every function raises ImgstoreError with the sentence to show."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from backends.bench.child import in_child
from backends.bench.configuration import Configuration
from backends.bench.plan import Plan, article_plan, check_plan, default_sizes
from backends.datasets import Dataset, open_dataset
from backends.datasets.base import DatasetFacts, Reading
from backends.errors import ImgstoreError, NotAllowed, UsageError
from backends.registry import backend_entries, require_backend
from backends.runs import events
from backends.runs.compare import RunComparison, compare_runs
from backends.runs.history import delete_run, find_run, read_run, run_facts
from backends.runs.job import Job, open_job, start_job
from backends.runs.run import Run
from backends.runs.saved import is_saved_run, is_special, load_run, write_file
from backends.stores.manifest import is_store, read_manifest
from tui.following import stop_job
from tui.plan_fields import option_name, parse
from tui.progress import Progress, listing, say
from tui.reports import render
from tui.store_commands import print_store, store_facts
from tui.tables import dataset_text, result_text, runs_text
from tui.text import json_text, safe_text


def make_plan(
    dataset: str, configurations: tuple[str, ...], options: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Plan:
    """The plan that the options ask for; what they leave open (None) the user's ``defaults`` fill in, then ours.

    Of a preset, these only say where and with what memory it is done.  Raises ImgstoreError.
    """
    given = {name: _parsed(name, text) for name, text in options.items() if text is not None}
    preset = given.pop("preset", "")
    texts = configurations or (() if preset else [name for name, entry in backend_entries().items() if entry.installed])
    if texts:
        check_plan(Plan(dataset, **{"configurations": tuple(map(Configuration, texts)), "sizes": (1,), **given}))
    how = Reading(*(given.get(name) or "" for name in ("root", "layout", "labels")))
    facts = in_child(survey, dataset, given.get("split"), how)
    if preset:
        base = replace(article_plan(dataset, facts), work_dir=defaults.get("work_dir"), memory=defaults.get("memory"))
    else:
        base = Plan(dataset, (), **{**defaults, "sizes": default_sizes(facts.images, defaults.get("sizes"))})
    if texts:
        given["configurations"] = tuple(Configuration.for_dataset(text, facts) for text in texts)
    plan = check_plan(replace(base, **given), facts)
    for configuration in plan.configurations:
        require_backend(configuration.backend)
    return plan


def survey(dataset: str, split: str | None, how: Reading) -> DatasetFacts:
    """The facts of a dataset, with what some of its pictures say."""
    with listing() as poll, open_dataset(dataset, split, poll, how) as opened:
        return opened.survey()


def describe(path: str, split: str | None, how: Mapping[str, str], list_skipped: str | None, as_json: bool) -> int:
    """Print what a dataset or a store is."""
    if is_store(Path(path)):
        if as_json:
            sys.stdout.write(json_text(store_facts(Path(path))))
        else:
            print_store(Path(path), read_manifest(Path(path)))
        return 0
    with listing() as poll, open_dataset(path, split, poll, Reading(**how)) as dataset:
        facts = dataset.survey()
        if list_skipped is not None:
            write_skipped(dataset, list_skipped)
    sys.stdout.write(json_text(asdict(facts)) if as_json else dataset_text(facts) + "\n")
    return 0


def _parsed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse(name, value)
    except UsageError as error:
        raise UsageError(f"{option_name(name)}: {error}") from None


def bench(plan: Plan, jobs: Path, files: Mapping[str, str], *, wait: bool) -> int:
    """Run a plan with its progress on standard error, deliver the result, and return the exit code.

    Where another job is going on it waits for its end, or else raises MachineBusy.  ``files`` says where the result is
    written, by the format of the report; ``-`` for standard output.
    """
    check_files(files)
    run, stopped = _follow(start_job(plan, jobs, wait=wait))
    code = deliver(run, files)
    return stopped or (130 if run.start and run.outcome == "cancelled" else code)


def deliver(run: Run, files: Mapping[str, str]) -> int:
    """Write the files of a run, print it or what is to be printed, and return the exit code."""
    if run.start is not None:
        printed = next((kind for kind, file in files.items() if file == "-"), None)
        try:
            for kind, file in files.items():
                if file != "-":
                    write_file(Path(file), render(run, kind))
        finally:
            sys.stdout.write(render(run, printed) if printed else result_text(run) + "\n")
    if isinstance(run.end, events.JobFailed):
        say(f"imgstore-tui: {safe_text(run.message, limit=1000)}")
        return run.end.exit_code
    return 0 if run.start is not None and _did_its_work(run) else 1


def _did_its_work(result: Run) -> bool:
    """Whether something was measured, and all was verified; what was stopped, or a budget left out, is no failure."""
    measured = [one.verified for one in result.measurements if one.shown and one.outcome == "ok"]
    fit = all(one.predicted_seconds is not None for one in result.failures if one.shown)
    return fit and all(measured) and (bool(measured) or result.outcome == "cancelled")


def _follow(job: Job, *, stoppable: bool = True) -> tuple[Run, int]:
    """Follow a job to its end; return its run, and the exit code where a signal came, else 0.

    The first signal stops the job, or only the following where the job is not ours; a second one always stops the
    following; a third one ends the program at once, as no handler is left then.
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
    run = Run(job.plan)

    def take(event: events.Event) -> None:
        nonlocal run
        run = run.after(event)
        progress.show(run)

    try:
        with Progress() as progress:
            job.run(take, stop=lambda: enough)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if stopped else handler)
    return run, stopped


def check_files(files: Mapping[str, str]) -> None:
    """Raise UsageError or NotAllowed where a file cannot be written, before anything is measured."""
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


def write_skipped(dataset: Dataset, file: str) -> None:
    """Write path and reason of each file that is passed over, a line each; ``-`` is standard output."""
    lines = "".join(f"{safe_text(path, limit=4096)}\t{safe_text(why, limit=500)}\n" for path, why in dataset.skipped())
    if file == "-":
        sys.stdout.write(lines)
    else:
        _check_writable(f"--list-skipped {file}", Path(file))
        write_file(Path(file), lines)


def result_of(jobs: Path, name: str) -> Run:
    """The result called ``name``, as far as it came: a file of ``bench --json``, or a run as ``find_run`` finds it."""
    if is_saved_run(Path(name)):
        return load_run(Path(name))
    folder = find_run(jobs, name)
    run = read_run(folder)
    if run.start is None:
        raise ImgstoreError(f"nothing was measured in {folder.name}: imgstore-tui history show {folder.name} says why.")
    return run


def show_run(jobs: Path, name: str, files: Mapping[str, str]) -> int:
    """Print the result of a run and write ``files``, following it to its end where it runs; interrupting leaves it."""
    check_files(files)
    if is_saved_run(Path(name)):
        return deliver(load_run(Path(name)), files)
    folder = find_run(jobs, name)
    facts = run_facts(folder)
    if facts.job == "convert":
        sys.stdout.write(runs_text([facts]) + "\n")
        return 0
    run, stopped = _follow(open_job(folder), stoppable=False)
    return stopped or deliver(run, files)


def delete_runs(jobs: Path, names: Sequence[str]) -> str:
    """Delete runs; give the sentence that says what stayed of them.  Where one cannot be found, none is deleted."""
    folders = [find_run(jobs, name) for name in names]
    left = [path for folder in folders for path in delete_run(folder)]
    deleted = f"{len(folders)} runs" if len(folders) > 1 else folders[0].name
    stays = f"; not deleted, since no run made it or it cannot be removed: {', '.join(map(safe_text, left))}"
    return f"Deleted {deleted}{stays if left else ''}."


def compare(jobs: Path, first: str, second: str) -> RunComparison:
    """Two runs beside each other.  Raises ImgstoreError."""
    return compare_runs(result_of(jobs, first), result_of(jobs, second))


def stop_run(jobs: Path, name: str) -> int:
    """Ask a run to stop and wait until it has."""
    job = open_job(find_run(jobs, name))
    if not job.running():
        say(f"{job.id} is not running.")
        return 0
    stop_job(job.folder)
    return 0
