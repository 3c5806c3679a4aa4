"""What each key does, and that the footer names only keys that act."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.widgets import Input

from backends.bench.plan import Plan
from backends.errors import ImgstoreError
from backends.jobs import events
from backends.jobs.folder import EVENTS, new_folder
from backends.jobs.job import Job
from tests.tui.driving import app_of, at_progress, frame, open_cifar, recording, settle, show, start, until
from tests.tui.recorded import RecordedJob, facts, plan_of, run_events
from tui import messages
from tui.app import ImgstoreApp
from tui.screens.ask import AskScreen
from tui.screens.choice import ChoiceScreen
from tui.screens.history import HistoryScreen
from tui.screens.plan_form import PlanScreen
from tui.screens.workbench import Workbench
from tui.steps import View
from tui.widgets.status_line import StatusLine

SMALL = (80, 24)


@pytest.fixture
def app(tmp_path: Path) -> ImgstoreApp:
    return ImgstoreApp(tmp_path / "jobs")


def footer(text: str) -> str:
    return text.splitlines()[-1]


async def test_enter_three_times_opens_the_sample_plans_it_and_runs_it(
    app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Plan] = []

    def start_run(plan: Plan, jobs: Path) -> Job:
        started.append(plan)
        return cast("Job", RecordedJob(list(run_events(plan, facts("sample", count=2000)))))

    monkeypatch.setattr("backends.jobs.job.start_run", start_run)
    async with app.run_test(size=SMALL) as pilot:
        await start(pilot)
        assert footer(frame(pilot)).startswith(" Enter choose")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.words)
        assert "Store and read 10 to 2,000 images, 3 repeats." in frame(pilot)
        assert footer(frame(pilot)).startswith(" Enter run")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        await settle(pilot)
        assert started[0].configurations == plan_of().configurations
        assert "read 2,000: " in frame(pilot).splitlines()[-2]
        assert footer(frame(pilot)).startswith(" Enter read times")


async def test_a_dataset_on_the_command_line_takes_one_enter(tmp_path: Path, cifar10_folder: Path) -> None:
    app = ImgstoreApp(tmp_path, str(cifar10_folder))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.words)
        assert footer(frame(pilot)).startswith(" Enter run")


async def test_the_current_folder_is_offered_where_it_is_a_dataset(
    app: ImgstoreApp, cifar10_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cifar10_folder)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.folder)
        assert "This folder: cifar-10-batches-py, 200 images  (CIFAR-10)" in frame(pilot)
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.workbench.facts)
        assert app.workbench.facts is not None
        assert app.workbench.facts.count == 200


async def test_the_table_is_edited_by_keys(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("j", "space", "G", "c")
        assert [(row.configuration, row.ticked) for row in app.workbench.draft.rows] == [
            ("files+png", True),
            ("lmdb+raw", False),
            ("hdf5+png", True),
        ]
        await pilot.press("g", "minus")
        assert app.workbench.draft.configurations == ("lmdb+raw", "hdf5+png")
        await pilot.press("space")
        assert "2 configurations" in frame(pilot)
        await pilot.press("space", "j", "space")
        assert "Nothing is ticked" in frame(pilot)


async def test_a_configuration_is_added_and_a_wrong_one_keeps_what_was_typed(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("plus", *"lmdb", "plus", *"gif")
        assert "there is no codec 'gif'" in frame(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, AskScreen)
        assert app.screen.query_one(Input).value == "lmdb+gif"
        await pilot.press("backspace", "backspace", "backspace", *"png", "enter")
        await until(pilot, lambda: isinstance(app.screen, Workbench))
        assert app.workbench.draft.configurations[-1] == "lmdb+png"
        assert "△" in frame(pilot)


async def test_a_wrong_path_shows_its_sentence_and_stays(app: ImgstoreApp, cifar10_folder: Path) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.focused)
        await pilot.press("o", *"/nowhere", "enter")
        await until(pilot, lambda: "does not exist" in frame(pilot))
        assert app.screen.query_one(Input).value == "/nowhere"
        app.screen.query_one(Input).value = str(cifar10_folder)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Workbench) and app.workbench.facts)


async def test_the_place_to_write_is_checked_before_it_is_taken(app: ImgstoreApp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("w")
        app.screen.query_one(Input).value = str(tmp_path / "file")
        await pilot.press("enter")
        await until(pilot, lambda: "is a file" in frame(pilot))
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.draft.base.work_dir == str(tmp_path))


@pytest.mark.parametrize(
    ("field", "wrong", "sentence"),
    [
        ("sizes", "0", "choose 1 to"),
        ("sizes", "abc", "is not a number of images"),
        ("repeats", "0", "choose 1 to 100,000"),
        ("operations", "fly", "there is no operation"),
        ("caches", "hot", "there is no cache state"),
        ("budget", "soon", "is not a time"),
        ("predict", "all", "is not a number of images"),
        ("weights", "speed=1", "is not a weight"),
        ("limits", "maybe", "neither yes nor no"),
    ],
)
async def test_a_wrong_plan_stays_in_its_form(app: ImgstoreApp, field: str, wrong: str, sentence: str) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        before = app.workbench.draft
        await pilot.press("p")
        app.screen.query_one(f"#{field}", Input).value = wrong
        await pilot.press("enter")
        assert sentence in frame(pilot)
        assert isinstance(app.screen, PlanScreen)
        assert app.screen.query_one(f"#{field}", Input).value == wrong
        await pilot.press("escape")
        assert app.workbench.draft == before


async def test_a_plan_from_the_form_is_the_plan(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("p")
        for field, value in (("sizes", "1k, 10"), ("repeats", "5"), ("operations", "read")):
            app.screen.query_one(f"#{field}", Input).value = value
        await pilot.press("enter")
        draft = app.workbench.draft.base
        assert (draft.sizes, draft.repeats, draft.operations) == ((10, 1000), 5, ("read",))
        assert app.workbench.aspect == "read"


async def test_views_are_switched_and_escape_leads_back(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        for key, *views in (("t", View.NUMBERS), ("d", View.DISK, View.TRADE_OFF), ("v", View.VERDICT)):
            for view in (*views, View.CHART):
                await pilot.press(key)
                assert app.workbench.view is view
        await pilot.press("t", "escape", "escape")
        assert "4 Start" in frame(pilot)


async def test_enter_shows_one_result_after_the_other(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        seen = []
        for _ in range(6):
            seen.append((app.workbench.aspect, app.workbench.view))
            await pilot.press("enter")
        assert seen[:3] == [("store", View.CHART), ("read", View.CHART), ("read plain", View.CHART)]
        assert [view for _, view in seen[3:5]] == [View.DISK, View.TRADE_OFF]
        assert seen[5] == seen[0]


async def test_a_panel_is_shown_alone_and_comes_back(app: ImgstoreApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        before = frame(pilot)
        await pilot.press("4", "f")
        await settle(pilot)
        assert "Backends" not in frame(pilot)
        await pilot.press("f", "2")
        await settle(pilot)
        assert frame(pilot) == before


async def test_stopping_keeps_what_has_finished(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        job = recording(end=at_progress(10_000, nth=2))
        await show(pilot, job, plan_of())
        assert footer(frame(pilot)).startswith(" x stop")
        await pilot.press("x")
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "cancelled")
        assert job.cancelled.is_set()
        assert "stopped" in frame(pilot)
        assert "1.26 ms" in frame(pilot)


async def test_leaving_the_screen_of_a_run_does_not_stop_it(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        job = recording(end=at_progress(10_000))
        await show(pilot, job, plan_of())
        await pilot.press("escape")
        assert app.workbench.view is View.START
        assert not job.cancelled.is_set()
        app.leave(0)


async def test_a_run_that_is_not_on_show_does_not_disturb_the_one_that_is(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        hidden = recording(end=at_progress(10_000))
        await show(pilot, hidden, plan_of())
        await show(pilot, RecordedJob(recording().told, id="other"), plan_of())
        hidden.cancel()
        await until(pilot, lambda: app.runs[hidden.id].state.phase == "cancelled")
        assert app.workbench.run is not None
        assert app.workbench.run.phase == "finished"


@pytest.mark.parametrize(("keys", "asked"), [(["q"], False), (["ctrl+q"], False), (["ctrl+c", "ctrl+c"], False)])
async def test_leaving_is_always_possible(app: ImgstoreApp, keys: list[str], asked: bool) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: not app.is_running or app.return_code is not None)
    assert app.return_code == 0


@pytest.mark.parametrize(("key", "leaves", "stops"), [("l", True, False), ("s", True, True), ("escape", False, False)])
async def test_leaving_a_run_asks_what_becomes_of_it(app: ImgstoreApp, key: str, leaves: bool, stops: bool) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        job = recording(end=at_progress(10_000))
        await show(pilot, job, plan_of())
        await pilot.press("q")
        assert isinstance(app.screen, ChoiceScreen)
        await pilot.press(key)
        await pilot.pause()
        assert (app.return_code == 0) is leaves
        assert job.cancelled.is_set() is stops
        app.leave(0)


async def test_history_replays_a_finished_run(app: ImgstoreApp) -> None:
    folder = new_folder(app.jobs, plan_of())
    (folder / EVENTS).write_bytes(b"".join(events.encode_event(event) for event in run_events(plan_of())))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.jobs)
        assert "finished  cifar-10-batches-py  files, lmdb, hdf5  10 to 50k  just now" in frame(pilot)
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, HistoryScreen) and app.screen.jobs)
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        await settle(pilot)
        assert "2.17 s" in frame(pilot)


async def test_the_command_line_is_copied(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("y")
        assert app.clipboard.startswith("imgstore-tui bench /data/cifar-10-batches-py files+png lmdb+raw hdf5+raw")


async def test_a_failed_trial_says_why_where_the_cursor_stands(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await show(pilot, recording(fails="lmdb+raw store 1000"), plan_of())
        assert "!failed" in frame(pilot)
        await pilot.press("j")
        assert app.workbench.query_one(StatusLine).remark.urgent
        assert "the disk is full: 12 MiB are free" in frame(pilot)
        await pilot.press("j")
        assert "the disk is full" not in frame(pilot)


@pytest.mark.parametrize(
    "error", [ImgstoreError("nowhere to write."), OSError(28, "No space left", "/x"), RuntimeError("odd")]
)
async def test_what_fails_in_a_thread_becomes_a_sentence(
    app: ImgstoreApp, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_run(plan: Plan, jobs: Path) -> Job:
        raise error

    monkeypatch.setattr("backends.jobs.job.start_run", start_run)
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("r")
        await until(pilot, lambda: app.workbench.view is View.ERROR)
        assert (getattr(error, "strerror", None) or str(error)) in frame(pilot)
        await pilot.press("enter")
        assert app.workbench.view is View.PLAN


async def test_the_footer_fits_and_names_only_keys_that_act(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.focused)
        assert footer(frame(pilot)) == " Enter choose  o open  ? keys  q quit"
        await open_cifar(pilot)
        assert footer(frame(pilot)) == " Enter run  o open  w where  p plan  r run  ? keys  q quit"
        await show(pilot, recording(end=at_progress(10_000)), plan_of())
        assert footer(frame(pilot)) == " x stop  [ ] aspect  ? keys  q quit"
        await pilot.press("space", "c", "o", "p", "w", "r")
        assert isinstance(app.screen, Workbench)
        assert app.workbench.draft.plan("x").configurations == plan_of().configurations
        app.leave(0)


async def test_a_click_on_the_footer_is_its_key(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        column = footer(frame(pilot)).index("p plan")
        await pilot.click(offset=(column, 23))
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))


async def test_an_unexpected_message_order_is_harmless(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        app.post_message(messages.message_of("unknown job", events.Progress(0.0, 1, 1, 2)))
        app.post_message(messages.StopRun())
        await open_cifar(pilot)
        assert app_of(pilot).is_running
