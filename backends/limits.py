"""The limits on what files of strangers may take: each has a default and an environment variable that sets another."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from backends import units
from backends.errors import UsageError

_PREFIX = "IMGSTORE_MAX_"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something is taken before it is refused."""

    name: str  # of the environment variable, without its prefix
    default: int
    unit: str  # ``bytes``, or what is counted
    where: str  # what has so many of them

    @property
    def variable(self) -> str:
        return _PREFIX + self.name

    @property
    def value(self) -> int:
        """The number that the environment sets, such as 500 or 64G, else the default.  Raises UsageError."""
        text = os.environ.get(self.variable, "").strip().upper()
        if not text:
            return self.default
        number, unit = (text[:-1], text[-1]) if text[-1:].isalpha() else (text, "")
        if not (number.isascii() and number.isdigit() and len(number) < 16 and unit in _UNITS):
            raise UsageError(f"{self.variable} is {text[:40]!r}: set it to a number such as 500 or 64G.")
        return int(number) * _UNITS[unit]

    def exceeded(self, value: int | None = None) -> str:
        """What is too much, and how to allow it: ``more than 256 MiB (IMGSTORE_MAX_FILE_BYTES allows more)``."""
        value = self.value if value is None else value
        amount = units.size(value) if self.unit == "bytes" else f"{value:,} {self.unit}"
        return f"more than {amount} ({self.variable} allows more)"


PROCESS_MEMORY = Limit("PROCESS_MEMORY", 0, "bytes", "a process that reads files (0: the machine's memory)")
PROCESSOR_SECONDS = Limit("PROCESSOR_SECONDS", 3600, "seconds of processor time", "opening a dataset or a store")
UNPACKED_BYTES = Limit("UNPACKED_BYTES", 64 << 30, "bytes", "what a bzip2 or xz archive unpacks to")
FILE_BYTES = Limit("FILE_BYTES", 256 << 20, "bytes", "one picture, batch of CIFAR or table of labels")
PICTURE_MEMORY = Limit("PICTURE_MEMORY", 2 << 30, "bytes", "decoding one picture")
MEMBERS = Limit("MEMBERS", 100_000_000, "files", "an archive")
CIFAR_MEMBERS = Limit("CIFAR_MEMBERS", 1000, "files", "an archive of CIFAR")
NAME_BYTES = Limit("NAME_BYTES", 4096, "bytes", "the name of a file in an archive")
FOLDERS_DEEP = Limit("FOLDERS_DEEP", 100, "levels", "folders inside each other")
JSON_BYTES = Limit("JSON_BYTES", 256 << 20, "bytes", "a manifest, a journal, the record of a run")
RESULT_BYTES = Limit("RESULT_BYTES", 1 << 30, "bytes", "a file of results")
SUMS_BYTES = Limit("SUMS_BYTES", 4 << 30, "bytes", "a store's SHA256SUMS")
HEADER_BYTES = Limit("HEADER_BYTES", 1 << 20, "bytes", "the layout of a container, a header in an archive")

LIMITS = tuple(value for value in vars().values() if isinstance(value, Limit))


def parse_json(text: str | bytes, **options: Any) -> Any:
    """The value of JSON, whose length was bounded before.  Raises ValueError where it is none, or too deeply nested."""
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
