"""A run: what its events say so far, and the figures and the verdict that follow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any

from backends.analysis.figures import Figure, summarise
from backends.analysis.verdict import Verdict, decide
from backends.analysis.warnings import warnings_of
from backends.bench.budget import trial_seconds
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import Aspect, Cell, Measurement, Trial
from backends.bench.plan import Plan
from backends.bench.schedule import aspects, cells_of, trials
from backends.datasets.base import DatasetFacts
from backends.runs import events

NO_DATASET = DatasetFacts(path="", kind="", split="", splits={}, fingerprint="")
NO_ENVIRONMENT = Environment("", "", "", "", 1, 0, None, "", {}, ())


@dataclass(frozen=True, eq=False)
class Run:
    """A run as far as it came; what its events have not told yet is None, empty or 0."""

    plan: Plan
    start: events.RunStarted | None = None
    staging: events.Staging | None = None  # the latest
    measurements: tuple[Measurement, ...] = ()  # of all trials that ended; warm-ups are not shown
    trial: Trial | None = None  # under way
    trial_started: float = 0.0
    done: int = 0  # images of the trial under way, or of the staging
    total: int = 0
    waiting: str = ""  # for which job, in words
    found: int = 0  # pictures, while they are listed
    removing: bool = False  # all trials have ended, and the run's files are being removed
    end: events.RunFinished | events.JobFailed | None = None
    now: float = 0.0  # time of the latest event
    stopping: bool = False  # it was asked to stop
    saved: bool = False  # it was read from a JSON file, and is there to be looked at only

    def after(self, *new: events.Event) -> Run:
        """The run after more events.  Those that say nothing new only move ``now``."""
        changes: dict[str, Any] = {}
        ended: list[Measurement] = []
        for event in new:
            changes["now"] = event.time
            match event:
                case events.Waiting(why=why):
                    changes["waiting"] = why
                case events.Listing(found=found):
                    changes["found"] = found
                case events.RunStarted():
                    changes |= {"plan": event.plan, "start": event, "trial_started": event.time}
                case events.Staging():
                    changes |= {"staging": event, "done": event.done, "total": event.total}
                case events.TrialStarted(trial=trial):
                    changes |= {"trial": trial, "trial_started": event.time, "done": 0, "total": trial.count}
                case events.Progress():
                    trial_now = changes.get("trial", self.trial)
                    if trial_now is not None and trial_now.index == event.trial:
                        changes |= {"done": event.done, "total": event.total}
                case events.TrialFinished():
                    ended.append(event.measurement)
                    changes["trial"] = None
                case events.Removing():
                    changes |= {"trial": None, "removing": True}
                case events.RunFinished() | events.JobFailed():
                    changes |= {"trial": None, "end": event, "stopping": False}
        if ended:
            changes["measurements"] = (*self.measurements, *ended)
        later = replace(self, **changes)
        later.__dict__.update({name: self.__dict__[name] for name in self._unchanged(later) if name in self.__dict__})
        return later

    def _unchanged(self, later: Run) -> set[str]:
        """The cached properties that are the same in a later state of this run."""
        same = later.measurements is self.measurements
        kept = {"trial_seconds"} | ({"figures", "failed_cells"} if same else set())
        if later.phase == self.phase and (same or (later.alive and later.block == self.block)):
            kept |= {"verdict", "warnings"}
        return kept if later.start is self.start else set()

    @property
    def phase(self) -> str:
        """``starting``, ``staging``, ``running``, ``removing``, then ``finished``, ``cancelled`` or ``failed``."""
        if self.end is not None:
            return self.end.outcome if isinstance(self.end, events.RunFinished) else "failed"
        if self.removing:
            return "removing"
        if self.trial is not None or self.measurements:
            return "running"
        return "staging" if self.staging else "starting"

    @property
    def alive(self) -> bool:
        return self.end is None

    @property
    def outcome(self) -> str:
        """``running``, ``finished``, ``cancelled`` or ``failed``."""
        return "running" if self.alive else self.phase

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop: not while a run that has ended removes its files."""
        return self.alive and not self.stopping and not self.removing

    @property
    def complete(self) -> bool:
        """Whether all trials have ended; what the run made may still be being removed."""
        return self.phase == "finished" or (self.phase == "removing" and self.ended >= self.trials)

    @property
    def dataset(self) -> DatasetFacts:
        return self.start.dataset if self.start else NO_DATASET

    @property
    def environment(self) -> Environment:
        return self.start.environment if self.start else NO_ENVIRONMENT

    @property
    def conditions(self) -> Conditions | None:
        """What else the machine did meanwhile; None before the end and where it was not recorded."""
        return self.end.conditions if isinstance(self.end, events.RunFinished) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the run that a user must see; the dataset has notes of its own."""
        notes = list(self.start.notes if self.start else ())
        if self.staging and self.staging.failures:
            examples = "; ".join(self.staging.examples)
            notes.append(f"{self.staging.failures:,} pictures do not decode and were left out: {examples}.")
            if self.start and max(self.start.plan.sizes) > self.staging.total:
                notes.append(
                    f"{self.staging.total:,} different pictures were left: larger counts are of repeated ones."
                )
        if isinstance(self.end, events.RunFinished) and self.end.left:
            notes.append(f"Not all in them was the run's, or could be removed: {', '.join(self.end.left[:20])}.")
        return tuple(notes)

    @property
    def message(self) -> str:
        """Why the run failed; empty where it did not."""
        return self.end.message if isinstance(self.end, events.JobFailed) else ""

    @property
    def aspects(self) -> tuple[Aspect, ...]:
        """The operations and cache states that are measured."""
        return aspects(self.plan)

    @property
    def work(self) -> tuple[str, ...]:
        """The folders that the run writes in."""
        return self.start.work if self.start else ()

    @property
    def folder(self) -> str:
        """Where the run writes: the folder that its first work folder lies in."""
        return str(PurePath(self.work[0]).parent) if self.work else ""

    @property
    def filesystem(self) -> str:
        """Of the first folder that the run writes in."""
        return next((mount.filesystem for mount in self.environment.mounts), "")

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        return self.start.time if self.start else 0.0

    @property
    def seconds(self) -> float:
        """From the first event to the latest."""
        return max(0.0, self.now - self.started) if self.start else 0.0

    @property
    def source(self) -> tuple[int, float] | None:
        """Images decoded from their source, and the seconds that took; None while that goes on."""
        staging = self.staging
        return (staging.done, staging.seconds) if staging and staging.done == staging.total else None

    @property
    def staging_seconds(self) -> float:
        """What decoding the images from their source took so far, which is in no other figure."""
        return self.staging.seconds if self.staging else 0.0

    @property
    def trials(self) -> int:
        """How many trials the plan has."""
        return self.start.trials if self.start else 0

    @property
    def ended(self) -> int:
        """How many trials have ended."""
        return len(self.measurements)

    @property
    def block(self) -> tuple[int, int] | None:
        """Count and repeat of the last trial that ended."""
        return (self.measurements[-1].count, self.measurements[-1].repeat) if self.measurements else None

    def repeats_done(self) -> int:
        """The fewest repeats of any figure that have ended, well or not."""
        ended = Counter(measurement.cell for measurement in self.measurements if measurement.shown)
        return min((ended[cell] for cell in cells_of(self.plan)), default=0)

    @property
    def share(self) -> float:
        """Of the trial or the staging under way, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def images_per_second(self) -> float | None:
        spent = self.now - self.trial_started
        return self.done / spent if self.done and spent > 0 else None

    @cached_property
    def trial_seconds(self) -> tuple[float, ...]:
        """What each trial of the plan was expected to take, before the first had begun."""
        return tuple(trial_seconds(trial, self.dataset) for trial in trials(self.plan)) if self.start else ()

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
        return max(0.0, self.seconds - self.source[1]) * (total - done) / done

    @cached_property
    def figures(self) -> dict[Cell, Figure]:
        """By cell: medians of what has ended so far."""
        return {figure.cell: figure for figure in summarise(self.measurements)}

    @property
    def failures(self) -> tuple[Measurement, ...]:
        """The trials that failed or were skipped."""
        return tuple(measurement for measurement in self.measurements if measurement.outcome != "ok")

    @cached_property
    def failed_cells(self) -> dict[Cell, Measurement]:
        """By cell: the last of its trials that failed or was skipped."""
        return {measurement.cell: measurement for measurement in self.failures}

    @cached_property
    def verdict(self) -> Verdict:
        """What the figures say; without winners until every block is in.

        It takes up to 40 ms, so that a run that goes on has one for each block, from the blocks that ended.
        """
        block = None if self.complete or not self.alive else self.block
        images, seconds = self.source or (0, 0.0)
        return decide(
            self.plan,
            self.dataset,
            [trial for trial in self.measurements if (trial.count, trial.repeat) != block],
            complete=self.complete,
            source_seconds=seconds or None,
            source_images=images,
            free_bytes=self.environment.free_bytes,
            memory_bytes=self.environment.usable_memory,
        )

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, once all are in."""
        if self.alive or not self.measurements:
            return ()
        return warnings_of(self.plan, self.measurements, self.conditions, self.environment)
