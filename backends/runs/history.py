"""The runs that were made: listed, filtered, found by a part of their name, deleted.

The folders of the jobs are the truth.  What has ended changes no more, so its facts are kept in an index, an SQLite
file beside the folders.  The index is never changed in place: with what is new it is written into another file, which
takes its name.  So nobody waits for anybody, on any filesystem, and where it is missing or damaged folders are read.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from backends.analysis.ranking import ranking_line
from backends.errors import ImgstoreError, NotAllowed, OlderFormat, UsageError
from backends.runs.events import from_fields
from backends.runs.folder import CANCEL, CLEANED, EVENTS, HEARD, LOCK, LOG, SPEC, Tail, read_spec
from backends.runs.job import Job, clean_after, job_state, names_below
from backends.runs.run import Result, collect

if TYPE_CHECKING:
    from pathlib import Path


INDEX = "history-2.sqlite"
"""Another version of what is in it has another name."""

LAST = "last"

_OURS = (EVENTS, LOG, LOCK, CANCEL, HEARD, CLEANED, f"{SPEC}.partial", SPEC)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run in a list.

    Attributes
    ----------
    state
        ``running``, ``finished``, ``stopped``, ``failed``, ``died``, or ``older format`` where only another version
        can read it.
    started
        Seconds since the epoch.
    dataset, kind
        As the user wrote it; what it is, empty where the run never started.
    host
        Where it ran; empty where it never started.
    headline
        What came out, in a few words; empty where nothing did.
    """

    id: str
    state: str
    started: float
    dataset: str
    kind: str
    configurations: tuple[str, ...]
    sizes: tuple[int, ...]
    host: str
    headline: str


Known = dict[str, tuple[str, RunFacts]]
"""By the name of a job's folder: a stamp that its last event changed, and the facts."""


def list_runs(jobs: Path, *, text: str = "") -> tuple[RunFacts, ...]:
    """The runs below ``jobs``, the newest first.

    Parameters
    ----------
    text
        Words, each of which must be in a run's id, state, dataset, configurations or host; case does not matter.

    Raises
    ------
    NotAllowed
        ``jobs`` is there and cannot be listed.
    """
    known = _read_index(jobs / INDEX)
    found: Known = {}
    for name in names_below(jobs):
        stamp = _stamp(jobs / name)
        if name in known and known[name][0] == stamp:
            found[name] = known[name]
        else:
            with contextlib.suppress(ImgstoreError):
                found[name] = stamp, run_facts(jobs / name)
    ended = {name: one for name, one in found.items() if one[1].state != "running"}
    if ended != known:
        _write_index(jobs / INDEX, ended)
    words = text.casefold().split()
    return tuple(one for _, one in found.values() if all(word in _searched(one) for word in words))


def find_run(jobs: Path, name: str) -> Path:
    """The folder of the run called ``name``: its id, ``last``, or how the id of one run alone begins or ends.

    Raises
    ------
    UsageError
        No run is called so, or several are.
    """
    names = [one for one in names_below(jobs) if (jobs / one / SPEC).is_file()]
    found = [one for one in names if one == name] or (names[:1] if name == LAST else [])
    found = found or [one for one in names if name and (one.startswith(name) or one.endswith(name))]
    if len(found) != 1:
        how = f"{len(found)} runs are" if found else "no run is"
        raise UsageError(f"{how} called {name!r}: imgstore-tui history lists them.")
    return jobs / found[0]


def delete_run(folder: Path) -> tuple[str, ...]:
    """Remove a run that has ended: the files that a job makes, and its folder where nothing else is in it.

    Returns
    -------
    tuple of str
        What stayed: paths in the folder that no job made, and what a died run left that cannot be removed.

    Raises
    ------
    ImgstoreError
        It is no job's folder, still runs, or cannot be removed.
    """
    if folder.is_symlink():
        raise NotAllowed(f"{folder} is a link and no folder of ours: remove it by hand.")
    with contextlib.suppress(OlderFormat):
        read_spec(folder)
    if Job(folder).running():
        raise UsageError(f"{folder.name} is running: imgstore-tui history stop {folder.name} stops it.")
    left = clean_after(folder) if job_state(folder) == "died" else ()
    try:
        for name in _OURS:
            (folder / name).unlink(missing_ok=True)
        others = sorted(folder.iterdir())
        if not others:
            folder.rmdir()
    except OSError as error:
        raise NotAllowed(f"{folder} cannot be removed: {error.strerror or error}.") from None
    return tuple(str(path) for path in (*others, *left))


def run_facts(folder: Path) -> RunFacts:
    """The facts of one run, read from its folder.  Raises ImgstoreError where it is no job's."""
    try:
        plan, started = read_spec(folder)
    except OlderFormat as error:
        return RunFacts(folder.name, "older format", error.created, "", "", (), (), "", "")
    result = collect(Tail(folder / EVENTS).read())
    return RunFacts(
        id=folder.name,
        state=job_state(folder),
        started=started,
        dataset=plan.dataset,
        kind=result.dataset.kind if result else "",
        configurations=plan.configurations,
        sizes=result.plan.sizes if result else plan.sizes,
        host=result.environment.host if result else "",
        headline=_headline(result) if result else "",
    )


def _headline(result: Result) -> str:
    """``shuffled 2,000: hdf5+raw 1.1 ms > lmdb+raw 5.2x``: what the verdict rests on, its recommendation first."""
    ranking = result.verdict.headline
    return ranking_line(ranking) if ranking else ""


def _stamp(folder: Path) -> str:
    with contextlib.suppress(OSError):
        found = (folder / EVENTS).stat()
        return f"{found.st_size} {found.st_mtime_ns}"
    return ""


def _searched(one: RunFacts) -> str:
    return "\n".join((one.id, one.state, one.dataset, one.kind, one.host, *one.configurations)).casefold()


def _read_index(path: Path) -> Known:
    """What the index holds; nothing where it is missing, damaged or cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as index:
            rows = index.execute("SELECT id, stamp, facts FROM runs").fetchall()
        return {str(name): (str(stamp), from_fields(RunFacts, json.loads(facts))) for name, stamp, facts in rows}
    except (sqlite3.Error, ValueError, KeyError, TypeError):
        return {}


def _write_index(path: Path, ended: Known) -> None:
    """Replace the index, where that can be done."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    rows = [(name, stamp, json.dumps(asdict(facts))) for name, (stamp, facts) in ended.items()]
    try:
        with contextlib.closing(sqlite3.connect(f"{partial.absolute().as_uri()}?nolock=1", uri=True)) as index:
            index.executescript(
                "PRAGMA journal_mode=OFF; CREATE TABLE runs (id TEXT PRIMARY KEY, stamp TEXT, facts TEXT)"
            )
            with index:
                index.executemany("INSERT INTO runs VALUES (?, ?, ?)", rows)
        partial.replace(path)
    except (sqlite3.Error, OSError):
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
