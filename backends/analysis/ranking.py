"""Rankings of configurations by time, disk and files, and how a ranking reads in one line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backends import units
from backends.analysis.figures import FASTER, MARGIN, SIGNS, SLOWER, TIE, UNDECIDED, Figure, compare, paired_ratios
from backends.analysis.prediction import DURABLE, Predicted, Prediction, Use
from backends.bench.configuration import Configuration
from backends.bench.measurement import Aspect, Measurement

SIZES: tuple[Literal["disk", "files"], ...] = ("disk", "files")  # what configurations are ranked by besides times


@dataclass(frozen=True, slots=True)
class Rank:
    """One configuration in a ranking."""

    configuration: Configuration
    value: float  # median of the repeats; what is predicted for disk and files
    ratio: float  # how many times the least value of the ranking it is
    outcome: str  # what the first of the ranking is beside it: faster, tie or undecided; empty for the first
    needed: int | None = None  # repeats that would decide, where that is open and known
    predicted: Predicted | None = None  # the value for the number of images that the verdict is for


@dataclass(frozen=True, slots=True)
class Ranking:
    """Configurations by one measure, the best first."""

    use: Use
    count: int  # images that the values are for
    ranks: tuple[Rank, ...]

    @property
    def leaders(self) -> tuple[Configuration, ...]:
        """The first, and what ties with it."""
        return tuple(rank.configuration for rank in self.ranks if rank.outcome in ("", TIE))

    def rank_of(self, configuration: Configuration | None) -> Rank | None:
        return next((rank for rank in self.ranks if rank.configuration == configuration), None)


def make_rankings(
    figures: Sequence[Figure], measurements: Sequence[Measurement], predictions: Sequence[Prediction], images: int
) -> dict[Use, Ranking]:
    """All rankings by use: of each aspect that was measured, then of the predicted sizes."""
    rankings: dict[Use, Ranking] = {}
    for aspect in dict.fromkeys(figure.aspect for figure in figures):
        for use in (aspect, DURABLE) if aspect is Aspect.STORE else (aspect,):
            predicted = {prediction.configuration: prediction.seconds.get(use) for prediction in predictions}
            of_aspect = [figure for figure in figures if figure.aspect == aspect]
            if ranking := _rank_times(use, of_aspect, measurements, predicted):
                rankings[use] = ranking
    disk = {prediction.configuration: prediction.bytes_allocated for prediction in predictions}
    files = {prediction.configuration: prediction.files for prediction in predictions}
    for size, predicted in zip(SIZES, (disk, files), strict=True):
        if known := {name: value for name, value in predicted.items() if value}:
            rankings[size] = _rank_sizes(size, images, known)
    return rankings


def _rank_times(
    use: Use,
    figures: Sequence[Figure],
    measurements: Iterable[Measurement],
    predicted: Mapping[Configuration, Predicted | None],
) -> Ranking | None:
    """Rank one aspect at the largest count that all of its configurations were measured at; None without one."""
    measured: dict[int, dict[Configuration, float]] = {}
    for figure in figures:
        seconds = figure.seconds_durable if use == DURABLE else figure.seconds
        measured.setdefault(figure.count, {})[figure.configuration] = seconds or math.inf
    most = len({figure.configuration for figure in figures})
    count = max((count for count, medians in measured.items() if len(medians) == most), default=None)
    if count is None:
        return None
    medians = measured[count]
    blocks = seconds_by_block(measurements, figures[0].aspect, count, use == DURABLE)
    first, *others = sorted(medians, key=lambda name: medians[name])
    ranks = [Rank(first, medians[first], 1.0, "", None, predicted.get(first))]
    for name in others:
        comparison = compare(paired_ratios(blocks[name], blocks[first]))
        outcome = {SLOWER: FASTER, FASTER: UNDECIDED}.get(comparison.outcome, comparison.outcome)
        needed = comparison.needed if outcome == UNDECIDED else None
        ranks.append(Rank(name, medians[name], medians[name] / medians[first], outcome, needed, predicted.get(name)))
    return Ranking(use, count, tuple(ranks))


def _rank_sizes(use: Use, images: int, sizes: dict[Configuration, Predicted]) -> Ranking:
    first, *others = sorted(sizes, key=lambda name: sizes[name].value)
    ranks = [Rank(first, sizes[first].value, 1.0, "", None, sizes[first])]
    for name in others:
        ratio = sizes[name].value / sizes[first].value
        ranks.append(Rank(name, sizes[name].value, ratio, TIE if ratio <= MARGIN else FASTER, None, sizes[name]))
    return Ranking(use, images, tuple(ranks))


def ranking_line(ranking: Ranking) -> str:
    """``shuffled 50,000: hdf5+raw 27.4 ms = npy+raw > lmdb+raw 2.4x``: a sign says how the first is to what follows."""
    first, *others = ranking.ranks
    parts = [f"{first.configuration} {amount(ranking.use, first)}"]
    parts += [f"{SIGNS[rank.outcome]} {rank.configuration}{ratio_text(rank)}" for rank in others]
    return f"{ranking.use} {ranking.count:,}: {' '.join(parts)}"


def amount(use: Use, rank: Rank) -> str:
    """The value in its unit."""
    if use == "files":
        return f"{rank.value:,.0f}"
    return units.size(rank.value) if use == "disk" else units.seconds(rank.value)


def ratio_text(rank: Rank) -> str:
    """`` 2.4x``; nothing for a tie, where the sign says it all."""
    return "" if rank.outcome == TIE else f" {units.ratio(rank.ratio)}"


def seconds_by_block(
    measurements: Iterable[Measurement], aspect: Aspect, count: int, durable: bool = False
) -> dict[Configuration, dict[int, float]]:
    """The seconds of each configuration by the block, which is the repeat, in which they were measured."""
    blocks: dict[Configuration, dict[int, float]] = {}
    for trial in measurements:
        seconds = trial.seconds_durable if durable else trial.seconds
        if trial.shown and trial.outcome == "ok" and trial.cell[1:] == (aspect, count) and seconds is not None:
            blocks.setdefault(trial.configuration, {})[trial.repeat] = seconds
    return blocks
