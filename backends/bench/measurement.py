"""What a trial is, and what it measures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATIONS = ("store", "read", "shuffled", "store-one", "read-one")
"""All operations, in the order in which they are shown."""

ONE_IMAGE = ("store-one", "read-one")
"""Operations on a container that holds one image, opened anew each time; their count is 1."""

STORES = {"read": "store", "shuffled": "store", "read-one": "store-one", "copy": "store"}
"""The operation that makes what another one reads."""

WARM, COLD = "warm", "cold"
CACHES = (WARM, COLD)
"""The states of the page cache that a read can find its files in."""

LEAST_SECONDS = 0.05
"""Shorter operations are repeated until they have taken so long in all."""

MOST_LOOPS = 500
FOLDER_BYTES = 4096
"""Of the folder that each copy of a container lies in, where a store is repeated."""

MOST_WORKERS = 64

STORE_FAILED = "its store failed: "
"""Begins the message of a read that is skipped; the reason follows."""

Cell = tuple[str, str, int]
"""What repeats have in common: configuration, aspect and count."""


def aspect_of(operation: str, cache: str = WARM) -> str:
    """An operation and, where files are not in the page cache, the word ``cold``: ``read``, ``shuffled cold``."""
    return f"{operation} {COLD}" if cache == COLD else operation


def is_measured_here(fields: Mapping[str, Any]) -> bool:
    """Whether the fields of a trial or measurement, from any version's record, are of a kind that this one measures.

    Earlier versions also timed an operation ``labels``, and reads by a second reader, ``plain``.
    """
    return fields.get("operation") in (*OPERATIONS, "copy") and fields.get("reader", "ours") == "ours"


class InCell:
    """What belongs to a cell: a trial, its measurement, the figure of its repeats."""

    __slots__ = ()
    configuration: str
    operation: str
    count: int
    cache: str

    @property
    def aspect(self) -> str:
        """Operation and cache state: ``read``, ``shuffled cold``."""
        return aspect_of(self.operation, self.cache)

    @property
    def cell(self) -> Cell:
        """What repeats of one trial have in common."""
        return self.configuration, self.aspect, self.count


@dataclass(frozen=True, slots=True)
class Trial(InCell):
    """One timed execution."""

    index: int  # position in the plan, from 0
    configuration: str  # as str(Configuration)
    operation: str  # one of OPERATIONS; for the limits of the machine also copy
    count: int  # images stored or read
    repeat: int  # 1, 2, ...; 0 for a warm-up, which is thrown away
    reads: int | None = None  # index of the store whose artefact is read; None for a store
    shown: bool = True  # False for warm-ups, and for a store that only makes what a read needs
    cache: str = WARM  # one of CACHES


@dataclass(frozen=True, slots=True)
class Measurement(InCell):
    """What a trial measured; the same fields as a trial in ``bench --json``.

    Bytes and shares are None where the system does not tell.
    """

    trial: int
    configuration: str
    backend: str
    codec: str
    operation: str
    count: int
    cache: str
    repeat: int
    outcome: str  # ok, failed or skipped
    shown: bool = True
    seconds: float | None = None  # all phases except sync, of one execution; None unless ok
    seconds_durable: float | None = None  # with sync; for reads the same as seconds
    phases: dict[str, float] = field(
        default_factory=dict
    )  # open, encode, write, close, sync; open, read, decode, close
    cpu_seconds: float | None = None  # user and system time of the timed phases, without sync
    loops: int = 1  # executions that the seconds are the mean of
    peak_rss: int | None = None  # high-water mark of resident memory
    peak_anonymous: int | None = None  # largest memory that is backed by no file, seen at a batch's end
    bytes_read: int | None = None  # from the device, in the timed phases of the first execution
    bytes_written: int | None = None
    resident: float | None = None  # share of the artefact that the page cache held before a read
    bytes_apparent: int | None = None  # of the container: sum of sizes
    bytes_allocated: int | None = None  # of the container: allocated blocks
    files: int | None = None
    verified: bool = False  # every image and label was compared with the source and found equal
    predicted_seconds: float | None = None  # of a skipped trial, with all that surrounds it
    message: str = ""  # why it failed or was skipped
