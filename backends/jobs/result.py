"""What a run found, as one object: collected from its events, written as JSON."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.bench.conditions import Conditions
from backends.bench.environment import Environment
from backends.bench.measurement import Measurement
from backends.bench.plan import Plan
from backends.bench.summary import Figure, summarise
from backends.bench.verdict import Verdict, decide
from backends.datasets.base import DatasetFacts
from backends.errors import NotAllowed
from backends.jobs import events

if TYPE_CHECKING:
    from collections.abc import Iterable


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
