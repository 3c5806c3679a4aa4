"""Values as JSON and back: bounded in size and depth, checked against their types, configurations as their text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from backends.bench.disk import read_regular
from backends.limits import Limit, parse_json

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


def to_builtins(value: object) -> Any:
    """What JSON has for an event, a measurement, a manifest: a configuration becomes its text."""
    return msgspec.to_builtins(value, enc_hook=str)


def from_builtins(value: object, kind: type[T]) -> T:
    """The value of what JSON has.  Raises ValueError, TypeError where a field is missing or has the wrong type."""
    return msgspec.convert(value, kind, dec_hook=_from_text)


def _from_text(kind: type[Any], text: object) -> Any:
    if not isinstance(text, str):
        raise TypeError(f"{str(text)[:60]} is no {kind.__name__}")
    return kind(text)


def read_json(path: Path, limit: Limit) -> Any:
    """What a JSON file holds.

    Raises OSError where it cannot be read, ValueError where it is no JSON, larger than ``limit``, nested too deeply,
    or has a number that is none.
    """
    return parse_json(read_regular(path, limit), parse_constant=_refuse)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no figure")
