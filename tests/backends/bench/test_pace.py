"""Budgets: what is predicted, and what has to go."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backends.bench.budget import Pace
from backends.bench.measurement import Trial
from backends.bench.trial import blank
from backends.datasets import open_dataset

FACTS = open_dataset("sample").facts()
FAST = Trial(0, "npy+raw", "store", 1000, 1)
SLOW = Trial(1, "files+png", "store", 1000, 1)
SLOW_READ = Trial(2, "files+png", "read", 1000, 1, reads=1)
BLOCK = (SLOW, SLOW_READ, FAST)


def pace(budget: float | None) -> Pace:
    found = Pace(budget, FACTS, time.monotonic())
    for trial, seconds in ((FAST, 0.1), (SLOW, 300.0), (SLOW_READ, 100.0)):
        found.learn(trial, seconds, replace(blank(trial, "ok"), seconds=seconds))
    return found


def test_what_was_learnt_is_scaled_to_larger_counts_only() -> None:
    known = pace(None)
    assert known.predict(SLOW) == 300.0
    assert 1500.0 <= known.predict(replace(SLOW, count=5000)) <= 5000.0
    assert known.predict(replace(SLOW, count=10)) == 300.0
    assert 0 < known.predict(replace(SLOW, configuration="lmdb+raw")) < 10


def test_a_warm_up_teaches_nothing() -> None:
    known = Pace(None, FACTS, time.monotonic())
    known.learn(replace(SLOW, repeat=0), 300.0, replace(blank(SLOW, "ok"), seconds=300.0))
    assert known.predict(SLOW) < 10


def test_without_a_budget_everything_is_done() -> None:
    assert pace(None).unaffordable(BLOCK) == {}
    assert pace(None).left() is None


@pytest.mark.parametrize(
    ("budget", "skipped"),
    [(1000.0, {}), (350.0, {2: 100.0}), (200.0, {1: 300.0, 2: 100.0}), (0.01, {0: 0.1, 1: 300.0, 2: 100.0})],
)
def test_the_cheapest_are_kept_and_no_read_without_its_store(budget: float, skipped: dict[int, float]) -> None:
    assert pace(budget).unaffordable(BLOCK) == skipped
