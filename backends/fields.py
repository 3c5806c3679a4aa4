"""Frozen dataclasses from the JSON objects that ``dataclasses.asdict`` made of them."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, TypeVar

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
