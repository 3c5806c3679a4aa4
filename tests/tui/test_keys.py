"""The Enter sequence, the keys of table and charts, and the footer that names them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from textual.content import Content

import tui.workers
from backends.bench.plan import Plan
from backends.bench.schedule import aspects
from backends.datasets.base import DatasetFacts, Reading
from backends.errors import ImgstoreError
from backends.runs import events
from tests.tui.driving import (
    LARGE,
    SMALL,
    at_progress,
    footer,
    frame,
    open_cifar,
    planned,
    record_starts,
    recording,
    settle,
    show,
    showing,
    started,
    until,
    until_text,
)
from tests.tui.recorded import RecordedJob, facts, plan_of, run_events
from tui.app import ImgstoreApp
from tui.settings import Settings


async def test_enter_twice_runs_sample(app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = record_starts(monkeypatch, lambda plan: RecordedJob(list(run_events(plan, facts("sample", count=2000)))))
    async with started(app) as pilot:
        assert footer(pilot).startswith(" Enter choose")
        await pilot.press("enter")
        await until_text(pilot, "Times storing and reading 10 to 2,000 images")
        assert footer(pilot).startswith(" Enter run")
        await pilot.press("enter")
        await until(pilot, lambda: footer(pilot).startswith(" Enter verdict"))
        await settle(pilot)
        assert plans[0].configurations == plan_of().configurations
        assert "Store 2,000: " in frame(pilot)


async def test_dataset_on_command_line_opens_planned(tmp_path: Path, cifar10_folder: Path) -> None:
    async with ImgstoreApp(tmp_path, str(cifar10_folder)).run_test(size=SMALL) as pilot:
        await until_text(pilot, "Times storing and reading")
        assert footer(pilot).startswith(" Enter run")


async def test_current_folder_that_is_a_dataset_is_offered(
    app: ImgstoreApp, cifar10_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cifar10_folder)
    async with app.run_test(size=SMALL) as pilot:
        await until_text(pilot, "This folder: cifar-10-batches-py, 200 images (CIFAR-10)")
        await pilot.press("j", "enter")
        await until_text(pilot, "Times storing and reading 10 to 200 images")


async def test_enter_while_dataset_opens_changes_nothing(
    tmp_path: Path, cifar10_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open, read_facts = threading.Event(), tui.workers.read_facts

    def slow(path: str, how: Reading, poll: Callable[[int], bool]) -> Iterator[DatasetFacts]:
        poll(123_456)
        may_open.wait(30)
        yield from read_facts(path, how, poll)

    monkeypatch.setattr("tui.workers.read_facts", slow)
    monkeypatch.setattr("backends.runs.events.LISTING_SECONDS", 0.0)
    async with ImgstoreApp(tmp_path, str(cifar10_folder)).run_test(size=SMALL) as pilot:
        await until_text(pilot, "123,456 pictures found")
        await pilot.press("enter")
        may_open.set()
        await until_text(pilot, "Times storing and reading 10 to 200 images")


async def test_enter_before_estimate_starts_nothing(app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = record_starts(monkeypatch)
    async with planned(app) as pilot:
        app.workbench.words = Content()
        await pilot.press("enter")
        assert footer(pilot).startswith(" Enter") is False
        assert not plans


async def test_enter_after_run_shows_verdict_then_converts(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        await pilot.press("right_square_bracket", "d", "enter")
        assert "4 Verdict" in frame(pilot)
        assert footer(pilot).startswith(" Enter convert to hdf5+raw   e export")
        await pilot.press("e")
        assert "Write a report" in frame(pilot)
        await pilot.press("escape")
        assert footer(pilot).startswith(" Enter convert")


async def test_enter_during_run_does_nothing(app: ImgstoreApp) -> None:
    async with showing(app, recording(end=at_progress(10_000))) as pilot:
        for key in ("", "v"):
            await pilot.press(*key)
            before = frame(pilot)
            await pilot.press("enter")
            assert frame(pilot) == before


async def test_run_key_twice_starts_one_run(app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch) -> None:
    may_start = threading.Event()

    def job_of(plan: Plan) -> RecordedJob:
        may_start.wait(30)
        return recording()

    plans = record_starts(monkeypatch, job_of)
    async with planned(app) as pilot:
        await pilot.press("r", "r")
        may_start.set()
        await until_text(pilot, "trials verified")
        assert len(plans) == 1


@pytest.mark.parametrize(
    "error", [ImgstoreError("nowhere to write."), OSError(28, "No space left", "/x"), RuntimeError("odd")]
)
async def test_run_that_cannot_start_says_why(
    app: ImgstoreApp, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(plan: Plan) -> RecordedJob:
        raise error

    record_starts(monkeypatch, fail)
    async with planned(app) as pilot:
        await pilot.press("r")
        await until_text(pilot, getattr(error, "strerror", None) or str(error))
        await pilot.press("enter")
        await until(pilot, lambda: footer(pilot).startswith(" Enter run"))


async def test_table_keys_tick_change_and_remove(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("j", "space", "G", "c", "j", "enter")
        table = [line[2:19].split() for line in frame(pilot).splitlines() if line.startswith("│ [")]
        assert table == [["[x]", "●", "files", "png"], ["[x]", "■", "hdf5", "raw"], ["[", "]", "▲", "lmdb", "png"]]
        await pilot.press("g", "minus")
        assert "● files" not in frame(pilot)
        await pilot.press("G", "space")
        assert "2 configurations" in frame(pilot)
        await pilot.press("space", "g", "space")
        assert "Nothing is ticked" in frame(pilot)


async def test_article_key_plans_its_experiment(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("a")
        await until_text(pilot, "▷ article-png")
        plan = app.workbench.draft.plan("x")
        assert (plan.preset, plan.sizes[-1], plan.operations[-1]) == ("article", 100_000, "read-one")
        await pilot.press("space")
        assert app.workbench.draft.plan("x").preset == ""


async def test_copy_key_copies_the_command_line(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("y")
        await until_text(pilot, "Copied, also to")
        assert app.clipboard.startswith("imgstore-tui bench /data/cifar-10-batches-py files+png lmdb+raw hdf5+raw")
        assert (app.jobs.parent / "copied.txt").read_text() == app.clipboard + "\n"


async def test_view_keys_toggle_and_escape_leads_back(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        for key, *titles in (("t", "Numbers"), ("d", "Charts ─ Disk usage", "Charts ─ Trade-off"), ("v", "Verdict")):
            for title in (*titles, "Charts ─ Log storage time"):
                await pilot.press(key)
                assert f"─ 4 {title} " in frame(pilot)
        await pilot.press("t", "escape", "escape")
        assert "4 Start" in frame(pilot)


async def test_bracket_keys_step_through_operations(app: ImgstoreApp) -> None:
    plan = plan_of("files", "lmdb", operations=("store", "read", "read-one"), caches=("warm", "cold"), limits=True)
    async with showing(app, plan=plan, size=LARGE) as pilot:
        titles = []
        for _ in aspects(plan):
            await settle(pilot)
            titles += re.findall(r"─ (2 Backends ─ .*?|4 Charts ─ .*?) ──", frame(pilot))
            await pilot.press("right_square_bracket")
        assert titles[:4] == [
            *("2 Backends ─ Store", "4 Charts ─ Log storage time"),
            *("2 Backends ─ Read ─ from the page cache", "4 Charts ─ Log read time"),
        ]
        assert "2 Backends ─ Read cold ─ from disk, 0 % resident" in titles
        assert "4 Charts ─ Time to read one image, from disk" in titles
        assert "2 Backends ─ Store" in frame(pilot)
        await pilot.press("t", "left_square_bracket")
        assert "4 Numbers ─ Read one image cold" in frame(pilot)


async def test_failed_trial_says_why_under_the_cursor(app: ImgstoreApp) -> None:
    async with showing(app, recording(fails="lmdb+raw store 1000")) as pilot:
        assert "!failed" in frame(pilot)
        await pilot.press("j")
        assert "the disk is full: 12 MiB are free" in frame(pilot)
        await pilot.press("j")
        assert "the disk is full" not in frame(pilot)


async def test_enter_on_failed_row_explains_once_then_goes_on(app: ImgstoreApp) -> None:
    async with showing(app, recording(fails="lmdb+raw store 1000")) as pilot:
        assert footer(pilot).startswith(" Enter verdict")
        await pilot.press("j")
        assert footer(pilot).startswith(" Enter why it failed")
        await pilot.press("enter")
        await until_text(pilot, "lmdb+raw failed")
        await until_text(pilot, "store of 1,000, repeat 1")
        await until_text(pilot, "Its log says nothing")
        await pilot.press("enter", "enter")
        assert "4 Verdict" in frame(pilot)


async def test_palette_begins_with_the_keys_of_the_footer(app: ImgstoreApp) -> None:
    async with showing(app) as pilot:
        await pilot.press("colon")
        await until_text(pilot, "Enter verdict")
        shown = frame(pilot)
        assert shown.index("Enter  verdict") < shown.index("[ ]  operation") < shown.index("e  export")


async def test_stop_key_keeps_what_has_finished(app: ImgstoreApp) -> None:
    job = recording(end=at_progress(10_000, nth=2))
    async with showing(app, job) as pilot:
        assert footer(pilot).startswith(" x stop")
        await pilot.press("x")
        await until_text(pilot, "stopped")
        assert job.cancelled.is_set()
        assert "1.26 ms" in frame(pilot)


async def test_escape_during_run_leaves_it_running(app: ImgstoreApp) -> None:
    job = recording(end=at_progress(10_000))
    async with showing(app, job) as pilot:
        await pilot.press("escape")
        assert "4 Start" in frame(pilot)
        assert not job.cancelled.is_set()


async def test_hidden_run_that_ends_changes_no_other(app: ImgstoreApp) -> None:
    hidden = recording(end=at_progress(10_000))
    async with showing(app, hidden) as pilot:
        await show(pilot, RecordedJob(recording().told, id="other"))
        before = frame(pilot)
        hidden.cancel()
        await until(pilot, lambda: app.runs[hidden.id].run.phase == "cancelled")
        assert frame(pilot) == before


@pytest.mark.parametrize("keys", [["q"], ["ctrl+q"], ["ctrl+c", "ctrl+c"]], ids="-".join)
async def test_quit_keys_end_the_app_with_code_0(app: ImgstoreApp, keys: list[str]) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: not app.is_running or app.return_code is not None)
    assert app.return_code == 0


@pytest.mark.parametrize(
    ("seconds", "ago", "bell", "rings"),
    [(11.0, 0.0, True, True), (9.0, 0.0, True, False), (11.0, 60.0, True, False), (11.0, 0.0, False, False)],
)
async def test_bell_rings_when_a_long_run_ends_now(
    app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch, seconds: float, ago: float, bell: bool, rings: bool
) -> None:
    rung: list[int] = []
    app.settings = Settings(bell=bell)
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    end = time.time() - ago
    first = structs.replace(next(iter(run_events(plan_of()))), time=end - seconds)
    async with showing(app, RecordedJob([first, events.RunFinished(end, "finished", seconds)])):
        assert bool(rung) is rings


async def test_footer_fits_and_names_keys_that_act(app: ImgstoreApp) -> None:
    async with started(app) as pilot:
        assert footer(pilot) == " Enter choose   o open   H history   ? help   q quit"
        await open_cifar(pilot)
        assert footer(pilot) == " Enter run   w where   p plan   o open   a article   H history   ? help   q quit"
        await show(pilot, recording(end=at_progress(10_000)))
        assert footer(pilot) == " x stop   [ ] operation   Tab panel   H history   ? help   q quit"
        before = frame(pilot)
        await pilot.press("space", "c", "o", "p", "w", "r")
        assert frame(pilot) == before
        app.leave(0)


async def test_click_on_footer_acts_as_its_key(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.click(offset=(footer(pilot).index("p plan"), SMALL[1] - 1))
        await until_text(pilot, "More: batch size")
