"""What a run does: configurations, sizes, operations, and how they are measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.bench.configuration import Configuration
from backends.bench.measurement import CACHES, COLD, MOST_WORKERS, OPERATIONS, STORES, WARM
from backends.errors import UsageError

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts


MOST_IMAGES = 10**12
MOST_REPEATS = 100_000
MOST_BATCH = 1 << 20

DEFAULT_OPERATIONS = ("store", "read", "shuffled")
"""What a run does where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.  Two equal plans have the same trials in the same order.

    Attributes
    ----------
    dataset
        A path, or ``sample``.
    split
        None for the dataset's first split.
    configurations
        As ``str(Configuration)``, no two equal.
    sizes
        Numbers of images, ascending.  More than the dataset has repeats its images.
    operations
        A subset of ``OPERATIONS``.
    repeats
        How often each figure is measured.
    seed
        Of the sample that is drawn, of the permutation of shuffled reads, and of the order within a block.
    batch
        Images in a batch of shuffled reads; one of more than 64 MiB of pixels comes in parts.
    caches
        A subset of ``CACHES``: the states of the page cache in which reads are measured.
    limits
        What the machine allows is measured too: writing, reading and copying bare bytes.
    budget
        Seconds that the run may take; what does not fit is skipped.  None for no bound.
    predict
        The number of images that figures are predicted for; None for the whole split.
    first
        The first images of the split are taken, in their order, instead of a random sample.
    work_dir
        Where artefacts are written; None to let the run choose.
    memory
        Bytes that staging may take; None for a quarter of what the machine or its cgroup has.
    in_thread
        Trials are executed in the thread that executes the run, instead of fresh processes.
    workers
        Processes that share each store and read, every one with a shard of its own.
    preset
        ``article`` where the plan is the article's; empty for all others.
    """

    dataset: str
    configurations: tuple[str, ...]
    sizes: tuple[int, ...]
    operations: tuple[str, ...] = DEFAULT_OPERATIONS
    repeats: int = 5
    seed: int = 0
    batch: int = 256
    caches: tuple[str, ...] = (WARM,)
    limits: bool = False
    budget: float | None = None
    predict: int | None = None
    first: bool = False
    split: str | None = None
    work_dir: str | None = None
    memory: int | None = None
    in_thread: bool = False
    preset: str = ""
    workers: int = 1


def without_unknown_operations(found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recorded plan without the operations that this version does not measure.

    Raises
    ------
    ValueError, TypeError
        None is left; these are no fields.
    """
    if not isinstance(found, Mapping):
        raise TypeError("expected an object for Plan")
    known = [name for name in found["operations"] if name in OPERATIONS]
    if not known:
        raise ValueError(f"this version measures none of its operations ({', '.join(map(str, found['operations']))})")
    return {**found, "operations": known}


def check_plan(plan: Plan, facts: DatasetFacts | None = None) -> Plan:
    """The same plan with canonical configurations, sizes ascending and operations in their order.

    Parameters
    ----------
    facts
        Of the plan's dataset, where known: they decide the default codecs.

    Raises
    ------
    UsageError
        Something in it cannot be meant; the sentence says what.
    """
    _check_numbers(plan)
    _check_names(plan)
    return replace(
        plan,
        configurations=tuple(dict.fromkeys(str(Configuration.parse(text, facts)) for text in plan.configurations)),
        sizes=tuple(sorted(set(plan.sizes))),
        operations=tuple(name for name in OPERATIONS if name in plan.operations),
        caches=tuple(name for name in CACHES if name in plan.caches),
    )


def _check_numbers(plan: Plan) -> None:
    if not plan.configurations:
        raise UsageError("nothing to compare: name at least one configuration, such as lmdb.")
    if not plan.sizes:
        raise UsageError("no sizes: name at least one number of images, such as 1000.")
    for size in plan.sizes:
        if not 1 <= size <= MOST_IMAGES:
            raise UsageError(f"size {size} is not a number of images: choose 1 to {MOST_IMAGES:,}.")
    if not 1 <= plan.repeats <= MOST_REPEATS:
        raise UsageError(f"{plan.repeats} repeats cannot be made: choose 1 to {MOST_REPEATS:,}.")
    if plan.seed < 0:
        raise UsageError(f"seed {plan.seed} is below 0: choose a whole number from 0 on.")
    if not 1 <= plan.batch <= MOST_BATCH:
        raise UsageError(f"a batch of {plan.batch} images cannot be read: choose 1 to {MOST_BATCH:,}.")
    if not 1 <= plan.workers <= MOST_WORKERS:
        raise UsageError(f"{plan.workers} workers cannot share a trial: choose 1 to {MOST_WORKERS}.")
    if plan.workers > 1 and plan.in_thread:
        raise UsageError("workers are processes: choose 1 worker, or run trials in separate processes.")
    if plan.budget is not None and not 0 < plan.budget < math.inf:
        raise UsageError(f"a budget of {plan.budget} seconds is none: choose a time such as 90s, 5m or 2h.")
    if plan.predict is not None and not 1 <= plan.predict <= MOST_IMAGES:
        raise UsageError(f"{plan.predict} images cannot be predicted: choose 1 to {MOST_IMAGES:,}.")


def _check_names(plan: Plan) -> None:
    for known, asked, what in ((OPERATIONS, plan.operations, "operation"), (CACHES, plan.caches, "cache state")):
        unknown = [name for name in asked if name not in known]
        if unknown or not asked:
            raise UsageError(f"there is no {what} {unknown[0] if unknown else ''!r}: choose of {', '.join(known)}.")
    if COLD in plan.caches and not set(plan.operations) & set(STORES):
        raise UsageError("cold reads are asked for, and no operation reads: add read or shuffled to the operations.")
    if COLD in plan.caches and plan.in_thread:
        raise UsageError("cold reads need a process of their own: run trials in separate processes, or leave out cold.")


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
    article's three ways as its code does it, and in the same three ways as this library does it.

    Raises
    ------
    UsageError
        The article's code keeps arrays of one size, grey or RGB, with labels of one byte.
    """
    shape = facts.image_shape
    if shape is None or shape[2] not in (1, 3) or len(facts.classes) > 256:
        raise UsageError(
            "the article's experiment needs images of one size, grey or RGB, in at most 256 classes: "
            "run it on CIFAR-10, or on sample."
        )
    return Plan(
        dataset=dataset,
        configurations=(
            *("article-png", "article-lmdb", "article-hdf5"),
            *("files+png", "files+raw", "lmdb+raw", "hdf5+raw"),
        ),
        sizes=ARTICLE_SIZES,
        operations=("store", "read", "store-one", "read-one"),
        first=True,
        preset=ARTICLE,
    )
