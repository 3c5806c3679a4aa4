"""What a reader of the figures should know: one sentence for each thing that makes them doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends import units
from backends.analysis.figures import summarise
from backends.bench.disk import IN_MEMORY, REMOTE
from backends.bench.measurement import COLD, ONE_IMAGE, STORES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    """Sentences, one for each rule that applies; ``conditions`` is None while the run goes on."""
    figures = [one for one in summarise(measurements) if one.repeats]
    sentences: list[str | None] = [
        _spread(figures),
        _short(plan, measurements),
        _resident(figures),
        _memory(figures, environment),
        *(_filesystem(mount.point, mount.filesystem) for mount in environment.mounts),
    ]
    if conditions is not None:
        measured = sum((one.seconds_durable or 0.0) * one.loops for one in measurements)
        sentences += _disturbed(conditions, environment, measured)
    return tuple(sentence for sentence in sentences if sentence)


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
    reads = [one for one in figures if one.operation in STORES and not one.configuration.is_reference]
    largest = max((one.bytes_allocated or 0 for one in reads), default=0)
    memory = environment.usable_memory
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


def _disturbed(conditions: Conditions, environment: Environment, measured: float) -> Iterator[str]:
    """What else the machine did, beside ``measured`` seconds of trials."""
    before, after = conditions.load_before or 0.0, conditions.load_after or 0.0
    if max(before, after - 1) > max(0.5, environment.cores - 1):  # the run itself keeps one core busy
        load = f"{max(before, after):.1f} on {environment.cores} core{'s' if environment.cores != 1 else ''}"
        yield (
            f"The load average was {load}: other programs competed for processor or disk. "
            "The figures compare with each other, but not with those of a quiet machine."
        )
    if (steal := conditions.steal or 0.0) > STEAL:
        yield f"The host gave {steal:.0%} of the processors' time to other machines: repeat at a quieter time."
    if (held := conditions.throttled_seconds or 0.0) > THROTTLED * measured:
        yield f"The cgroup's processor quota held the run back for {units.spoken(held)}: figures are too slow by that."


def _cell(one: Figure) -> str:
    return f"{one.configuration} {one.aspect} at {_images(one.count)}"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
