"""What a trial is, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field

OPERATIONS = ("store", "read")
"""The operations there are, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One timed execution.

    Attributes
    ----------
    index
        Position in the plan, from 0.
    configuration
        As ``str(Configuration)``.
    operation
        One of ``OPERATIONS``.
    count
        Images stored or read.
    repeat
        1, 2, ... ; 0 for a warm-up, which is thrown away.
    reads
        Index of the store trial whose artefact a read trial reads; None for a store.
    shown
        Whether the figure counts: not for warm-ups, nor for a store that only makes what a read needs.
    """

    index: int
    configuration: str
    operation: str
    count: int
    repeat: int
    reads: int | None = None
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a trial found; the same fields as a trial in ``bench --json``.

    Attributes
    ----------
    outcome
        ``ok``, ``failed`` or ``skipped``.
    seconds
        Sum of the phases except ``sync``; None unless ok.
    seconds_durable
        ``seconds`` and ``sync``; for reads the same as ``seconds``.
    phases
        Seconds by phase: ``open, encode, write, close, sync`` or ``open, read, decode, close``.
    cpu_seconds
        User and system time of the timed phases, without ``sync``.
    peak_rss, peak_anonymous
        Bytes: the high-water mark of resident memory, and the largest anonymous (not file-backed) memory
        seen at a batch's end; None where the system does not tell.
    bytes_apparent, bytes_allocated, files
        What the container takes: sum of sizes, of allocated blocks, and the number of files.
    verified
        Whether every image and label was compared with the source, outside the clock, and found equal.
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
    peak_rss: int | None = None
    peak_anonymous: int | None = None
    bytes_apparent: int | None = None
    bytes_allocated: int | None = None
    files: int | None = None
    verified: bool = False
    message: str = ""
