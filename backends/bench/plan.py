"""What a run does, and the checks that it can be done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.measurement import CACHES, COLD, MOST_WORKERS, OPERATIONS, STORES, WARM, Cache, Operation
from backends.datasets.base import LAYOUTS, DatasetFacts, Reading
from backends.errors import UsageError

MOST_IMAGES = 10**12
ARTICLE = "article"


@dataclass(frozen=True, slots=True)
class PlanField:
    """What a person may write into a field of a plan: options, the form and the checks are made from it.

    ``known`` are all its names, or what a switch is called while it is off and on; numbers lie between ``least`` and
    ``most``.  Anything else is not ``noun``; ``example`` is.  ``label`` is its name in the form, if it is in that, and
    ``unset`` what happens where the plan leaves it open.
    """

    kind: str  # images, number, seconds, bytes, name, switch or text
    help: str
    label: str = ""
    noun: str = ""
    example: str = ""
    least: float = 1
    most: float = math.inf
    known: tuple[str, ...] = ()
    unset: str = ""
    many: bool = False

    def check_all(self, values: Sequence[Any]) -> None:
        """Raise UsageError where one is not a value of the field, or there is none."""
        if not values:
            raise UsageError(f"no {self.label}: name at least one, such as {self.example or self.known[0]}.")
        for value in values:
            self._check(value)

    def _check(self, value: Any) -> None:
        if self.kind == "name" and value not in self.known:
            raise UsageError(f"{value!r} is not {self.noun}: choose from {', '.join(self.known)}.")
        numbers = self.kind in ("images", "number", "seconds", "bytes")
        if numbers and not (self.least <= value <= self.most and value < math.inf):
            bounded = self.most < math.inf
            way = f"choose {self.least:,} to {self.most:,}" if bounded else f"write one such as {self.example}"
            raise UsageError(f"{value} is not {self.noun}: {way}.")


_COUNT = {"noun": "a number of images", "example": "10, 100 or 1k", "most": MOST_IMAGES}


def _of(kind: str, help: str, label: str = "", *, default: Any = MISSING, **more: Any) -> Any:  # noqa: A002
    return field(default=default, metadata={"field": PlanField(kind, help, label, **more)})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.  Two equal plans have the same trials in the same order."""

    # fmt: off
    dataset: str  # a path, or "sample"
    configurations: tuple[Configuration, ...]  # no two equal
    sizes: tuple[int, ...] = _of(  # ascending; more than the dataset has repeats its images
        "images", "How many images to measure with", "images", many=True, unset="10, 100, ... and all", **_COUNT)
    operations: tuple[Operation, ...] = _of("name", f"Operations: {', '.join(OPERATIONS)}", "operations", many=True,
        noun="an operation", known=OPERATIONS, default=("store", "read", "shuffled"))
    repeats: int = _of("number", "How often each time is measured; 5 or more can tell small differences", "repeats",
        noun="a number of repeats", example="5", most=100_000, default=5)
    seed: int = _of("number", "Seed of the random choice of images and of the random order",
        noun="a seed", example="0, 1 or 2", least=0, default=0)
    batch: int = _of(  # one of more than 64 MiB of pixels comes in parts
        "images", "Images per batch when reading shuffled or epochs", "batch size",
        **_COUNT | {"most": 1 << 20}, default=256)
    caches: tuple[Cache, ...] = _of("name", "warm: files are in memory; cold: read from the disk; or both", "cache",
        noun="a cache state", known=CACHES, many=True, default=(WARM,))
    limits: bool = _of("switch", "Also time plain copies of the same bytes", "disk limits",
        noun="an answer", known=("no", "yes"), default=False)
    budget: float | None = _of("seconds", "Longest time for the run; what does not fit is skipped", "time limit",
        noun="a time", example="90s, 5m or 2h", least=1e-6, unset="none", default=None)
    predict: int | None = _of("images", "Number of images to predict times for", "predict for",
        **_COUNT, unset="the whole dataset", default=None)
    workers: int = _of("number", "Processes that store or read together", "processes",
        noun="a number of workers", example="2", most=MOST_WORKERS, default=1)
    memory: int | None = _of("bytes", "Memory for decoded images", "memory",
        noun="an amount of bytes", example="512 MiB or 4 GiB", unset="a quarter of the memory", default=None)
    in_thread: bool = _of("switch",
        "Run trials in a worker thread, where a crash ends the program; else a crash is one failed trial",
        "Run trials in", noun="a place to run trials in", known=("separate processes", "worker thread"), default=False)
    preset: str = _of("name", "article: the article's experiment, beside its own code",
        noun="a preset", known=(ARTICLE,), unset="none", default="")
    split: str | None = _of("text", "Which part of the dataset",
        example="NAME", unset="the first, usually train", default=None)
    root: str = _of("text", "Folder inside the dataset: only this one is read", example="DIR", unset="all", default="")
    layout: str = _of("name", "What the dataset's folders are: flat (nothing), classes or splits",
        noun="a layout", known=LAYOUTS, unset="found out", default="")
    labels: str = _of("text", "CSV file of file,label", example="FILE", unset="by folder", default="")
    python: str = _of("text", "Python for the operation epoch: the one that you train with, which has torch",
        "Python", example="PATH", unset="this program's own", default="")
    loader_workers: tuple[int, ...] | None = _of(
        "number", "Numbers of DataLoader workers that epochs are read with", "loader workers", many=True,
        noun="a number of workers", example="0,2,4", least=0, most=MOST_WORKERS, unset="0 and one a core", default=None)
    fetch: str = _of("name", "How epochs fetch: a whole batch at once, or item by item", "fetch",
        noun="a way to fetch", known=("batch", "item"), default="batch")
    image_size: int | None = _of("number", "Pixels a side that epochs bring each image to", "image size",
        noun="a number of pixels", example="224", most=1 << 14, unset="as it is", default=None)
    step_ms: int = _of("number", "Milliseconds that a step of the training takes, for each batch", "training step",
        noun="a number of milliseconds", example="50", least=0, most=1 << 20, default=0)
    work_dir: str | None = _of("text", "Folder for temporary files",
        example="DIR", unset="beside the dataset", default=None)
    first: bool = False  # the first images of the split, in their order, instead of a random sample
    # fmt: on

    @property
    def how(self) -> Reading:
        """How the dataset is read."""
        return Reading(self.root, self.layout, self.labels)


PLAN_FIELDS: dict[str, PlanField] = {one.name: one.metadata["field"] for one in fields(Plan) if one.metadata}
"""By the name of the plan's attribute, in the order in which they are shown."""


def check_plan(plan: Plan, facts: DatasetFacts | None = None) -> Plan:
    """The same plan with sizes ascending, and operations in their order.

    Raises UsageError where something in it is impossible, also for its dataset where the facts of that are given.
    """
    if not plan.configurations:
        raise UsageError("nothing to compare: name at least one configuration, such as lmdb.")
    for name, known in PLAN_FIELDS.items():
        value = getattr(plan, name)
        if value not in (None, ""):
            known.check_all(value if known.many else (value,))
    _check_together(plan)
    for configuration in plan.configurations:
        configuration.check(facts)
    return replace(
        plan,
        configurations=tuple(dict.fromkeys(plan.configurations)),
        sizes=tuple(sorted(set(plan.sizes))),
        operations=tuple(name for name in OPERATIONS if name in plan.operations),
        caches=tuple(name for name in CACHES if name in plan.caches),
    )


def _check_together(plan: Plan) -> None:
    if COLD in plan.caches and not set(plan.operations) & set(STORES):
        raise UsageError("cold reads are asked for, and no operation reads: add read or shuffled to the operations.")
    if plan.in_thread and COLD in plan.caches:
        raise UsageError("cold reads need a process of their own: run trials in separate processes, or leave out cold.")
    if plan.in_thread and plan.workers > 1:
        raise UsageError("workers are processes: choose 1 worker, or run trials in separate processes.")


def default_sizes(count: int, wanted: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """10, 100, 1,000, ... below ``count``, and ``count`` itself; or those ``wanted`` that are not above it."""
    if wanted is not None:
        return tuple(size for size in wanted if size <= count) or (count,)
    sizes, size = [], 10
    while size < count:
        sizes.append(size)
        size *= 10
    return (*sizes, count)


ARTICLE_SIZES = (10, 100, 1_000, 10_000, 100_000)


def article_plan(dataset: str, facts: DatasetFacts) -> Plan:
    """The experiment of "Three Ways of Storing and Accessing Lots of Images in Python".

    One image, then 10 to 100,000: the first ones, repeated where the dataset has fewer; stored and read in the
    article's three ways as its code does it, and in the same three ways as this library does it.  Raises UsageError
    for anything but arrays of one size, grey or RGB, with labels of one byte: its code keeps nothing else.
    """
    shape = facts.image_shape
    if shape is None or shape[2] not in (1, 3) or len(facts.classes) > 256:
        raise UsageError(
            "the article's experiment needs images of one size, grey or RGB, in at most 256 classes: "
            "run it on CIFAR-10, or on sample."
        )
    return Plan(
        dataset=dataset,
        configurations=configurations_of(
            *("article-png", "article-lmdb", "article-hdf5"),
            *("files+png", "files+raw", "lmdb+raw", "hdf5+raw"),
        ),
        sizes=ARTICLE_SIZES,
        operations=("store", "read", "store-one", "read-one"),
        first=True,
        preset=ARTICLE,
    )
