"""Events of a run: msgspec structs, each one line of JSON in ``events.jsonl``, named by its class in kebab case."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import Measurement, Trial, is_measured_here
from backends.bench.plan import Plan, without_unknown
from backends.bench.workdir import MadeFolder
from backends.datasets.base import DatasetFacts

SCHEMA = 1

T = TypeVar("T")


class Event(
    msgspec.Struct, frozen=True, tag_field="event", tag=lambda name: re.sub(r"(?<=.)(?=[A-Z])", "-", name).lower()
):
    """Base of all events.  ``time`` is seconds since the epoch, when it happened."""

    time: float


class RunStarted(Event, frozen=True):
    """The first event of a run.

    ``trials`` counts those of the plan, warm-ups among them; ``work`` are the folders that the run writes in, at most
    ``bytes_at_most`` in all; ``notes`` are sentences a user must see: counts that were shrunk, images that repeat.
    """

    plan: Plan
    dataset: DatasetFacts
    environment: Environment
    trials: int
    work: tuple[str, ...]
    bytes_at_most: int
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA


class WorkFolderMade(Event, frozen=True):
    """A folder that the run writes in is there; ``made`` is what removes it after a crash, as in ``WorkFolder``."""

    made: tuple[MadeFolder, ...]


class Staging(Event, frozen=True):
    """The plan's images are being decoded once: ``done`` of ``total`` so far, in ``seconds``.

    The last such event has how many pictures did not decode and were left out (``failures``), and some of them with the
    reason.  Its seconds, what reading and decoding the source took, are in no other figure.
    """

    done: int
    total: int
    seconds: float
    failures: int = 0
    examples: tuple[str, ...] = ()


class TrialStarted(Event, frozen=True):
    trial: Trial


class Progress(Event, frozen=True):
    """``done`` of ``total`` images of trial number ``trial``; at most ten a second."""

    trial: int
    done: int
    total: int


class TrialFinished(Event, frozen=True):
    measurement: Measurement


class TrialFailed(Event, frozen=True):
    """The trial did not do its work; ``measurement.message`` says why.  The run goes on."""

    measurement: Measurement


class TrialSkipped(Event, frozen=True):
    """The trial was not tried; ``measurement.message`` says why."""

    measurement: Measurement


class Removing(Event, frozen=True):
    """All trials are done; what the run made is being removed."""


class RunFinished(Event, frozen=True):
    """The last event of a run: ``finished`` or ``cancelled``, ``seconds`` after run-started.

    ``left`` are paths that could not be removed, ``conditions`` what else the machine did meanwhile.
    """

    outcome: str
    seconds: float
    left: tuple[str, ...] = ()
    conditions: Conditions | None = None


class JobFailed(Event, frozen=True):
    """The job could not do its work at all, or died: one sentence, and the exit code it stands for."""

    message: str
    exit_code: int = 1


AnyEvent = (
    RunStarted | WorkFolderMade | Staging | TrialStarted | Progress | TrialFinished | TrialFailed | TrialSkipped
    | Removing | RunFinished | JobFailed
)  # fmt: skip


def to_builtins(value: object) -> Any:
    """What JSON has for an event, a measurement, a result: a configuration becomes its text."""
    return msgspec.to_builtins(value, enc_hook=str)


def from_builtins(value: object, kind: type[T]) -> T:
    """The value of what JSON has.  Raises ValueError, TypeError where a field is missing or has the wrong type."""
    return msgspec.convert(value, kind, dec_hook=lambda to, text: to(text))


def read_plan(fields: Any) -> Plan:
    """The plan of recorded fields, without operations of other versions.

    Raises ValueError, KeyError, TypeError where a field is missing or has the wrong type, or no operation is known.
    """
    return from_builtins(without_unknown(fields), Plan)


def encode_event(event: Event) -> bytes:
    """One line of JSON with its newline, in ASCII: file names that are not UTF-8 are escaped."""
    return json.dumps(to_builtins(event), separators=(",", ":")).encode() + b"\n"


def decode_event(line: bytes) -> Event | None:
    """The event of a line; None where it is broken, or of a kind or a trial that this version does not know.

    Unknown fields are ignored.
    """
    try:
        fields = json.loads(line)
        if "plan" in fields:
            fields["plan"] = without_unknown(fields["plan"])
        trial = fields.get("measurement", fields.get("trial"))
        if isinstance(trial, dict) and not is_measured_here(trial):
            return None
        event: Event = from_builtins(fields, AnyEvent)  # type: ignore[arg-type]
        return event
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
