"""What a trial is, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, get_args

from backends.bench.configuration import Configuration, is_configuration

Operation = Literal["store", "read", "shuffled", "epoch", "store-one", "read-one", "copy"]
"""What is timed; ``copy`` only for the limits of the machine."""

OPERATIONS: tuple[Operation, ...] = get_args(Operation)[:-1]
"""All operations of a plan, in the order in which they are shown."""

EPOCH: Operation = "epoch"
"""Read through a PyTorch DataLoader with several numbers of workers, at the largest count only."""

ONE_IMAGE: tuple[Operation, ...] = ("store-one", "read-one")
"""Operations on a container that holds one image, opened anew each time; their count is 1."""

STORES: dict[Operation, Operation] = {
    "read": "store", "shuffled": "store", "epoch": "store", "read-one": "store-one", "copy": "store"
}  # fmt: skip
"""The operation that makes what another one reads."""

Cache = Literal["warm", "cold"]
CACHES: tuple[Cache, ...] = get_args(Cache)
WARM, COLD = CACHES  # the states of the page cache that a read can find its files in
LEAST_SECONDS = 0.05  # shorter operations are repeated until they have taken so long in all

MOST_LOOPS = 500
FOLDER_BYTES = 4096  # of the folder that each copy of a container lies in, where a store is repeated

MOST_WORKERS = 64

STORE_FAILED = "its store failed: "  # begins the message of a read that is skipped; the reason follows


class Aspect(StrEnum):
    """An operation and the state of the page cache: what a table or a chart is about."""

    STORE = "store"
    READ = "read"
    READ_COLD = "read", COLD
    SHUFFLED = "shuffled"
    SHUFFLED_COLD = "shuffled", COLD
    EPOCH = "epoch"
    EPOCH_COLD = "epoch", COLD
    STORE_ONE = "store-one"
    READ_ONE = "read-one"
    READ_ONE_COLD = "read-one", COLD
    COPY = "copy"

    operation: Operation
    cache: Cache

    def __new__(cls, operation: Operation, cache: Cache = WARM) -> Aspect:
        text = operation if cache == WARM else f"{operation} {cache}"
        self = str.__new__(cls, text)
        self._value_, self.operation, self.cache = text, operation, cache
        return self

    @classmethod
    def of(cls, operation: Operation, cache: Cache) -> Aspect:
        return _ASPECTS[operation, cache]


_ASPECTS = {(aspect.operation, aspect.cache): aspect for aspect in Aspect}

Cell = tuple[Configuration, Aspect, int]
"""What repeats have in common: configuration, aspect and count."""


def is_measured_here(fields: Mapping[str, Any]) -> bool:
    """Whether the fields of a trial or measurement, from any version's record, are of a kind that this one measures.

    Earlier versions also timed an operation ``labels``, and reads by a second reader, ``plain``; a configuration may
    need a plug-in that is not installed.
    """
    aspect = fields.get("operation"), fields.get("cache", WARM)
    return aspect in _ASPECTS and fields.get("reader", "ours") == "ours" and is_configuration(fields["configuration"])


class InCell:
    """What belongs to a cell: a trial, its measurement, the figure of its repeats."""

    __slots__ = ()
    configuration: Configuration
    operation: Operation
    count: int
    cache: Cache

    @property
    def aspect(self) -> Aspect:
        return Aspect.of(self.operation, self.cache)

    @property
    def cell(self) -> Cell:
        """What repeats of one trial have in common."""
        return self.configuration, self.aspect, self.count


@dataclass(frozen=True, slots=True)
class Trial(InCell):
    """One timed execution."""

    index: int  # position in the plan, from 0
    configuration: Configuration
    operation: Operation
    count: int  # images stored or read
    repeat: int  # 1, 2, ...; 0 for a warm-up, which is thrown away
    reads: int | None = None  # index of the store whose artefact is read; None for a store
    shown: bool = True  # False for warm-ups, and for a store that only makes what a read needs
    cache: Cache = WARM


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """What an epoch with one number of DataLoader workers took; the mean of several where one is short.

    Bytes are of all processes, and None where the system does not tell.
    """

    workers: int
    seconds: float  # without steps
    first_batch: float  # seconds until it was there
    waiting: float  # share of the time in which the training waits for data
    cpu_seconds: float  # of all processes
    main_cpu_seconds: float  # of the one that trains
    utilisation: float | None = None  # as MLPerf Storage has it: seconds of all steps by those of the epoch with steps
    bytes_read: int | None = None  # from devices
    memory_growth: int | None = None  # of memory that is backed by no file, with that of the workers
    shared_bytes: int = 0  # of /dev/shm at most, in which workers pass batches on
    epochs: int = 1  # that the seconds are the mean of


@dataclass(frozen=True, slots=True)
class Measurement(InCell):
    """What a trial measured; the same fields as a trial in ``bench --json``.

    Bytes and shares are None where the system does not tell.
    """

    trial: int
    configuration: Configuration
    backend: str
    codec: str
    operation: Operation
    count: int
    cache: Cache
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
    epochs: tuple[EpochFacts, ...] = ()  # of the operation epoch, whose seconds are those of the fastest
