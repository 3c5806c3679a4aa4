"""Where the panels stand at each size, which of them takes the keys, and what panel 3 says."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.driving import at_progress, frame, open_cifar, recording, settle, show, until
from tests.tui.recorded import RecordedJob, plan_of
from tui.app import ImgstoreApp
from tui.draft import Draft, Row
from tui.keys import View
from tui.screens.workbench import PANELS
from tui.widgets.chart import ChartPanel
from tui.widgets.configurations import BackendTable
from tui.widgets.verdict import ScrolledText, VerdictPanel

SIZES = [(60, 18), (80, 24), (80, 36), (120, 24), (120, 36), (200, 50)]
LONG = plan_of(
    *("files", "lmdb", "hdf5", "npy"),
    operations=("store", "read", "shuffled", "store-one", "read-one"),
    caches=("warm", "cold"),
    repeats=1,
)
"""A plan whose verdict is longer than the screen."""


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> ImgstoreApp:
    return ImgstoreApp(tmp_path_factory.mktemp("jobs"))


async def finished(pilot: Pilot[int], plan: object = None) -> None:
    """A run has ended."""
    await open_cifar(pilot)
    await show(pilot, recording(LONG if plan else None), LONG if plan else plan_of())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_panels_have_titles_in_reading_order(app: ImgstoreApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await finished(pilot)
        shown = frame(pilot).splitlines()
        assert len(shown) == size[1]
        panels = [app.workbench.query_one(one) for one in PANELS]
        regions = [panel.region for panel in panels if panel.display]
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
    [
        (("files", "lmdb", "hdf5"), 11),
        (("files", "lmdb", "hdf5", "npy", "tar"), 9),
        (("files", "lmdb", "hdf5", "npy", "tar", "sqlite", "lmdb+png", "hdf5+png"), 9),
    ],
)
async def test_the_chart_keeps_its_rows_at_80x24(app: ImgstoreApp, names: tuple[str, ...], rows: int) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        plan = plan_of(*names)
        await show(pilot, recording(plan), plan)
        assert app.workbench.query_one(ChartPanel).size.height == rows


async def test_ticked_rows_come_first_during_a_run(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_cifar(pilot)
        plan = plan_of("npy", "hdf5")
        rows = ("files+png", "lmdb+raw", "sqlite+raw", "tar+raw", "hdf5+raw", "npy+raw")
        app.workbench.draft = Draft(tuple(Row(name, name in plan.configurations) for name in rows))
        await show(pilot, recording(plan, end=at_progress(10_000)), plan)
        table = [line[8:12] for line in frame(pilot).splitlines() if line.startswith("│ [")]
        assert table == ["hdf5", "npy "]
        assert "4 more below" in frame(pilot)
        app.leave(0)


@pytest.mark.parametrize(("size", "opening"), [((80, 24), "v"), ((60, 18), "v"), ((120, 36), "v"), ((120, 36), "5")])
async def test_the_verdict_is_scrolled_by_keys(app: ImgstoreApp, size: tuple[int, int], opening: str) -> None:
    async with app.run_test(size=size) as pilot:
        await finished(pilot, LONG)
        await pilot.press(opening)
        text = app.workbench.focused
        assert isinstance(text, ScrolledText)
        assert isinstance(text, VerdictPanel) is (opening == "5")
        assert text.max_scroll_y > 0
        for down, up in (("j", "k"), ("down", "up"), ("pagedown", "pageup"), ("G", "g"), ("end", "home")):
            await pilot.press(down)
            await until(pilot, lambda: text.scroll_y > 0)
            if down in ("G", "end"):
                await until(pilot, lambda: text.scroll_y == text.max_scroll_y)
            await pilot.press(up)
            await until(pilot, lambda: text.scroll_y == 0)


@pytest.mark.parametrize("keys", [("v", "f"), ("f", "v"), ("5", "f")])
async def test_an_enlarged_verdict_takes_the_keys(app: ImgstoreApp, keys: tuple[str, ...]) -> None:
    async with app.run_test(size=(120, 24)) as pilot:
        await finished(pilot, LONG)
        await pilot.press(*keys)
        await pilot.pause()
        before, text = app.workbench.draft, app.workbench.focused
        assert "2 Backends" not in frame(pilot)
        assert isinstance(text, ScrolledText)
        await pilot.press("space", "c", "minus", "j")
        assert app.workbench.draft == before
        await until(pilot, lambda: text.scroll_y == min(1, text.max_scroll_y))


async def test_the_table_takes_the_keys_again_after_the_verdict(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(pilot)
        await pilot.press("v", "f", "escape", "escape")
        await until(pilot, lambda: isinstance(app.workbench.focused, BackendTable))
        assert app.workbench.view is View.CHART
        await pilot.press("space")
        assert not app.workbench.draft.rows[0].ticked


async def test_full_enlarges_the_charts_that_advertise_it(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(pilot)
        assert isinstance(app.workbench.focused, BackendTable)
        before = frame(pilot)
        await pilot.press("f")
        await settle(pilot)
        charts = app.workbench.query_one(ChartPanel)
        assert charts.region.size == (80, 23)
        assert charts.has_focus
        await pilot.press("f", "2")
        await settle(pilot)
        assert frame(pilot) == before


async def test_a_key_that_opens_a_panel_ends_full(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await finished(pilot)
        await pilot.press("f", "2")
        assert isinstance(app.workbench.focused, BackendTable)
        assert "2 Backends" in frame(pilot)
        await pilot.press("5")
        assert app.workbench.view is View.VERDICT


async def test_run_panel_tells_times_then_the_chart_on_show(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await open_cifar(pilot)
        plan = plan_of(operations=("store", "shuffled"))
        await show(pilot, recording(plan, end=at_progress(50_000, nth=2)), plan)
        assert " elapsed, about " in frame(pilot)
        assert "● files store 50,000" in frame(pilot)
        await show(pilot, RecordedJob(recording(plan).told, id="ended"), plan)
        assert "trials verified ─" in frame(pilot)
        for key, said in (
            ("", "Store 50,000: ■ hdf5 49.9 ms > ▲ lmdb 467 ms (9.4x) > ● files 2.17 s (44x)"),
            ("right_square_bracket", "Shuffled 50,000: ■ hdf5 118 ms = ▲ lmdb 117 ms > ● files 1.86 s (16x)"),
            ("d", "On disk, 50,000 images: ■ hdf5 147 MiB · ● files 1.3x · ▲ lmdb 1.3x"),
            ("d", "Trade-off 50,000: "),
        ):
            await pilot.press(*([key] if key else []))
            assert said in frame(pilot)
        app.leave(0)


async def test_references_are_no_rivals_in_the_run_panel(app: ImgstoreApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        plan = plan_of("files", "lmdb", limits=True)
        await show(pilot, recording(plan), plan)
        assert "Store 50,000: ▲ lmdb 467 ms > ● files 2.17 s (4.7x)" in frame(pilot)
