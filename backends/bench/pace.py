"""Keeping a run within its budget: what each trial will take, learnt from those that came before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backends.bench.estimate import trial_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.bench.measurement import Trial
    from backends.datasets.facts import DatasetFacts


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
        self._known: dict[tuple[str, str], tuple[int, float]] = {}

    def learn(self, trial: Trial, seconds: float) -> None:
        """A trial took so long, its process and comparison included."""
        self._known[trial.configuration, trial.aspect] = (trial.count, seconds)

    def predict(self, trial: Trial) -> float:
        """Seconds that a trial will take: those of the same at another size, scaled where it was smaller."""
        known = self._known.get((trial.configuration, trial.aspect))
        if known is None:
            return trial_seconds(trial, self._facts)
        count, seconds = known
        return seconds * max(1.0, trial.count / count)

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
