"""Results that were saved as JSON, here or elsewhere, by this version or another one."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.bench.configuration import Configuration
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import CACHES, Measurement, is_measured_here
from backends.bench.plan import MOST_IMAGES, Plan, check_plan, without_unknown_operations
from backends.datasets.base import DatasetFacts
from backends.errors import ImgstoreError, UsageError
from backends.runs.events import SCHEMA, from_fields
from backends.runs.run import Result

if TYPE_CHECKING:
    from pathlib import Path


MOST_BYTES = 1 << 30


def is_saved_result(path: Path) -> bool:
    """Whether ``path`` is a file that starts as JSON does, which no dataset's file does."""
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False


def load_result(path: Path) -> Result:
    """The result that ``bench --json`` wrote into ``path``.

    Fields that are not known here are passed over; trials of operations and backends that are not known here are left
    out, and a note says so.

    Raises
    ------
    ImgstoreError
        It cannot be read, or is no result: not JSON, cut short, of another schema, a folder.
    """
    found = _read(path)
    if found.get("schema") != SCHEMA:
        raise ImgstoreError(
            f"{path} is no result that this version reads (schema {found.get('schema')!r}, here {SCHEMA}): "
            "make it again with bench --json, or read it with the version that wrote it."
        )
    try:
        return _result(found)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ImgstoreError(f"{path} is no result of bench --json: {what}.") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ImgstoreError(f"{path} is larger than any result: name a file that bench --json wrote.")
        found = json.loads(path.read_bytes(), parse_constant=_refuse)
    except OSError as error:
        raise ImgstoreError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise ImgstoreError(f"{path} is not JSON, or was cut short ({error}): name a file of bench --json.") from None
    if not isinstance(found, dict):
        raise ImgstoreError(f"{path} is JSON, but no result: name a file that bench --json wrote.")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no figure")


def _result(found: dict[str, Any]) -> Result:
    plan = from_fields(Plan, without_unknown_operations(found["plan"]))
    notes, known, others = list(found.get("notes", ())), [], []
    for one in found["trials"]:
        trial = from_fields(Measurement, one)
        if is_measured_here(one) and _is_known(trial):
            known.append(trial)
        else:
            others.append(f"{trial.configuration} {trial.aspect}{' plain' if one.get('reader') == 'plain' else ''}")
    if others:
        names = ", ".join(dict.fromkeys(others))
        notes.append(f"{len(others):,} trials are of what this version does not measure: {names}.")
    conditions = found.get("conditions")
    return Result(
        plan=check_plan(replace(plan, configurations=tuple(filter(_parses, plan.configurations)))),
        dataset=from_fields(DatasetFacts, found["dataset"]),
        environment=from_fields(Environment, found["environment"]),
        notes=tuple(str(note) for note in notes),
        outcome=str(found.get("outcome", "finished")),
        seconds=_figure(found.get("seconds", 0.0)),
        staging_seconds=_figure(found.get("staging_seconds", 0.0)),
        measurements=tuple(known),
        message=str(found.get("message", "")),
        conditions=None if conditions is None else from_fields(Conditions, conditions),
        started=_figure(found.get("started", 0.0)),
    )


def _figure(value: Any) -> float:
    if not math.isfinite(float(value)):
        raise ValueError(f"{value} is no time")
    return float(value)


def _parses(configuration: str) -> bool:
    try:
        Configuration.parse(configuration)
    except UsageError:
        return False
    return True


def _is_known(one: Measurement) -> bool:
    """Whether everything else here can work with it."""
    figures = (one.seconds, one.seconds_durable, one.cpu_seconds, one.predicted_seconds, *one.phases.values())
    return (
        one.cache in CACHES
        and _parses(one.configuration)
        and 1 <= one.count <= MOST_IMAGES
        and all(value is None or 0 <= value < math.inf for value in figures)
    )
