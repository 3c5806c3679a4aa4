"""What a run decides."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from typing import Any

import pytest

from backends.analysis.figures import FASTER, TIE, UNDECIDED, multiple_of_limit, summarise
from backends.analysis.ranking import Ranking, ranking_line
from backends.analysis.verdict import DECIDED, DEMO, EARLY, NOTHING, SMALL, Verdict, decide
from backends.bench.configuration import Configuration, configurations_of
from backends.bench.measurement import Measurement
from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from tests.backends.analysis.measured import measured, noisy

GB = 10**9
IMAGES = 1_000_000
PICTURES = DatasetFacts(
    path="/data/flowers",
    kind="folder of pictures",
    split="train",
    splits={"train": IMAGES},
    count=IMAGES,
    image_shape=None,
    raw_bytes=150 * GB,
    classes=(),
    class_counts=(),
    fingerprint="",
    source_bytes=100 * GB,
)
CIFAR = replace(PICTURES, path="/data/cifar", kind="CIFAR-10", source_bytes=None)
SIZES = (1_000, 10_000, 100_000)
PLAN = Plan("/data/flowers", configurations_of("lmdb+raw", "hdf5+raw"), SIZES, operations=("store", "shuffled"))


def runs(
    configuration: str, *, repeats: int = 5, noise: float = 0.01, image_bytes: int = 150_000, **micros: float
) -> list[Measurement]:
    """Measurements of each aspect (``shuffled=10`` is 10 us an image) at all sizes."""
    rng = random.Random(configuration)
    return [
        trial
        for name, micro in micros.items()
        for size in SIZES
        for trial in measured(
            configuration,
            name.replace("_", " "),
            size,
            noisy(micro * 1e-6 * size, noise, repeats, rng),
            bytes_allocated=image_bytes * size,
            bytes_apparent=image_bytes * size,
            files=1,
        )
    ]


LMDB = runs("lmdb+raw", store=1_000, shuffled=100)
HDF5 = runs("hdf5+raw", store=800, shuffled=200)
KEPT = runs("files+source", store=50, shuffled=500, image_bytes=100_000)
PNG = runs("files+png", store=2_000, shuffled=700, image_bytes=100_000)
JPEG = runs("lmdb+jpeg", store=900, shuffled=50, image_bytes=20_000)
SLOW, SLOWER = runs("lmdb+raw", store=1_000, shuffled=700), runs("hdf5+raw", store=1_000, shuffled=900)


def verdict(
    measurements: list[Measurement],
    plan: Plan = PLAN,
    complete: bool = True,
    facts: DatasetFacts = PICTURES,
    free_bytes: int = 310 * GB,
) -> Verdict:
    source = {"source_seconds": 60.0, "source_images": 100_000}
    return decide(plan, facts, measurements, complete=complete, free_bytes=free_bytes, **source)  # type: ignore[arg-type]


def ranking(found: Verdict, use: str) -> Ranking:
    shown = next((ranking for ranking in found.rankings if ranking.use == use), None)
    assert shown is not None
    return shown


def outcomes(found: Verdict, use: str) -> dict[str, str]:
    return {rank.configuration: rank.outcome for rank in ranking(found, use).ranks}


def test_fastest_epoch_is_recommended_with_figures() -> None:
    found = verdict([*LMDB, *HDF5, *KEPT])
    assert (found.outcome, found.recommended, found.today) == (DECIDED, "lmdb+raw", "files+source")
    reason, exception, cost = found.sentences
    assert re.fullmatch(
        r"Keep these images in lmdb\+raw: a shuffled read of 100,000 images by one process takes 10\.\d s "
        r"instead of 49\.\d s \(files\+source\), in 1\.50x of the space\.",
        reason,
    )
    assert exception == "Keep files+source if other programs must open single images."
    assert cost == "Converting takes about 27 min, needs 150 GB (310 GB free) and pays back after 4 epochs."


def test_ranking_says_what_first_is_to_others() -> None:
    found = verdict([*LMDB, *HDF5, *KEPT])
    assert outcomes(found, "shuffled") == {"lmdb+raw": "", "hdf5+raw": FASTER, "files+source": FASTER}
    assert ranking_line(ranking(found, "shuffled")) == (
        "shuffled 100,000: lmdb+raw 10.0 s > hdf5+raw 2.0x > files+source 5.0x"
    )
    assert ranking(found, "store durable").ranks[0].configuration == "files+source"


@pytest.mark.parametrize(
    ("measurements", "changes", "sentence"),
    [
        (
            [*LMDB, *HDF5],
            {"plan": replace(PLAN, predict=100_000)},
            r": a shuffled epoch by one process takes 10\.\d s instead of 20\.\d s",
        ),
        (LMDB, {}, r"takes 10\.0 s; nothing else was measured\."),
        ([*LMDB, *HDF5, *PNG], {"facts": CIFAR}, r"instead of 1:10 \(files\+png\)"),
        ([*LMDB, *HDF5, *PNG], {"facts": CIFAR}, r"Keep files\+png if other programs must open single images\."),
        ([*LMDB, *HDF5], {"facts": CIFAR}, r"Keep the CIFAR-10 files if other programs must open single images\."),
        ([*LMDB, *HDF5], {"free_bytes": 9 * GB}, r"needs 150 GB \(9\.0 GB free: it does not fit\)"),
        ([*HDF5, *JPEG], {}, r"^Keep these images in lmdb\+jpeg \(lossy\): "),
        ([*SLOW, *SLOWER], {"facts": CIFAR}, r"and saves no time: an epoch of the CIFAR-10 files takes 10 min\."),
    ],
)
def test_sentences_say_what_matters(measurements: list[Measurement], changes: dict[str, Any], sentence: str) -> None:
    assert any(re.search(sentence, said) for said in verdict(measurements, **changes).sentences)


def test_tie_is_decided_by_space() -> None:
    small = runs("npy+raw", store=800, shuffled=101, image_bytes=120_000)
    found = verdict([*LMDB, *small, *HDF5])
    assert found.recommended == "npy+raw"
    assert outcomes(found, "shuffled") == {"npy+raw": "", "lmdb+raw": TIE, "hdf5+raw": FASTER}
    assert found.headline == ranking(found, "shuffled")
    assert ranking(found, "shuffled").ranks[0].configuration == "npy+raw"
    assert "takes 10.1 s, as in lmdb+raw, in 0.80x of the space." in found.sentences[0]
    assert " = lmdb+raw > hdf5+raw 2.0x" in ranking_line(ranking(found, "shuffled"))
    assert all(rank.ratio >= 1 for each in found.rankings for rank in each.ranks)


def test_tie_with_kept_pictures_needs_no_conversion() -> None:
    kept = runs("files+source@/data", store=50, shuffled=101, image_bytes=200_000)
    found = verdict([*LMDB, *kept])
    assert found.recommended == "files+source@/data"
    assert found.conversion is None
    assert found.sentences[0].startswith("Keep the pictures as they are (files+source@/data): ")
    assert found.sentences[-1] == "There is nothing to convert."


def test_source_that_was_not_measured_is_named() -> None:
    assert verdict([*LMDB, *HDF5, *PNG], facts=CIFAR).today == "the CIFAR-10 files"
    assert verdict([*LMDB, *HDF5]).today == "the picture files"


def test_references_are_never_recommended_nor_ranked() -> None:
    limit = runs("limit+raw", store=1, shuffled=1, copy=1) + runs("article-lmdb+raw", store=1, read=1)
    assert verdict([*limit, *LMDB, *HDF5]) == verdict([*LMDB, *HDF5])
    assert verdict(limit).outcome == NOTHING
    assert (verdict([]).rankings, verdict([]).outcome, verdict([]).recommended) == ((), NOTHING, None)


def test_unfinished_run_recommends_nothing() -> None:
    found = verdict([*LMDB, *HDF5], complete=False)
    assert (found.outcome, found.recommended, found.conversion, found.front) == (EARLY, None, None, ())
    assert outcomes(found, "shuffled") == {"lmdb+raw": "", "hdf5+raw": UNDECIDED}
    assert found.sentences == ("Too early to tell.",)


@pytest.mark.parametrize("repeats", [1, 2])
def test_too_few_repeats_decide_nothing(repeats: int) -> None:
    found = verdict([trial for trial in [*LMDB, *HDF5] if trial.repeat <= repeats])
    assert (found.outcome, found.recommended) == (SMALL, None)
    assert found.sentences == (
        "Too small to decide: add images (--sizes) or repeats (--repeats).",
        "Undecided beside hdf5+raw (2.0x).",
    )


def test_reads_too_short_to_measure_decide_nothing() -> None:
    short = [
        replace(trial, seconds=trial.seconds / 1e5)
        for trial in [*LMDB, *HDF5]
        if trial.count == 1_000 and trial.seconds is not None
    ]
    assert verdict(short).outcome == SMALL


def test_sample_is_never_decided() -> None:
    found = verdict([*LMDB, *HDF5], replace(PLAN, dataset="sample"))
    assert (found.outcome, found.recommended) == (DEMO, None)
    assert found.sentences == ("Demo data: too small to decide. Name your own folder: imgstore-tui bench DATASET.",)
    assert outcomes(found, "shuffled") == {"lmdb+raw": "", "hdf5+raw": FASTER}


def test_undecided_rival_is_named_with_repeats_that_would_tell() -> None:
    wild = runs("npy+raw", store=900, shuffled=120, noise=0.4)
    found = verdict([*LMDB, *HDF5, *wild])
    assert outcomes(found, "shuffled")["npy+raw"] == UNDECIDED
    assert found.recommended in ("lmdb+raw", "npy+raw")
    rank = ranking(found, "shuffled").rank_of(Configuration("npy+raw")) or ranking(found, "shuffled").ranks[0]
    assert rank.needed is not None
    assert rank.needed > 5
    assert f"about {rank.needed:,} repeats would tell." in found.sentences[-1]


def test_failed_configuration_does_not_stop_others() -> None:
    failing = [
        replace(trial, outcome="failed", seconds=None) if trial.repeat > 1 else trial
        for trial in runs("npy+raw", store=900, shuffled=300)
    ]
    assert verdict([*LMDB, *HDF5, *failing]).recommended == "lmdb+raw"


def test_largest_common_size_is_ranked() -> None:
    found = verdict([*LMDB, *(trial for trial in HDF5 if trial.count < 100_000)])
    assert ranking(found, "shuffled").count == 10_000


def test_warm_shuffled_reads_decide_before_cold() -> None:
    cold = runs("lmdb+raw", shuffled_cold=900) + runs("hdf5+raw", shuffled_cold=300)
    assert verdict([*LMDB, *HDF5, *cold]).recommended == "lmdb+raw"
    found = verdict([*cold, *(trial for trial in [*LMDB, *HDF5] if trial.operation == "store")])
    assert (found.recommended, found.deciding) == ("hdf5+raw", "shuffled cold")
    assert "a shuffled read from disk of 100,000 images" in found.sentences[0]


def test_front_leaves_out_what_another_beats_in_both() -> None:
    small = runs("tar+png", store=1_000, shuffled=150, image_bytes=50_000)
    assert verdict([*LMDB, *HDF5, *small]).front == ("lmdb+raw", "tar+png")


def test_conversion_pays_back_after_what_it_saves() -> None:
    """Reading the source takes 600 s, storing 1,000 s; an epoch takes 600 s from the source, 100 s from LMDB."""
    found = verdict([*LMDB, *HDF5]).conversion
    assert found is not None
    assert found.seconds == pytest.approx(1_600, rel=0.05)
    assert found.epoch_now == 600
    assert found.epoch_then == pytest.approx(100, rel=0.05)
    assert found.epochs == 4
    assert found.bytes == pytest.approx(150 * GB)


def test_impossible_durations_are_left_out() -> None:
    odd = [replace(trial, seconds=seconds) for trial, seconds in zip(LMDB, [0.0, math.nan, math.inf, -1.0] * 99)]  # noqa: B905
    assert ranking(verdict([*odd, *HDF5]), "shuffled").leaders == ("hdf5+raw",)


def test_multiple_of_the_limit() -> None:
    figures = summarise([*LMDB, *runs("limit+raw", noise=0, shuffled=50), *runs("limit+raw", noise=0, read=1)])
    (read,) = (figure for figure in figures if figure.cell == ("lmdb+raw", "shuffled", 1_000))
    (store,) = (figure for figure in figures if figure.cell == ("lmdb+raw", "store", 1_000))
    assert multiple_of_limit(read, figures) == pytest.approx(2, rel=0.05)
    assert multiple_of_limit(store, figures) is None
