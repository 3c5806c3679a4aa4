"""Where the panels stand at each size, which of them takes the keys, and what panel 3 says."""

from __future__ import annotations

import re

import pytest

from backends.bench.configuration import configurations_of
from backends.runs import events
from backends.runs.run import Run
from tests.tui.driving import LARGE, at_progress, frame, planned, recording, settle, show, showing, until, words
from tests.tui.recorded import RecordedJob, facts, plan_of
from tui.app import ImgstoreApp
from tui.draft import Draft, Row, first_draft
from tui.labels import identify
from tui.screens.workbench import PANELS
from tui.verdict import verdict_rows
from tui.widgets.chart import ChartPanel

LONG = plan_of(
    *("files", "lmdb", "hdf5", "npy"),
    operations=("store", "read", "shuffled", "store-one", "read-one"),
    caches=("warm", "cold"),
    repeats=1,
)
"""A plan whose verdict is longer than the screen."""


@pytest.mark.parametrize("size", [(60, 18), (80, 24), (80, 36), (120, 24), (120, 36), (200, 50)], ids=str)
async def test_panels_stand_in_reading_order(app: ImgstoreApp, size: tuple[int, int]) -> None:
    async with showing(app, size=size) as pilot:
        shown = frame(pilot).splitlines()
        assert len(shown) == size[1]
        regions = [panel.region for name in PANELS if (panel := app.workbench.query_one(name)).display]
        assert len(regions) == (5 if size[0] >= 120 else 4)
        titles = ("1 Dataset", "2 Backends", "3 Run", "4 Charts", "5 Verdict")
        for title, region in zip(titles, regions, strict=False):
            assert shown[region.y][region.x : region.right].strip("╭─ ").startswith(title)
        assert [region.y for region in regions[:4]] == sorted({region.y for region in regions[:4]})
        assert regions[3].bottom == size[1] - 1
        if len(regions) == 5:
            assert (regions[4].y, regions[4].x, regions[4].right) == (regions[3].y, regions[3].right, size[0])
        assert shown[-1].startswith(" Enter verdict")
        assert shown[-1].endswith("q quit")


@pytest.mark.parametrize(
    ("names", "rows"),
    [(("files", "lmdb", "hdf5"), 11), (("files", "lmdb", "hdf5", "npy", "tar", "sqlite", "lmdb+png", "hdf5+png"), 9)],
)
async def test_chart_keeps_its_rows_at_80x24(app: ImgstoreApp, names: tuple[str, ...], rows: int) -> None:
    async with showing(app, plan=plan_of(*names)):
        assert app.workbench.query_one(ChartPanel).size.height == rows


async def test_sizes_that_do_not_fit_are_reached_by_arrows(app: ImgstoreApp) -> None:
    plan = plan_of("files", "lmdb", sizes=tuple(10**power for power in range(8)), repeats=1)
    async with showing(app, plan=plan) as pilot:
        title, head = frame(pilot).splitlines()[2:4]
        assert ("← → more sizes" in title, "10M" in head) == (True, False)
        await pilot.press("right", "right")
        title, head = frame(pilot).splitlines()[2:4]
        assert ("← → more sizes" in title, "10M" in head, " 10 " in head) == (True, True, False)


async def test_click_on_key_in_edge_acts_as_the_key(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        row = next(row for row, line in enumerate(frame(pilot).splitlines()) if "t table" in line)
        await pilot.click(offset=(frame(pilot).splitlines()[row].index("t table"), row))
        assert "4 Numbers" in frame(pilot)


async def test_ticked_rows_come_first_during_a_run(app: ImgstoreApp) -> None:
    plan = plan_of("npy", "hdf5")
    rows = configurations_of("files+png", "lmdb+raw", "sqlite+raw", "tar+raw", "hdf5+raw", "npy+raw")
    async with planned(app) as pilot:
        app.workbench.draft = Draft(tuple(Row(name, name in plan.configurations) for name in rows))
        await show(pilot, recording(plan, end=at_progress(10_000)), plan)
        assert [line[8:12] for line in frame(pilot).splitlines() if line.startswith("│ [")] == ["hdf5", "npy "]
        assert "4 more below" in frame(pilot)


async def test_ticked_rows_stay_on_top_with_the_cursor(app: ImgstoreApp) -> None:
    def rows() -> list[str]:
        return [line[2:12].strip() for line in frame(pilot).splitlines() if line.startswith("│ [")]

    async with planned(app) as pilot:
        await pilot.press("space")
        assert rows() == ["[x] ▲ lmdb", "[x] ■ hdf5", "[ ] ● file"]
        await pilot.press("space")
        assert rows() == ["[x] ● file", "[x] ▲ lmdb", "[x] ■ hdf5"]


async def test_new_row_is_visible_below_ticked_ones(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        app.workbench.draft = first_draft().for_dataset(facts())
        for text in ("lmdb+png", "tar+png", "sqlite+jpeg"):
            app.workbench.change(app.workbench.draft.add(text))
            await pilot.pause()
            assert " ".join(text.split("+")) in words(pilot).replace("  ", " ")
            assert app.workbench.table.configuration == text


@pytest.mark.parametrize("width", [34, 60])
def test_names_in_the_verdict_stay_different(width: int) -> None:
    folders = [f"lmdb@/scratch/a/very/long/name/of/a/folder/{letter}" for letter in "ab"]
    plan = plan_of("hdf5+png:level=2", "hdf5+png:level=3", *folders)
    rows = verdict_rows(Run(plan).after(*recording(plan).told), identify(plan.configurations), width)
    text = "\n".join(map(str, rows)).partition("Store, 50,000 images")[2].partition("Read,")[0]
    assert len(set(re.findall(r"^. . (\S+) +\d+ ms", text, re.MULTILINE))) == 4


@pytest.mark.parametrize(("size", "key"), [((60, 18), "v"), (LARGE, "v"), (LARGE, "5")])
async def test_verdict_scrolls_by_keys(app: ImgstoreApp, size: tuple[int, int], key: str) -> None:
    async with showing(app, plan=LONG, size=size) as pilot:
        await pilot.press(key)
        text = app.workbench.focused
        assert text is not None
        assert text.max_scroll_y > 0
        for down, up in (("j", "k"), ("down", "up"), ("pagedown", "pageup"), ("G", "g"), ("end", "home")):
            await pilot.press(down)
            bottom = text.max_scroll_y if down in ("G", "end") else 1
            await until(pilot, lambda bottom=bottom: text.scroll_y >= bottom)  # type: ignore[misc]
            await pilot.press(up)
            await until(pilot, lambda: text.scroll_y == 0)


async def test_edge_says_where_there_is_more(app: ImgstoreApp) -> None:
    async with showing(app, plan=LONG) as pilot:
        marks = []
        for key in ("v", "pagedown", "G", "g"):
            await pilot.press(key)
            await settle(pilot)
            marks.append(frame(pilot).splitlines()[-2].partition("j k")[0].strip("╰─ "))
        assert marks == ["▼", "▲▼", "▲", "▼"]


async def test_frames_of_a_run_keep_their_edges_and_figures(app: ImgstoreApp) -> None:
    told = recording(plan_of(repeats=1, operations=("store",))).told
    async with showing(app, recording(end=lambda event: isinstance(event, events.TrialStarted))) as pilot:
        bench, edges, known = app.workbench, set(), set[str]()
        bench.run = run = Run(plan_of(repeats=1, operations=("store",)))
        for event in told:
            bench.run = run = run.after(event)
            await pilot.pause()
            lines = frame(pilot).splitlines()
            edges.add(tuple((number, line[:7]) for number, line in enumerate(lines) if line[:1] in "╭╰─"))
            shown = {figure for line in lines[4:7] for figure in re.findall(r"[\d.]+ [µm]?s", line)}
            assert known <= shown
            known = shown
        assert (len(edges), len(known)) == (1, 15)


@pytest.mark.parametrize("keys", [("v", "f"), ("f", "v"), ("5", "f")], ids="-".join)
async def test_full_verdict_takes_the_keys_of_the_table(app: ImgstoreApp, keys: tuple[str, ...]) -> None:
    async with showing(app, plan=LONG, size=(120, 24)) as pilot:
        before = app.workbench.draft
        await pilot.press(*keys)
        assert "2 Backends" not in frame(pilot)
        await pilot.press("space", "c", "minus", "j")
        assert app.workbench.draft == before
        text = app.workbench.focused
        assert text is not None
        await until(pilot, lambda: text.scroll_y == 1)


async def test_full_charts_give_way_to_a_panel_key(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        before = frame(pilot)
        await pilot.press("f")
        await settle(pilot)
        charts = app.workbench.query_one(ChartPanel)
        assert (charts.region.size, charts.has_focus) == ((80, 23), True)
        await pilot.press("2")
        await settle(pilot)
        assert frame(pilot) == before
        await pilot.press("5")
        assert "─ 4 Verdict " in frame(pilot)


async def test_table_takes_the_keys_after_the_verdict(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        await pilot.press("v", "f", "escape", "escape", "space")
        assert "│ [ ] ● files" in frame(pilot)


async def test_run_panel_tells_progress_then_the_chart(app: ImgstoreApp) -> None:
    plan = plan_of(operations=("store", "shuffled"))
    async with showing(app, recording(plan, end=at_progress(50_000, nth=2)), plan) as pilot:
        assert " elapsed, about " in frame(pilot)
        assert "● files store 50,000" in frame(pilot)
        await show(pilot, RecordedJob(recording(plan).told, id="ended"), plan)
        assert "trials verified ─" in frame(pilot)
        for key, sentence in (
            ("", "Store 50,000: ■ hdf5 49.9 ms > ▲ lmdb 467 ms (9.4x) > ● files 2.17 s (44x)"),
            ("right_square_bracket", "Shuffled 50,000: ■ hdf5 118 ms = ▲ lmdb 117 ms > ● files 1.86 s (16x)"),
            ("d", "On disk, 50,000 images: ■ hdf5 147 MiB · ● files 1.3x · ▲ lmdb 1.3x"),
            ("d", "Trade-off 50,000: "),
        ):
            await pilot.press(*([key] if key else []))
            assert sentence in frame(pilot)


async def test_references_are_not_ranked_in_run_panel(app: ImgstoreApp) -> None:
    async with showing(app, plan=plan_of("files", "lmdb", limits=True)) as pilot:
        assert "Store 50,000: ▲ lmdb 467 ms > ● files 2.17 s (4.7x)" in frame(pilot)
