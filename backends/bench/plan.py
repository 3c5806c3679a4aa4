"""What a run does, and the checks that it can be done."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.measurement import CACHES, COLD, MOST_WORKERS, OPERATIONS, STORES, WARM, Cache, Operation
from backends.datasets.base import DatasetFacts
from backends.errors import UsageError

MOST_IMAGES = 10**12
MOST_REPEATS = 100_000
MOST_BATCH = 1 << 20

DEFAULT_OPERATIONS: tuple[Operation, ...] = ("store", "read", "shuffled")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.  Two equal plans have the same trials in the same order."""

    dataset: str  # a path, or "sample"
    configurations: tuple[Configuration, ...]  # no two equal
    sizes: tuple[int, ...]  # numbers of images, ascending; more than the dataset has repeats its images
    operations: tuple[Operation, ...] = DEFAULT_OPERATIONS
    repeats: int = 5
    seed: int = 0  # of the sample, of the permutation of shuffled reads, and of the order within a block
    batch: int = 256  # images in a batch of shuffled reads; one of more than 64 MiB of pixels comes in parts
    caches: tuple[Cache, ...] = (WARM,)  # the states of the page cache in which reads are measured
    limits: bool = False  # writing, reading and copying bare bytes is measured too
    budget: float | None = None  # seconds that the run may take; what does not fit is skipped
    predict: int | None = None  # number of images that figures are predicted for; None for the whole split
    first: bool = False  # the first images of the split, in their order, instead of a random sample
    split: str | None = None  # None for the dataset's first split
    work_dir: str | None = None  # where artefacts are written; None to let the run choose
    memory: int | None = None  # bytes that staging may take; None for a quarter of what there is
    in_thread: bool = False  # trials are executed in the thread that executes the run, not in fresh processes
    preset: str = ""  # "article" where the plan is the article's
    workers: int = 1  # processes that share each store and read, every one with a shard of its own


def check_plan(plan: Plan, facts: DatasetFacts | None = None) -> Plan:
    """The same plan with sizes ascending, and operations in their order.

    Raises UsageError where something in it is impossible, also for its dataset where the facts of that are given.
    """
    _check_numbers(plan)
    _check_names(plan)
    for configuration in plan.configurations:
        configuration.check(facts)
    return replace(
        plan,
        configurations=tuple(dict.fromkeys(plan.configurations)),
        sizes=tuple(sorted(set(plan.sizes))),
        operations=tuple(name for name in OPERATIONS if name in plan.operations),
        caches=tuple(name for name in CACHES if name in plan.caches),
    )


def _check_numbers(plan: Plan) -> None:
    if not plan.configurations:
        raise UsageError("nothing to compare: name at least one configuration, such as lmdb.")
    if not plan.sizes:
        raise UsageError("no sizes: name at least one number of images, such as 1000.")
    predict = 1 if plan.predict is None else plan.predict
    for number, most, sentence in (
        *((size, MOST_IMAGES, f"size {size} is not a number of images") for size in plan.sizes),
        (plan.repeats, MOST_REPEATS, f"{plan.repeats} repeats cannot be made"),
        (plan.batch, MOST_BATCH, f"a batch of {plan.batch} images cannot be read"),
        (plan.workers, MOST_WORKERS, f"{plan.workers} workers cannot share a trial"),
        (predict, MOST_IMAGES, f"{predict} images cannot be predicted"),
    ):
        if not 1 <= number <= most:
            raise UsageError(f"{sentence}: choose 1 to {most:,}.")
    if plan.seed < 0:
        raise UsageError(f"seed {plan.seed} is below 0: choose a whole number from 0 on.")
    if plan.budget is not None and not 0 < plan.budget < math.inf:
        raise UsageError(f"a budget of {plan.budget} seconds is none: choose a time such as 90s, 5m or 2h.")


def _check_names(plan: Plan) -> None:
    for known, names, kind in ((OPERATIONS, plan.operations, "operation"), (CACHES, plan.caches, "cache state")):
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise UsageError(f"there is no {kind} {unknown[0] if unknown else ''!r}: choose of {', '.join(known)}.")
    if COLD in plan.caches and not set(plan.operations) & set(STORES):
        raise UsageError("cold reads are asked for, and no operation reads: add read or shuffled to the operations.")
    if plan.in_thread and COLD in plan.caches:
        raise UsageError("cold reads need a process of their own: run trials in separate processes, or leave out cold.")
    if plan.in_thread and plan.workers > 1:
        raise UsageError("workers are processes: choose 1 worker, or run trials in separate processes.")


def default_sizes(count: int) -> tuple[int, ...]:
    """10, 100, 1,000, ... below ``count``, and ``count`` itself."""
    sizes, size = [], 10
    while size < count:
        sizes.append(size)
        size *= 10
    return (*sizes, count)


ARTICLE = "article"
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
