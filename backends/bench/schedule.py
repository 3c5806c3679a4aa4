"""The trials of a plan and their order."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

from backends.bench.configuration import SOURCE, Configuration
from backends.bench.measurement import EPOCH, ONE_IMAGE, STORES, WARM, Aspect, Cache, Cell, Operation, Trial
from backends.bench.plan import Plan
from backends.registry import LIMIT

Turn = tuple[Operation, Cache]


@lru_cache(4)
def trials(plan: Plan) -> tuple[Trial, ...]:
    """All trials of a plan in the order of their execution.

    One warm-up of everything at the smallest size comes first.  Then, size by size, each repeat is a block in which
    everything has its turn in random order, but for reads, which come after the store that makes what they read.
    """
    rng = random.Random(plan.seed)
    planned: list[Trial] = []
    for size, repeat in _blocks(plan):
        turns = [(name, turn) for name in configurations(plan) for turn in _turns(plan, name, size, repeat)]
        rng.shuffle(turns)
        _put_stores_first(turns)
        stores: dict[tuple[Configuration, Operation], int] = {}
        for name, (operation, cache) in turns:
            made_by = STORES.get(operation)
            trial = Trial(
                index=len(planned),
                configuration=name,
                operation=operation,
                count=size,
                repeat=repeat,
                reads=stores[name, made_by] if made_by else None,
                shown=repeat > 0 and (operation in plan.operations or operation == "copy"),
                cache=cache,
            )
            stores[name, operation] = trial.index
            planned.append(trial)
    return tuple(planned)


@lru_cache(32)
def cells_of(plan: Plan) -> frozenset[Cell]:
    """Every cell that a plan fills."""
    return frozenset(trial.cell for trial in trials(replace(plan, repeats=1)) if trial.shown)


def aspects(plan: Plan) -> tuple[Aspect, ...]:
    """The aspects of a plan, in the order in which they are shown: ``store``, ``read``, ``read cold``."""
    pairs = ((name, operation) for name in plan.configurations for operation in plan.operations)
    turns = {turn for pair in pairs for turn in _cache_turns(plan, *pair)}
    return tuple(aspect for aspect in Aspect if (aspect.operation, aspect.cache) in turns)


def configurations(plan: Plan) -> tuple[Configuration, ...]:
    """The plan's configurations, and the limits of the machine where they are measured, on the same bytes."""
    if not plan.limits:
        return plan.configurations
    codecs = {configuration.codec for configuration in plan.configurations}
    return (*plan.configurations, Configuration(f"{LIMIT}+{SOURCE if codecs == {SOURCE} else 'raw'}"))


def _blocks(plan: Plan) -> list[tuple[int, int]]:
    """Sizes with their repeats; operations on one image have a size of their own."""
    one_image = set(plan.operations) & set(ONE_IMAGE)
    sizes = sorted({*(plan.sizes if set(plan.operations) - one_image else ()), *((1,) if one_image else ())})
    return [(sizes[0], 0), *((size, repeat) for size in sizes for repeat in range(1, plan.repeats + 1))]


def _turns(plan: Plan, configuration: Configuration, size: int, repeat: int) -> list[Turn]:
    """What a configuration does in a block of ``size`` images: with the stores that its reads need, and no more.

    Epochs are read of the largest size only, and without a warm-up: each warms up itself, and imports torch.
    """
    operations = [name for name in plan.operations if (size == 1 if name in ONE_IMAGE else size in plan.sizes)]
    if repeat == 0 or size < max(plan.sizes):
        operations = [name for name in operations if name != EPOCH]
    if set(operations) - set(ONE_IMAGE):
        operations.append("copy")
    turns = [turn for operation in operations for turn in _cache_turns(plan, configuration, operation)]
    needed = [(STORES[operation], WARM) for operation, _ in turns if operation in STORES]
    return [*dict.fromkeys([*turns, *needed])]


def _cache_turns(plan: Plan, configuration: Configuration, operation: Operation) -> list[Turn]:
    """An operation in every state of the cache that it is measured in."""
    entry = configuration.entry
    if operation not in entry.operations:
        return []
    caches = plan.caches if operation in STORES and operation in entry.from_disk else (WARM,)
    return [(operation, cache) for cache in caches]


def _put_stores_first(turns: list[tuple[Configuration, Turn]]) -> None:
    """Let each store change places with the first of the reads that need it, where one comes before it."""
    for position, (name, (operation, _)) in enumerate(turns):
        if operation in STORES.values():
            first = next(
                at for at, (other, turn) in enumerate(turns)
                if other == name and operation in (turn[0], STORES.get(turn[0]))
            )  # fmt: skip
            turns[position], turns[first] = turns[first], turns[position]
