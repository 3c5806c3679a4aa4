"""Units: numbers as text for people."""

from __future__ import annotations

import pytest

from backends import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0032, "3.20 ms"),
        (0.99996, "1.0 s"),
        (4.24, "4.2 s"),
        (41, "41 s"),
        (99.6, "100 s"),
        (372, "6.2 min"),
        (2_460, "41 min"),
        (12_600, "3.5 h"),
        (181_440, "2.1 days"),
    ],
)
def test_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert units.spoken(seconds) == text
