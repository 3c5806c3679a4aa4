"""Keeping a run within its budget: what each trial will take, learnt from those that came before."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.bench.estimate import trial_seconds
from backends.bench.measurement import LEAST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.bench.measurement import Measurement, Trial
    from backends.datasets.base import DatasetFacts


STORE_WORK, READ_WORK = 3.0, 2.0
"""How many times its measured seconds an operation takes with fetching, syncing, reading back and comparing."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Attributes: seconds that ``count`` images took by the clock (``work``), and what was around that."""

    count: int
    work: float
    around: float


class Pace:
    """Knows how long trials take, with all that surrounds what they measure.

    Parameters
    ----------
    budget
        Seconds from ``started`` (``time.monotonic``) on; None for no bound.
    """

    def __init__(self, budget: float | None, facts: DatasetFacts, started: float) -> None:
        self._end = None if budget is None else started + budget
        self._facts = facts
        self._known: dict[tuple[str, str], _Known] = {}

    def learn(self, trial: Trial, seconds: float, found: Measurement) -> None:
        """A trial took so long, its process and comparison included.  Warm-ups pay for what is loaded once."""
        if trial.repeat and found.seconds is not None:
            work = found.seconds
            self._known[trial.configuration, trial.aspect] = _Known(
                trial.count, work, max(0.0, seconds - work * found.loops)
            )

    def predict(self, trial: Trial) -> float:
        """Seconds that a trial will take: what was measured of the same, scaled, with its comparison and the rest."""
        known = self._known.get((trial.configuration, trial.aspect))
        if known is None:
            return trial_seconds(trial, self._facts)
        more = max(1.0, trial.count / known.count)
        compared = known.work * (more - 1) * (STORE_WORK if trial.reads is None else READ_WORK)
        return known.around + max(known.work + compared, LEAST_SECONDS)

    def left(self) -> float | None:
        """Seconds of the budget that are left; None where there is no bound."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def unaffordable(self, block: Sequence[Trial]) -> dict[int, float]:
        """The trials of a block that do not fit into what is left, by index, with their predicted seconds.

        The cheapest are kept, a read only with the store that it needs, so that as much as possible is compared.
        """
        left = self.left()
        if left is None:
            return {}
        predicted = {trial.index: self.predict(trial) for trial in block}
        kept: set[int] = set()
        for trial in sorted(block, key=lambda trial: predicted[trial.index]):
            needed = {trial.index, trial.index if trial.reads is None else trial.reads} - kept
            cost = sum(predicted[index] for index in needed)
            if cost <= left:
                left -= cost
                kept |= needed
        return {index: seconds for index, seconds in predicted.items() if index not in kept}
