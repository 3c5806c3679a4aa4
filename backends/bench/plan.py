"""The trials to run, their order and seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.measurement import OPERATIONS, Trial
from backends.errors import UsageError

if TYPE_CHECKING:
    from backends.datasets.facts import DatasetFacts

MOST_IMAGES = 10**12
MOST_REPEATS = 100_000


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
        Of the sample that is drawn and of the order within a block.
    work_dir
        Where artefacts are written; None to let the run choose.
    memory
        Bytes that staging may take; None for a quarter of what the machine or its cgroup has.
    in_thread
        Trials are executed in the job's own thread instead of fresh processes, to show the difference.
    """

    dataset: str
    configurations: tuple[str, ...]
    sizes: tuple[int, ...]
    operations: tuple[str, ...] = OPERATIONS
    repeats: int = 3
    seed: int = 0
    split: str | None = None
    work_dir: str | None = None
    memory: int | None = None
    in_thread: bool = False


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
    unknown = [name for name in plan.operations if name not in OPERATIONS]
    if unknown or not plan.operations:
        raise UsageError(f"there is no operation {unknown[0] if unknown else ''!r}: choose of {', '.join(OPERATIONS)}.")
    return replace(
        plan,
        configurations=tuple(dict.fromkeys(str(Configuration.parse(text, facts)) for text in plan.configurations)),
        sizes=tuple(sorted(set(plan.sizes))),
        operations=tuple(name for name in OPERATIONS if name in plan.operations),
    )


def trials(plan: Plan) -> tuple[Trial, ...]:
    """All trials of a plan in the order of their execution.

    One warm-up of every configuration at the smallest size comes first.  Then, size by size, each repeat is a
    block in which every configuration has its turn in random order; a configuration's read follows its store
    somewhere in the same block.
    """
    shuffle = random.Random(plan.seed).shuffle
    found: list[Trial] = []
    blocks = [
        (plan.sizes[0], 0),
        *((size, repeat) for size in plan.sizes for repeat in range(1, plan.repeats + 1)),
    ]
    for size, repeat in blocks:
        turns = 2 if "read" in plan.operations else 1
        order = [name for name in plan.configurations for _ in range(turns)]
        shuffle(order)
        stores: dict[str, int] = {}
        for name in order:
            operation = "read" if name in stores else "store"
            trial = Trial(
                index=len(found),
                configuration=name,
                operation=operation,
                count=size,
                repeat=repeat,
                reads=stores.get(name),
                shown=repeat > 0 and operation in plan.operations,
            )
            stores.setdefault(name, trial.index)
            found.append(trial)
    return tuple(found)


def default_sizes(count: int) -> tuple[int, ...]:
    """10, 100, 1,000, ... below ``count``, and ``count`` itself."""
    sizes, size = [], 10
    while size < count:
        sizes.append(size)
        size *= 10
    return (*sizes, count)
