"""Runs that were made: listed, searched, found by a part of their name, deleted.

A job's folder is the record of its run.  What a list shows of a run that has ended is kept in the folder as
``summary.json``; where that is missing, damaged or of another version, the events are read again.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from backends import limits
from backends.analysis.ranking import ranking_line
from backends.bench.configuration import Configuration
from backends.bench.disk import write_durably
from backends.bench.json_files import from_builtins, read_json, to_builtins
from backends.bench.plan import Plan
from backends.errors import ImgstoreError, NotAllowed, OlderFormat, UsageError
from backends.runs.folder import EVENTS, FILES, SPEC, SUMMARY, Tail, names_below, owner_of, read_run_plan, read_spec
from backends.runs.job import Job, clean_after, job_state
from backends.runs.run import Run

if TYPE_CHECKING:
    from backends.runs.conversion import ConversionSpec

LAST = "last"
SUMMARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run in a list: where it never started, kind and host are empty, and without figures the headline."""

    id: str
    state: str  # of ``job_state``, or "older format" where only another version can read it
    started: float
    dataset: str  # as the user wrote it
    kind: str = ""
    configurations: tuple[Configuration, ...] = ()
    sizes: tuple[int, ...] = ()
    host: str = ""
    headline: str = ""
    job: str = "bench"  # or "convert"

    def matches(self, words: str) -> bool:
        """Whether what identifies the run has each of ``words`` in it."""
        texts = (self.id, self.job, self.state, self.dataset, self.kind, self.host, *self.configurations)
        text = "\n".join(texts).casefold()
        return all(word in text for word in words.casefold().split())


class _Summary(msgspec.Struct):
    """The content of ``summary.json``; ``events`` is the size and time of the events it was made from."""

    version: int
    events: tuple[int, int]
    facts: RunFacts


def list_runs(jobs: Path, *, text: str = "") -> tuple[RunFacts, ...]:
    """The runs below ``jobs``, the newest first, that have each word of ``text`` in what identifies them.

    Raises NotAllowed where ``jobs`` is there and cannot be listed.
    """
    runs = []
    for name in names_below(jobs):
        with contextlib.suppress(ImgstoreError):
            facts = run_facts(jobs / name)
            if facts.matches(text):
                runs.append(facts)
    return tuple(runs)


def find_run(jobs: Path, name: str) -> Path:
    """The folder of the run called ``name``: its id, ``last``, or how the id of one run alone begins or ends.

    Raises UsageError where no run is called so, or several are.
    """
    ids = [run_id for run_id in names_below(jobs) if (jobs / run_id / SPEC).is_file()]
    matches = [run_id for run_id in ids if run_id == name] or (ids[:1] if name == LAST else [])
    matches = matches or [run_id for run_id in ids if name and (run_id.startswith(name) or run_id.endswith(name))]
    if len(matches) != 1:
        how = f"{len(matches)} runs are" if matches else "no run is"
        raise UsageError(f"{how} called {name!r}: imgstore-tui history lists them.")
    return jobs / matches[0]


def read_run(folder: Path) -> Run:
    """The run of a job's folder, as far as it came.  Raises ImgstoreError where it is no job's."""
    return Run(read_run_plan(folder)).after(*Tail(folder / EVENTS).read())


def delete_run(folder: Path) -> tuple[str, ...]:
    """Remove a run that has ended: the files that a job makes, and its folder where nothing else is in it.

    Returns what stayed: paths in the folder that no job made, and what a died run left that cannot be removed.  Raises
    ImgstoreError where it is no job's folder, still runs, or cannot be removed.
    """
    if folder.is_symlink():
        raise NotAllowed(f"{folder} is a link and no folder of ours: remove it by hand.")
    with contextlib.suppress(OlderFormat):
        read_spec(folder)
    if Job(folder).running():
        raise UsageError(f"{folder.name} is running: imgstore-tui history stop {folder.name} stops it.")
    left = clean_after(folder) if job_state(folder) == "died" else ()
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        others = sorted(folder.iterdir())
        if not others:
            folder.rmdir()
    except OSError as error:
        raise NotAllowed(f"{folder} cannot be removed: {error.strerror or error}.") from None
    return tuple(str(path) for path in (*others, *left))


def run_facts(folder: Path) -> RunFacts:
    """The facts of one run, from its summary where that is good.  Raises ImgstoreError where ``folder`` is no job's."""
    stamp = _stamp(folder)
    with contextlib.suppress(OSError, ValueError):
        summary = from_builtins(read_json(folder / SUMMARY, limits.JSON_BYTES), _Summary)
        if (summary.version, summary.events, summary.facts.id) == (SUMMARY_VERSION, stamp, folder.name):
            return summary.facts
    facts = _facts(folder)
    if facts.state not in ("running", "waiting") and owner_of(folder) == os.geteuid():
        summary = to_builtins(_Summary(SUMMARY_VERSION, stamp, facts))
        with contextlib.suppress(OSError):
            write_durably(folder / SUMMARY, json.dumps(summary).encode())
    return facts


def _facts(folder: Path) -> RunFacts:
    """The facts of one run, from its plan and its events."""
    try:
        spec, started = read_spec(folder)
    except OlderFormat as error:
        return RunFacts(folder.name, "older format", error.created, "")
    if not isinstance(spec, Plan):
        return _conversion_facts(folder, spec, started)
    state, run = job_state(folder), read_run(folder)
    headline = run.verdict.headline
    return RunFacts(
        id=folder.name,
        state=state,
        started=started,
        dataset=spec.dataset,
        kind=run.dataset.kind,
        configurations=spec.configurations,
        sizes=run.plan.sizes,
        host=run.environment.host,
        headline=ranking_line(headline) if headline else "",
    )


def _conversion_facts(folder: Path, spec: ConversionSpec, started: float) -> RunFacts:
    from backends.runs.conversion import Conversion  # numpy comes with it

    state, conversion = job_state(folder), Conversion(spec).after(*Tail(folder / EVENTS).read())
    start = conversion.start
    return RunFacts(
        id=folder.name,
        state=state,
        started=started,
        dataset=spec.request.dataset,
        kind=start.kind if start else "",
        configurations=(spec.request.configuration,),
        sizes=(conversion.images,) if conversion.images else (),
        host=start.host if start else "",
        headline=conversion.message or f"{100 * conversion.share:.0f} % converted to {spec.destination}",
        job="convert",
    )


def _stamp(folder: Path) -> tuple[int, int]:
    """Size and time of the events: what a job adds to them makes its summary out of date."""
    with contextlib.suppress(OSError):
        status = (folder / EVENTS).stat()
        return status.st_size, status.st_mtime_ns
    return 0, 0
