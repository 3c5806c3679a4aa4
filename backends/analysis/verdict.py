"""What a run decides: rankings by use, one recommendation with its reason, and what converting costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backends import units
from backends.analysis.figures import MARGIN, TIE, UNDECIDED, Figure, summarise
from backends.analysis.prediction import DURABLE, Prediction, Use, predict
from backends.analysis.ranking import SIZES, Ranking, make_rankings, ranking_line
from backends.bench.configuration import SOURCE, Configuration
from backends.bench.measurement import Aspect, Measurement
from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts

EARLY, NOTHING, DEMO, SMALL, DECIDED = "early", "nothing", "demo", "small", "decided"
"""How far a verdict is: repeats are missing, nothing was read, demo data, too small to decide, decided."""

_NOT_DECIDED = {
    EARLY: "Too early to tell.",
    NOTHING: "Nothing to recommend: no read of all images was measured.",
    DEMO: "Demo data: too small to decide. Name your own folder: imgstore-tui bench DATASET.",
    SMALL: "Too small to decide: add images (--sizes) or repeats (--repeats).",
}

EPOCHS: dict[Use, str] = {
    Aspect.EPOCH: "training epoch",
    Aspect.EPOCH_COLD: "training epoch from disk",
    Aspect.SHUFFLED: "shuffled epoch",
    Aspect.SHUFFLED_COLD: "shuffled epoch from disk",
    Aspect.READ: "epoch in order",
    Aspect.READ_COLD: "epoch in order from disk",
}
"""What decides, the first that was measured, and how an epoch of it is called."""

MEASURABLE = 0.01
"""Seconds: where the deciding read takes less in every configuration, the data is too small to decide on."""

SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What converting to the recommended configuration costs and saves."""

    seconds: float  # reading the source and storing, durably
    epoch_now: float  # seconds of a pass over all images as they are kept today
    epoch_then: float  # and over the copy
    epochs: int | None  # after which it has paid; None where it saves nothing
    bytes: float | None  # of the copy
    free_bytes: int | None
    unsure: str = ""  # why a number in here should not be relied on


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the figures of a run say.  Whatever names a recommendation reads it here."""

    outcome: str  # EARLY, NOTHING, DEMO, SMALL or DECIDED
    images: int  # that is predicted for
    rankings: tuple[Ranking, ...]  # what decides has the recommended configuration first; disk and files are last
    predictions: tuple[Prediction, ...]
    front: tuple[Configuration, ...]  # configurations that no other beats in both predicted shuffled time and disk
    deciding: Use | None  # what the recommendation rests on; None where no read of everything was measured
    recommended: Configuration | None  # None unless decided
    today: str  # what the images are kept in now: a measured configuration, or words
    conversion: Conversion | None  # None where there is nothing to convert, or it cannot be worked out
    sentences: tuple[str, ...]  # the recommendation, when to keep what there is, what comes next; or why not decided

    @property
    def complete(self) -> bool:
        """Whether all repeats are in."""
        return self.outcome != EARLY

    def ranking(self, use: Use | None) -> Ranking | None:
        return next((ranking for ranking in self.rankings if ranking.use == use), None)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each ranking but that of files, whose numbers say it all."""
        return tuple(ranking_line(ranking) for ranking in self.rankings if ranking.use != "files")

    @property
    def headline(self) -> Ranking | None:
        """The ranking that a single line shows: what decides, else the last operation."""
        times = [ranking for ranking in self.rankings if ranking.use not in (*SIZES, DURABLE)]
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
    """What the measurements so far say; they are ``complete`` once all blocks are in.

    Reading and decoding ``source_images`` images from their source took ``source_seconds``; ``free_bytes`` may still be
    written where the run wrote, and the page cache can hold ``memory_bytes``.  None where one is not known.
    """
    images, pictures = plan.predict or facts.count, facts.source_bytes is not None
    figures = [figure for figure in summarise(measurements) if figure.repeats and not figure.configuration.is_reference]
    predictions = predict(figures, images, memory_bytes)
    rankings = make_rankings(figures, measurements, predictions, images)
    deciding = next((aspect for aspect in EPOCHS if aspect in rankings), None)
    names = [prediction.configuration for prediction in predictions if pictures]
    kept = next((name for name in names if name.entry.keeps_files and name.codec == SOURCE), None)
    if deciding:
        rankings[deciding] = _put_preferred_first(rankings[deciding], rankings.get("disk"), kept)
    if not complete:
        rankings = {use: _undecided(ranking) for use, ranking in rankings.items()}
    outcome = _outcome(plan, rankings[deciding] if deciding else None, complete)
    best = rankings[deciding].ranks[0].configuration if outcome == DECIDED and deciding else None
    source = source_seconds / source_images * images if source_seconds is not None and source_images else None
    verdict = Verdict(
        outcome=outcome,
        images=images,
        rankings=tuple(rankings.values()),
        predictions=predictions,
        front=_front(rankings) if complete else (),
        deciding=deciding,
        recommended=best,
        today=kept or ("the picture files" if pictures else f"the {facts.kind} files"),
        conversion=_conversion(best, deciding, predictions, kept, source, free_bytes) if best and deciding else None,
        sentences=(),
    )
    return replace(verdict, sentences=_sentences(verdict, kept, figures, plan))


def _undecided(ranking: Ranking) -> Ranking:
    return replace(ranking, ranks=tuple(replace(rank, outcome=rank.outcome and UNDECIDED) for rank in ranking.ranks))


def _put_preferred_first(ranking: Ranking, disk: Ranking | None, kept: Configuration | None) -> Ranking:
    """The ranking with what to choose of those that tie at its front: what there is, else what takes least space."""
    sizes = {rank.configuration: rank.value for rank in disk.ranks} if disk else {}
    first = best = ranking.ranks[0].configuration
    if kept and kept in ranking.leaders:
        best = kept
    else:
        smallest = min(ranking.leaders, key=lambda name: sizes.get(name, math.inf))
        if sizes.get(best, math.inf) > MARGIN * sizes.get(smallest, math.inf):
            best = smallest
    changed: dict[Configuration, str] = {best: "", first: TIE} if best != first else {}
    ranks = [replace(rank, outcome=changed.get(rank.configuration, rank.outcome)) for rank in ranking.ranks]
    return replace(ranking, ranks=tuple(sorted(ranks, key=lambda rank: rank.configuration != best)))


def _outcome(plan: Plan, ranking: Ranking | None, complete: bool) -> str:
    if not complete:
        return EARLY
    if ranking is None:
        return NOTHING
    if plan.dataset == SAMPLE:
        return DEMO
    others = ranking.ranks[1:]
    undecided = bool(others) and all(rank.outcome == UNDECIDED for rank in others)
    return SMALL if undecided or max(rank.value for rank in ranking.ranks) < MEASURABLE else DECIDED


def _front(rankings: dict[Use, Ranking]) -> tuple[Configuration, ...]:
    speed, disk = rankings.get(Aspect.SHUFFLED) or rankings.get(Aspect.SHUFFLED_COLD), rankings.get("disk")
    if speed is None or disk is None:
        return ()
    sizes = {rank.configuration: rank.value for rank in disk.ranks}
    front: list[Configuration] = []
    for rank in sorted(speed.ranks, key=lambda rank: rank.predicted.value if rank.predicted else rank.value):
        if sizes.get(rank.configuration, math.inf) < min((sizes[name] for name in front), default=math.inf):
            front.append(rank.configuration)
    return tuple(front)


def _conversion(
    best: Configuration,
    use: Use,
    predictions: Sequence[Prediction],
    kept: Configuration | None,
    source_seconds: float | None,
    free_bytes: int | None,
) -> Conversion | None:
    known = {prediction.configuration: prediction for prediction in predictions}
    store, then, size = known[best].seconds.get(DURABLE), known[best].seconds.get(use), known[best].bytes_allocated
    now = known[kept].seconds.get(use) if kept else None
    before = now.value if now else source_seconds
    if best == kept or store is None or then is None or before is None or source_seconds is None:
        return None
    seconds, saved = source_seconds + store.value, before - then.value
    return Conversion(
        seconds=seconds,
        epoch_now=before,
        epoch_then=then.value,
        epochs=math.ceil(seconds / saved) if saved > 0 else None,
        bytes=size.value if size else None,
        free_bytes=free_bytes,
        unsure=next((used.unsure for used in (store, then, now, size) if used and used.unsure), ""),
    )


def _sentences(verdict: Verdict, kept: Configuration | None, figures: Sequence[Figure], plan: Plan) -> tuple[str, ...]:
    ranking, best = verdict.ranking(verdict.deciding), verdict.recommended
    rivals = _undecided_sentence(ranking) if ranking and verdict.outcome in (SMALL, DECIDED) else ""
    if ranking is None or best is None:
        return tuple(filter(None, (_NOT_DECIDED[verdict.outcome], rivals)))
    others = [rank.configuration for rank in ranking.ranks[1:]]
    files = [name for name in others if name.entry.keeps_files]
    other = kept if kept and kept != best else next(iter((*files, *others)), None)
    exception = ""
    if best != kept and not best.entry.keeps_files:
        keep = other if other and other.entry.keeps_files else verdict.today
        exception = f"Keep {keep} if other programs must open single images."
    conversion = "There is nothing to convert." if best == kept else _conversion_sentence(verdict, kept)
    reason = _reason(verdict, ranking, other, kept, figures, plan)
    return tuple(filter(None, (reason, exception, conversion, rivals)))


def _reason(
    verdict: Verdict,
    ranking: Ranking,
    other: Configuration | None,
    kept: Configuration | None,
    figures: Sequence[Figure],
    plan: Plan,
) -> str:
    """The recommendation with its figures, beside ``other``."""
    best, seconds = ranking.ranks[0].configuration, ranking.ranks[0].value
    lossy = "" if best.is_lossless else " (lossy)"
    advice = f"Keep the pictures as they are ({best})" if best == kept else f"Keep these images in {best}{lossy}"
    epoch = EPOCHS[ranking.use]
    if ranking.count != verdict.images:
        epoch = epoch.replace("epoch", "read") + f" of {ranking.count:,} images"
    how = _how(next(figure for figure in figures if figure.cell == (best, ranking.use, ranking.count)), plan)
    takes = f"{advice}: {'an' if epoch[0] in 'aeiou' else 'a'} {epoch} {how} takes {units.seconds(seconds)}"
    rank = ranking.rank_of(other)
    if rank is None or other is None:
        return f"{takes}; nothing else was measured."
    beside = f", as in {other}" if rank.outcome == TIE else f" instead of {units.seconds(rank.value)} ({other})"
    sizes = {figure.configuration: figure.bytes_allocated for figure in figures if figure.count == ranking.count}
    size, other_size = sizes.get(best), sizes.get(other)
    space = f", in {size / other_size:.2f}x of the space" if size and other_size else ""
    ties = [name for name in ranking.leaders if name not in (best, other)]
    tie = f" {units.listing(ties)} {'ties' if len(ties) == 1 else 'tie'} with it." if ties else ""
    return f"{takes}{beside}{space}.{tie}"


def _how(figure: Figure, plan: Plan) -> str:
    """By how many processes the deciding figure was read, and how a DataLoader fetched."""
    if facts := figure.best_epoch:
        fetched = "batch by batch" if plan.fetch == "batch" else "item by item"
        return f"(DataLoader, {units.count_of(facts.workers, 'worker')}, {fetched})"
    return "by one process" if plan.workers == 1 else f"by {plan.workers} processes"


def _undecided_sentence(ranking: Ranking) -> str:
    """What is not decided, and how many repeats would do; empty where all is."""
    undecided = [rank for rank in ranking.ranks if rank.outcome == UNDECIDED]
    names = units.listing([f"{rank.configuration} ({units.ratio(rank.ratio)})" for rank in undecided])
    needed = max((rank.needed or 0 for rank in undecided), default=0)
    return f"Undecided beside {names}" + (f": about {needed:,} repeats would tell." if needed else ".") if names else ""


def _conversion_sentence(verdict: Verdict, kept: Configuration | None) -> str:
    """What converting costs, and after how many epochs it pays; empty where that is not known."""
    cost = verdict.conversion
    if cost is None:
        return ""
    room = ""
    if cost.bytes is not None:
        fits = "" if cost.free_bytes is None or cost.bytes <= cost.free_bytes else ": it does not fit"
        free = f" ({units.capacity(cost.free_bytes)} free{fits})" if cost.free_bytes is not None else ""
        room = f", needs {units.capacity(cost.bytes)}{free}"
    if cost.epochs is None:
        pays = f"saves no time: an epoch of {verdict.today} takes {units.spoken(cost.epoch_now)}"
    else:
        pays = "pays back " + ("in the first epoch" if cost.epochs == 1 else f"after {cost.epochs:,} epochs")
        if kept is None:  # the first sentence compares with something else
            pays += f" ({verdict.today} take {units.spoken(cost.epoch_now)} an epoch)"
    unsure = f" This is unsure: {cost.unsure}." if cost.unsure else ""
    return f"Converting takes about {units.spoken(cost.seconds)}{room} and {pays}.{unsure}"
