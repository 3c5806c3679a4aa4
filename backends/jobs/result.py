"""What a run found, as one object: collected from its events, written as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backends.bench.environment import Environment
from backends.bench.measurement import Measurement
from backends.bench.plan import Plan
from backends.bench.summary import Figure, summarise
from backends.datasets.facts import DatasetFacts
from backends.errors import NotAllowed
from backends.jobs import events

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


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

    @property
    def figures(self) -> tuple[Figure, ...]:
        return summarise(self.measurements)

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
        notes=(*start.dataset.notes, *start.notes, *_left_out(staging)),
        outcome=outcome,
        seconds=end.time - start.time if end else 0.0,
        staging_seconds=staging.seconds if staging else 0.0,
        measurements=tuple(measurements),
        message=end.message if isinstance(end, events.JobFailed) else "",
    )


def _left_out(staging: events.Staging | None) -> tuple[str, ...]:
    if staging is None or not staging.failures:
        return ()
    return (f"{staging.failures:,} pictures do not decode and were left out: {'; '.join(staging.examples)}.",)


def to_json(result: Result) -> str:
    """The result as one JSON object, its trials without those that only warmed up."""
    found: dict[str, Any] = {
        "schema": events.SCHEMA,
        "outcome": result.outcome,
        "seconds": result.seconds,
        "staging_seconds": result.staging_seconds,
        "notes": result.notes,
        "environment": asdict(result.environment),
        "dataset": asdict(result.dataset),
        "plan": asdict(result.plan),
        "trials": [asdict(one) for one in result.measurements if one.shown],
        "summary": [asdict(figure) for figure in result.figures],
    }
    return json.dumps(found, indent=1) + "\n"


def write_file(path: Path, text: str) -> None:
    """Write ``text`` under a temporary name beside ``path`` and rename it, so that it is there whole or not.

    Raises
    ------
    NotAllowed
        It cannot be written there.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise NotAllowed(f"{path} cannot be written: {error.strerror or error}.") from None
