"""The fields of the plan form: text to values, each wrong one with its sentence."""

from __future__ import annotations

import re

from backends.bench.measurement import OPERATIONS
from backends.errors import UsageError

MOST_IMAGES = 10**9
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


def parse_sizes(text: str) -> tuple[int, ...]:
    """``10, 100, 1k`` as numbers, ascending, no two equal.  Raises UsageError."""
    sizes = {_count(word) for word in re.split(r"[\s,;]+", text.strip()) if word}
    if not sizes:
        raise UsageError("no sizes: write at least one number of images, such as 1000.")
    return tuple(sorted(sizes))


def _count(word: str) -> int:
    found = re.fullmatch(r"(\d+)([kmKM]?)", word, re.ASCII)
    if found is None:
        raise UsageError(f"{word!r} is not a number of images: write numbers such as 10, 100, 1k.")
    size = int(found[1][:20]) * _UNITS[found[2].lower()]
    if not 1 <= size <= MOST_IMAGES:
        raise UsageError(f"{word} is no number of images to measure: choose 1 to {MOST_IMAGES:,}.")
    return size


def parse_repeats(text: str) -> int:
    """How often each figure is measured, 1 to 100.  Raises UsageError."""
    word = text.strip()
    if not re.fullmatch(r"\d{1,20}", word, re.ASCII):
        raise UsageError(f"{word!r} is not a number of repeats: write a number such as 3.")
    if not 1 <= int(word) <= 100:
        raise UsageError(f"{word} repeats are not possible: choose 1 to 100.")
    return int(word)


def parse_operations(text: str) -> tuple[str, ...]:
    """``store, read`` or a part of it, in the order in which they are shown.  Raises UsageError."""
    words = [word for word in re.split(r"[\s,;]+", text.strip().lower()) if word]
    unknown = [word for word in words if word not in OPERATIONS]
    if unknown or not words:
        said = f"there is no operation {unknown[0]!r}" if unknown else "no operation"
        raise UsageError(f"{said}: choose of {', '.join(OPERATIONS)}.")
    return tuple(name for name in OPERATIONS if name in words)
