"""Measurements as a run records them, for rules that need chosen seconds."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable


def measured(
    configuration: str, aspect: str, count: int, seconds: Iterable[float], **more: float | bool | str | None
) -> list[Measurement]:
    """One measurement for each of ``seconds``, in repeats 1, 2, ...; ``more`` are fields of all of them."""
    parsed, known = Configuration(configuration), next(one for one in Aspect if one == aspect)
    blank = Measurement(
        trial=0,
        configuration=parsed,
        backend=parsed.backend,
        codec=parsed.codec,
        operation=known.operation,
        count=count,
        cache=known.cache,
        repeat=1,
        outcome="ok",
    )
    return [
        replace(blank, repeat=repeat, **{"seconds": one, "seconds_durable": one, **more})  # type: ignore[arg-type]
        for repeat, one in enumerate(seconds, start=1)
    ]


def noisy(seconds: float, noise: float, repeats: int, rng: random.Random) -> list[float]:
    """``seconds`` times lognormal noise."""
    return [seconds * rng.lognormvariate(0, noise) for _ in range(repeats)]
