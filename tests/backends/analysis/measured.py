"""Measurements as a run records them, for rules that need chosen seconds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect, Measurement, Trial
from backends.bench.trial import blank


def measured(
    configuration: str, aspect: str, count: int, seconds: Iterable[float], **more: float | bool | str | None
) -> list[Measurement]:
    """One measurement for each of ``seconds``, in repeats 1, 2, ...; ``more`` are fields of all of them."""
    known = next(known for known in Aspect if known == aspect)
    trial = Trial(0, Configuration(configuration), known.operation, count, 1, cache=known.cache)
    return [
        replace(blank(trial, "ok"), repeat=repeat, **{"seconds": second, "seconds_durable": second, **more})  # type: ignore[arg-type]
        for repeat, second in enumerate(seconds, start=1)
    ]


def noisy(seconds: float, noise: float, repeats: int, rng: random.Random) -> list[float]:
    """``seconds`` times lognormal noise."""
    return [seconds * rng.lognormvariate(0, noise) for _ in range(repeats)]
