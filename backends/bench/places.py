"""Where a run writes, and whether that fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.disk import check_space, choose_work_dir, mount_of
from backends.bench.estimate import Need, artefact_need, loop_bytes, source_need, work_dir
from backends.bench.schedule import configurations, trials
from backends.errors import NoSpace

if TYPE_CHECKING:
    from backends.bench.plan import Plan
    from backends.datasets.facts import DatasetFacts


@dataclass(frozen=True, slots=True)
class Places:
    """Where a run writes.

    Attributes
    ----------
    main
        The folder of the staged images.
    by_configuration
        The folder of each configuration's artefacts.
    loop_bytes
        What a looped store may write besides its artefact.
    early
        Artefacts are removed as soon as nothing needs them, since all of them together do not fit.
    """

    main: Path
    by_configuration: dict[str, Path]
    bytes_at_most: int
    loop_bytes: int
    early: bool

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.main, *self.by_configuration.values())))


def find_places(plan: Plan, facts: DatasetFacts, name: str) -> Places:
    """Where the run writes, once it is known that everything fits.  Raises NoSpace and NotAllowed."""
    folder = f"imgstore-{name}"
    main = work_dir(plan) / folder
    chosen = {text: Configuration.parse(text).folder for text in configurations(plan)}
    by_configuration = {
        text: choose_work_dir(asked, None) / folder if asked else main for text, asked in chosen.items()
    }
    loops = loop_bytes(plan, (main, *by_configuration.values()))
    everything, early = _needs(plan, facts, main, by_configuration, loops)
    most = sum(need.bytes for need in everything.values())
    places = Places(main, by_configuration, most, loops, early=False)
    try:
        for path, need in everything.items():
            check_space(path.parent, need.bytes, need.files)
    except NoSpace:
        for path, need in early.items():
            check_space(path.parent, need.bytes, need.files)
        return replace(places, bytes_at_most=sum(need.bytes for need in early.values()), early=True)
    return places


def _needs(
    plan: Plan, facts: DatasetFacts, main: Path, folders: dict[str, Path], loops: int
) -> tuple[dict[Path, Need], dict[Path, Need]]:
    """What each filesystem must hold where nothing is removed before the end, and where each block is."""
    found = {path: mount_of(path) for path in dict.fromkeys((main, *folders.values()))}
    mounts = {path: mount.point for path, mount in found.items()}
    first = {mounts[path]: path for path in reversed((main, *folders.values()))}
    staged = source_need(plan, facts)
    everything = dict.fromkeys(first.values(), Need()) | {first[mounts[main]]: staged}
    blocks: dict[tuple[int, int], dict[Path, Need]] = {}
    for trial in trials(plan):
        if trial.reads is None:
            path = folders[trial.configuration]
            need = artefact_need(trial, facts, found[path].block_bytes, loops)
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
