"""What a run decides: rankings by use, one recommendation with its reason, and what converting costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends import units
from backends.analysis.figures import FASTER, MARGIN, SIGNS, SLOWER, TIE, UNDECIDED, compare, paired_ratios, summarise
from backends.analysis.prediction import DURABLE, predict
from backends.bench.configuration import SOURCE, Configuration, is_lossless, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.analysis.figures import Figure
    from backends.analysis.prediction import Predicted, Prediction
    from backends.bench.measurement import Measurement
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts


EARLY, NOTHING, DEMO, SMALL, DECIDED = "early", "nothing", "demo", "small", "decided"
"""How far a verdict is: repeats are missing, nothing was read, demo data, too small to decide, decided."""

EPOCHS = {
    "shuffled": "shuffled epoch",
    "shuffled cold": "shuffled epoch from disk",
    "read": "epoch in order",
    "read cold": "epoch in order from disk",
}
"""What decides, the first that was measured, and how an epoch of it is called."""

MEASURABLE = 0.01
"""Seconds: where the deciding read takes less in every configuration, the data is too small to decide on."""

SAMPLE = "sample"
_SIZES = ("disk", "files")


@dataclass(frozen=True, slots=True)
class Rank:
    """One configuration's place.

    Attributes
    ----------
    value
        Median of the repeats; what is predicted for ``disk`` and ``files``.
    ratio
        How many times the least value of the ranking it is, 1 or more.
    outcome
        What the first of the ranking is beside it: ``faster``, ``tie`` or ``undecided``; empty for the first.
    needed
        How many repeats would decide; None where that is not known or nothing is open.
    predicted
        The value for the number of images that the verdict is for; None where nothing can be said.
    """

    configuration: str
    value: float
    ratio: float
    outcome: str
    needed: int | None = None
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
        """The first, and what ties with it."""
        return tuple(one.configuration for one in self.ranks if one.outcome in ("", TIE))

    def rank_of(self, configuration: str) -> Rank | None:
        return next((one for one in self.ranks if one.configuration == configuration), None)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What converting to the recommended configuration costs and saves.

    Attributes
    ----------
    seconds
        Reading the source and storing, durably.
    epoch_now, epoch_then
        Seconds of a pass over all images: of what there is today, and of the copy.
    epochs
        After how many it has paid; None where it saves nothing.
    bytes
        What the copy takes on disk; None where it is not known.
    unsure
        Why a number in here should not be relied on; empty where all can be.
    """

    seconds: float
    epoch_now: float
    epoch_then: float
    epochs: int | None
    bytes: float | None
    free_bytes: int | None
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the figures of a run say.  Whatever names a recommendation reads it here.

    Attributes
    ----------
    outcome
        One of ``early``, ``nothing``, ``demo``, ``small`` and ``decided``.
    images
        The number of images that is predicted for.
    rankings
        By use; what decides has the recommended configuration first.  Disk and files are last.
    front
        The configurations that no other one beats in both the predicted time of shuffled reads and disk.
    deciding
        The use that the recommendation rests on; empty where no read of everything was measured.
    recommended
        None unless the outcome is ``decided``.
    today
        What the images are kept in now: a measured configuration, or words.
    conversion
        None where there is nothing to convert, or it cannot be worked out.
    sentences
        The recommendation with its reason, when to keep what there is, and what comes next; or why nothing is decided.
    """

    outcome: str
    images: int
    rankings: tuple[Ranking, ...]
    predictions: tuple[Prediction, ...]
    front: tuple[str, ...]
    deciding: str
    recommended: str | None
    today: str
    conversion: Conversion | None
    sentences: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all repeats are in."""
        return self.outcome != EARLY

    def ranking(self, use: str) -> Ranking | None:
        return next((one for one in self.rankings if one.use == use), None)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each ranking but that of files, whose numbers say it all."""
        return tuple(ranking_line(one) for one in self.rankings if one.use != "files")

    @property
    def headline(self) -> Ranking | None:
        """The ranking that a single line shows: what decides, else the last operation."""
        times = [one for one in self.rankings if one.use not in (*_SIZES, DURABLE)]
        return self.ranking(self.deciding) or (times[-1] if times else None)


def decide(
    plan: Plan,
    facts: DatasetFacts,
    measurements: Sequence[Measurement],
    *,
    complete: bool,
    source_seconds: float | None = None,
    source_images: int = 0,
    free_bytes: int | None = None,
    memory_bytes: int | None = None,
) -> Verdict:
    """What the measurements so far say.

    Parameters
    ----------
    complete
        Whether all blocks are in.
    source_seconds, source_images
        What reading and decoding so many images from their source took; None where it is not known.
    free_bytes
        What may still be written where the run wrote.
    memory_bytes
        What the page cache can hold at most.
    """
    images = plan.predict or facts.count
    figures = [one for one in summarise(measurements) if one.repeats and not is_reference(one.configuration)]
    predictions = predict(figures, images, memory_bytes)
    rankings = _rankings(figures, measurements, predictions, images)
    deciding = next((use for use in EPOCHS if use in rankings), "")
    today, kept = _today(facts, predictions)
    if deciding:
        rankings[deciding] = _preferred(rankings[deciding], rankings.get("disk"), kept)
    if not complete:
        rankings = {use: _undecided(one) for use, one in rankings.items()}
    found = Verdict(
        outcome=_outcome(plan, rankings.get(deciding), complete),
        images=images,
        rankings=tuple(rankings.values()),
        predictions=predictions,
        front=(),
        deciding=deciding,
        recommended=None,
        today=today,
        conversion=None,
        sentences=(),
    )
    if not complete:
        return replace(found, sentences=("Too early to tell.",))
    found = replace(found, front=_front(found))
    if found.outcome != DECIDED:
        more = _open(rankings[deciding]) if found.outcome == SMALL else ()
        return replace(found, sentences=(*_SAID[found.outcome], *more))
    best = rankings[deciding].ranks[0].configuration
    source = source_seconds / source_images * images if source_seconds is not None and source_images else None
    found = replace(
        found, recommended=best, conversion=_conversion(best, deciding, predictions, kept, source, free_bytes)
    )
    return replace(found, sentences=_sentences(found, kept, figures))


def ranking_line(ranking: Ranking) -> str:
    """``shuffled 50,000: hdf5+raw 27.4 ms = npy+raw > lmdb+raw 2.4x``: a sign says how the first is to what follows."""
    first, *others = ranking.ranks
    parts = [f"{first.configuration} {amount(ranking.use, first)}"]
    parts += [f"{SIGNS[one.outcome]} {one.configuration}{ratio_text(one)}" for one in others]
    return f"{ranking.use} {ranking.count:,}: {' '.join(parts)}"


def amount(use: str, rank: Rank) -> str:
    """The value in its unit."""
    if use == "files":
        return f"{rank.value:,.0f}"
    return units.size(rank.value) if use == "disk" else units.seconds(rank.value)


def ratio_text(rank: Rank) -> str:
    """`` 2.4x``; nothing for a tie, where the sign says it all."""
    return "" if rank.outcome == TIE else f" {units.ratio(rank.ratio)}"


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


def _rankings(
    figures: Sequence[Figure], measurements: Sequence[Measurement], predictions: Sequence[Prediction], images: int
) -> dict[str, Ranking]:
    found: dict[str, Ranking] = {}
    for aspect in dict.fromkeys(one.aspect for one in figures):
        those = [one for one in figures if one.aspect == aspect]
        for use in (aspect, DURABLE) if aspect == "store" else (aspect,):
            predicted = {one.configuration: one.seconds.get(use) for one in predictions}
            if ranking := _rank_times(use, those, measurements, predicted):
                found[use] = ranking
    for use in _SIZES:
        sizes = {one.configuration: one.files if use == "files" else one.bytes_allocated for one in predictions}
        if ranking := _rank_sizes(use, images, {name: one for name, one in sizes.items() if one}):
            found[use] = ranking
    return found


def _rank_times(
    use: str, figures: Sequence[Figure], measurements: Iterable[Measurement], predicted: dict[str, Predicted | None]
) -> Ranking | None:
    """Rank one aspect at the largest count that all of its configurations were measured at; None without one."""
    names = {one.configuration for one in figures}
    counts = (one.count for one in figures if {x.configuration for x in figures if x.count == one.count} == names)
    count = max(counts, default=None)
    if count is None:
        return None
    durable = use == DURABLE
    medians = {
        one.configuration: (one.seconds_durable if durable else one.seconds) or math.inf
        for one in figures
        if one.count == count
    }
    blocks = seconds_by_block(measurements, figures[0].aspect, count, durable)
    first, *others = sorted(medians, key=lambda name: medians[name])
    ranks = [Rank(first, medians[first], 1.0, "", None, predicted.get(first))]
    for name in others:
        judged = compare(paired_ratios(blocks[name], blocks[first]))
        outcome = {SLOWER: FASTER, FASTER: UNDECIDED}.get(judged.outcome, judged.outcome)
        needed = judged.needed if outcome == UNDECIDED else None
        ranks.append(Rank(name, medians[name], medians[name] / medians[first], outcome, needed, predicted.get(name)))
    return Ranking(use, count, tuple(ranks))


def _rank_sizes(use: str, images: int, known: dict[str, Predicted]) -> Ranking | None:
    order = sorted(known, key=lambda name: known[name].value)
    if not order:
        return None
    least = known[order[0]].value
    ranks = []
    for name in order:
        ratio = known[name].value / least
        outcome = "" if name == order[0] else TIE if ratio <= MARGIN else FASTER
        ranks.append(Rank(name, known[name].value, ratio, outcome, None, known[name]))
    return Ranking(use, images, tuple(ranks))


def _undecided(ranking: Ranking) -> Ranking:
    return replace(ranking, ranks=tuple(replace(one, outcome=one.outcome and UNDECIDED) for one in ranking.ranks))


def _preferred(ranking: Ranking, disk: Ranking | None, kept: str | None) -> Ranking:
    """The ranking with what to choose of those that tie at its front: what there is, else what takes least space."""
    sizes = {one.configuration: one.value for one in disk.ranks} if disk else {}
    leaders = ranking.leaders
    best = kept if kept in leaders else leaders[0]
    if best != kept:
        smallest = min(leaders, key=lambda name: sizes.get(name, math.inf))
        if sizes.get(best, math.inf) > MARGIN * sizes.get(smallest, math.inf):
            best = smallest
    ranks = sorted(ranking.ranks, key=lambda one: one.configuration != best)
    swap = {best: "", ranking.ranks[0].configuration: TIE} if best != ranking.ranks[0].configuration else {}
    return replace(
        ranking, ranks=tuple(replace(one, outcome=swap.get(one.configuration, one.outcome)) for one in ranks)
    )


def _outcome(plan: Plan, ranking: Ranking | None, complete: bool) -> str:
    if not complete:
        return EARLY
    if ranking is None:
        return NOTHING
    if plan.dataset == SAMPLE:
        return DEMO
    open_ = len(ranking.ranks) > 1 and all(one.outcome == UNDECIDED for one in ranking.ranks[1:])
    return SMALL if open_ or max(one.value for one in ranking.ranks) < MEASURABLE else DECIDED


_SAID = {
    NOTHING: ("Nothing to recommend: no read of all images was measured.",),
    DEMO: ("Demo data: too small to decide. Name your own folder: imgstore-tui bench DATASET.",),
    SMALL: ("Too small to decide: add images (--sizes) or repeats (--repeats).",),
}


def _today(facts: DatasetFacts, predictions: Sequence[Prediction]) -> tuple[str, str | None]:
    """What the images are in now, in words, and the measured configuration that it is, where there is one."""
    if facts.source_bytes is None:
        return f"the {facts.kind} files", None
    kept = next((one.configuration for one in predictions if _as_it_is(one.configuration)), None)
    return kept or "the picture files", kept


def _as_it_is(configuration: str) -> bool:
    """Whether it keeps a folder of pictures as it is: one file an image, with its own bytes."""
    return Configuration.parse(configuration).method == f"files+{SOURCE}"


def _front(found: Verdict) -> tuple[str, ...]:
    speed, disk = found.ranking("shuffled") or found.ranking("shuffled cold"), found.ranking("disk")
    if speed is None or disk is None:
        return ()
    sizes = {one.configuration: one.value for one in disk.ranks}
    front: list[str] = []
    least = math.inf
    for rank in sorted(speed.ranks, key=lambda one: one.predicted.value if one.predicted else one.value):
        if sizes.get(rank.configuration, math.inf) < least:
            front.append(rank.configuration)
            least = sizes[rank.configuration]
    return tuple(front)


def _conversion(
    best: str,
    use: str,
    predictions: Sequence[Prediction],
    kept: str | None,
    source_seconds: float | None,
    free_bytes: int | None,
) -> Conversion | None:
    known = {one.configuration: one for one in predictions}
    store, then = known[best].seconds.get(DURABLE), known[best].seconds.get(use)
    now = known[kept].seconds.get(use) if kept else None
    before = now.value if now else source_seconds
    if best == kept or store is None or then is None or before is None or source_seconds is None:
        return None
    seconds, saved, size = source_seconds + store.value, before - then.value, known[best].bytes_allocated
    return Conversion(
        seconds=seconds,
        epoch_now=before,
        epoch_then=then.value,
        epochs=math.ceil(seconds / saved) if saved > 0 else None,
        bytes=size.value if size else None,
        free_bytes=free_bytes,
        unsure=next((one.unsure for one in (store, then, now, size) if one and one.unsure), ""),
    )


def _sentences(found: Verdict, kept: str | None, figures: Sequence[Figure]) -> tuple[str, ...]:
    ranking, best = found.ranking(found.deciding), found.recommended
    if ranking is None or best is None:
        return ()
    files = next((one.configuration for one in ranking.ranks[1:] if _backend(one.configuration) == "files"), None)
    other = kept if kept and kept != best else files or (ranking.ranks[1].configuration if ranking.ranks[1:] else None)
    return (
        _reason(found, ranking, other, kept, figures),
        *_exception(found, other, kept),
        *_next(found, kept),
        *_open(ranking),
    )


def _reason(found: Verdict, ranking: Ranking, other: str | None, kept: str | None, figures: Sequence[Figure]) -> str:
    """The recommendation with its figures, beside ``other``."""
    first = ranking.ranks[0]
    best = first.configuration
    what = f"Keep the pictures as they are ({best})" if best == kept else f"Keep these images in {_named(best)}"
    epoch = EPOCHS[found.deciding]
    if ranking.count != found.images:
        epoch = epoch.replace("epoch", "read") + f" of {ranking.count:,} images"
    takes = f"{'an' if epoch[0] in 'aeiou' else 'a'} {epoch} takes {units.seconds(first.value)}"
    rank = ranking.rank_of(other) if other else None
    if rank is None or other is None:
        return f"{what}: {takes}; nothing else was measured."
    ties = [one.configuration for one in ranking.ranks[1:] if one.outcome == TIE]
    beside = f"{takes}, as in {other}" if other in ties else f"{takes} instead of {units.seconds(rank.value)} ({other})"
    sizes = {one.configuration: one.bytes_allocated for one in figures if one.count == ranking.count}
    mine, theirs = sizes.get(best), sizes.get(other)
    space = f", in {mine / theirs:.2f}x of the space" if mine and theirs else ""
    also = [name for name in ties if name != other]
    tie = f" {_listed(also)} {'ties' if len(also) == 1 else 'tie'} with it." if also else ""
    return f"{what}: {beside}{space}.{tie}"


def _open(ranking: Ranking) -> tuple[str, ...]:
    """What is not decided, and how many repeats would do."""
    found = [one for one in ranking.ranks if one.outcome == UNDECIDED]
    if not found:
        return ()
    needed = max((one.needed or 0 for one in found), default=0)
    names = _listed([f"{one.configuration} ({units.ratio(one.ratio)})" for one in found])
    return (f"Undecided beside {names}" + (f": about {needed:,} repeats would tell." if needed else "."),)


def _exception(found: Verdict, other: str | None, kept: str | None) -> tuple[str, ...]:
    """When to keep what there is, or what can be kept as files."""
    best = found.recommended or ""
    if best == kept or _backend(best) == "files":
        return ()
    keep = other if other and _backend(other) == "files" else found.today
    return (f"Keep {keep} if other programs must open single images.",)


def _next(found: Verdict, kept: str | None) -> tuple[str, ...]:
    """What to do next, and what it costs."""
    if found.recommended == kept:
        return ("There is nothing to convert.",)
    cost = found.conversion
    if cost is None:
        return ()
    room = ""
    if cost.bytes is not None:
        fits = "" if cost.free_bytes is None or cost.bytes <= cost.free_bytes else ": it does not fit"
        free = f" ({units.capacity(cost.free_bytes)} free{fits})" if cost.free_bytes is not None else ""
        room = f", needs {units.capacity(cost.bytes)}{free}"
    if cost.epochs is None:
        pays = f"saves no time: an epoch of {found.today} takes {units.spoken(cost.epoch_now)}"
    else:
        pays = "pays back " + ("in the first epoch" if cost.epochs == 1 else f"after {cost.epochs:,} epochs")
    unsure = f" This is unsure: {cost.unsure}." if cost.unsure else ""
    return (f"Converting takes about {units.spoken(cost.seconds)}{room} and {pays}.{unsure}",)


def _backend(configuration: str) -> str:
    return Configuration.parse(configuration).backend


def _named(configuration: str) -> str:
    return configuration if is_lossless(configuration) else f"{configuration} (lossy)"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
