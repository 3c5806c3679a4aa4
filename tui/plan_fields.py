"""Fields of a plan: one table from which the options of ``bench``, the form and a plan's command line are made.

Every parser raises UsageError with the sentence to show.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from backends.bench.measurement import CACHES, OPERATIONS
from backends.bench.plan import ARTICLE, MOST_IMAGES, MOST_REPEATS, Plan
from backends.errors import UsageError

_COUNTS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600}
_THREAD, _PROCESSES = "worker thread", "separate processes"
"""Where trials run, as the form has it."""


def parse_count(text: str) -> int:
    """``10``, ``1k``, ``1.28M`` as a number of images."""
    count = _scaled(text, _COUNTS, f"{text!r} is not a number of images: write numbers such as 10, 100, 1k.")
    if not 1 <= count <= MOST_IMAGES or count != int(count):
        raise UsageError(f"{text} is not a number of images to measure: choose 1 to {MOST_IMAGES:,}.")
    return int(count)


def parse_sizes(text: str) -> tuple[int, ...]:
    """``10, 100, 1k`` as numbers, ascending, no two equal."""
    sizes = {parse_count(word) for word in _words(text)}
    if not sizes:
        raise UsageError("no sizes: write at least one number of images, such as 1000.")
    return tuple(sorted(sizes))


def parse_repeats(text: str) -> int:
    """A number of repeats."""
    repeats = _whole(text, "a number of repeats", 5)
    if not 1 <= repeats <= MOST_REPEATS:
        raise UsageError(f"{repeats} repeats are not possible: choose 1 to {MOST_REPEATS:,}.")
    return repeats


def parse_operations(text: str) -> tuple[str, ...]:
    """``store, read``, in the order in which they are shown."""
    return _names(text, OPERATIONS, "operation")


def parse_caches(text: str) -> tuple[str, ...]:
    """``warm, cold``, in the order in which they are shown."""
    return _names(text, CACHES, "cache state")


def parse_budget(text: str) -> float:
    """``90s``, ``5m``, ``2h`` as seconds."""
    budget = _scaled(text, _TIMES, f"{text!r} is not a time: write one such as 90s, 5m or 2h.")
    if budget <= 0:
        raise UsageError(f"{text} is no time at all: write one such as 90s, 5m or 2h.")
    return budget


def parse_memory(text: str) -> int:
    """``4 GiB``, ``512M`` as bytes."""
    short = re.sub(r"\s*([kmgt]?)i?b?$", r"\1", text.strip().lower())
    memory = int(_scaled(short, _BYTES, f"{text!r} is not an amount of memory: write one such as 512 MiB or 4 GiB."))
    if memory < 1:
        raise UsageError(f"{text} of memory hold no image: write an amount such as 512 MiB or 4 GiB.")
    return memory


def parse_in_thread(text: str) -> bool:
    """Whether trials run in a worker thread; the beginning of one of the two words is enough."""
    begin = " ".join(text.lower().split())
    places = [place for place in (_THREAD, _PROCESSES) if begin and place.startswith(begin)]
    if not places:
        raise UsageError(f"{text!r} is no place to run trials in: write {_PROCESSES} or {_THREAD}.")
    return places[0] == _THREAD


def parse_yes(text: str) -> bool:
    """``yes`` or ``no``."""
    word = text.strip().lower()
    if word not in ("yes", "no", "y", "n"):
        raise UsageError(f"{text!r} is neither yes nor no.")
    return word.startswith("y")


def _optional(parse: Callable[[str], Any], text: str) -> Any:
    return parse(text) if text.strip() else None


def _whole(text: str, noun: str, example: int, least: int = 0) -> int:
    word = text.strip()
    if not re.fullmatch(r"\d{1,20}", word, re.ASCII) or int(word) < least:
        raise UsageError(f"{word!r} is not {noun}: write a number such as {example}.")
    return int(word)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,;]+", text.strip().lower()) if word]


def _names(text: str, known: tuple[str, ...], noun: str) -> tuple[str, ...]:
    words = _words(text)
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        problem = f"there is no {noun} {unknown[0]!r}" if unknown else f"no {noun}"
        raise UsageError(f"{problem}: choose from {', '.join(known)}.")
    return tuple(name for name in known if name in words)


def _scaled(text: str, units: dict[str, int], sentence: str) -> float:
    match = re.fullmatch(r"(\d{1,20}(?:\.\d{1,9})?)([a-z]?)", text.strip().lower(), re.ASCII)
    if match is None or match[2] not in units:
        raise UsageError(sentence)
    return float(match[1]) * units[match[2]] if "." in match[1] else int(match[1]) * units[match[2]]


def _write_list(values: tuple[object, ...]) -> str:
    return ",".join(map(str, values))


def _write_yes(value: bool) -> str:
    return "yes" if value else "no"


def _write_number(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"


def _write_bytes(value: int | None) -> str:
    """``4 GiB``, ``5.88 GiB``; rounded down to two digits behind the point."""
    if value is None:
        return ""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value >= 1 << 10 * power:
            return f"{value * 100 // (1 << 10 * power) / 100:g} {unit}"
    return str(value)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a plan: ``label`` in the form (empty where it is not in it), ``hint`` with an example.

    ``write`` makes the text that ``parse`` reads.  In the help of ``bench``, ``metavar`` stands for the value and
    ``default`` says what it is without one; ``flag`` is the help of an option that takes no value.  The command line of
    a plan states a field where it is not the default, or ``always``.
    """

    label: str
    hint: str
    parse: Callable[[str], Any] = str
    write: Callable[[Any], str] = str
    metavar: str = ""
    default: str = ""
    always: bool = False
    flag: str = ""


FIELDS: dict[str, Field] = {
    "sizes": Field(
        "images", "How many images to measure with, such as 10,100,1k", parse_sizes, _write_list,
        "N,N,...", "10, 100, ... and all", always=True,
    ),
    "operations": Field(
        "operations", f"Operations: {', '.join(OPERATIONS)}", parse_operations, _write_list,
        "NAME,...", "store,read,shuffled", always=True,
    ),
    "repeats": Field(
        "repeats", "How often each time is measured; 5 or more can tell small differences", parse_repeats,
        metavar="N", default="5", always=True,
    ),
    "batch": Field("batch size", "Images per batch when reading shuffled", parse_count, metavar="N", default="256"),
    "caches": Field(
        "cache", "warm: files are in memory; cold: read from the disk; or both", parse_caches, _write_list,
        "NAME,...", "warm",
    ),
    "limits": Field(
        "disk limits", "Also time plain copies of the same bytes: yes or no", parse_yes, _write_yes,
        flag="Also time plain copies of the same bytes.",
    ),
    "budget": Field(
        "time limit", "Longest time for the run, such as 5m; what does not fit is skipped",
        partial(_optional, parse_budget), _write_number, "TIME", "none",
    ),
    "predict": Field(
        "predict for", "Number of images to predict times for, such as 1.28M",
        partial(_optional, parse_count), _write_number, "N", "the whole dataset",
    ),
    "workers": Field(
        "processes", "Processes that store or read together",
        partial(_whole, noun="a number of workers", example=2, least=1), str, "N", "1",
    ),
    "memory": Field(
        "memory", "Memory for decoded images, such as 4 GiB", partial(_optional, parse_memory), _write_bytes,
        "BYTES", "a quarter of the memory",
    ),
    "in_thread": Field(
        "Run trials in", f"{_PROCESSES} (a crash is one failed trial), or {_THREAD} (it ends the program)",
        parse_in_thread, lambda in_thread: _THREAD if in_thread else _PROCESSES,
        flag="Run trials in a worker thread.  [default: separate processes]",
    ),
    "seed": Field(
        "", "Seed of the random choice of images and of the random order", partial(_whole, noun="a seed", example=0),
        str, "N", "0", always=True,
    ),
    "preset": Field(
        "", "article: the article's experiment, beside its own code",
        lambda text: _names(text, (ARTICLE,), "preset")[0], str, "NAME", "none",
    ),
    "split": Field("", "Which part of the dataset", metavar="NAME", default="the first, usually train"),
    "work_dir": Field("", "Folder for temporary files", metavar="DIR", default="beside the dataset"),
}  # fmt: skip
"""By the name of the plan's attribute, in the order in which they are shown."""


def option_name(name: str) -> str:
    """The option of ``bench`` for a field, such as ``--work-dir``."""
    return "--cache" if name == "caches" else f"--{name.replace('_', '-')}"


def default_of(name: str) -> Any:
    """The value of a field that a plan does not state; None for what the run decides itself."""
    return Plan.__dataclass_fields__[name].default


def command_line(plan: Plan) -> str:
    """The command that runs ``plan`` without the user interface, quoted for a shell, with what is not the default."""
    words = ["imgstore-tui", "bench", plan.dataset, *plan.configurations]
    for name, field in FIELDS.items():
        value = getattr(plan, name)
        if field.always or value != default_of(name):
            text = field.write(value)
            exact = field.flag or field.parse(text) == value
            words += [option_name(name), *([] if field.flag else [text if exact else str(value)])]
    return shlex.join(words)
