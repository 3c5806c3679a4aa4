"""What a trial is, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATIONS = ("store", "read", "shuffled", "store-one", "read-one")
"""The operations there are, in the order in which they are shown."""

ONE_IMAGE = ("store-one", "read-one")
"""Operations on a container that holds one image, opened anew each time; their count is 1."""

STORES = {"read": "store", "shuffled": "store", "read-one": "store-one", "copy": "store"}
"""The operation that makes what another one reads."""

WARM, COLD = "warm", "cold"
CACHES = (WARM, COLD)
"""The states of the page cache that a read can find its files in."""

LEAST_SECONDS = 0.05
"""What is shorter is done again until it has taken so long in all."""

STORE_FAILED = "its store failed: "
"""Begins the message of a read that is skipped; the reason follows."""

MOST_LOOPS = 500
FOLDER_BYTES = 4096
"""Of the folder that each copy of a container lies in, where a store is repeated."""

MOST_WORKERS = 64

Cell = tuple[str, str, int]
"""What repeats have in common: configuration, aspect and count."""


def aspect_of(operation: str, cache: str = WARM) -> str:
    """An operation and, where files are not in the page cache, the word ``cold``: ``read``, ``shuffled cold``."""
    return f"{operation} {COLD}" if cache == COLD else operation


def is_measured_here(found: Mapping[str, Any]) -> bool:
    """Whether the fields of a trial or measurement, from any version's record, are of a kind that this one measures.

    Earlier versions also timed an operation ``labels``, and reads by a second reader, ``plain``.
    """
    return found.get("operation") in (*OPERATIONS, "copy") and found.get("reader", "ours") == "ours"


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
    """One timed execution.

    Attributes
    ----------
    index
        Position in the plan, from 0.
    configuration
        As ``str(Configuration)``.
    operation
        One of ``OPERATIONS``; for the limits of the machine also ``copy``.
    count
        Images stored or read.
    repeat
        1, 2, ... ; 0 for a warm-up, which is thrown away.
    reads
        Index of the store trial whose artefact a read trial reads; None for a store.
    shown
        Whether the figure counts: not for warm-ups, nor for a store that only makes what a read needs.
    cache
        One of ``CACHES``.
    """

    index: int
    configuration: str
    operation: str
    count: int
    repeat: int
    reads: int | None = None
    shown: bool = True
    cache: str = WARM


@dataclass(frozen=True, slots=True)
class Measurement(InCell):
    """What a trial found; the same fields as a trial in ``bench --json``.

    Attributes
    ----------
    outcome
        ``ok``, ``failed`` or ``skipped``.
    seconds
        Sum of the phases except ``sync``, of one execution; None unless ok.
    seconds_durable
        ``seconds`` and ``sync``; for reads the same as ``seconds``.
    phases
        Seconds by phase: ``open, encode, write, close, sync`` or ``open, read, decode, close``.
    cpu_seconds
        User and system time of the timed phases, without ``sync``.
    loops
        Executions that the seconds are the mean of: what is short is looped.
    peak_rss, peak_anonymous
        Bytes: the high-water mark of resident memory, and the largest anonymous (not file-backed) memory
        seen at a batch's end; None where the system does not tell.
    bytes_read, bytes_written
        What the timed phases of the first execution moved from and to the device; None where the system does not
        tell.
    resident
        Share of the artefact's bytes that the page cache held before a read; None for stores and where it is unknown.
    bytes_apparent, bytes_allocated, files
        What the container takes: sum of sizes, of allocated blocks, and the number of files.
    verified
        Whether every image and label was compared with the source, outside the clock, and found equal.
    predicted_seconds
        What a skipped trial would have taken, about, with all that surrounds it; None for all others.
    message
        Why it failed or was skipped; empty when ok.
    """

    trial: int
    configuration: str
    backend: str
    codec: str
    operation: str
    count: int
    cache: str
    repeat: int
    outcome: str
    shown: bool = True
    seconds: float | None = None
    seconds_durable: float | None = None
    phases: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float | None = None
    loops: int = 1
    peak_rss: int | None = None
    peak_anonymous: int | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    resident: float | None = None
    bytes_apparent: int | None = None
    bytes_allocated: int | None = None
    files: int | None = None
    verified: bool = False
    predicted_seconds: float | None = None
    message: str = ""
