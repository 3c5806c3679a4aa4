"""Two runs beside each other: every figure that both have, and what differs around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from backends.analysis.figures import Comparison, compare, summarise
from backends.bench.schedule import configurations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.bench.configuration import Configuration
    from backends.bench.machine import Environment
    from backends.bench.measurement import Aspect, Cell, Measurement
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts


class Figures(Protocol):
    """What is compared of a run."""

    @property
    def plan(self) -> Plan: ...
    @property
    def dataset(self) -> DatasetFacts: ...
    @property
    def environment(self) -> Environment: ...
    @property
    def measurements(self) -> Sequence[Measurement]: ...


@dataclass(frozen=True, slots=True)
class CellComparison:
    """One figure of both runs."""

    configuration: Configuration
    aspect: Aspect
    count: int
    first: float  # median of the seconds
    second: float
    ratio: float  # second / first
    paired: Comparison | None  # of each repeat of the second run with its like; None where they are not alike


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs."""

    cells: tuple[CellComparison, ...]
    same_plan: bool  # both did the same trials on the same images in the same order, so that repeats are paired
    differences: tuple[str, ...]  # what else differs, in sentences
    missing: int  # figures that only one of them has


def compare_runs(first: Figures, second: Figures) -> RunComparison:
    """Compare every figure that both runs have."""
    same = _trials(first.plan) == _trials(second.plan) and first.dataset.fingerprint == second.dataset.fingerprint
    before = {figure.cell: figure.seconds for figure in summarise(first.measurements) if figure.seconds}
    after = {figure.cell: figure.seconds for figure in summarise(second.measurements) if figure.seconds}
    ratios = _ratios(first, second) if same else {}
    cells = [
        CellComparison(*cell, one, after[cell], after[cell] / one, compare(ratios[cell]) if cell in ratios else None)
        for cell, one in before.items()
        if cell in after
    ]
    names, aspects = configurations(first.plan), list(dict.fromkeys(cell.aspect for cell in cells))
    cells.sort(key=lambda cell: (aspects.index(cell.aspect), cell.count, names.index(cell.configuration)))
    missing = len(before.keys() ^ after.keys())
    return RunComparison(tuple(cells), same, tuple(_differences(first, second)), missing)


def _trials(plan: Plan) -> Plan:
    """What of a plan decides its trials and their images."""
    return replace(plan, dataset="", work_dir=None, memory=None, budget=None, predict=None)


def _ratios(first: Figures, second: Figures) -> dict[Cell, list[float]]:
    known = {(one.cell, one.repeat): one.seconds for one in first.measurements if one.shown and one.seconds}
    ratios: dict[Cell, list[float]] = {}
    for one in second.measurements:
        before = known.get((one.cell, one.repeat))
        if one.shown and before and one.seconds:
            ratios.setdefault(one.cell, []).append(one.seconds / before)
    return ratios


def _differences(first: Figures, second: Figures) -> Iterator[str]:
    if first.dataset.fingerprint != second.dataset.fingerprint:
        names = [f"{facts.kind} ({facts.path}, {facts.split})" for facts in (first.dataset, second.dataset)]
        yield f"Other images: {' and '.join(names)}."
    if first.plan.workers != second.plan.workers:
        yield f"Other number of workers: {first.plan.workers} and {second.plan.workers}."
    before, after = _described(first.environment), _described(second.environment)
    for name in dict.fromkeys((*before, *after)):
        values = before.get(name, "none"), after.get(name, "none")
        if values[0] != values[1]:
            yield f"Other {name}: {values[0]} and {values[1]}."
    loads = [run.environment.load or 0.0 for run in (first, second)]
    if max(loads) >= 1 and max(loads) > 2 * min(loads):
        yield f"Other load before the run: {loads[0]:.1f} and {loads[1]:.1f} processes."


def _described(environment: Environment) -> dict[str, str]:
    return {
        "host": environment.host,
        "processor": environment.cpu,
        "number of cores": str(environment.cores),
        "memory": f"{environment.memory_bytes / 2**30:.1f} GiB",
        "system": environment.system,
        "Python": environment.python,
        "filesystem": " and ".join(
            f"{mount.filesystem} on {mount.point}" + (" without journal" if mount.journal is False else "")
            for mount in environment.mounts
        ),
        **{f"version of {name}": number for name, number in environment.libraries.items()},
    }
