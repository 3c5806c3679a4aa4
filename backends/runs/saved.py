"""A run as a JSON file: written by ``bench --json``, read again by this version or another one."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from backends import limits
from backends.bench.disk import write_durably
from backends.bench.json_files import from_builtins, read_json, to_builtins
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import Measurement, is_measured_here
from backends.bench.plan import MOST_IMAGES, check_plan
from backends.datasets.base import DatasetFacts
from backends.errors import ImgstoreError, NotAllowed
from backends.runs import events
from backends.runs.run import Run

MOST_SECONDS = 253_402_300_800.0
"""Since 1970 until the year 10,000, which dates cannot show."""


class SavedFields(msgspec.Struct):
    """The fields of a saved run; ``summary`` and ``verdict``, which follow from the trials, are not read."""

    plan: dict[str, Any]
    dataset: DatasetFacts
    environment: Environment
    trials: list[dict[str, Any]]
    outcome: str = "finished"
    started: float = 0.0
    seconds: float = 0.0
    staging_seconds: float = 0.0
    message: str = ""
    notes: tuple[str, ...] = ()
    conditions: Conditions | None = None


def to_json(run: Run) -> str:
    """The run as one JSON object, its trials without those that only warmed up."""
    fields = {
        "schema": events.SCHEMA,
        "outcome": run.outcome,
        "started": run.started,
        "seconds": run.seconds,
        "staging_seconds": run.staging_seconds,
        "message": run.message,
        "notes": (*run.dataset.notes, *run.notes),
        "environment": run.environment,
        "conditions": run.conditions,
        "dataset": run.dataset,
        "plan": run.plan,
        "trials": [measurement for measurement in run.measurements if measurement.shown],
        "summary": list(run.figures.values()),
        "verdict": run.verdict,
    }
    return json.dumps(to_builtins(fields), indent=1) + "\n"


def is_saved_run(path: Path) -> bool:
    """Whether ``path`` is a file that starts as JSON does, which no dataset's file does."""
    try:
        if not path.is_file():  # a FIFO would block
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


def load_run(path: Path) -> Run:
    """The run that ``bench --json`` wrote into ``path``; one that was saved while it went on counts as cancelled.

    Unknown fields are ignored; trials of operations and backends that are not known here are left out, and a note says
    so.  Raises ImgstoreError where it cannot be read, or is no run: not JSON, cut short, of another schema, a folder.
    """
    try:
        fields = read_json(path, limits.RESULT_BYTES)
    except OSError as error:
        raise ImgstoreError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise ImgstoreError(f"{path} is not JSON, or was cut short ({error}): name a file of bench --json.") from None
    if not isinstance(fields, dict):
        raise ImgstoreError(f"{path} is JSON, but no result: name a file that bench --json wrote.")
    if fields.get("schema") != events.SCHEMA:
        raise ImgstoreError(
            f"{path} is no result that this version reads (schema {fields.get('schema')!r}, here {events.SCHEMA}): "
            "make it again with bench --json, or read it with the version that wrote it."
        )
    try:
        return _run(from_builtins(fields, SavedFields))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ImgstoreError(f"{path} is no result of bench --json: {reason}.") from None


def _run(saved: SavedFields) -> Run:
    plan = check_plan(events.read_plan(saved.plan))
    times = (saved.started, saved.seconds, saved.staging_seconds)
    if not all(0 <= number < MOST_SECONDS for number in times):
        raise ValueError(f"one of its times is none: {times}")
    if saved.dataset.count < 1:
        raise ValueError("its dataset has no images")
    notes = [note for note in saved.notes if note not in saved.dataset.notes]
    measurements, others = [], []
    for fields in saved.trials:
        measurement = from_builtins(fields, Measurement) if is_measured_here(fields) else None
        if measurement is not None and _is_usable(measurement):
            measurements.append(measurement)
        else:
            others.append(f"{fields['configuration']} {fields['operation']}")
    if others:
        names = ", ".join(dict.fromkeys(others))
        notes.append(f"{len(others):,} trials are of what this version does not measure: {names}.")
    images, now = min(max(plan.sizes), saved.dataset.count), saved.started + saved.seconds
    outcome = "finished" if saved.outcome == "finished" else "cancelled"
    finished = events.RunFinished(now, outcome, saved.seconds, conditions=saved.conditions)
    run = Run(plan).after(
        events.RunStarted(
            saved.started, plan, saved.dataset, saved.environment, len(measurements), (), 0, tuple(notes)
        ),
        events.Staging(saved.started, images, images, saved.staging_seconds),
        *(events.TrialFinished(now, measurement) for measurement in measurements),
        events.JobFailed(now, saved.message) if saved.outcome == "failed" else finished,
    )
    return replace(run, saved=True)


def _is_usable(trial: Measurement) -> bool:
    """Whether everything else here can work with it."""
    seconds = (trial.seconds, trial.seconds_durable, trial.cpu_seconds, trial.predicted_seconds, *trial.phases.values())
    return 1 <= trial.count <= MOST_IMAGES and all(value is None or 0 <= value < math.inf for value in seconds)


def is_special(path: Path) -> bool:
    """Whether ``path`` is there and is no file that could be replaced: a device, a pipe."""
    return path.exists() and not path.is_file()


def write_file(path: Path, text: str) -> None:
    """Write ``text`` into ``path`` durably.

    Links are followed; devices and pipes are written to as streams.  Raises NotAllowed where it cannot be written.
    """
    try:
        if is_special(path):
            path.write_bytes(text.encode())
        else:
            write_durably(Path(os.path.realpath(path)), text.encode())
    except OSError as error:
        raise NotAllowed(f"{path} cannot be written: {error.strerror or error}.") from None
