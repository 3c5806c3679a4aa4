"""Figures and comparisons: what they hold, and how often they are right."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.analysis.figures import (
    FASTER,
    SLOWER,
    TIE,
    UNDECIDED,
    compare,
    paired_ratios,
    quartiles,
    spread,
    summarise,
)
from tests.backends.analysis.measured import measured, noisy

TRIES = 1_000


def outcomes(factor: float, noise: float, repeats: int, hiccups: float = 0.0) -> Counter[str]:
    """How comparisons come out where one thing takes ``factor`` times the other's seconds."""
    rng = random.Random(f"{factor} {noise} {repeats} {hiccups}")

    def once(seconds: float) -> float:
        return noisy(seconds, noise, 1, rng)[0] * (1 + rng.expovariate(1) if rng.random() < hiccups else 1)

    return Counter(compare(once(factor) / once(1) for _ in range(repeats)).outcome for _ in range(TRIES))


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("hiccups", [0.0, 0.1])
@pytest.mark.parametrize("repeats", [3, 5, 10, 60])
def test_equals_differ_in_5_of_100_comparisons(noise: float, hiccups: float, repeats: int) -> None:
    found = outcomes(1, noise, repeats, hiccups)
    assert found[FASTER] + found[SLOWER] <= 0.065 * TRIES


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
def test_tenth_is_found_by_five_repeats_in_90_percent(noise: float) -> None:
    """The noise is that of either side: ratios scatter by 1.4 times as much."""
    found = outcomes(1.1, noise, 5)
    assert found[SLOWER] >= 0.9 * TRIES
    assert found[FASTER] == 0


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_repeats_that_are_needed_find_a_tenth(noise: float) -> None:
    rng = random.Random(noise)
    ratios = [noisy(1, noise, 1, rng)[0] / noisy(1, noise, 1, rng)[0] for _ in range(500)]
    needed = compare(ratios).needed
    assert needed is not None
    assert needed > 5
    assert outcomes(1.1, noise, needed)[SLOWER] >= 0.87 * TRIES
    assert outcomes(1.1, noise, needed // 2)[SLOWER] < 0.87 * TRIES


def test_tie_excludes_difference_of_tenth() -> None:
    assert outcomes(1.1, 0.02, 5)[TIE] <= 0.03 * TRIES
    assert outcomes(1.0, 0.02, 5)[TIE] >= 0.9 * TRIES
    assert outcomes(1.0, 0.3, 5)[UNDECIDED] >= 0.9 * TRIES


def test_difference_that_matters_to_nobody_is_tie() -> None:
    assert compare([1.02] * 10).outcome == TIE
    assert compare([1.04] * 10).outcome == SLOWER
    assert compare([1 / 1.04] * 10).outcome == FASTER


@pytest.mark.parametrize(("pairs", "t"), [(3, 4.303), (5, 2.776), (10, 2.262), (31, 2.042)])
def test_interval_is_student_s(pairs: int, t: float) -> None:
    """A mean just within the interval is not set apart from 1, one just outside is."""
    logs = np.array([*np.linspace(-1, 1, pairs)])
    half = t * np.std(logs, ddof=1) / math.sqrt(pairs)
    assert compare(np.exp(logs + 0.96 * half)).outcome == UNDECIDED
    assert compare(np.exp(logs + 1.01 * half)).outcome == SLOWER


def test_fewer_than_three_pairs_are_undecided() -> None:
    found = compare([5.0, 5.0])
    assert (found.outcome, found.pairs, found.needed) == (UNDECIDED, 2, None)
    assert found.ratio == pytest.approx(5)
    assert compare([]).ratio is None


def test_comparison_drops_what_is_no_duration() -> None:
    seconds = {1: 2.0, 2: 0.0, 3: 2.0, 4: math.nan, 5: 2.0, 6: math.inf, 7: -1.0, 8: 2.0}
    found = compare(paired_ratios(seconds, dict.fromkeys(range(1, 8), 1.0)))
    assert found.ratio == pytest.approx(2)
    assert (found.pairs, found.dropped) == (3, 4)


def test_only_blocks_that_both_have_are_paired() -> None:
    assert paired_ratios({1: 2.0, 3: 9.0}, {3: 3.0, 2: 1.0}) == [3.0]


@given(st.lists(st.floats(), max_size=20))
def test_no_number_breaks_a_comparison(values: list[float]) -> None:
    found = compare(values)
    assert found.pairs + found.dropped == len(values)
    assert found.outcome in (FASTER, SLOWER, TIE, UNDECIDED)


@given(st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=30))
def test_quartiles_and_spread_are_numpy_s(values: list[float]) -> None:
    assert quartiles(values) == pytest.approx(tuple(np.quantile(values, [0.25, 0.75])))
    assert spread(values) == pytest.approx(np.std(values, ddof=1) / np.mean(values), rel=1e-6, abs=1e-9)


def test_figure_has_samples_and_spread() -> None:
    found = measured("lmdb+raw", "read cold", 10, [3.0, 1.0, 2.0, 5.0, 4.0], cpu_seconds=0.5)
    found[1] = replace(found[1], resident=0.07)
    (figure,) = summarise(found)
    assert (figure.seconds, figure.repeats, figure.samples) == (3.0, 5, (3.0, 1.0, 2.0, 5.0, 4.0))
    assert (figure.quartiles, figure.range, figure.cpu_seconds) == ((2.0, 4.0), (1.0, 5.0), 0.5)
    assert figure.spread == pytest.approx(math.sqrt(2.5) / 3)
    assert figure.resident == 0.07


def test_figure_drops_what_is_no_duration() -> None:
    (figure,) = summarise(measured("lmdb+raw", "read", 10, [1.0, 0.0, math.nan, -2.0, math.inf, 3.0]))
    assert (figure.seconds, figure.repeats, figure.dropped, figure.samples) == (2.0, 2, 4, (1.0, 3.0))


def test_figure_without_repeats_is_empty() -> None:
    (figure,) = summarise(measured("lmdb+raw", "read", 10, [0.0]))
    assert (figure.seconds, figure.quartiles, figure.range, figure.spread) == (None, None, None, None)


def test_numpy_is_not_needed() -> None:
    code = "import sys, backends.analysis.figures, backends.analysis.verdict; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
