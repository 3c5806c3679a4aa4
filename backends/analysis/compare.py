"""Two runs beside each other: every figure that both have, and what differs around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.analysis.figures import Comparison, compare
from backends.bench.schedule import configurations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.analysis.figures import Figure
    from backends.bench.machine import Environment
    from backends.bench.measurement import Cell
    from backends.bench.plan import Plan
    from backends.runs.run import Result


@dataclass(frozen=True, slots=True)
class CellComparison:
    """One figure of both runs.

    Attributes
    ----------
    first, second
        Medians of the seconds.
    ratio
        ``second / first``.
    paired
        What the repeats say, each of the second run by its like of the first; None where they are not alike.
    """

    configuration: str
    aspect: str
    count: int
    first: float
    second: float
    ratio: float
    paired: Comparison | None


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs.

    Attributes
    ----------
    same_plan
        Whether both did the same trials on the same images in the same order, so that repeats are paired.
    differences
        What else differs, in sentences.
    missing
        How many figures only one of them has.
    """

    cells: tuple[CellComparison, ...]
    same_plan: bool
    differences: tuple[str, ...]
    missing: int


def compare_runs(first: Result, second: Result) -> RunComparison:
    """Compare every figure that both runs have."""
    same = _trials(first.plan) == _trials(second.plan) and first.dataset.fingerprint == second.dataset.fingerprint
    befores = {one.cell: one for one in first.figures if one.seconds}
    afters = {one.cell: one for one in second.figures if one.seconds}
    pairs = _ratios(first, second) if same else {}
    cells = [_cell(one, afters[cell], pairs.get(cell)) for cell, one in befores.items() if cell in afters]
    places = {name: place for place, name in enumerate(configurations(first.plan))}
    aspects = list(dict.fromkeys(one.aspect for one in cells))
    return RunComparison(
        cells=tuple(sorted(cells, key=lambda one: (aspects.index(one.aspect), one.count, places[one.configuration]))),
        same_plan=same,
        differences=tuple(_differences(first, second)),
        missing=len(befores.keys() ^ afters.keys()),
    )


def _trials(plan: Plan) -> Plan:
    """What of a plan decides its trials and their images."""
    return replace(plan, dataset="", work_dir=None, memory=None, budget=None, predict=None)


def _ratios(first: Result, second: Result) -> dict[Cell, list[float]]:
    known = {(one.cell, one.repeat): one.seconds for one in first.measurements if one.shown and one.seconds}
    found: dict[Cell, list[float]] = {}
    for one in second.measurements:
        before = known.get((one.cell, one.repeat))
        if one.shown and before and one.seconds:
            found.setdefault(one.cell, []).append(one.seconds / before)
    return found


def _cell(before: Figure, after: Figure, ratios: list[float] | None) -> CellComparison:
    first, second = before.seconds or 0.0, after.seconds or 0.0
    return CellComparison(*before.cell, first, second, second / first, compare(ratios) if ratios else None)


def _differences(first: Result, second: Result) -> Iterator[str]:
    if first.dataset.fingerprint != second.dataset.fingerprint:
        names = [f"{one.kind} ({one.path}, {one.split})" for one in (first.dataset, second.dataset)]
        yield f"Other images: {' and '.join(names)}."
    if first.plan.workers != second.plan.workers:
        yield f"Other number of workers: {first.plan.workers} and {second.plan.workers}."
    known, other = _described(first.environment), _described(second.environment)
    for what in dict.fromkeys((*known, *other)):
        one, two = known.get(what, "none"), other.get(what, "none")
        if one != two:
            yield f"Other {what}: {one} and {two}."
    loads = [one.environment.load or 0.0 for one in (first, second)]
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
            f"{one.filesystem} on {one.point}" + (" without journal" if one.journal is False else "")
            for one in environment.mounts
        ),
        **{f"version of {name}": found for name, found in environment.libraries.items()},
    }
