"""Charts as text: cells, axes, names beside their lines, bars, colours, threads."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tui.chart_data import LOW, PREDICTED, Bar, Bars, Chart, Curve, TimeChart, TradeOff, dropped
from tui.charts import draw
from tui.theme import DARK, LIGHT, SIXTEEN, palette, themes

FILES = Curve("files", "●", "$series-files", ((10, 0.0014), (100, 0.0053), (1000, 0.0444), (10_000, 0.436)))
LMDB = Curve("lmdb", "▲", "$series-lmdb", ((10, 0.0009), (100, 0.0017), (1000, 0.0101), (10_000, 0.0941)))
HDF5 = Curve("hdf5", "■", "$series-hdf5", ((10, 0.0012), (100, 0.0013), (1000, 0.0021), (10_000, 0.0109)))
NPY = Curve("npy", "◆", "$series-npy", tuple((x, y * 0.95) for x, y in HDF5.points))
SQLITE = Curve("sqlite", "✚", "$series-sqlite", tuple((x, y * 0.99) for x, y in FILES.points))
FIVE = (FILES, LMDB, HDF5, NPY, SQLITE)
CHART = TimeChart((FILES, LMDB, HDF5), (10, 100, 1000, 10_000), "images", "Seconds to store")
LINEAR = replace(CHART, log=False)
BARS = Bars("Allocated on disk", (Bar("a", "●", "$a", 100.0, "100 B"), Bar("b", "▲", "$b", 50.0, "50 B", "1 file")))
TRADE_OFF = TradeOff(
    "Nothing else is both faster and smaller: lmdb",
    tuple(replace(one, points=((1e6 * 8**n, 1e5 / 3**n),)) for n, one in enumerate((LMDB, HDF5, FILES))),
    ((1e6, 1e5), (8e6, 1e5 / 3)),
    "Bytes on disk",
    "Images a second",
)
SIZES = [(0, 0), (1, 1), (3, 2), (12, 4), (20, 3), (24, 7), (56, 4), (76, 12), (200, 45)]


def rows_of(chart: Chart, width: int = 70, height: int = 14) -> list[str]:
    return draw(chart, width, height).plain.split("\n")[:height]


def row_with(rows: list[str], text: str) -> int:
    (match,) = (number for number, row in enumerate(rows) if re.search(rf"{text}( |$)", row))
    return match


def colour_at(text: Text, words: str) -> object:
    """The colour in which words are written: RGB, a number of the sixteen, or None."""
    colour = text.get_style_at_offset(Console(), text.plain.index(words)).color
    return None if colour is None or colour.is_default else colour.triplet or colour.number


@pytest.mark.parametrize("chart", [CHART, LINEAR, BARS, TRADE_OFF], ids=["log", "linear", "bars", "trade-off"])
@pytest.mark.parametrize("size", SIZES)
def test_chart_fills_exactly_its_cells(chart: Chart, size: tuple[int, int]) -> None:
    rows = rows_of(chart, *size)
    assert len(rows) == size[1]
    assert {cell_len(row) for row in rows} <= {size[0]}


@settings(deadline=None, max_examples=100)
@given(
    points=st.lists(st.tuples(st.integers(-5, 10**7), st.floats(allow_nan=True)), max_size=6),
    size=st.tuples(st.integers(0, 90), st.integers(0, 30)),
    name=st.text(max_size=12).filter(str.isprintable),
    log=st.booleans(),
)
def test_any_data_draws_at_any_size(
    points: list[tuple[float, float]], size: tuple[int, int], name: str, log: bool
) -> None:
    counts = tuple(int(x) for x, _ in points if x > 0)
    rows = rows_of(TimeChart((Curve(name, "●", "", tuple(points)),), counts, "x", "y", log), *size)
    assert [cell_len(row) for row in rows] == [size[0]] * size[1]


def test_unusable_points_are_dropped_and_counted() -> None:
    bad = replace(FILES, points=(*FILES.points, (10, 0.0), (10, -1.0), (10, math.nan), (10, math.inf), (0, 1.0)))
    assert dropped([bad]) == 5
    drawn, clean = (rows_of(replace(CHART, curves=(curve,))) for curve in (bad, FILES))
    assert "Seconds to store (5 not positive, not drawn)" in drawn[0]
    assert drawn[1:] == clean[1:]


def test_each_curve_has_its_markers_and_its_name() -> None:
    apart = replace(CHART, curves=(FILES, replace(HDF5, points=tuple((x, y / 50) for x, y in HDF5.points))))
    drawn = "".join(rows_of(apart, 80, 20))
    assert (drawn.count("●"), drawn.count("■")) == (4, 4)
    rows = rows_of(CHART)
    for curve in CHART.curves:
        assert f"{curve.marker} {curve.name}" in rows[row_with(rows, curve.name)]


@pytest.mark.parametrize("size", [(80, 9), (60, 14), (200, 40)])
@pytest.mark.parametrize("focus", [None, 0, 4])
def test_colliding_names_stand_in_order_of_values(size: tuple[int, int], focus: int | None) -> None:
    rows = rows_of(replace(CHART, curves=FIVE, focus=focus), *size)
    by_value = sorted(FIVE, key=lambda curve: -curve.points[-1][1])
    positions = [row_with(rows, f"{curve.marker} {curve.name}") for curve in by_value]
    assert positions == sorted(set(positions))


def test_name_of_a_short_curve_covers_no_line() -> None:
    early = replace(LMDB, points=LMDB.points[:2])
    rows = rows_of(replace(CHART, curves=(FILES, early, HDF5)), 90, 16)
    without = rows_of(replace(CHART, curves=(FILES, replace(early, name=""), HDF5)), 90, 16)
    assert "▲ lmdb" in "".join(rows)
    strokes = [sum(0x2800 <= ord(char) <= 0x28FF for char in "".join(drawn)) for drawn in (rows, without)]
    assert strokes[0] >= strokes[1]


def test_log_axis_has_decades_at_equal_distances() -> None:
    ticks = [(row, tick[1]) for row, line in enumerate(rows_of(CHART, 70, 16)) if (tick := re.match(r" *(.+) ┤", line))]
    assert [text for _, text in ticks] == ["1 s", "100 ms", "10 ms", "1 ms"]
    assert len({below - above for (above, _), (below, _) in itertools.pairwise(ticks)}) == 1


def test_linear_axis_starts_at_zero_with_even_steps() -> None:
    labels = [line.split("┤")[0].strip() for line in rows_of(LINEAR) if "┤" in line]
    assert labels == ["500 ms", "400 ms", "300 ms", "200 ms", "100 ms", "0"]
    assert rows_of(LINEAR)[-1].split() == ["0", "2k", "4k", "6k", "8k", "10k", "images"]


def test_crowded_ticks_keep_a_blank_between_them() -> None:
    assert rows_of(CHART)[-1].split() == ["10", "100", "1k", "10k", "images"]
    counts = (10, 11, 12, 100, 1000, 9000, 10_000)
    words = rows_of(replace(CHART, counts=counts), 50)[-1].split()
    assert set(words) <= {"10", "11", "12", "100", "1k", "9k", "10k", "images"}
    assert words[-2:] == ["10k", "images"]


@pytest.mark.parametrize("points", [0, 1])
def test_x_axis_stays_while_points_come_in(points: int) -> None:
    started = tuple(replace(curve, points=curve.points[:points]) for curve in CHART.curves)
    assert rows_of(replace(CHART, curves=started))[-2:] == rows_of(CHART)[-2:]


@pytest.mark.parametrize("focus", [0, 2])
def test_focused_curve_is_drawn_last(focus: int) -> None:
    same = (FILES, replace(LMDB, points=FILES.points), replace(HDF5, points=FILES.points))
    plot = "".join(row[:60] for row in rows_of(replace(CHART, curves=same, focus=focus), 80))
    assert set(plot) & set("●▲■") == {same[focus].marker}


def test_prediction_leads_to_a_hollow_marker() -> None:
    chart = replace(CHART, curves=(replace(FILES, predicted=(50_000, 2.2)), LMDB), counts=(*CHART.counts, 50_000))
    rows = rows_of(chart, 80)
    (end,) = (row for row in rows if PREDICTED in row)
    assert re.search(rf"{PREDICTED} +● files", end)
    assert sum(row.count("·") for row in rows) > 2
    assert "50k" in rows[-1]


@pytest.mark.parametrize(("height", "bars"), [(LOW - 1, True), (LOW, False)])
def test_low_chart_has_bars_of_the_largest_count(height: int, bars: bool) -> None:
    drawn = "\n".join(rows_of(CHART, 56, height))
    assert ("Seconds to store, 10k images" in drawn and "436 ms  40x" in drawn) is bars
    assert ("█" in drawn) is bars
    rows = rows_of(replace(CHART, curves=FIVE), 56, 4)
    assert "first 3 of 5" in rows[0]
    assert [row.split()[1] for row in rows[1:]] == ["npy", "hdf5", "lmdb"]


@pytest.mark.parametrize("values", [(196.0, 147.0), (0.0, 0.0), (1e300, 1.0), (math.inf, 1.0)])
@pytest.mark.parametrize("size", SIZES)
def test_bars_of_any_values_fill_their_cells(values: tuple[float, ...], size: tuple[int, int]) -> None:
    bars = tuple(Bar("a", "●", "", value, f"{value:.3g} B", "1 file") for value in values)
    assert [cell_len(row) for row in rows_of(Bars("", bars), *size)] == [size[0]] * size[1]


def test_trade_off_has_each_name_beside_its_point() -> None:
    rows = rows_of(TRADE_OFF, 90, 16)
    assert TRADE_OFF.title in rows[0]
    for curve in TRADE_OFF.curves:
        assert f"{curve.marker} {curve.name}" in rows[1 + row_with(rows[1:], curve.name)]
    assert sum(row.count("·") for row in rows) > 3
    low = rows_of(TRADE_OFF, 70, 5)
    assert [row.split()[1] for row in low[2:]] == ["lmdb", "hdf5", "files"]
    assert ("100k img/s" in low[2], "977 KiB" in low[2]) == (True, True)


MANY = [replace(CHART, counts=(10, 100, 1000, 10_000 + 1000 * n), focus=n % 3) for n in range(24)]


def draw_at_once() -> list[str]:
    """Draw each of the charts in a thread of its own; nothing for one that fails."""
    with ThreadPoolExecutor(len(MANY)) as pool:
        drawings = [pool.submit(draw.__wrapped__, chart, 70, 14) for chart in MANY]
    return ["" if drawing.exception() else drawing.result().plain for drawing in drawings]


def draw_in_turn() -> list[str]:
    return [draw.__wrapped__(chart, 70, 14).plain for chart in MANY]


def test_charts_drawn_in_many_threads_are_right() -> None:
    alone = draw_in_turn()
    assert draw_at_once() == alone
    assert len(set(alone)) == len(alone)


def test_without_the_lock_threads_draw_wrong_charts() -> None:
    """In a process of its own, which plotext's C code may crash."""
    script = """
import contextlib, sys
import tui.charts
from tests.tui.test_charts import draw_at_once, draw_in_turn
alone = draw_in_turn()
tui.charts._LOCK = contextlib.nullcontext()
sys.setswitchinterval(1e-5)
sys.exit(all(draw_at_once() == alone for _ in range(20)))
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode != 1


@pytest.mark.parametrize("name", [DARK, LIGHT, SIXTEEN])
def test_each_theme_colours_a_name_with_its_marker(name: str) -> None:
    (theme,) = (theme for theme in themes() if theme.name == name)
    colours = palette({"foreground": theme.foreground or "", **theme.variables})
    drawn = draw(replace(CHART, curves=FIVE), 80, 20, colours)
    for curve in FIVE:
        for words in (f"{curve.marker} {curve.name}", curve.name):
            assert colour_at(drawn, words) == dict(colours)[curve.role]
    assert colour_at(drawn, "100 ms") == dict(colours)["$dim"]
    assert colour_at(drawn, "┤") == dict(colours)["$line"]
    assert not any(span.style.bgcolor for span in drawn.spans if isinstance(span.style, Style))
    assert draw(CHART, 70, 14, (("$series-files", 11), ("$dim", 7))).plain == draw(CHART, 70, 14).plain
    assert colour_at(draw(CHART, 70, 14), "files") is None
