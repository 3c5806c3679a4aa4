"""Durations as one says them."""

from __future__ import annotations

import pytest

from backends import units


@pytest.mark.parametrize(
    ("seconds", "said"),
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
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert units.spoken(seconds) == said
