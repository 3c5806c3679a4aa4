"""Where a run writes, how much at most, whether that fits, and about how long the run takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.disk import check_space, choose_work_dir, free_bytes, mount_of
from backends.bench.environment import usable_memory
from backends.bench.estimate import (
    Copies,
    Need,
    plan_copies,
    source_need,
    source_seconds,
    staged_bytes,
    trial_need,
    trial_seconds,
)
from backends.bench.schedule import configurations, trials
from backends.errors import NoSpace

if TYPE_CHECKING:
    from backends.bench.disk import Mount
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts


MEMORY_SHARE = 4
"""Staging takes at most this part (a quarter) of the memory there is."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run writes.

    Attributes
    ----------
    main
        The folder of the staged images.
    by_configuration
        The folder of each configuration's artefacts.
    bytes_at_most
        Of everything that lies on all disks at one time.
    copies
        What short stores may write when they are repeated.
    early
        Artefacts are removed as soon as nothing needs them, since all of them together do not fit.
    """

    main: Path
    by_configuration: dict[str, Path]
    bytes_at_most: int
    copies: Copies
    early: bool

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.main, *self.by_configuration.values())))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan takes: ``seconds`` is rough, ``bytes_at_most`` a bound; ``work`` is the folder that it writes in."""

    seconds: float
    bytes_at_most: int
    work: Path


def estimate(plan: Plan, facts: DatasetFacts) -> Estimate:
    """What ``plan`` on the dataset ``facts`` will take.  Raises NoSpace and NotAllowed where it cannot run."""
    plan = fit_to_memory(plan, facts)
    places = find_places(plan, facts, "estimate")
    seconds = source_seconds(plan, facts) + sum(trial_seconds(trial, facts) for trial in trials(plan))
    return Estimate(min(seconds, plan.budget or seconds), places.bytes_at_most, places.main.parent)


def fit_to_memory(plan: Plan, facts: DatasetFacts) -> Plan:
    """``plan`` with the memory that staging may take, and with sizes whose images fit into it."""
    memory = plan.memory or usable_memory() // MEMORY_SHARE
    sizes = fit_sizes(plan.sizes, facts.count, staged_bytes(plan, facts), memory)
    return replace(plan, sizes=sizes, split=facts.split, memory=memory)


def fit_sizes(sizes: tuple[int, ...], count: int, image_bytes: int, memory: int) -> tuple[int, ...]:
    """The sizes whose distinct images, at most ``count``, take no more than ``memory`` bytes staged.

    A size that does not fit is shrunk to the largest that does.
    """
    most = max(1, memory // image_bytes)
    if min(max(sizes), count) <= most:
        return sizes
    return tuple(sorted({min(size, most) for size in sizes}))


def find_places(plan: Plan, facts: DatasetFacts, name: str) -> Places:
    """Where the run writes, once it is known that everything fits.  Raises NoSpace and NotAllowed."""
    folder = f"imgstore-{name}"
    main = choose_work_dir(plan.work_dir, None if plan.dataset == "sample" else Path(plan.dataset)) / folder
    chosen = {text: Configuration.parse(text).folder for text in configurations(plan)}
    by_configuration = {
        text: choose_work_dir(asked, None) / folder if asked else main for text, asked in chosen.items()
    }
    found = {path: mount_of(path) for path in dict.fromkeys((main, *by_configuration.values()))}
    block = max(mount.block_bytes for mount in found.values())
    copies = plan_copies(plan, facts, block, min(map(free_bytes, found)))
    everything, early = _needs(plan, facts, main, by_configuration, found, copies)
    most = sum(need.bytes for need in everything.values())
    places = Places(main, by_configuration, most, copies, early=False)
    try:
        for path, need in everything.items():
            check_space(path.parent, need.bytes, need.files)
    except NoSpace:
        for path, need in early.items():
            check_space(path.parent, need.bytes, need.files)
        return replace(places, bytes_at_most=sum(need.bytes for need in early.values()), early=True)
    return places


def _needs(
    plan: Plan, facts: DatasetFacts, main: Path, folders: dict[str, Path], found: dict[Path, Mount], copies: Copies
) -> tuple[dict[Path, Need], dict[Path, Need]]:
    """What each filesystem must hold where nothing is removed before the end, and where each block is."""
    mounts = {path: mount.point for path, mount in found.items()}
    first = {mounts[path]: path for path in reversed((main, *folders.values()))}
    staged = source_need(plan, facts)
    everything = dict.fromkeys(first.values(), Need()) | {first[mounts[main]]: staged}
    blocks: dict[tuple[int, int], dict[Path, Need]] = {}
    for trial in trials(plan):
        path = folders[trial.configuration]
        need = trial_need(trial, facts, found[path].block_bytes, plan.workers, copies)
        home = first[mounts[path]]
        everything[home] += need
        block = blocks.setdefault((trial.count, trial.repeat), dict.fromkeys(first.values(), Need()))
        block[home] += need
    early = {
        home: max((block[home] for block in blocks.values()), key=lambda need: need.bytes)
        + (staged if home == first[mounts[main]] else Need())
        for home in everything
    }
    return everything, early
