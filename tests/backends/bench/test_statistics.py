"""Intervals and comparisons: how often they are right."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.bench.statistics import (
    FASTER,
    SLOWER,
    TIE,
    UNSURE,
    compare,
    interval_of_median,
    paired_ratios,
    quartiles,
    spread,
    usable,
)
from tests.backends.bench.measured import noisy

TRIES = 1_000


def outcomes(factor: float, noise: float, repeats: int, hiccups: float = 0.0) -> Counter[str]:
    """How comparisons come out where one thing takes ``factor`` times the other's seconds."""
    rng = random.Random(f"{factor} {noise} {repeats} {hiccups}")

    def once(seconds: float) -> float:
        return noisy(seconds, noise, 1, rng)[0] * (1 + rng.expovariate(1) if rng.random() < hiccups else 1)

    return Counter(compare(once(factor) / once(1) for _ in range(repeats)).outcome for _ in range(TRIES))


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("hiccups", [0.0, 0.1])
@pytest.mark.parametrize("repeats", [3, 5, 8, 10, 13, 60])
def test_equals_tie_in_95_of_100_comparisons(noise: float, hiccups: float, repeats: int) -> None:
    assert outcomes(1, noise, repeats, hiccups)[TIE] >= 0.95 * TRIES


def test_a_bootstrap_of_three_ratios_would_not_tie() -> None:
    rng = np.random.default_rng(0)
    logs = rng.normal(0, 0.1, (TRIES, 3))
    means = np.sort(logs[:, rng.integers(0, 3, (500, 3))].mean(axis=2), axis=1)
    low, high = means[:, 12], means[:, 487]
    assert np.mean((low > math.log(1.03)) | (high < -math.log(1.03))) > 0.05


@pytest.mark.parametrize(("repeats", "share"), [(3, 0.2), (5, 0.75), (10, 0.95)])
def test_a_difference_of_a_fifth_at_5_percent_noise_is_found_in_most(repeats: int, share: float) -> None:
    found = outcomes(1.2, 0.05, repeats)
    assert found[SLOWER] >= share * TRIES
    assert found[FASTER] == 0


def test_a_difference_that_matters_to_nobody_is_a_tie() -> None:
    assert compare([1.02] * 10).outcome == TIE
    assert compare([1.04] * 10).outcome == SLOWER
    assert compare([1 / 1.04] * 10).outcome == FASTER


def test_fewer_than_three_pairs_have_no_winner() -> None:
    found = compare([5.0, 5.0])
    assert (found.outcome, found.low, found.high, found.pairs) == (UNSURE, None, None, 2)
    assert found.ratio == pytest.approx(5)
    assert compare([]).ratio is None


def test_what_is_no_duration_is_dropped_and_counted() -> None:
    one = {1: 2.0, 2: 0.0, 3: 2.0, 4: math.nan, 5: 2.0, 6: math.inf, 7: -1.0, 8: 2.0}
    found = compare(paired_ratios(one, dict.fromkeys(range(1, 8), 1.0)))
    assert found.ratio == pytest.approx(2)
    assert (found.pairs, found.dropped) == (3, 4)


def test_only_blocks_that_both_have_are_paired() -> None:
    assert paired_ratios({1: 2.0, 3: 9.0}, {3: 3.0, 2: 1.0}) == [3.0]


@given(st.lists(st.floats(), max_size=20))
def test_no_number_breaks_a_comparison(values: list[float]) -> None:
    found = compare(values)
    assert found.pairs + found.dropped == len(values)
    assert found.outcome in (FASTER, SLOWER, TIE, UNSURE)


@pytest.mark.parametrize("count", [3, 5, 7, 9, 15, 25, 49, 75, 201])
def test_the_interval_of_the_median_is_what_resampling_gives(count: int) -> None:
    """Between the percentiles of 2 and 3 % of 10,000 resamples at either end."""
    rng = np.random.default_rng(count)
    values = rng.lognormal(0, 0.2, count)
    medians = np.median(values[rng.integers(0, count, (10_000, count))], axis=1)
    found = interval_of_median(values.tolist())
    assert found is not None
    assert np.quantile(medians, 0.015) <= found[0] <= np.quantile(medians, 0.035)
    assert np.quantile(medians, 0.965) <= found[1] <= np.quantile(medians, 0.985)


def test_two_values_have_no_interval() -> None:
    assert interval_of_median([1.0, 2.0]) is None
    assert interval_of_median([3.0, 1.0, 2.0]) == (1.0, 3.0)


@given(st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=30))
def test_quartiles_and_spread_are_numpy_s(values: list[float]) -> None:
    assert quartiles(values) == pytest.approx(tuple(np.quantile(values, [0.25, 0.75])))
    assert spread(values) == pytest.approx(np.std(values, ddof=1) / np.mean(values), rel=1e-6, abs=1e-9)


def test_durations_are_finite_and_above_0() -> None:
    assert usable([1.0, 0.0, -1.0, math.nan, math.inf, 2.0]) == [1.0, 2.0]
