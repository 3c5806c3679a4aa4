"""Frozen dataclasses from the JSON objects that ``dataclasses.asdict`` made of them."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from typing import Any, TypeVar

from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import Measurement, Trial, is_measured_here
from backends.bench.plan import Plan, without_unknown_operations
from backends.bench.workdir import MadeFolder
from backends.datasets.base import DatasetFacts

T = TypeVar("T")


def from_fields(kind: type[T], found: Mapping[str, Any]) -> T:
    """Build ``kind`` of ``found``: unknown names are ignored, missing ones take their default.

    Raises
    ------
    TypeError, ValueError
        A field without a default is missing, or a value is not of the field's kind.
    """
    if not isinstance(found, Mapping):
        raise TypeError(f"expected an object for {kind.__name__}")
    hints = _hints(typing.cast("Any", kind))
    return kind(**{name: _value(hint, found[name]) for name, hint in hints.items() if name in found})


_hints = cache(typing.get_type_hints)


def _value(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _value(inner, value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(f"expected a list, not {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in value)
        return tuple(_value(inner, item) for inner, item in zip(arguments, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, not {value!r}")
        return {str(name): _value(arguments[1], item) for name, item in value.items()}
    if is_dataclass(hint):
        return from_fields(typing.cast("type", hint), value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError(f"expected {hint.__name__}, not {value!r}")
    return value


SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.  ``time`` is seconds since the epoch, when it happened."""

    time: float


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """The first event of a run.

    Attributes
    ----------
    trials
        How many trials the plan has, warm-ups among them.
    work
        The folders that the run writes in.
    bytes_at_most
        What the run will have on disk at most, estimated before it starts.
    notes
        Sentences a user must see: counts that were shrunk, images that repeat, artefacts freed early.
    """

    plan: Plan
    dataset: DatasetFacts
    environment: Environment
    trials: int
    work: tuple[str, ...]
    bytes_at_most: int
    notes: tuple[str, ...] = ()
    schema: int = SCHEMA


@dataclass(frozen=True, slots=True)
class WorkFolderMade(Event):
    """A folder that the run writes in is there; ``made`` is what removes it after a crash, as in ``WorkFolder``."""

    made: tuple[MadeFolder, ...]


@dataclass(frozen=True, slots=True)
class Staging(Event):
    """The plan's images are being decoded once.

    Attributes
    ----------
    done, total
        Images so far, and in all.
    seconds
        So far; in the last event, what reading and decoding the source took, which is in no other figure.
    failures, examples
        How many pictures did not decode and were left out, and some of them with the reason; in the last event.
    """

    done: int
    total: int
    seconds: float
    failures: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialStarted(Event):
    trial: Trial


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """``done`` of ``total`` images of trial number ``trial``; at most ten a second."""

    trial: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TrialFinished(Event):
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class TrialFailed(Event):
    """The trial did not do its work; ``measurement.message`` says why.  The run goes on."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class TrialSkipped(Event):
    """The trial was not tried; ``measurement.message`` says why."""

    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Removing(Event):
    """All trials are done; what the run made is being removed."""


@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The last event of a run.

    Attributes
    ----------
    outcome
        ``finished`` or ``cancelled``.
    seconds
        From run-started to here.
    left
        Paths that could not be removed.
    conditions
        What else the machine did meanwhile.
    """

    outcome: str
    seconds: float
    left: tuple[str, ...] = ()
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class JobFailed(Event):
    """The job could not do its work at all, or died: one sentence, and the exit code it stands for."""

    message: str
    exit_code: int = 1


_KINDS: dict[str, type[Event]] = {
    re.sub(r"(?<=.)(?=[A-Z])", "-", kind.__name__).lower(): kind
    for kind in (
        RunStarted,
        WorkFolderMade,
        Staging,
        TrialStarted,
        Progress,
        TrialFinished,
        TrialFailed,
        TrialSkipped,
        Removing,
        RunFinished,
        JobFailed,
    )
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode_event(event: Event) -> bytes:
    """One line of JSON with its newline, ASCII only."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)}, separators=(",", ":")).encode() + b"\n"


def decode_event(line: bytes) -> Event | None:
    """The event of one line; None where it does not parse, or is of a kind or of a trial that is not known here."""
    try:
        found = json.loads(line)
        kind = _KINDS[found["event"]]
        if kind is RunStarted:
            found["plan"] = without_unknown_operations(found["plan"])
        trial = found.get("trial" if kind is TrialStarted else "measurement")
        if trial is not None and not is_measured_here(trial):
            return None
        return from_fields(kind, found)
    except (ValueError, KeyError, TypeError):
        return None
