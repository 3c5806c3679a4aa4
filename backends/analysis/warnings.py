"""What a reader of the figures should know: one sentence for each thing that makes them doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from backends import units
from backends.analysis.figures import Figure, summarise
from backends.bench.disk import IN_MEMORY, REMOTE
from backends.bench.machine import Conditions, Environment
from backends.bench.measurement import COLD, ONE_IMAGE, STORES, Measurement
from backends.bench.plan import Plan

SPREAD = 0.10  # share of the mean by which repeats disagree too much
STEAL = 0.05  # share of the processors' time that the host may take
THROTTLED = 0.01  # share of the measured time for which the quota may hold the run back
SHORT_SECONDS = 0.05
RESIDENT = 0.05


def warnings_of(
    plan: Plan, measurements: Sequence[Measurement], conditions: Conditions | None, environment: Environment
) -> tuple[str, ...]:
    """Sentences, one for each rule that applies; ``conditions`` is None while the run goes on."""
    figures = [figure for figure in summarise(measurements) if figure.repeats]
    sentences = [
        _spread(figures),
        _short(plan, measurements),
        _resident(figures),
        _memory(figures, environment),
        *(_filesystem(mount.point, mount.filesystem) for mount in environment.mounts),
    ]
    if conditions is not None:
        measured = sum((trial.seconds_durable or 0.0) * trial.loops for trial in measurements)
        sentences += _disturbed(conditions, environment, measured)
    return tuple(filter(None, sentences))


def _spread(figures: Sequence[Figure]) -> str:
    wide = [figure for figure in figures if (figure.spread or 0.0) > SPREAD]
    if not wide:
        return ""
    worst = max(wide, key=lambda figure: figure.spread or 0.0)
    return (
        f"The repeats of {len(wide):,} of {len(figures):,} figures scatter by more than {SPREAD:.0%} of their mean, "
        f"most those of {_cell(worst)}, by {worst.spread:.0%}: more repeats, or a quieter machine, would tell more."
    )


def _short(plan: Plan, measurements: Iterable[Measurement]) -> str:
    """Only what the verdict rests on: the largest size, and operations on one image."""
    short = {
        trial.cell: trial
        for trial in measurements
        if trial.shown and trial.seconds is not None and trial.loops == 1 and trial.seconds < SHORT_SECONDS
        and (trial.count == max(plan.sizes) or trial.operation in ONE_IMAGE)
    }  # fmt: skip
    if not short:
        return ""
    shortest = min(short.values(), key=lambda trial: trial.seconds or 0.0)
    many = "1 figure rests" if len(short) == 1 else f"{len(short):,} figures rest"
    return (
        f"{many} on less than {units.seconds(SHORT_SECONDS)}, {_cell(shortest)} on {units.seconds(shortest.seconds)}: "
        "choose more images."
    )


def _resident(figures: Sequence[Figure]) -> str:
    worst = max(
        (figure for figure in figures if figure.cache == COLD), key=lambda cold: cold.resident or 0, default=None
    )
    if worst is None or worst.resident is None or worst.resident <= RESIDENT:
        return ""
    return f"Cold reads are best effort: {worst.resident:.0%} of what {_cell(worst)} reads was still in the page cache."


def _memory(figures: Sequence[Figure], environment: Environment) -> str:
    reads = [figure for figure in figures if figure.operation in STORES and not figure.configuration.is_reference]
    largest = max((figure.bytes_allocated or 0 for figure in reads), default=0)
    memory = environment.usable_memory
    if not largest or any(figure.cache == COLD for figure in reads) or largest >= memory / 2:
        return ""
    return (
        f"Reads were warm, and the largest container ({units.size(largest)}) fits into memory ({units.size(memory)}): "
        "this measures memory, not disk; measure with --cache cold too."
    )


def _filesystem(point: str, kind: str) -> str:
    if kind in IN_MEMORY:
        return f"{point} is {kind}, in memory: nothing here measures a disk, and no read is cold."
    if kind in REMOTE:
        return f"{point} is {kind}, a network filesystem: other machines and the server's cache are in the figures."
    if kind == "overlay":
        return f"{point} is an overlay, a container's own layer: a mounted volume may be faster or slower."
    return ""


def _disturbed(conditions: Conditions, environment: Environment, measured: float) -> Iterator[str]:
    """What else the machine did, beside ``measured`` seconds of trials."""
    before, after = conditions.load_before or 0.0, conditions.load_after or 0.0
    if max(before, after - 1) > max(0.5, environment.cores - 1):  # the run itself keeps one core busy
        load = f"{max(before, after):.1f} on {units.count_of(environment.cores, 'core')}"
        yield (
            f"The load average was {load}: other programs competed for processor or disk. "
            "The figures compare with each other, but not with those of a quiet machine."
        )
    if (steal := conditions.steal or 0.0) > STEAL:
        yield f"The host gave {steal:.0%} of the processors' time to other machines: repeat at a quieter time."
    if (held := conditions.throttled_seconds or 0.0) > THROTTLED * measured:
        yield f"The cgroup's processor quota held the run back for {units.spoken(held)}: figures are too slow by that."


def _cell(measured: Figure | Measurement) -> str:
    images = "1 image" if measured.count == 1 else f"{measured.count:,} images"
    return f"{measured.configuration} {measured.aspect} at {images}"
