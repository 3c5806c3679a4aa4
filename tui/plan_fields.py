"""Text of a plan's fields, in the form and on the command line: parsers, and the text that they read.

Every parser raises UsageError with the sentence to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.bench.measurement import CACHES, OPERATIONS
from backends.bench.plan import MOST_IMAGES, MOST_REPEATS
from backends.errors import UsageError

if TYPE_CHECKING:
    from backends.bench.plan import Plan

_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_count(text: str) -> int:
    """``10``, ``1k``, ``1.28M`` as a number of images."""
    size = _scaled(text, _COUNTS, f"{text!r} is not a number of images: write numbers such as 10, 100, 1k.")
    if not 1 <= size <= MOST_IMAGES or size != int(size):
        raise UsageError(f"{text} is not a number of images to measure: choose 1 to {MOST_IMAGES:,}.")
    return int(size)


def parse_sizes(text: str) -> tuple[int, ...]:
    """``10, 100, 1k`` as numbers, ascending, no two equal."""
    sizes = {parse_count(word) for word in _words(text)}
    if not sizes:
        raise UsageError("no sizes: write at least one number of images, such as 1000.")
    return tuple(sorted(sizes))


def parse_repeats(text: str) -> int:
    """How often each figure is measured."""
    word = text.strip()
    if not re.fullmatch(r"\d{1,20}", word, re.ASCII):
        raise UsageError(f"{word!r} is not a number of repeats: write a number such as 5.")
    if not 1 <= int(word) <= MOST_REPEATS:
        raise UsageError(f"{word} repeats are not possible: choose 1 to {MOST_REPEATS:,}.")
    return int(word)


def parse_operations(text: str) -> tuple[str, ...]:
    """``store, read``, in the order in which they are shown."""
    return _names(text, OPERATIONS, "operation")


def parse_caches(text: str) -> tuple[str, ...]:
    """``warm, cold``, in the order in which they are shown."""
    return _names(text, CACHES, "cache state")


def parse_budget(text: str) -> float | None:
    """``90s``, ``5m``, ``2h`` as seconds; nothing for no bound."""
    if not text.strip():
        return None
    budget = _scaled(text, _TIMES, f"{text!r} is not a time: write one such as 90s, 5m or 2h.")
    if budget <= 0:
        raise UsageError(f"{text} is no time at all: write one such as 90s, 5m or 2h.")
    return budget


def parse_memory(text: str) -> int | None:
    """``4 GiB``, ``512M`` as bytes; nothing for a quarter of the memory."""
    if not text.strip():
        return None
    short = re.sub(r"\s*([kmgt]?)i?b?$", r"\1", text.strip().lower())
    memory = int(_scaled(short, _BYTES, f"{text!r} is not an amount of memory: write one such as 512 MiB or 4 GiB."))
    if memory < 1:
        raise UsageError(f"{text} of memory hold no image: write an amount such as 512 MiB or 4 GiB.")
    return memory


def parse_predict(text: str) -> int | None:
    """The number of images that is predicted for; nothing for the whole dataset."""
    return parse_count(text) if text.strip() else None


def parse_batch(text: str) -> int:
    """Images in a batch of shuffled reads."""
    return parse_count(text)


def parse_workers(text: str) -> int:
    """Processes that share the work."""
    word = text.strip()
    if not re.fullmatch(r"[1-9]\d{0,8}", word, re.ASCII):
        raise UsageError(f"{word!r} is not a number of workers: write a number such as 2.")
    return int(word)


IN_THREAD, IN_PROCESSES = "worker thread", "separate processes"
"""Where trials run, as the form has it."""


def parse_in_thread(text: str) -> bool:
    """Whether trials run in a worker thread; how one of the two answers begins is enough."""
    word = " ".join(text.lower().split())
    found = [answer for answer in (IN_THREAD, IN_PROCESSES) if word and answer.startswith(word)]
    if not found:
        raise UsageError(f"{text!r} is no place to run trials in: write {IN_PROCESSES} or {IN_THREAD}.")
    return found[0] == IN_THREAD


def parse_yes(text: str) -> bool:
    """``yes`` or ``no``."""
    word = text.strip().lower()
    if word not in ("yes", "no", "y", "n"):
        raise UsageError(f"{text!r} is neither yes nor no.")
    return word.startswith("y")


@dataclass(frozen=True, slots=True)
class Field:
    """Attributes: ``hint`` says what it is with an example; ``write`` gives the text that ``parse`` reads."""

    hint: str
    parse: Callable[[str], Any]
    write: Callable[[Any], str]


def _listed(values: tuple[object, ...]) -> str:
    return ",".join(map(str, values))


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _or_nothing(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _write_bytes(value: int | None) -> str:
    """``4 GiB``, ``5.88 GiB``; rounded down to two digits behind the point."""
    if value is None:
        return ""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value >= 1 << 10 * power:
            return f"{value * 100 // (1 << 10 * power) / 100:g} {unit}"
    return str(value)


FIELDS: dict[str, Field] = {
    "sizes": Field("How many images to measure with, such as 10,100,1k", parse_sizes, _listed),
    "operations": Field(f"Operations: {', '.join(OPERATIONS)}", parse_operations, _listed),
    "repeats": Field("How often each time is measured; 5 or more can tell small differences", parse_repeats, str),
    "batch": Field("Images per batch when reading shuffled", parse_batch, str),
    "caches": Field("warm: files are in memory; cold: read from the disk; or both", parse_caches, _listed),
    "limits": Field("Also time plain copies of the same bytes: yes or no", parse_yes, _yes_or_no),
    "budget": Field("Longest time for the run, such as 5m; what does not fit is skipped", parse_budget, _or_nothing),
    "predict": Field("Number of images to predict times for, such as 1.28M", parse_predict, _or_nothing),
    "workers": Field("Processes that store or read together", parse_workers, str),
    "memory": Field("Memory for decoded images, such as 4 GiB", parse_memory, _write_bytes),
    "in_thread": Field(
        f"{IN_PROCESSES} (a crash is one failed trial), or {IN_THREAD} (it ends the program)",
        parse_in_thread,
        lambda value: IN_THREAD if value else IN_PROCESSES,
    ),
}
"""By the name of the plan's field, in the order in which they are shown."""


def options_of(plan: Plan) -> list[str]:
    """The options of the command line that make the fields of ``plan``, where they are not what they are anyway."""
    words: list[str] = []
    for name, field in FIELDS.items():
        value = getattr(plan, name)
        if isinstance(value, bool):
            words += [f"--{name.replace('_', '-')}"] if value else []
        elif name in ("sizes", "operations", "repeats") or value != type(plan).__dataclass_fields__[name].default:
            text = field.write(value)
            exact = field.parse(text) == value
            words += [f"--{'cache' if name == 'caches' else name}", text if exact else str(value)]
    return words


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;]+", text.strip().lower()) if word]


def _names(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    words = _words(text)
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        said = f"there is no {what} {unknown[0]!r}" if unknown else f"no {what}"
        raise UsageError(f"{said}: choose from {', '.join(known)}.")
    return tuple(name for name in known if name in words)


def _scaled(text: str, units: dict[str, int], sentence: str) -> float:
    found = re.fullmatch(r"(\d{1,20}(?:\.\d{1,9})?)([a-z]?)", text.strip().lower(), re.ASCII)
    if found is None or found[2] not in units:
        raise UsageError(sentence)
    return float(found[1]) * units[found[2]] if "." in found[1] else int(found[1]) * units[found[2]]
