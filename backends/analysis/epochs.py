"""Medians of epochs by the number of DataLoader workers, what bounds them, how many accelerators they feed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from statistics import median_low
from typing import Any

from backends.bench.measurement import EpochFacts, Measurement
from backends.bench.plan import Plan

FED = 0.9  # utilisation from which on an accelerator counts as fed, as MLPerf Storage has it
BUSY = 0.7  # share of the time for which a processor that bounds an epoch is busy
READ = 1 << 20  # bytes of a device; fewer do not keep an epoch waiting
THREADED = 1.2  # processor seconds a second from which on a process decodes in threads, on all processors
IDLE = 0.5  # share of the time for which processors are busy that wait for a disk


def median_epochs(repeats: Iterable[Measurement]) -> tuple[EpochFacts, ...]:
    """The medians of the epochs with each number of workers, the fewest first."""
    by_workers: dict[int, list[EpochFacts]] = {}
    for repeat in repeats:
        for facts in repeat.epochs:
            by_workers.setdefault(facts.workers, []).append(facts)
    return tuple(_median(by_workers[workers]) for workers in sorted(by_workers))


def _median(same: list[EpochFacts]) -> EpochFacts:
    values: dict[str, Any] = {}
    for field in fields(EpochFacts):
        known = [value for facts in same if (value := getattr(facts, field.name)) is not None]
        values[field.name] = median_low(known) if known else None
    return EpochFacts(**values)


def bound_of(best: EpochFacts, sweep: Sequence[EpochFacts]) -> str:
    """What the best epoch of a sweep cannot be faster than: the step, the disk, decoding, or passing batches on.

    The last is ``transport``: the process that trains is busy with it, or it takes more processor time than an epoch
    with 0 workers does.
    """
    if (best.utilisation or 0.0) >= FED:
        return "step"
    if (best.bytes_read or 0) >= READ and best.cpu_seconds < IDLE * best.seconds * max(1, best.workers):
        return "disk"
    if not best.workers and best.cpu_seconds > THREADED * best.seconds:
        return "decode"
    passed = best
    if not best.workers:
        passed = min((facts for facts in sweep if facts.workers), key=lambda facts: facts.seconds, default=best)
    busy = passed.workers > 0 and passed.main_cpu_seconds >= BUSY * passed.seconds
    costly = any(passed.cpu_seconds > 2 * facts.cpu_seconds for facts in sweep if not facts.workers)
    return "transport" if busy or costly else "decode"


def accelerators_fed(facts: EpochFacts, images: int, plan: Plan) -> float | None:
    """How many accelerators, each of which takes a step of the plan for a batch, the images a second are enough for."""
    return images / facts.seconds * plan.step_ms / 1000 / plan.batch if plan.step_ms else None
