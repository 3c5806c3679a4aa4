"""Configurations in order, by one measure, with what separates each from the best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.bench.configuration import is_reference
from backends.bench.statistics import MARGIN, SLOWER, UNSURE, compare, paired_ratios

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from backends.bench.measurement import Measurement
    from backends.bench.prediction import Predicted
    from backends.bench.summary import Figure

BEST, TIE, BEHIND = "best", "tie", "behind"
"""How a configuration stands to the least value; ``unsure`` besides, where too little was measured to tell."""

DOUBTFUL = 2.0
"""What takes more than so many times the best one's seconds, and is not shown to be slower, is called no tie."""


@dataclass(frozen=True, slots=True)
class Rank:
    """One configuration's place.

    Attributes
    ----------
    value, interval
        Median of the repeats with its 95 % interval; for bytes and files what is predicted.
    ratio, ratio_interval
        How many times the best one's it is, paired within blocks, with an interval of 95 % at least.
    outcome
        ``best``, ``tie`` (not shown to be worse than the best), ``behind`` or ``unsure``.
    predicted
        The value for the number of images that the verdict is for; None where nothing can be said.
    """

    configuration: str
    value: float
    interval: tuple[float, float] | None
    ratio: float
    ratio_interval: tuple[float, float] | None
    outcome: str
    predicted: Predicted | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """Configurations by one measure, the best first.

    Attributes
    ----------
    use
        An aspect such as ``shuffled cold``; ``store durable``, ``disk``, ``files``.
    count
        The number of images that the values are for.
    """

    use: str
    count: int
    ranks: tuple[Rank, ...]

    @property
    def leaders(self) -> tuple[str, ...]:
        """The best, and what ties with it; empty where too little was measured to set any other apart."""
        if len(self.ranks) > 1 and all(one.outcome == UNSURE for one in self.ranks[1:]):
            return ()
        return tuple(one.configuration for one in self.ranks if one.outcome in (BEST, TIE))


Rankings = dict[str, Ranking]
"""By use."""


def candidates(figures: Iterable[Figure]) -> list[Figure]:
    """The figures that can be ranked: not those of references, nor without a repeat."""
    return [one for one in figures if one.repeats and not is_reference(one.configuration)]


def rank_times(
    figures: Sequence[Figure],
    measurements: Iterable[Measurement],
    predicted: Mapping[str, Predicted | None],
    durable: bool = False,
) -> Ranking | None:
    """Rank one aspect at the largest count that all of its configurations were measured at; None without one.

    Parameters
    ----------
    figures
        Candidates of one aspect, of any counts.
    durable
        Whether times include the sync.
    """
    count = _common_count(figures)
    if count is None:
        return None
    blocks = seconds_by_block(measurements, figures[0].aspect, count, durable)
    found = {one.configuration: one for one in figures if one.count == count}
    values = {name: (one.seconds_durable if durable else one.seconds) or math.inf for name, one in found.items()}
    order = sorted(values, key=lambda name: values[name])
    best, ranks = order[0], []
    for name in order:
        judged = compare(paired_ratios(blocks[name], blocks[best]))
        doubtful = judged.outcome == UNSURE or (judged.outcome != SLOWER and (judged.ratio or 1) > DOUBTFUL)
        outcome = BEHIND if judged.outcome == SLOWER else UNSURE if doubtful else TIE
        ranks.append(
            Rank(
                configuration=name,
                value=values[name],
                interval=found[name].interval if not durable else None,
                ratio=judged.ratio or values[name] / values[best],
                ratio_interval=(judged.low, judged.high)
                if judged.low is not None and judged.high is not None
                else None,
                outcome=BEST if name == best else outcome,
                predicted=predicted.get(name),
            )
        )
    return Ranking(_use(figures[0], durable), count, tuple(ranks))


def seconds_by_block(
    measurements: Iterable[Measurement], aspect: str, count: int, durable: bool = False
) -> dict[str, dict[int, float]]:
    """The seconds of each configuration by the block, which is the repeat, in which they were measured."""
    blocks: dict[str, dict[int, float]] = {}
    for one in measurements:
        seconds = one.seconds_durable if durable else one.seconds
        if one.shown and one.outcome == "ok" and one.count == count and one.aspect == aspect and seconds is not None:
            blocks.setdefault(one.configuration, {})[one.repeat] = seconds
    return blocks


def rank_sizes(use: str, images: int, predicted: Mapping[str, Predicted | None]) -> Ranking | None:
    """Rank what containers take for ``images`` images."""
    known = sorted(((name, one) for name, one in predicted.items() if one), key=lambda pair: pair[1].value)
    if not known:
        return None
    best = known[0][1]
    ranks = []
    for place, (name, one) in enumerate(known):
        low, high = one.low / best.high, one.high / best.low
        outcome = UNSURE if one.unsure else BEST if place == 0 else BEHIND if low > MARGIN else TIE
        ranks.append(Rank(name, one.value, (one.low, one.high), one.value / best.value, (low, high), outcome, one))
    return Ranking(use, images, tuple(ranks))


def pareto_front(one: Ranking, other: Ranking) -> tuple[str, ...]:
    """The configurations that no other one beats in both measures, the first of ``one`` first."""
    others = {rank.configuration: _amount(rank) for rank in other.ranks}
    front: list[str] = []
    least = math.inf
    for rank in sorted(one.ranks, key=_amount):
        amount = others.get(rank.configuration, math.inf)
        if amount < least:
            front.append(rank.configuration)
            least = amount
    return tuple(front)


def _common_count(figures: Sequence[Figure]) -> int | None:
    names = {one.configuration for one in figures}
    counts = {count: {one.configuration for one in figures if one.count == count} for count in
              {one.count for one in figures}}  # fmt: skip
    return max((count for count, there in counts.items() if there == names), default=None)


def _use(figure: Figure, durable: bool) -> str:
    return " ".join(
        (figure.operation, *(("cold",) if figure.cache == "cold" else ()), *(("durable",) if durable else ()))
    )


def _amount(rank: Rank) -> float:
    return rank.predicted.value if rank.predicted else rank.value
