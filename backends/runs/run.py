"""A run as its events tell it."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from backends.analysis.figures import Figure, summarise
from backends.analysis.verdict import Verdict, decide
from backends.analysis.warnings import warnings_of
from backends.bench.budget import trial_seconds
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import Cell, Measurement, Trial
from backends.bench.plan import Plan
from backends.bench.schedule import aspects, cells_of, trials
from backends.datasets.base import DatasetFacts
from backends.errors import NotAllowed
from backends.runs import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Result:
    """A run as far as it came.

    Attributes
    ----------
    outcome
        ``finished``, ``cancelled``, ``failed``, or ``running``.
    seconds
        From start to end; 0 while it runs.
    staging_seconds
        What decoding the images from their source took, which is in no other figure.
    measurements
        Of all trials, warm-ups among them (``shown`` is false there).
    message
        Why the job failed; empty where it did not.
    conditions
        What else the machine did meanwhile.
    started
        Seconds since the epoch; 0 where it is not known.
    """

    plan: Plan
    dataset: DatasetFacts
    environment: Environment
    notes: tuple[str, ...]
    outcome: str
    seconds: float
    staging_seconds: float
    measurements: tuple[Measurement, ...]
    message: str = ""
    conditions: Conditions | None = None
    started: float = 0.0

    @property
    def figures(self) -> tuple[Figure, ...]:
        return summarise(self.measurements)

    @property
    def verdict(self) -> Verdict:
        """What the run decides, and what it predicts."""
        return decide(
            self.plan,
            self.dataset,
            self.measurements,
            complete=self.outcome == "finished",
            source_seconds=self.staging_seconds or None,
            source_images=min(max(self.plan.sizes), self.dataset.count),
            free_bytes=self.environment.free_bytes,
            memory_bytes=self.environment.usable_memory,
        )

    @property
    def failures(self) -> tuple[Measurement, ...]:
        """The trials that failed or were skipped."""
        return tuple(found for found in self.measurements if found.outcome != "ok")


def collect(found: Iterable[events.Event]) -> Result | None:
    """The result of a run's events; None where it failed before it started."""
    start: events.RunStarted | None = None
    end: events.RunFinished | events.JobFailed | None = None
    staging: events.Staging | None = None
    measurements: list[Measurement] = []
    for event in found:
        match event:
            case events.RunStarted():
                start = event
            case events.Staging():
                staging = event
            case events.TrialFinished() | events.TrialFailed() | events.TrialSkipped():
                measurements.append(event.measurement)
            case events.RunFinished() | events.JobFailed():
                end = event
    if start is None:
        return None
    outcome = "running" if end is None else end.outcome if isinstance(end, events.RunFinished) else "failed"
    return Result(
        plan=start.plan,
        dataset=start.dataset,
        environment=start.environment,
        notes=(*start.dataset.notes, *start.notes, *_left_out(staging), *_left_behind(end)),
        outcome=outcome,
        seconds=end.time - start.time if end else 0.0,
        staging_seconds=staging.seconds if staging else 0.0,
        measurements=tuple(measurements),
        message=end.message if isinstance(end, events.JobFailed) else "",
        conditions=end.conditions if isinstance(end, events.RunFinished) else None,
        started=start.time,
    )


def _left_out(staging: events.Staging | None) -> tuple[str, ...]:
    if staging is None or not staging.failures:
        return ()
    return (f"{staging.failures:,} pictures do not decode and were left out: {'; '.join(staging.examples)}.",)


def _left_behind(end: events.Event | None) -> tuple[str, ...]:
    if not isinstance(end, events.RunFinished) or not end.left:
        return ()
    return (f"Not all in them was the run's, or could be removed: {', '.join(end.left[:20])}.",)


def to_json(result: Result) -> str:
    """The result as one JSON object, its trials without those that only warmed up."""
    found: dict[str, Any] = {
        "schema": events.SCHEMA,
        "outcome": result.outcome,
        "started": result.started,
        "seconds": result.seconds,
        "staging_seconds": result.staging_seconds,
        "message": result.message,
        "notes": result.notes,
        "environment": asdict(result.environment),
        "conditions": asdict(result.conditions) if result.conditions else None,
        "dataset": asdict(result.dataset),
        "plan": asdict(result.plan),
        "trials": [asdict(one) for one in result.measurements if one.shown],
        "summary": [asdict(figure) for figure in result.figures],
        "verdict": asdict(result.verdict),
    }
    return json.dumps(found, indent=1) + "\n"


def is_special(path: Path) -> bool:
    """Whether ``path`` is there and is no file that could be replaced: a device, a pipe."""
    return path.exists() and not path.is_file()


def write_file(path: Path, text: str) -> None:
    """Write ``text`` under a temporary name beside ``path`` and rename it, so that it is there whole or not.

    Links are followed; into a device or a pipe it is written as into a stream.

    Raises
    ------
    NotAllowed
        It cannot be written there.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".imgstore-{os.getpid()}.partial")
    try:
        (path if is_special(path) else partial).write_text(text, encoding="utf-8")
        if not is_special(path):
            partial.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise NotAllowed(f"{path} cannot be written: {error.strerror or error}.") from None


@dataclass(frozen=True, eq=False)
class RunState:
    """A run as its events tell it.

    Attributes
    ----------
    phase
        ``starting``, ``staging``, ``running``, ``removing``, then ``finished``, ``cancelled`` or ``failed``.
    trials, ended
        How many trials the plan has, and how many have ended.
    trial, done, total
        The trial under way and its progress in images; ``done`` and ``total`` are the source's while staging.
    source
        Images decoded from their source, and the seconds that took; None while that goes on.
    started, now
        Seconds since the epoch: of the first event and of the last.
    saved
        It was read from a file, and is there to be looked at only.
    trial_seconds
        What each trial of the plan was expected to take, before the first had begun.
    message
        Why the run failed; else the last sentence of a trial that did.
    """

    plan: Plan
    phase: str = "starting"
    stopping: bool = False
    dataset: DatasetFacts | None = None
    work: tuple[str, ...] = ()
    environment: Environment | None = None
    conditions: Conditions | None = None
    source: tuple[int, float] | None = None
    notes: tuple[str, ...] = ()
    trials: int = 0
    trial_seconds: tuple[float, ...] = ()
    ended: int = 0
    trial: Trial | None = None
    done: int = 0
    total: int = 0
    trial_started: float = 0.0
    started: float = 0.0
    now: float = 0.0
    measurements: tuple[Measurement, ...] = ()
    left: tuple[str, ...] = ()
    message: str = ""
    saved: bool = False

    @property
    def aspects(self) -> tuple[str, ...]:
        """What the run looks at."""
        return aspects(self.plan)

    @property
    def filesystem(self) -> str:
        """Of the first folder that the run writes in."""
        return next((mount.filesystem for mount in self.environment.mounts), "") if self.environment else ""

    @property
    def alive(self) -> bool:
        return self.phase in ("starting", "staging", "running", "removing")

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop: not while a run that has ended removes its files."""
        return self.alive and not self.stopping and self.phase != "removing"

    @property
    def complete(self) -> bool:
        """Whether all trials have ended; what the run made may still be being removed."""
        return self.phase == "finished" or (self.phase == "removing" and self.ended >= self.trials)

    @property
    def folder(self) -> str:
        """Where the run writes: the folder that its first work folder lies in."""
        return str(PurePath(self.work[0]).parent) if self.work else ""

    @property
    def elapsed(self) -> float:
        return max(0.0, self.now - self.started)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the other trials will take if they keep to what was expected as well as those that ended.

        None before a fiftieth of the expected seconds has passed: the first trials say too little.
        """
        if self.phase != "running" or self.source is None or len(self.trial_seconds) != self.trials:
            return None
        done, total = sum(self.trial_seconds[: self.ended]), sum(self.trial_seconds)
        if done < total / 50:
            return None
        done += self.share * self.trial_seconds[self.ended] if self.trial is not None else 0.0
        return max(0.0, self.elapsed - self.source[1]) * (total - done) / done

    @property
    def share(self) -> float:
        """Of the trial or the staging under way, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def images_per_second(self) -> float | None:
        spent = self.now - self.trial_started
        return self.done / spent if self.done and spent > 0 else None

    @cached_property
    def figures(self) -> dict[Cell, Figure]:
        """By cell: medians of what has ended so far."""
        return {one.cell: one for one in summarise(self.measurements)}

    @cached_property
    def failures(self) -> dict[Cell, Measurement]:
        """The last trial of each cell that did not end well."""
        return {one.cell: one for one in self.measurements if one.outcome != "ok"}

    @property
    def block(self) -> tuple[int, int] | None:
        """Count and repeat of the last trial that ended."""
        return (self.measurements[-1].count, self.measurements[-1].repeat) if self.measurements else None

    @cached_property
    def verdict(self) -> Verdict | None:
        """What the figures say; None before the dataset is known.  Without winners until every block is in.

        Working it out takes up to 40 ms, so that a run that goes on has one for each block, from those that ended.
        """
        if self.dataset is None:
            return None
        images, seconds = self.source or (0, None)
        here = self.environment
        return decide(
            self.plan,
            self.dataset,
            [
                one
                for one in self.measurements
                if self.complete or not self.alive or (one.count, one.repeat) != self.block
            ],
            complete=self.complete,
            source_seconds=seconds or None,
            source_images=images,
            free_bytes=here.free_bytes if here else None,
            memory_bytes=here.usable_memory if here else None,
        )

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, once all are in."""
        if self.alive or self.environment is None or not self.measurements:
            return ()
        return warnings_of(self.plan, self.measurements, self.conditions, self.environment)

    def repeats_done(self) -> int:
        """The fewest repeats of any figure that have ended, well or not."""
        ended = Counter(one.cell for one in self.measurements if one.shown)
        return min((ended[cell] for cell in cells_of(self.plan)), default=0)


_DERIVED = ("figures", "failures", "warnings")
"""What is computed of the measurements, once for as long as they are the same."""


def fold(state: RunState, event: events.Event) -> RunState:
    """The state after ``event``.  An event that says nothing new only moves ``now``."""
    change = _CHANGES.get(type(event))
    after = replace(state, now=event.time, **(change(state, event) if change else {}))
    kept = _DERIVED if after.measurements is state.measurements and after.phase == state.phase else ()
    if after.phase == state.phase and (kept or (after.alive and after.block == state.block)):
        kept = (*kept, "verdict")
    after.__dict__.update({name: state.__dict__[name] for name in kept if name in state.__dict__})
    return after


def _run_started(state: RunState, event: events.RunStarted) -> dict[str, Any]:
    return {
        "plan": event.plan,
        "dataset": event.dataset,
        "work": event.work,
        "environment": event.environment,
        "notes": event.notes,
        "trials": event.trials,
        "trial_seconds": tuple(trial_seconds(one, event.dataset) for one in trials(event.plan)),
        "started": event.time,
        "trial_started": event.time,
    }


def _staging(state: RunState, event: events.Staging) -> dict[str, Any]:
    source = (event.done, event.seconds) if event.done == event.total else None
    return {"phase": "staging", "done": event.done, "total": event.total, "source": source}


def _trial_started(state: RunState, event: events.TrialStarted) -> dict[str, Any]:
    trial = event.trial
    return {"phase": "running", "trial": trial, "done": 0, "total": trial.count, "trial_started": event.time}


def _progress(state: RunState, event: events.Progress) -> dict[str, Any]:
    if state.trial is None or event.trial != state.trial.index:
        return {}
    return {"done": event.done, "total": event.total}


def _trial_ended(
    state: RunState, event: events.TrialFinished | events.TrialFailed | events.TrialSkipped
) -> dict[str, Any]:
    found = event.measurement
    return {
        "phase": "running",
        "trial": None,
        "ended": state.ended + 1,
        "measurements": (*state.measurements, found),
        "message": found.message or state.message,
    }


def _removing(state: RunState, event: events.Removing) -> dict[str, Any]:
    return {"phase": "removing", "trial": None}


def _run_finished(state: RunState, event: events.RunFinished) -> dict[str, Any]:
    return {
        "phase": event.outcome,
        "trial": None,
        "left": event.left,
        "stopping": False,
        "conditions": event.conditions,
    }


def _job_failed(state: RunState, event: events.JobFailed) -> dict[str, Any]:
    return {"phase": "failed", "trial": None, "message": event.message, "stopping": False}


_CHANGES: dict[type[events.Event], Callable[[RunState, Any], dict[str, Any]]] = {
    events.RunStarted: _run_started,
    events.Staging: _staging,
    events.TrialStarted: _trial_started,
    events.Progress: _progress,
    events.TrialFinished: _trial_ended,
    events.TrialFailed: _trial_ended,
    events.TrialSkipped: _trial_ended,
    events.Removing: _removing,
    events.RunFinished: _run_finished,
    events.JobFailed: _job_failed,
}


class SavedRun:
    """Followed as a job is; there is nothing to stop.  ``id`` is the file's path."""

    here = False

    def __init__(self, path: str, result: Result) -> None:
        self.id = path
        self.result = result

    def run(
        self, emit: Callable[[events.Event], None], cancelled: Callable[[], bool], stop: Callable[[], bool]
    ) -> None:
        """Tell all events to ``emit``."""
        for event in self.follow():
            emit(event)

    def follow(self) -> Iterator[events.Event]:
        """Its events; what was saved while it went on is shown as a run that was stopped."""
        result, begin = self.result, self.result.started
        images = min(max(result.plan.sizes), result.dataset.count)
        notes = tuple(note for note in result.notes if note not in result.dataset.notes)
        trials = len(result.measurements)
        yield events.RunStarted(begin, result.plan, result.dataset, result.environment, trials, (), 0, notes)
        yield events.Staging(begin, images, images, result.staging_seconds)
        for found in result.measurements:
            kind = events.TrialFinished if found.outcome == "ok" else events.TrialFailed
            yield kind(begin, found)
        end = begin + result.seconds
        if result.outcome == "failed":
            yield events.JobFailed(end, result.message)
        else:
            outcome = "finished" if result.outcome == "finished" else "cancelled"
            yield events.RunFinished(end, outcome, result.seconds, conditions=result.conditions)
