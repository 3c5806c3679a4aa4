"""Figures of a run."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from backends.analysis.figures import summarise
from tests.backends.analysis.measured import measured


def test_a_figure_has_its_samples_and_how_sure_it_is() -> None:
    found = measured("lmdb+raw", "read cold", 10, [3.0, 1.0, 2.0, 5.0, 4.0], cpu_seconds=0.5)
    found[1] = replace(found[1], resident=0.07)
    (figure,) = summarise(found)
    assert (figure.seconds, figure.repeats, figure.samples) == (3.0, 5, (3.0, 1.0, 2.0, 5.0, 4.0))
    assert (figure.quartiles, figure.range, figure.cpu_seconds) == ((2.0, 4.0), (1.0, 5.0), 0.5)
    assert figure.spread == pytest.approx(math.sqrt(2.5) / 3)
    assert figure.resident == 0.07


def test_what_is_no_duration_is_dropped_and_counted() -> None:
    (figure,) = summarise(measured("lmdb+raw", "read", 10, [1.0, 0.0, math.nan, -2.0, math.inf, 3.0]))
    assert (figure.seconds, figure.repeats, figure.dropped, figure.samples) == (2.0, 2, 4, (1.0, 3.0))


def test_a_figure_without_repeats_has_nothing() -> None:
    (figure,) = summarise(measured("lmdb+raw", "read", 10, [0.0]))
    assert (figure.seconds, figure.quartiles, figure.range, figure.spread) == (None, None, None, None)


def test_numpy_is_not_needed() -> None:
    code = "import sys, backends.analysis.figures, backends.analysis.verdict; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
