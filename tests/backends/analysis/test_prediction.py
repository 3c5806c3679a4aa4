"""Predictions: bytes and files of real containers, times of recorded ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from backends.analysis.figures import summarise
from backends.analysis.prediction import DURABLE, Prediction, predict
from backends.bench.configuration import configurations_of
from backends.bench.measurement import Aspect
from backends.bench.plan import Plan
from backends.registry import backend_entries
from backends.runs.job import start_job
from tests.backends.analysis.measured import measured, noisy

if TYPE_CHECKING:
    from pathlib import Path

    from backends.bench.measurement import Measurement


def of(measurements: list[Measurement], images: int, memory_bytes: int | None = None) -> Prediction:
    (found,) = predict(summarise(measurements), images, memory_bytes)
    return found


def linear(sizes: tuple[int, ...], noise: float = 0.0, seed: int = 0, repeats: int = 5) -> list[Measurement]:
    """Reads that take 2 ms and 10 us an image, of containers of 100 kB and 3,100 bytes an image."""
    rng = random.Random(seed)
    return [
        trial
        for size in sizes
        for trial in measured(
            "lmdb+raw",
            "read",
            size,
            noisy(2e-3 + 1e-5 * size, noise, repeats, rng),
            bytes_allocated=100_000 + 3_100 * size,
            files=1,
        )
    ]


@pytest.mark.slow
def test_bytes_and_files_of_real_containers(tmp_path: Path) -> None:
    """Five times the largest size that is used: within 10 % in bytes, exact in files, and not called unsure."""
    names = configurations_of(*backend_entries(), "lmdb+png")
    plan = Plan("sample", names, (100, 1_000, 5_000), operations=("store",), repeats=1, work_dir=str(tmp_path))
    result = start_job(plan, tmp_path / "jobs").wait()
    assert result.failures == ()
    truth = {figure.configuration: figure for figure in result.figures.values() if figure.count == 5_000}
    found = predict([figure for figure in result.figures.values() if figure.count < 5_000], 5_000)
    assert {prediction.configuration for prediction in found} == set(names)
    for prediction in found:
        figure = truth[prediction.configuration]
        assert prediction.bytes_allocated is not None
        assert prediction.files is not None
        assert figure.bytes_allocated == pytest.approx(prediction.bytes_allocated.value, rel=0.1)
        assert round(prediction.files.value) == figure.files
        assert (prediction.bytes_allocated.unsure, prediction.bytes_allocated.measured, prediction.files.unsure) == (
            "",
            False,
            "",
        )


def test_exact_line_is_predicted() -> None:
    found = of(linear((10, 100, 1_000, 10_000)), 100_000)
    assert found.seconds[Aspect.READ].value == pytest.approx(1.002)
    assert found.seconds[Aspect.READ].unsure == ""
    assert found.bytes_allocated is not None
    assert found.bytes_allocated.value == pytest.approx(310_100_000)


def test_largest_sizes_decide_prediction() -> None:
    """Small sizes that were disturbed threefold change a prediction by less than a tenth."""
    small = [
        trial for size in (10, 100) for trial in measured("lmdb+raw", "read", size, [3 * (2e-3 + 1e-5 * size)] * 5)
    ]
    found = of([*small, *linear((1_000, 10_000))], 100_000)
    assert found.seconds[Aspect.READ].value == pytest.approx(1.002, rel=0.1)


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1])
def test_times_are_within_25_percent_or_unsure(noise: float) -> None:
    wrong = inside = sure = 0
    for seed in range(200):
        found = of(linear((10, 100, 1_000, 10_000), noise, seed, 3), 100_000).seconds[Aspect.READ]
        wrong += not found.unsure and abs(found.value / 1.002 - 1) > 0.25
        inside += found.low <= 1.002 <= found.high
        sure += not found.unsure
    assert wrong == 0
    assert inside >= 180
    assert sure >= 180 or noise > 0.02


def test_measured_size_is_not_predicted() -> None:
    found = of(linear((100, 1_000), 0.05), 1_000)
    (figure,) = (figure for figure in summarise(linear((100, 1_000), 0.05)) if figure.count == 1_000)
    assert found.seconds[Aspect.READ].measured
    assert found.seconds[Aspect.READ].value == figure.seconds


@pytest.mark.parametrize(
    ("sizes", "repeats", "images", "reason"),
    [
        ((10, 100), 5, 50_000, "the largest size measured is 100 images"),
        ((5_000,), 5, 50_000, "one size was measured, of 5,000 images"),
        ((100, 1_000), 5, 1_000_000, "it is 1,000 times the largest size measured"),
        ((1_000, 10_000), 1, 100_000, "each size was measured once"),
        ((1_000, 10_000), 2, 100_000, ""),
    ],
)
def test_few_sizes_or_repeats_are_unsure(sizes: tuple[int, ...], repeats: int, images: int, reason: str) -> None:
    assert of(linear(sizes, repeats=repeats), images).seconds[Aspect.READ].unsure == reason


def test_scattering_repeats_are_unsure() -> None:
    scattered = [
        trial for size in (100, 1_000) for trial in measured("lmdb+raw", "read", size, [size, 2 * size, 4 * size])
    ]
    assert of(scattered, 10_000).seconds[Aspect.READ].unsure.startswith("it may be off by ")


def test_growing_cost_is_unsure() -> None:
    curved = [trial for size in (100, 1_000, 10_000) for trial in measured("lmdb+raw", "read", size, [size**1.15] * 5)]
    found = of(curved, 100_000).seconds[Aspect.READ]
    assert found.unsure.startswith("it may be off by ")
    assert found.high >= 100_000**1.15


def test_warm_reads_beyond_memory_are_unsure() -> None:
    cold = measured("lmdb+raw", "read cold", 1_000, [0.1] * 5) + measured("lmdb+raw", "read cold", 10_000, [1.0] * 5)
    found = of([*linear((1_000, 10_000)), *cold], 100_000, memory_bytes=1 << 28)
    assert found.seconds[Aspect.READ].unsure == "what is read warm would not fit into memory"
    assert found.seconds[Aspect.READ_COLD].unsure == ""
    assert of(linear((1_000, 10_000)), 100_000, memory_bytes=1 << 34).seconds[Aspect.READ].unsure == ""


def stores(durable: float, *names: str) -> list[Measurement]:
    """Stores that take 10 us an image, and ``durable`` times as long with their sync."""
    return [
        trial
        for size in (1_000, 10_000)
        for name in names
        for trial in measured(name, "store", size, [size * 1e-5] * 3, seconds_durable=durable * size * 1e-5)
    ]


def test_stores_are_predicted_with_sync_references_not() -> None:
    found = of(stores(2, "lmdb+raw", "limit+raw", "article-png+raw"), 100_000)
    assert found.configuration == "lmdb+raw"
    assert {use: predicted.value for use, predicted in found.seconds.items()} == pytest.approx({"store": 1, DURABLE: 2})


def test_store_is_unsure_by_its_sync() -> None:
    """Ten times the images do not fit into what the system holds back, so that the store waits for the disk."""
    found = of(stores(4, "lmdb+raw"), 100_000).seconds
    assert found[Aspect.STORE].unsure == "it may be off by more than twofold"
    assert found[Aspect.STORE].high == pytest.approx(4, rel=0.05)
    assert found[DURABLE].unsure == ""
