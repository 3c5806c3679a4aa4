from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui.hostile import MARKUP, SEQUENCES
from tui.text import fit, safe_text, short

ANY_TEXT = st.text(st.characters(codec=None), max_size=300)


@given(ANY_TEXT, st.integers(1, 300))
def test_safe_text_is_one_printable_line_within_its_limit(value: str, limit: int) -> None:
    shown = safe_text(value, limit)
    assert len(shown) <= limit
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in shown)


@pytest.mark.parametrize("value", [*MARKUP, "cat", "größe", "日本語", "a b", "\\"])
def test_safe_text_leaves_printable_text_alone(value: str) -> None:
    assert safe_text(value) == value


@pytest.mark.parametrize("value", SEQUENCES, ids=ascii)
def test_safe_text_spells_out_what_a_terminal_would_obey(value: str) -> None:
    shown = safe_text(value)
    assert shown != value
    assert any(mark in shown for mark in ("\\x", "\\u"))


@given(st.text(max_size=60).map(safe_text), st.integers(0, 80), st.booleans())
def test_fit_gives_exactly_the_cells_asked_for(value: str, width: int, right: bool) -> None:
    assert cell_len(fit(value, width, right=right)) == width or (width == 0 and not fit(value, width))


@given(st.text(max_size=60).map(safe_text), st.integers(1, 80))
def test_short_never_takes_more_cells_than_there_are(value: str, width: int) -> None:
    assert cell_len(short(value, width)) <= width


def test_short_keeps_the_end_of_a_path() -> None:
    assert short("/a/very/long/path/to/images", 12) == "…h/to/images"
