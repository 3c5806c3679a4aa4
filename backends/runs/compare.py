"""Two runs beside each other: every figure that both have, and what differs around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from backends.analysis.figures import Comparison, compare, paired_ratios
from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect, Cell
from backends.bench.plan import Plan
from backends.bench.schedule import configurations
from backends.runs.run import Run


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


def compare_runs(first: Run, second: Run) -> RunComparison:
    """Compare every figure that both runs have."""
    same = _trials(first.plan) == _trials(second.plan) and first.dataset.fingerprint == second.dataset.fingerprint
    before, after = _medians(first), _medians(second)
    repeats, again = (_by_repeat(first), _by_repeat(second)) if same else ({}, {})
    names, aspects = configurations(first.plan), list(Aspect)
    cells = []
    for cell in sorted(
        before.keys() & after.keys(), key=lambda cell: (aspects.index(cell[1]), cell[2], names.index(cell[0]))
    ):
        ratios = paired_ratios(again.get(cell, {}), repeats.get(cell, {}))
        paired = compare(ratios) if ratios else None
        cells.append(CellComparison(*cell, before[cell], after[cell], after[cell] / before[cell], paired))
    return RunComparison(tuple(cells), same, tuple(_differences(first, second)), len(before.keys() ^ after.keys()))


def _trials(plan: Plan) -> Plan:
    """What of a plan decides its trials and their images."""
    return replace(plan, dataset="", work_dir=None, memory=None, budget=None, predict=None)


def _medians(run: Run) -> dict[Cell, float]:
    return {cell: figure.seconds for cell, figure in run.figures.items() if figure.seconds}


def _by_repeat(run: Run) -> dict[Cell, dict[int, float]]:
    seconds: dict[Cell, dict[int, float]] = {}
    for trial in run.measurements:
        if trial.shown and trial.seconds:
            seconds.setdefault(trial.cell, {})[trial.repeat] = trial.seconds
    return seconds


def _differences(first: Run, second: Run) -> Iterator[str]:
    if first.dataset.fingerprint != second.dataset.fingerprint:
        names = [f"{facts.kind} ({facts.path}, {facts.split})" for facts in (first.dataset, second.dataset)]
        yield f"Other images: {' and '.join(names)}."
    before, after = _described(first), _described(second)
    for name in dict.fromkeys((*before, *after)):
        values = before.get(name, "none"), after.get(name, "none")
        if values[0] != values[1]:
            yield f"Other {name}: {values[0]} and {values[1]}."
    loads = [run.environment.load or 0.0 for run in (first, second)]
    if max(loads) >= 1 and max(loads) > 2 * min(loads):
        yield f"Other load before the run: {loads[0]:.1f} and {loads[1]:.1f} processes."


def _described(run: Run) -> dict[str, str]:
    environment = run.environment
    mounts = [f"{m.filesystem} on {m.point}{' without journal' * (m.journal is False)}" for m in environment.mounts]
    return {
        "number of workers": str(run.plan.workers),
        "host": environment.host,
        "processor": environment.cpu,
        "number of cores": str(environment.cores),
        "memory": f"{environment.memory_bytes / 2**30:.1f} GiB",
        "system": environment.system,
        "Python": environment.python,
        "filesystem": " and ".join(mounts),
        **{f"version of {name}": number for name, number in environment.libraries.items()},
    }
