"""What epochs through a DataLoader say: the number of workers that is enough, what bounds them, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from backends.analysis.epochs import accelerators_fed, bound_of, median_epochs
from backends.analysis.figures import summarise
from backends.bench.measurement import EpochFacts, Measurement
from backends.bench.plan import Plan
from tests.backends.analysis.measured import measured
from tests.backends.analysis.test_verdict import CIFAR, PLAN, verdict

EPOCH = EpochFacts(2, 10.0, 0.1, 0.9, cpu_seconds=19.0, main_cpu_seconds=3.0)


def epochs(configuration: str, *seconds: float) -> Iterator[Measurement]:
    """Five repeats of epochs with 0, 1, 2, ... workers, each a little slower than the one before."""
    trials = measured(configuration, "epoch", 1000, [min(seconds)] * 5, bytes_allocated=1e9)
    for trial in trials:
        slower = 1 + trial.repeat / 1000
        facts = (replace(EPOCH, workers=number, seconds=one * slower) for number, one in enumerate(seconds))
        yield replace(trial, epochs=tuple(facts))


@pytest.mark.parametrize(("seconds", "workers"), [((10.0, 6.0, 5.1, 5.0), 2), ((10.0,), 0), ((4.0, 6.0), 0)])
def test_fewest_workers_within_three_percent_are_enough(seconds: tuple[float, ...], workers: int) -> None:
    (figure,) = summarise(epochs("npy+raw", *seconds))
    assert figure.best_epoch is not None
    assert figure.best_epoch.workers == workers


def test_figure_has_the_medians_of_each_number_of_workers() -> None:
    assert [facts.seconds for facts in median_epochs(epochs("npy+raw", 10.0, 5.0))] == [10.03, 5.015]


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({}, "decode"),
        ({"workers": 0}, "decode"),
        ({"main_cpu_seconds": 9.0}, "transport"),
        ({"workers": 0, "cpu_seconds": 9.0}, "transport"),
        ({"bytes_read": 10**9, "cpu_seconds": 4.0}, "disk"),
        ({"bytes_read": 10**9}, "decode"),
        ({"bytes_read": 20_000, "cpu_seconds": 4.0}, "decode"),
        ({"utilisation": 0.95}, "step"),
        ({"utilisation": 0.5}, "decode"),
    ],
)
def test_what_bounds_the_best_epoch_of_a_sweep(changes: dict[str, float], bound: str) -> None:
    best = replace(EPOCH, **changes)  # type: ignore[arg-type]
    alone = best if not best.workers else replace(EPOCH, workers=0, seconds=17.0, cpu_seconds=17.0)
    assert bound_of(best, [alone, best, replace(EPOCH, workers=2, seconds=30.0)]) == bound


def test_passing_batches_on_bounds_where_it_doubles_the_processor_time() -> None:
    alone = replace(EPOCH, workers=0, seconds=10.1, cpu_seconds=9.4)
    assert bound_of(EPOCH, [alone, EPOCH]) == "transport"
    assert bound_of(EPOCH, [EPOCH]) == bound_of(alone, [alone]) == "decode"


def test_decoding_bounds_a_process_that_decodes_in_threads_whatever_workers_take() -> None:
    threaded = replace(EPOCH, workers=0, seconds=5.0, cpu_seconds=9.0)
    assert bound_of(threaded, [threaded, EPOCH]) == "decode"


def test_accelerators_fed_are_images_a_second_by_those_of_a_step() -> None:
    plan = Plan("sample", (), (), batch=100, step_ms=50)  # 2,000 images/s each
    assert accelerators_fed(EPOCH, 50_000, plan) == 2.5
    assert accelerators_fed(EPOCH, 50_000, replace(plan, step_ms=0)) is None


def test_verdict_rests_on_epochs_where_they_were_measured() -> None:
    shuffled = [*measured("lmdb+raw", "shuffled", 1000, [1.0] * 5), *measured("hdf5+raw", "shuffled", 1000, [9.0] * 5)]
    found = verdict(
        [*shuffled, *epochs("lmdb+raw", 8.0, 5.0, 4.0), *epochs("hdf5+raw", 6.0, 2.0)],
        plan=replace(PLAN, sizes=(1000,), fetch="item"), facts=CIFAR,
    )  # fmt: skip
    assert found.recommended == "hdf5+raw"
    assert "a training read of 1,000 images (DataLoader, 1 worker, item by item) takes 2.00 s" in found.sentences[0]


@pytest.mark.parametrize(("workers", "words"), [(1, "by one process takes"), (4, "by 4 processes takes")])
def test_verdict_without_epochs_says_how_many_processes_read(workers: int, words: str) -> None:
    found = verdict(measured("lmdb+raw", "shuffled", 1000, [1.0] * 5), plan=replace(PLAN, workers=workers))
    assert words in found.sentences[0]
