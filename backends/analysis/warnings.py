"""What a reader of the figures should know: one sentence for each thing that makes them doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends import units
from backends.analysis.figures import summarise
from backends.bench.configuration import is_reference
from backends.bench.disk import IN_MEMORY, REMOTE
from backends.bench.measurement import COLD, ONE_IMAGE, STORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.analysis.figures import Figure
    from backends.bench.machine import Conditions, Environment
    from backends.bench.measurement import Measurement
    from backends.bench.plan import Plan


SPREAD = 0.10
STEAL = 0.05
THROTTLED = 0.01
"""Shares above which repeats disagree, the host takes too much, and the quota holds too much back."""

SHORT_SECONDS = 0.05
RESIDENT = 0.05


def warnings_of(
    plan: Plan, measurements: Sequence[Measurement], conditions: Conditions | None, environment: Environment
) -> tuple[str, ...]:
    """Sentences, one for each rule that applies.

    Parameters
    ----------
    conditions
        None while the run goes on.
    """
    figures = [one for one in summarise(measurements) if one.repeats]
    found: list[str | None] = [
        _spread(figures),
        _short(plan, measurements),
        _resident(figures),
        _memory(figures, environment),
        *(_filesystem(mount.point, mount.filesystem) for mount in environment.mounts),
    ]
    if conditions is not None:
        measured = sum((one.seconds_durable or 0.0) * one.loops for one in measurements)
        found += [_load(conditions, environment), _steal(conditions), _throttled(conditions, measured)]
    return tuple(sentence for sentence in found if sentence)


def _spread(figures: Sequence[Figure]) -> str | None:
    wide = [one for one in figures if one.spread is not None and one.spread > SPREAD]
    if not wide:
        return None
    worst = max(wide, key=lambda one: one.spread or 0.0)
    return (
        f"The repeats of {len(wide):,} of {len(figures):,} figures scatter by more than {SPREAD:.0%} of their mean, "
        f"most those of {_cell(worst)}, by {worst.spread:.0%}: more repeats, or a quieter machine, would tell more."
    )


def _short(plan: Plan, measurements: Iterable[Measurement]) -> str | None:
    """Only what the verdict rests on: the largest size, and operations on one image."""
    short = {
        one.cell: one.seconds
        for one in measurements
        if one.shown and one.seconds is not None and one.loops == 1 and one.seconds < SHORT_SECONDS
        and (one.count == max(plan.sizes) or one.operation in ONE_IMAGE)
    }  # fmt: skip
    if not short:
        return None
    configuration, aspect, count = min(short, key=lambda cell: short[cell])
    least = units.seconds(short[configuration, aspect, count])
    many = "1 figure rests" if len(short) == 1 else f"{len(short):,} figures rest"
    return (
        f"{many} on less than {units.seconds(SHORT_SECONDS)}, {configuration} {aspect} at "
        f"{_images(count)} on {least}: choose more images."
    )


def _resident(figures: Sequence[Figure]) -> str | None:
    warm = [one for one in figures if one.cache == COLD and one.resident is not None and one.resident > RESIDENT]
    if not warm:
        return None
    worst = max(warm, key=lambda one: one.resident or 0.0)
    return f"Cold reads are best effort: {worst.resident:.0%} of what {_cell(worst)} reads was still in the page cache."


def _memory(figures: Sequence[Figure], environment: Environment) -> str | None:
    reads = [one for one in figures if one.operation in STORES and not is_reference(one.configuration)]
    largest = max((one.bytes_allocated or 0 for one in reads), default=0)
    memory = min(environment.memory_bytes, environment.memory_limit or environment.memory_bytes)
    if not largest or any(one.cache == COLD for one in reads) or largest >= memory / 2:
        return None
    return (
        f"Reads were warm, and the largest container ({units.size(largest)}) fits into memory ({units.size(memory)}): "
        "this measures memory, not disk; measure with --cache cold too."
    )


def _filesystem(point: str, kind: str) -> str | None:
    if kind in IN_MEMORY:
        return f"{point} is {kind}, in memory: nothing here measures a disk, and no read is cold."
    if kind in REMOTE:
        return (
            f"{point} is {kind}, a network filesystem: other machines, and the server's own cache, are in the figures."
        )
    if kind == "overlay":
        return f"{point} is an overlay, a container's own layer: a mounted volume may be faster or slower."
    return None


def _load(conditions: Conditions, environment: Environment) -> str | None:
    """The run itself keeps one core busy, so that the load after it has one process of its own."""
    before, after = conditions.load_before or 0.0, conditions.load_after or 0.0
    if max(before, after - 1) <= max(0.5, environment.cores - 1):
        return None
    load = f"{max(before, after):.1f} on {environment.cores} core{'s' if environment.cores != 1 else ''}"
    return (
        f"The load average was {load}: other programs competed for processor or disk. "
        "The figures compare with each other, but not with those of a quiet machine."
    )


def _steal(conditions: Conditions) -> str | None:
    if conditions.steal is None or conditions.steal <= STEAL:
        return None
    return f"The host gave {conditions.steal:.0%} of the processors' time to other machines: repeat at a quieter time."


def _throttled(conditions: Conditions, measured: float) -> str | None:
    held = conditions.throttled_seconds or 0.0
    if held <= THROTTLED * measured:
        return None
    return f"The cgroup's processor quota held the run back for {units.spoken(held)}: figures are too slow by that."


def _cell(one: Figure) -> str:
    return f"{one.configuration} {one.aspect} at {_images(one.count)}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
