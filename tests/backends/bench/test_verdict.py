"""What a run decides."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backends.bench.plan import Plan
from backends.bench.ranking import BEHIND, BEST, TIE, Ranking
from backends.bench.sentences import EARLY
from backends.bench.statistics import UNSURE
from backends.bench.summary import summarise
from backends.bench.verdict import Verdict, decide, multiple_of_limit
from backends.datasets.facts import DatasetFacts
from backends.jobs.job import start_run
from backends.jobs.result import collect
from tests.backends.bench.measured import measured, noisy

if TYPE_CHECKING:
    from pathlib import Path

    from backends.bench.measurement import Measurement

GB = 10**9
IMAGES = 1_000_000
FACTS = DatasetFacts(
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
SIZES = (1_000, 10_000, 100_000)
PLAN = Plan("/data/flowers", ("lmdb+raw", "hdf5+raw"), SIZES, operations=("store", "shuffled"), repeats=5)


def runs(
    configuration: str, *, repeats: int = 5, noise: float = 0.01, image_bytes: int = 150_000, **micros: float
) -> list[Measurement]:
    """Measurements of each aspect (``shuffled=10`` is 10 us an image) at all sizes."""
    rng = random.Random(configuration)
    return [
        one
        for name, micro in micros.items()
        for size in SIZES
        for one in measured(
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
TODAY = runs("files+source", store=50, shuffled=500, image_bytes=100_000)


def verdict(measurements: list[Measurement], plan: Plan = PLAN, complete: bool = True) -> Verdict:
    return decide(
        plan,
        FACTS,
        measurements,
        complete=complete,
        source_seconds=60.0,
        source_images=100_000,
        free_bytes=310 * GB,
    )


def ranking(found: Verdict, use: str) -> Ranking:
    (one,) = (one for one in found.rankings if one.use == use)
    return one


def sentence(found: Verdict, title: str) -> str:
    (one,) = (one for one in found.sentences if one.startswith(title))
    return one


def test_what_reads_an_epoch_fastest_is_recommended() -> None:
    found = verdict([*LMDB, *HDF5])
    assert found.recommended == "lmdb+raw"
    first, second = ranking(found, "shuffled").ranks
    assert (first.configuration, first.outcome, second.outcome) == ("lmdb+raw", BEST, BEHIND)
    assert second.ratio == pytest.approx(2, rel=0.05)
    assert second.ratio_interval is not None
    assert 1.8 < second.ratio_interval[0] < second.ratio < second.ratio_interval[1] < 2.2
    assert sentence(found, "Fastest to read shuffled: lmdb+raw; hdf5+raw follows at 2.0x; about 1.7 min for 1,000,000")
    assert ranking(found, "store").leaders == ("hdf5+raw",)
    assert ranking(found, "store durable").leaders == ("hdf5+raw",)


def test_what_cannot_be_told_from_the_best_is_named() -> None:
    times = (7e-4, 9e-3, 6e-4, 2e-3, 1.8e-3)
    wild = [one for size in SIZES for one in measured("npy+raw", "store", size, [size * each for each in times])]
    said = sentence(verdict([*LMDB, *HDF5, *wild]), "Fastest to store: hdf5+raw")
    assert "; lmdb+raw follows at 1.2x; not decided for npy+raw (" in said


def test_equals_tie_and_are_both_named() -> None:
    found = verdict([*HDF5, *runs("npy+raw", store=800, shuffled=201)])
    assert {one.outcome for one in ranking(found, "shuffled").ranks} == {BEST, TIE}
    assert "hdf5+raw and npy+raw, which tie" in sentence(found, "Fastest to read shuffled")
    assert "hdf5+raw and npy+raw, which tie" in sentence(found, "Smallest on disk")


def test_references_are_never_ranked() -> None:
    limit = runs("limit+raw", store=1, shuffled=1, copy=1) + runs("article-lmdb+raw", store=1, read=1)
    assert verdict([*limit, *LMDB, *HDF5]) == verdict([*LMDB, *HDF5])


def test_before_all_blocks_are_in_there_are_ranks_and_no_winner() -> None:
    found = verdict([*LMDB, *HDF5], complete=False)
    assert [one.configuration for one in ranking(found, "shuffled").ranks] == ["lmdb+raw", "hdf5+raw"]
    assert not any(one.leaders for one in found.rankings)
    assert (found.sentences, found.recommended, found.payback, found.front) == ((EARLY,), None, None, ())


@pytest.mark.parametrize("repeats", [1, 2])
def test_too_few_repeats_decide_nothing(repeats: int) -> None:
    few = [one for one in [*LMDB, *HDF5] if one.repeat <= repeats]
    assert sentence(verdict(few), "Fastest to read shuffled") == (
        "Fastest to read shuffled: not decided, for want of three repeats."
    )


def test_what_is_far_behind_but_scatters_is_no_tie() -> None:
    wild = [
        one for size in SIZES for one in measured("npy+raw", "shuffled", size, [size * m for m in (1e-4, 9e-3, 2e-4)])
    ]
    three = [one for one in LMDB if one.repeat <= 3]
    first, second = ranking(verdict([*three, *wild]), "shuffled").ranks
    assert (first.outcome, second.outcome) == (BEST, UNSURE)
    assert second.ratio > 2
    assert "not decided, the repeats scatter too much" in sentence(verdict([*three, *wild]), "Fastest to read shuffled")


def test_what_failed_once_does_not_keep_the_others_from_being_ranked() -> None:
    failing = [
        replace(one, outcome="failed", seconds=None) if one.repeat > 1 else one
        for one in runs("npy+raw", store=900, shuffled=300)
    ]
    assert verdict([*LMDB, *HDF5, *failing]).recommended == "lmdb+raw"


def test_only_a_size_that_all_were_measured_at_is_ranked() -> None:
    found = verdict([*LMDB, *(one for one in HDF5 if one.count < 100_000)])
    assert ranking(found, "shuffled").count == 10_000


def test_cold_reads_have_a_line_of_their_own() -> None:
    cold = runs("lmdb+raw", shuffled_cold=900) + runs("hdf5+raw", shuffled_cold=300)
    found = verdict([*LMDB, *HDF5, *cold])
    assert sentence(found, "Fastest to read shuffled, from disk: hdf5+raw")
    assert sentence(found, "Fastest to read shuffled: lmdb+raw")


def test_the_front_leaves_out_what_another_one_beats_in_both() -> None:
    small = runs("tar+png", store=1_000, shuffled=150, image_bytes=50_000)
    found = verdict([*LMDB, *HDF5, *small])
    assert found.front == ("lmdb+raw", "tar+png")


def test_a_lossy_leader_is_said_to_be_lossy() -> None:
    found = verdict([*HDF5, *runs("lmdb+jpeg", store=900, shuffled=100, image_bytes=20_000)])
    assert "lmdb+jpeg (lossy)" in sentence(found, "Smallest on disk")


def test_a_conversion_pays_back_after_what_it_saves() -> None:
    """Reading the source takes 600 s, storing 1,000 s; an epoch takes 600 s from the source, 100 s from LMDB."""
    found = verdict([*LMDB, *HDF5]).payback
    assert found is not None
    assert found.convert_seconds == pytest.approx(1_600, rel=0.05)
    assert found.epoch_now == 600
    assert found.epoch_then == pytest.approx(100, rel=0.05)
    assert found.epochs == 4
    assert found.source_bytes == 100 * GB
    assert found.copy_bytes == pytest.approx(150 * GB)
    assert verdict([*LMDB, *HDF5]).sentences[-2:] == (
        "Converting to lmdb+raw takes about 27 min and saves 8.3 min an epoch (10 min today, 1.7 min after): "
        "it pays back after 4 epochs.",
        "Source and copy need 250 GB, 150 GB of them the copy; 310 GB are free.",
    )


def test_today_s_epoch_is_that_of_the_files_where_they_were_measured() -> None:
    found = verdict([*LMDB, *HDF5, *TODAY]).payback
    assert found is not None
    assert found.epoch_now - found.epoch_then == pytest.approx(400, rel=0.05)


def test_a_conversion_that_saves_nothing_says_so() -> None:
    slow = runs("lmdb+raw", store=1_000, shuffled=700)
    found = verdict(slow)
    assert found.payback is not None
    assert found.payback.epochs is None
    assert " and saves nothing: an epoch takes 10 min today and 12 min after." in found.sentences[-2]


def test_files_that_do_best_need_no_conversion() -> None:
    best = runs("files+source@/data", store=50, shuffled=50, image_bytes=100_000)
    assert verdict([*best, *HDF5]).sentences[-1] == (
        "The picture files as they are do best: there is nothing to convert."
    )


def test_a_copy_that_does_not_fit_is_said_not_to() -> None:
    found = decide(PLAN, FACTS, [*LMDB, *HDF5], complete=True, source_seconds=1.0, source_images=1, free_bytes=9 * GB)
    assert found.sentences[-1].endswith("; 9.0 GB are free: the copy does not fit.")


def test_the_plan_s_number_of_images_is_predicted() -> None:
    found = verdict([*LMDB, *HDF5], replace(PLAN, predict=50_000))
    assert found.images == 50_000
    assert "for 50,000 images" in sentence(found, "Smallest on disk: ")


def test_durations_that_are_none_break_nothing() -> None:
    odd = [replace(one, seconds=seconds) for one, seconds in zip(LMDB, [0.0, math.nan, math.inf, -1.0] * 99)]  # noqa: B905
    assert ranking(verdict([*odd, *HDF5]), "shuffled").leaders == ("hdf5+raw",)


def test_nothing_measured_decides_nothing() -> None:
    found = verdict([])
    assert (found.rankings, found.sentences, found.recommended) == ((), (), None)


def test_multiple_of_the_limit() -> None:
    figures = summarise([*LMDB, *runs("limit+raw", noise=0, shuffled=50), *runs("limit+raw", noise=0, read=1)])
    (read,) = (one for one in figures if one.cell == ("lmdb+raw", "shuffled", 1_000))
    (store,) = (one for one in figures if one.cell == ("lmdb+raw", "store", 1_000))
    assert multiple_of_limit(read, figures) == pytest.approx(2, rel=0.05)
    assert multiple_of_limit(store, figures) is None


def test_a_real_run_is_decided(tmp_path: Path) -> None:
    plan = Plan("sample", ("lmdb+raw", "files+png"), (200,), operations=("store",), work_dir=str(tmp_path))
    result = collect(start_run(plan, tmp_path / "jobs").follow())
    assert result is not None
    found = decide(result.plan, result.dataset, result.measurements, complete=True)
    assert {one.configuration for one in ranking(found, "store").ranks} == {"lmdb+raw", "files+png"}
    assert found.predictions[0].images == 2_000
