"""Events of a job: msgspec structs, each one line of JSON in ``events.jsonl``, named by its class in kebab case."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from backends import limits
from backends.bench.configuration import is_configuration
from backends.bench.json_files import from_builtins, to_builtins
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import OPERATIONS, Measurement, Trial, is_measured_here
from backends.bench.plan import Plan
from backends.bench.workdir import MadeFolder
from backends.datasets.base import DatasetFacts
from backends.stores.progress import Progress as Converted

SCHEMA = 1
LISTING_SECONDS = 1.0


class Event(
    msgspec.Struct, frozen=True, tag_field="event", tag=lambda name: re.sub(r"(?<=.)(?=[A-Z])", "-", name).lower()
):
    """Base of all events.  ``time`` is seconds since the epoch, when it happened."""

    time: float


class RunStarted(Event, frozen=True):
    """The first event of a run."""

    plan: Plan
    dataset: DatasetFacts
    environment: Environment
    trials: int  # of the plan, warm-ups among them
    work: tuple[str, ...]  # the folders that the run writes in ...
    bytes_at_most: int  # ... so many bytes in all
    notes: tuple[str, ...] = ()  # sentences a user must see: sizes that were shrunk, images that repeat
    schema: int = SCHEMA


class Waiting(Event, frozen=True):
    """The job waits for another one, as the sentence ``why`` says; with an empty one it has its turn."""

    why: str


class Listing(Event, frozen=True):
    """The dataset is being listed, which takes long: how many pictures were ``found`` so far."""

    found: int


class WorkFolderMade(Event, frozen=True):
    """A folder that the run writes in is there; ``made`` is what removes it after a crash, as in ``WorkFolder``."""

    made: tuple[MadeFolder, ...]


class Staging(Event, frozen=True):
    """The plan's images are being decoded once; what that takes is in no other figure."""

    done: int
    total: int
    seconds: float  # so far; in the last event without what is not reading and decoding
    failures: int = 0  # pictures that did not decode and were left out, known in the last event ...
    examples: tuple[str, ...] = ()  # ... and some of them with the reason


class TrialStarted(Event, frozen=True):
    trial: Trial


class Progress(Event, frozen=True):
    """``done`` of ``total`` images of trial number ``trial``; at most ten a second."""

    trial: int
    done: int
    total: int


class TrialFinished(Event, frozen=True):
    """A trial has ended, well or not, or was not tried: ``measurement.outcome`` and its message say so."""

    measurement: Measurement


class Removing(Event, frozen=True):
    """All trials are done; what the run made is being removed."""


class ConversionStarted(Event, frozen=True):
    """The first event of a conversion, before the first byte: what it makes and what that takes, about."""

    kind: str  # of the dataset
    host: str
    images: int
    shards: int
    bytes: int
    seconds: float
    schema: int = SCHEMA


class ConversionProgress(Event, frozen=True):
    """At most four a second, fewer the longer the conversion takes."""

    progress: Converted


class StoreMade(Event, frozen=True):
    """The store is complete: what it holds."""

    images: int
    shards: int
    bytes: int
    files: int
    failures: int  # pictures that did not decode ...
    skipped: tuple[str, ...]  # ... and some of them with the reason
    duplicates: int
    in_two_splits: int


class RunFinished(Event, frozen=True):
    """The last event of a run or a conversion."""

    outcome: str  # finished or cancelled
    seconds: float  # since the first event
    left: tuple[str, ...] = ()  # paths that could not be removed
    conditions: Conditions | None = None  # what else the machine did meanwhile


class JobFailed(Event, frozen=True):
    """The job could not do its work at all, or died: one sentence, and the exit code it stands for."""

    message: str
    exit_code: int = 1


AnyEvent = (
    Waiting | Listing | RunStarted | WorkFolderMade | Staging | TrialStarted | Progress | TrialFinished | Removing
    | RunFinished | JobFailed | ConversionStarted | ConversionProgress | StoreMade
)  # fmt: skip
_EARLIER = {"trial-failed": "trial-finished", "trial-skipped": "trial-finished"}
"""Names of events in the records of earlier versions."""


def read_plan(fields: Any) -> Plan:
    """The plan of recorded fields, without operations of other versions and backends that are not here.

    Raises ValueError, KeyError, TypeError where that leaves none, or a field is missing or has the wrong type.
    """
    return from_builtins(_without_unknown(fields), Plan)


def _without_unknown(fields: dict[str, Any]) -> dict[str, Any]:
    recorded, names = from_builtins((fields["operations"], fields["configurations"]), tuple[list[str], list[str]])
    operations = [name for name in recorded if name in OPERATIONS]
    configurations = list(filter(is_configuration, names))
    if not operations:
        raise ValueError(f"this version measures none of its operations ({', '.join(recorded)})")
    if not configurations:
        raise ValueError(f"none of its configurations is known here ({', '.join(names)})")
    return {**fields, "operations": operations, "configurations": configurations}


def listing(emit: Callable[[Listing], object], cancelled: Callable[[], bool] = lambda: False) -> Callable[[int], bool]:
    """What ``open_dataset`` calls: it emits how many pictures were found, once a second, and says whether to stop."""
    last = time.monotonic()

    def poll(found: int) -> bool:
        nonlocal last
        if found and time.monotonic() - last >= LISTING_SECONDS:
            last = time.monotonic()
            emit(Listing(time.time(), found))
        return cancelled()

    return poll


def encode_event(event: Event) -> bytes:
    """One line of JSON with its newline, in ASCII: file names that are not UTF-8 are escaped."""
    return json.dumps(to_builtins(event), separators=(",", ":")).encode() + b"\n"


def decode_event(line: bytes) -> Event | None:
    """The event of a line; None where it is broken, or of a kind or a trial that this version does not know.

    Unknown fields are ignored.
    """
    try:
        fields = limits.parse_json(line)
        fields["event"] = _EARLIER.get(fields["event"], fields["event"])
        if "plan" in fields:
            fields["plan"] = _without_unknown(fields["plan"])
        trial = fields.get("measurement", fields.get("trial"))
        if isinstance(trial, dict) and not is_measured_here(trial):
            return None
        event: Event = from_builtins(fields, AnyEvent)  # type: ignore[arg-type]
        return event
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
