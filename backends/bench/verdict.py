"""What a run decides: rankings by use, a recommendation, and whether converting pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backends.bench.payback import EPOCHS, payback, payback_sentences
from backends.bench.prediction import DURABLE, predict
from backends.bench.ranking import (
    Ranking,
    Rankings,
    candidates,
    pareto_front,
    rank_sizes,
    rank_times,
)
from backends.bench.sentences import EARLY, sentences
from backends.bench.statistics import UNSURE
from backends.bench.summary import summarise
from backends.registry import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backends.bench.measurement import Measurement
    from backends.bench.payback import Payback
    from backends.bench.plan import Plan
    from backends.bench.prediction import Prediction
    from backends.bench.summary import Figure
    from backends.datasets.facts import DatasetFacts


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the figures of a run say.

    Attributes
    ----------
    complete
        Whether all blocks are in; where not, rankings have no winner yet.
    images
        The number of images that is predicted for.
    rankings
        By use; disk and files last.
    front
        The configurations that no other one beats in both the predicted time of shuffled reads and disk.
    recommended
        What reads an epoch fastest; None where that is not decided.
    payback
        None where it cannot be worked out.
    sentences
        One for each use, then what decides.
    """

    complete: bool
    images: int
    rankings: tuple[Ranking, ...]
    predictions: tuple[Prediction, ...]
    front: tuple[str, ...]
    recommended: str | None
    payback: Payback | None
    sentences: tuple[str, ...]


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
    figures = candidates(summarise(measurements))
    predictions = {one.configuration: one for one in predict(figures, images, memory_bytes)}
    rankings = _rankings(plan, figures, measurements, predictions, images)
    if not complete:
        waiting = tuple(_undecided(one) for one in rankings.values())
        return Verdict(False, images, waiting, tuple(predictions.values()), (), None, None, (EARLY,))
    speed = next((rankings[use] for use in ("shuffled", "shuffled cold") if use in rankings), None)
    disk = rankings.get("disk")
    chosen, recommended = _choice(rankings)
    scaled = source_seconds / source_images * images if source_seconds is not None and source_images else None
    pays = payback(chosen, predictions, facts, scaled, free_bytes) if chosen else None
    front = pareto_front(speed, disk) if speed and disk else ()
    said = sentences(rankings, front, images)
    return Verdict(
        complete=True,
        images=images,
        rankings=tuple(rankings.values()),
        predictions=tuple(predictions.values()),
        front=front,
        recommended=recommended,
        payback=pays,
        sentences=(*said, *(payback_sentences(pays) if pays else ())),
    )


def multiple_of_limit(figure: Figure, figures: Iterable[Figure]) -> float | None:
    """How many times the seconds of bare bytes a figure takes; None where the machine's limit was not measured."""
    same = (figure.operation, figure.cache, figure.count)
    for one in figures:
        if one.configuration.startswith(f"{LIMIT}+") and (one.operation, one.cache, one.count) == same:
            return figure.seconds / one.seconds if figure.seconds and one.seconds else None
    return None


def _rankings(
    plan: Plan,
    figures: Sequence[Figure],
    measurements: Sequence[Measurement],
    predictions: dict[str, Prediction],
    images: int,
) -> Rankings:
    found: Rankings = {}
    for aspect in dict.fromkeys(one.aspect for one in figures):
        those = [one for one in figures if one.aspect == aspect]
        for durable in (False, True) if those[0].operation == "store" else (False,):
            name = DURABLE if durable else aspect
            values = {which: one.seconds.get(name) for which, one in predictions.items()}
            if ranking := rank_times(those, measurements, values, durable):
                found[ranking.use] = ranking
    sizes = {"disk": {name: one.bytes_allocated for name, one in predictions.items()},
             "files": {name: one.files for name, one in predictions.items()}}  # fmt: skip
    for use, values in sizes.items():
        if ranking := rank_sizes(use, images, values):
            found[use] = ranking
    return found


def _undecided(ranking: Ranking) -> Ranking:
    return replace(ranking, ranks=tuple(replace(one, outcome=UNSURE) for one in ranking.ranks))


def _choice(rankings: Rankings) -> tuple[str | None, str | None]:
    """Which conversion to work out, and whether it is recommended."""
    ranking = next((rankings[use] for use in EPOCHS if use in rankings), None)
    if ranking is None:
        return None, None
    best = ranking.ranks[0].configuration
    return best, best if ranking.leaders else None
