"""Fields of a plan as people write them: on the command line, in the form, in the command that is copied."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container
from dataclasses import MISSING, fields
from typing import Any

from backends.bench.plan import PLAN_FIELDS, Plan, PlanField
from backends.errors import UsageError

_UNITS = {
    "number": {"": 1},
    "images": {"": 1, "k": 10**3, "m": 10**6, "g": 10**9},
    "bytes": {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40},
    "seconds": {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600},
}
_METAVARS = {"number": "N", "images": "N", "bytes": "BYTES", "seconds": "TIME", "name": "NAME"}


def parse(name: str, text: str) -> Any:
    """The value of a field from ``10, 100, 1k``, ``read store``, ``5m``, ``4 GiB`` or ``yes``; None for no text.

    Raises UsageError with the sentence to show.
    """
    return None if not text.strip() and _default(name) is None else parse_field(PLAN_FIELDS[name], text)


def parse_field(field: PlanField, text: str) -> Any:
    """The value of a field that must have one.  Raises UsageError with the sentence to show."""
    text = text.strip()
    if field.kind == "text":
        return text
    if not field.many:
        value = _parsed(field, " ".join(text.lower().split()))
        field.check_all((value,))
        return value
    values = [_parsed(field, word) for word in re.split(r"[\s,;]+", text.lower()) if word]
    field.check_all(values)
    return tuple(known for known in field.known if known in values) or tuple(sorted(set(values)))


def _parsed(field: PlanField, text: str) -> Any:
    if field.kind == "name":
        return text
    if field.kind == "switch":
        begun = [word.startswith(text) for word in field.known]
        if text and any(begun):
            return begun[1]
        raise UsageError(f"{text!r} is not {field.noun}: write {field.known[0]} or {field.known[1]}.")
    units, short = _UNITS[field.kind], text
    if field.kind == "bytes":
        short = re.sub(r"\s*([kmgt]?)i?b?$", r"\1", text)
    match = re.fullmatch(r"(\d{1,20}(?:\.\d{1,9})?) ?([a-z]*)", short, re.ASCII)
    if match is None or match[2] not in units:
        raise UsageError(f"{text!r} is not {field.noun}: write one such as {field.example}.")
    value = float(match[1]) * units[match[2]] if "." in match[1] else int(match[1]) * units[match[2]]
    if field.kind in ("images", "number") and value != int(value):
        raise UsageError(f"{text!r} is not {field.noun}: write one such as {field.example}.")
    return value if field.kind == "seconds" else int(value)


def write(name: str, value: Any) -> str:
    """The text that ``parse`` reads; that of bytes, such as ``5.88 GiB``, is rounded down."""
    field = PLAN_FIELDS[name]
    if value is None:
        return ""
    if field.many:
        return ",".join(_count(one) if field.kind == "images" else str(one) for one in value)
    if field.kind == "switch":
        return field.known[bool(value)]
    if field.kind == "bytes":
        for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
            if value >= 1 << 10 * power:
                return f"{value * 100 // (1 << 10 * power) / 100:g} {unit}"
    if field.kind == "seconds":
        size, unit = next(
            (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if not value % size or size == 1
        )
        return f"{value / size:.12g} {unit}"
    return _count(value) if field.kind == "images" else str(value)


def _count(images: int) -> str:
    """``10``, ``2k``: exact."""
    return f"{images // 1000}k" if images % 1000 == 0 else str(images)


def option_name(name: str) -> str:
    """The option of ``bench`` for a field, such as ``--work-dir``."""
    return "--cache" if name == "caches" else f"--{name.replace('_', '-')}"


def hint(field: PlanField) -> str:
    """What a field is for, with an example where its notation is not obvious."""
    return field.help + (f", such as {field.example}" if field.kind in ("images", "bytes", "seconds") else "")


def metavar(field: PlanField) -> str:
    """What stands for the value in the help of ``bench``."""
    one = _METAVARS.get(field.kind, field.example)
    return f"{one},..." if field.many else one


def default_of(name: str) -> Any:
    """The value of a field that a plan does not state; None for what the run decides itself."""
    default = _default(name)
    return None if default is MISSING else default


def _default(name: str) -> Any:
    return next(one.default for one in fields(Plan) if one.name == name)


def command_line(plan: Plan, defaults: Container[str] = ()) -> str:
    """The command that runs ``plan`` without the user interface, quoted for a shell.

    It has the fields that are not the default, and those for which the user has set other ``defaults``.
    """
    words = ["imgstore-tui", "bench", plan.dataset, *plan.configurations]
    for name, field in PLAN_FIELDS.items():
        value = getattr(plan, name)
        if value != default_of(name) or name in defaults:
            text = write(name, value)
            exact = field.kind == "switch" or parse(name, text) == value
            words += [option_name(name), *([] if field.kind == "switch" else [text if exact else str(value)])]
    return shlex.join(words)
