"""The history screen: finding, opening, comparing and deleting runs; results from elsewhere."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.runs.folder import new_folder
from backends.runs.run import Run
from backends.runs.saved import to_json
from tests.tui.driving import LARGE, SMALL, fill, footer, frame, settle, until, until_text, write_run
from tests.tui.recorded import START, plan_of, run_events
from tui.app import ImgstoreApp
from tui.widgets.start import StartList


def make_runs(jobs: Path) -> list[str]:
    """Write the folders of three finished runs, oldest first; returns their names."""
    plan = plan_of("files", "lmdb", sizes=(10, 1000))
    plans = [replace(plan, dataset=f"/data/set-{number}") for number in range(3)]
    return [write_run(jobs, number, plan, START + 86400.0 * number) for number, plan in enumerate(plans)]


@asynccontextmanager
async def history(app: ImgstoreApp, text: str) -> AsyncIterator[Pilot[int]]:
    """The app with its history on the screen once ``text`` is listed."""
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("H")
        await until_text(pilot, text)
        yield pilot
        app.leave(0)


async def test_finished_run_is_listed_and_replayed(app: ImgstoreApp) -> None:
    write_run(app.jobs, 1, plan_of(), time.time())
    async with app.run_test(size=SMALL) as pilot:
        await until_text(pilot, "finished cifar-10-batches-py files, lmdb, hdf5 10 to 50k just now")
        await pilot.press("H")
        await until_text(pilot, "Enter open")
        await pilot.press("enter")
        await until_text(pilot, "trials verified")
        await settle(pilot)
        assert "2.17 s" in frame(pilot)


async def test_filter_words_narrow_the_list(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    async with history(app, "set-0") as pilot:
        await pilot.press("slash", *"set-1 lmdb")
        assert re.findall(r"set-\d(?! lmdb)", frame(pilot)) == ["set-1"]
        await pilot.press("enter", "enter")
        await until_text(pilot, "trials verified")
        assert app.workbench.run is not None
        assert app.workbench.run.plan.dataset == "/data/set-1"


async def test_list_is_sorted_by_the_next_column(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    async with history(app, "by started") as pilot:
        assert re.findall(r"set-\d", frame(pilot)) == ["set-2", "set-1", "set-0"]
        await pilot.press("s", "s")
        await until_text(pilot, "by dataset")
        assert re.findall(r"set-\d", frame(pilot)) == ["set-0", "set-1", "set-2"]


async def test_report_of_a_run_is_written_and_replaced_once_confirmed(app: ImgstoreApp, tmp_path: Path) -> None:
    make_runs(app.jobs)
    async with history(app, "set-0") as pilot:
        await pilot.press("e")
        await fill(pilot, "enter", text=str(tmp_path / "run.md"))
        await until_text(pilot, "The report is in")
        written = (tmp_path / "run.md").read_text()
        assert "/data/set-2" in written
        (tmp_path / "run.md").write_text("mine")
        await pilot.press("e")
        await fill(pilot, "enter", text=str(tmp_path / "run.md"))
        await until_text(pilot, "Enter once more replaces it")
        assert (tmp_path / "run.md").read_text() == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "run.md").read_text() == written)


async def test_running_job_is_first_and_selected(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    running = new_folder(app.jobs, plan_of())
    async with app.run_test(size=SMALL) as pilot:
        await until_text(pilot, "▸ running")
        option = app.workbench.query_one(StartList).highlighted_option
        assert (option and option.id) == f"job {running.name}"


async def test_escape_clears_the_filter_then_closes(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    async with history(app, "set-0") as pilot:
        await pilot.press("slash", *"none")
        assert "no run matches" in frame(pilot)
        await pilot.press("escape")
        assert {"set-0", "set-1", "set-2"} <= set(frame(pilot).split())
        await pilot.press("escape")
        assert "4 Start" in frame(pilot)


@pytest.mark.parametrize(("key", "deleted"), [("d", True), ("escape", False), ("b", False)])
async def test_marked_runs_are_deleted_after_confirmation(app: ImgstoreApp, key: str, deleted: bool) -> None:
    names = make_runs(app.jobs)
    async with history(app, "set-0") as pilot:
        await pilot.press("space", "G", "space", "d")
        assert "Delete 2 runs?" in frame(pilot)
        await pilot.press(key)
        await until(pilot, lambda: ("set-0" in frame(pilot)) is not deleted)
        assert [name for name in names if (app.jobs / name).exists()] == (names[1:2] if deleted else names)


async def test_running_job_is_not_deleted(app: ImgstoreApp) -> None:
    folder = new_folder(app.jobs, plan_of())
    async with history(app, "d delete") as pilot:
        await pilot.press("d", "d")
        await until_text(pilot, "is running")
        assert folder.exists()


async def test_two_marked_runs_compare_older_first(app: ImgstoreApp) -> None:
    names = make_runs(app.jobs)
    async with history(app, "set-0") as pilot:
        assert "compare" not in footer(pilot)
        await pilot.press("space", "j", "space")
        assert "= compare" in footer(pilot)
        await pilot.press("equals_sign")
        await until_text(pilot, f"{names[1]}, then {names[2]}")
        assert re.search(r"▲ lmdb\+raw +10\.1 ms +10\.1 ms +1\.00x  tie", frame(pilot))


async def test_result_file_opens_read_only(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(to_json(Run(plan_of()).after(*run_events(plan_of()))))
    app = ImgstoreApp(tmp_path / "jobs", str(tmp_path / "result.json"))
    async with app.run_test(size=LARGE) as pilot:
        await until_text(pilot, "trials verified")
        await settle(pilot)
        before = frame(pilot)
        assert all(text in before for text in ("measured on login3", "2.17 s", "medians of 3 repeats"))
        assert not [text for text in ("r run", "space pick", "p plan") if text in before]
        await pilot.press("space", "minus", "r", "p")
        assert frame(pilot) == before


async def test_file_that_is_no_result_says_so(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"schema": 1')
    async with ImgstoreApp(tmp_path / "jobs", str(tmp_path / "result.json")).run_test(size=SMALL) as pilot:
        await until(pilot, lambda: "is not JSON, or was cut short" in frame(pilot).replace("\n", ""))
