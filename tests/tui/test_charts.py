from __future__ import annotations

import itertools
import math
import re
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.bars import Bar, draw_bars
from tui.charts import Curve, TimeChart, draw_times, dropped

FILES = Curve("files", "●", "$a", ((10, 0.0014), (100, 0.0053), (1000, 0.0444), (10_000, 0.436)))
LMDB = Curve("lmdb", "▲", "$b", ((10, 0.0009), (100, 0.0017), (1000, 0.0101), (10_000, 0.0941)))
HDF5 = Curve("hdf5", "■", "$c", ((10, 0.0012), (100, 0.0013), (1000, 0.0021), (10_000, 0.0109)))
CHART = TimeChart((FILES, LMDB, HDF5), (10, 100, 1000, 10_000), "Number of images", "Seconds to store")
LINEAR = replace(CHART, log=False)


def text_of(chart: TimeChart, width: int = 70, height: int = 14) -> list[str]:
    return ["".join(text for text, _ in row) for row in draw_times(chart, width, height)]


@pytest.mark.parametrize("chart", [CHART, LINEAR], ids=["log", "linear"])
@pytest.mark.parametrize("size", [(0, 0), (1, 1), (3, 2), (12, 4), (24, 7), (76, 12), (200, 45)])
def test_a_chart_fills_exactly_its_cells(chart: TimeChart, size: tuple[int, int]) -> None:
    rows = text_of(chart, *size)
    assert len(rows) == size[1]
    assert all(cell_len(row) == size[0] for row in rows)


@settings(deadline=None, max_examples=100)
@given(
    points=st.lists(st.tuples(st.integers(-5, 10**7), st.floats(allow_nan=True)), max_size=6),
    size=st.tuples(st.integers(0, 90), st.integers(0, 30)),
    log=st.booleans(),
)
def test_any_data_at_any_size_draws(points: list[tuple[float, float]], size: tuple[int, int], log: bool) -> None:
    counts = tuple(int(x) for x, _ in points if x > 0)
    rows = text_of(TimeChart((Curve("a", "●", "", tuple(points)),), counts, "x", "y", log), *size)
    assert [cell_len(row) for row in rows] == [size[0]] * size[1]


def test_what_is_not_positive_and_finite_is_dropped_and_counted() -> None:
    bad = replace(FILES, points=(*FILES.points, (10, 0.0), (10, -1.0), (10, math.nan), (10, math.inf), (0, 1.0)))
    assert dropped(replace(CHART, curves=(bad,))) == 5
    assert text_of(replace(CHART, curves=(bad,))) == text_of(replace(CHART, curves=(FILES,)))


def test_every_measured_point_has_its_mark() -> None:
    apart = replace(CHART, curves=(FILES, replace(HDF5, points=tuple((x, y / 50) for x, y in HDF5.points))))
    drawn = "".join(text_of(apart, 80, 20))
    assert (drawn.count("●"), drawn.count("■")) == (4, 4)


def test_every_curve_has_its_name_and_none_overlaps() -> None:
    same = tuple(replace(FILES, name=name) for name in ("files", "lmdb+png", "tar", "npy"))
    drawn = " ".join(text_of(replace(CHART, curves=same), 80, 14))
    assert [name for name in ("files", "lmdb+png", "tar", "npy") if re.search(rf"(^| ){re.escape(name)} ", drawn)] == [
        "files",
        "lmdb+png",
        "tar",
        "npy",
    ]


@pytest.mark.parametrize(("factor", "before"), [(1.02, True), (0.98, False)])
def test_the_name_of_a_hidden_end_stands_on_the_side_of_its_value(factor: float, before: bool) -> None:
    hidden = replace(LMDB, points=tuple((x, y * factor) for x, y in FILES.points))
    top = replace(HDF5, points=tuple((x, y * 20) for x, y in FILES.points))
    rows = text_of(replace(CHART, curves=(hidden, FILES, top)), 80, 14)
    (files,), (lmdb,) = ([row for row, text in enumerate(rows) if f" {name} " in text] for name in ("files", "lmdb"))
    assert "● files" in rows[files]
    assert lmdb == files - 1 if before else lmdb == files + 1


def test_the_seconds_have_decades_as_ticks_in_whole_rows() -> None:
    ticks = [
        (row, found[1]) for row, line in enumerate(text_of(CHART, 70, 16)) if (found := re.match(r" *(.+) ┤", line))
    ]
    assert [text for _, text in ticks] == ["100 ms", "10 ms", "1 ms"]
    gaps = {below - above for (above, _), (below, _) in itertools.pairwise(ticks)}
    assert len(gaps) == 1


@pytest.mark.parametrize(("chart", "ticks"), [(CHART, "10 100 1k 10k"), (LINEAR, "0 2k 4k 6k 8k 10k")])
def test_the_images_have_ticks_that_people_say(chart: TimeChart, ticks: str) -> None:
    assert text_of(chart)[-1].split() == ticks.split()


def test_a_linear_axis_starts_at_zero_and_has_even_steps() -> None:
    labels = [line.split("┤")[0].strip() for line in text_of(LINEAR, 70, 14) if "┤" in line]
    assert labels == ["500 ms", "400 ms", "300 ms", "200 ms", "100 ms", "0"]


def test_the_axes_have_their_words() -> None:
    drawn = "\n".join(text_of(CHART))
    assert "Seconds to store" in drawn
    assert "Number of images" in drawn


def test_the_focused_curve_is_drawn_last() -> None:
    same = (FILES, replace(LMDB, points=FILES.points), replace(HDF5, points=FILES.points))
    for focus, role in ((0, "$a"), (1, "$b"), (2, "$c")):
        rows = draw_times(replace(CHART, curves=same, focus=focus), 70, 14)
        assert {found for row in rows for text, found in row if set(text) & set("●▲■")} == {role}


def test_threads_that_draw_at_once_do_not_mix_their_charts() -> None:
    charts = [replace(CHART, counts=(10, 100, 1000, 10_000 + n)) for n in range(24)]
    alone = [draw_times.__wrapped__(chart, 70, 14) for chart in charts]
    found: dict[int, object] = {}

    def work(number: int) -> None:
        found[number] = draw_times.__wrapped__(charts[number], 70, 14)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(charts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(charts))] == alone


@pytest.mark.parametrize("values", [(196.0, 147.0), (1.0, 0.0), (0.0, 0.0), (1e300, 1.0), (math.inf, 1.0)])
@pytest.mark.parametrize("size", [(0, 0), (10, 3), (40, 1), (76, 10)])
def test_bars_fill_exactly_their_cells(values: tuple[float, ...], size: tuple[int, int]) -> None:
    rows = draw_bars(tuple(Bar("a", "●", "", value, f"{value:.3g} B", "1 file") for value in values), *size)
    assert [cell_len("".join(text for text, _ in row)) for row in rows] == [size[0]] * size[1]


def test_a_bar_is_as_long_as_its_value() -> None:
    bars = (Bar("a", "●", "$a", 100.0, "100 B"), Bar("b", "▲", "$b", 50.0, "50 B"))
    lengths = ["".join(text for text, _ in row).count("█") for row in draw_bars(bars, 60, 3) if row]
    assert lengths[0] == pytest.approx(2 * lengths[2], abs=1)
