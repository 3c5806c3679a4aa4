"""What each key does, and that the footer names only keys that act."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

import tui.workers
from backends import units
from backends.bench.plan import Plan
from backends.bench.schedule import aspects
from backends.datasets.base import DatasetFacts
from backends.errors import ImgstoreError
from backends.runs import events
from backends.runs.folder import EVENTS, new_folder
from backends.runs.job import Job
from backends.runs.run import collect, to_json
from tests.tui.driving import app_of, at_progress, frame, open_cifar, recording, settle, show, start, until
from tests.tui.recorded import START, RecordedJob, facts, plan_of, run_events
from tui import messages
from tui.app import ImgstoreApp
from tui.keys import View
from tui.screens.dialogs import AskScreen, ChoiceScreen
from tui.screens.history import ComparisonScreen, HistoryScreen
from tui.screens.plan import PlanScreen
from tui.screens.workbench import Workbench
from tui.widgets.run import RunPanel

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

    monkeypatch.setattr("backends.runs.job.start_run", start_run)
    async with app.run_test(size=SMALL) as pilot:
        await start(pilot)
        assert footer(frame(pilot)).startswith(" Enter choose")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.words)
        assert "Times storing and reading 10 to 2,000 images" in frame(pilot)
        assert footer(frame(pilot)).startswith(" Enter run")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        await settle(pilot)
        assert started[0].configurations == plan_of().configurations
        assert "Store 2,000: " in frame(pilot)
        assert footer(frame(pilot)).startswith(" Enter verdict")


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
        ("limits", "maybe", "neither yes nor no"),
        ("in_thread", "elsewhere", "is no place to run trials in"),
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


async def test_a_form_refuses_fields_that_exclude_each_other(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("p")
        app.screen.query_one("#in_thread", Input).value = "worker"
        app.screen.query_one("#workers", Input).value = "2"
        await pilot.press("enter")
        assert "run trials in separate processes" in " ".join(frame(pilot).replace("│", " ").split())
        app.screen.query_one("#workers", Input).value = "1"
        await pilot.press("enter")
        assert app.workbench.draft.base.in_thread


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


async def test_enter_after_a_run_leads_to_verdict_and_export(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        await pilot.press("right_square_bracket", "d", "enter")
        assert (app.workbench.view, app.workbench.aspect) == (View.VERDICT, "read")
        assert footer(frame(pilot)).startswith(" Enter export")
        for _ in range(2):
            await pilot.press("enter")
            assert isinstance(app.screen, AskScreen)
            assert "Write a report" in frame(pilot)
            await pilot.press("escape")
            assert (app.workbench.view, app.workbench.aspect) == (View.VERDICT, "read")


async def test_enter_does_nothing_while_a_run_goes_on(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(end=at_progress(10_000)), plan_of())
        for keys in (["enter"], ["v", "enter"]):
            await pilot.press(*keys)
            assert isinstance(app.screen, Workbench)
        assert app.workbench.view is View.VERDICT
        app.leave(0)


async def test_enter_starts_nothing_before_the_plan_is_announced(
    app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Plan] = []
    monkeypatch.setattr("backends.runs.job.start_run", lambda plan, jobs: started.append(plan))
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        app.workbench.words = ""
        await pilot.press("enter")
        assert app.workbench.view is View.PLAN
        assert not started


async def test_enter_while_a_dataset_opens_keeps_that_dataset(
    tmp_path: Path, cifar10_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open, read_facts = threading.Event(), tui.workers.read_facts

    def slow(path: str, cancelled: Callable[[], bool]) -> Iterator[DatasetFacts]:
        may_open.wait(30)
        yield from read_facts(path, cancelled)

    monkeypatch.setattr("tui.workers.read_facts", slow)
    app = ImgstoreApp(tmp_path / "jobs", str(cifar10_folder))
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        assert app.workbench.opening == str(cifar10_folder)
        may_open.set()
        await until(pilot, lambda: app.workbench.facts)
        assert app.workbench.facts is not None
        assert app.workbench.facts.path == str(cifar10_folder)


async def test_tab_takes_the_completion_of_a_path(app: ImgstoreApp) -> None:
    Path("my pictures").mkdir()
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.workbench.focused)
        await pilot.press("o", *"./my")
        await until(pilot, lambda: "my pictures/" in frame(pilot))
        await pilot.press("tab")
        field = app.screen.query_one(Input)
        assert field.value == "./my pictures/"
        assert field.has_focus


@pytest.mark.parametrize(("key", "watched"), [("enter", True), ("s", False)])
async def test_a_second_run_is_asked_about(
    app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch, key: str, watched: bool
) -> None:
    started: list[Plan] = []

    def start_run(plan: Plan, jobs: Path) -> Job:
        started.append(plan)
        return cast("Job", RecordedJob(recording().told, id="other"))

    monkeypatch.setattr("backends.runs.job.start_run", start_run)
    async with app.run_test(size=SMALL) as pilot:
        job = recording(end=at_progress(10_000))
        await show(pilot, job, plan_of())
        await open_cifar(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen))
        assert "A run is going on" in frame(pilot)
        assert not started
        await pilot.press(key)
        await until(pilot, lambda: app.runs.shown == (job.id if watched else "other"))
        assert bool(started) is not watched
        app.leave(0)


async def test_a_run_of_another_process_is_asked_about(app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Plan] = []
    monkeypatch.setattr("backends.runs.job.start_run", lambda plan, jobs: started.append(plan))
    folder = new_folder(app.jobs, plan_of())
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen))
        await pilot.press("w")
        await until(pilot, lambda: app.runs.shown == folder.name)
        assert not started
        app.leave(0)


async def test_run_pressed_twice_starts_one_run(app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Plan] = []
    may_start = threading.Event()

    def start_run(plan: Plan, jobs: Path) -> Job:
        started.append(plan)
        may_start.wait(30)
        return cast("Job", recording())

    monkeypatch.setattr("backends.runs.job.start_run", start_run)
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("r", "r")
        await pilot.pause()
        may_start.set()
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        assert len(started) == 1


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


def make_runs(jobs: Path, number: int = 3) -> list[str]:
    """Folders of finished runs, the oldest first; the last one is of another dataset."""
    names = []
    for place in range(number):
        plan = replace(plan_of("files", "lmdb", sizes=(10, 1000)), dataset=f"/data/set-{place}")
        folder = jobs / f"20261122-06150{place}-k3f{place}"
        folder.mkdir(parents=True)
        spec = {"kind": "bench", "created": START + 86400.0 * place, "plan": asdict(plan)}
        (folder / "spec.json").write_text(json.dumps(spec))
        (folder / EVENTS).write_bytes(b"".join(map(events.encode_event, run_events(plan))))
        names.append(folder.name)
    return names


async def history(pilot: Pilot[int]) -> HistoryScreen:
    await until(pilot, lambda: app_of(pilot).workbench.jobs)
    await pilot.press("H")
    screen = app_of(pilot).screen
    assert isinstance(screen, HistoryScreen)
    await until(pilot, lambda: screen.jobs)
    return screen


async def test_the_history_is_filtered_by_words(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    async with app.run_test(size=SMALL) as pilot:
        screen = await history(pilot)
        await pilot.press("slash", *"set-1 lmdb")
        assert [job.dataset for job in screen.listed] == ["/data/set-1"]
        assert "set-0" not in frame(pilot)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        assert app.workbench.run is not None
        assert app.workbench.run.plan.dataset == "/data/set-1"


async def test_escape_takes_the_filter_away_and_then_the_history(app: ImgstoreApp) -> None:
    make_runs(app.jobs)
    async with app.run_test(size=SMALL) as pilot:
        screen = await history(pilot)
        await pilot.press("slash", *"nothing")
        assert "no run matches" in frame(pilot)
        await pilot.press("escape")
        assert len(screen.listed) == 3
        await pilot.press("escape")
        assert isinstance(app.screen, Workbench)


@pytest.mark.parametrize(("answer", "left"), [("d", 1), ("escape", 3), ("b", 3)])
async def test_runs_are_deleted_after_a_question(app: ImgstoreApp, answer: str, left: int) -> None:
    names = make_runs(app.jobs)
    async with app.run_test(size=SMALL) as pilot:
        screen = await history(pilot)
        await pilot.press("space", "G", "space", "d")
        assert "Delete 2 runs?" in frame(pilot)
        await pilot.press(answer)
        await until(pilot, lambda: len(screen.listed) == left)
        assert [name for name in names if (app.jobs / name).exists()] == (names if left == 3 else names[1:2])


async def test_a_run_that_cannot_be_deleted_says_why(app: ImgstoreApp) -> None:
    folder = new_folder(app.jobs, plan_of())
    async with app.run_test(size=SMALL) as pilot:
        await history(pilot)
        await pilot.press("d", "d")
        await until(pilot, lambda: "is running" in frame(pilot))
        assert folder.exists()


async def test_two_runs_are_compared_the_older_one_first(app: ImgstoreApp) -> None:
    names = make_runs(app.jobs)
    async with app.run_test(size=SMALL) as pilot:
        await history(pilot)
        assert "compare" not in footer(frame(pilot))
        await pilot.press("space", "j", "space")
        assert "= compare" in footer(frame(pilot))
        await pilot.press("equals_sign")
        await until(pilot, lambda: isinstance(app.screen, ComparisonScreen))
        shown = frame(pilot)
        assert f"{names[1]}, then {names[2]}" in shown
        assert re.search(r"▲ lmdb\+raw +10\.1 ms +10\.1 ms +1\.00x  tie", shown)


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.html", "<html"), ("a.md", "# "), ("a.csv", "configuration"), ("a.json", '"trials"')],
)
async def test_the_run_on_show_is_written_in_the_format_of_the_name(app: ImgstoreApp, name: str, found: str) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        await pilot.press("e")
        app.screen.query_one(Input).value = name
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Workbench))
        assert "The report is in" in frame(pilot)
    assert found in Path(name).read_text()


@pytest.mark.parametrize(("name", "sentence"), [("a.pdf", "no known ending"), ("/nowhere/a.md", "cannot be written")])
async def test_a_report_that_cannot_be_written_says_why(app: ImgstoreApp, name: str, sentence: str) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        await pilot.press("e")
        app.screen.query_one(Input).value = name
        await pilot.press("enter")
        await until(pilot, lambda: sentence in frame(pilot))
        assert not Path(name).exists()


async def test_a_result_of_another_machine_is_opened_to_look_at(tmp_path: Path) -> None:
    result = collect(run_events(plan_of()))
    assert result is not None
    (tmp_path / "result.json").write_text(to_json(result))
    app = ImgstoreApp(tmp_path / "jobs", str(tmp_path / "result.json"))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.workbench.run and app.workbench.run.phase == "finished")
        await settle(pilot)
        shown = frame(pilot)
        assert "measured on login3" in shown
        assert "2.17 s" in shown
        assert "medians of 3 repeats" in shown
        assert not [word for word in ("r run", "space pick", "p plan") if word in shown]
        before = app.workbench.draft
        await pilot.press("space", "minus", "r", "p")
        assert app.workbench.draft == before
        assert isinstance(app.screen, Workbench)


async def test_a_file_that_is_no_result_says_so(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"schema": 1')
    app = ImgstoreApp(tmp_path / "jobs", str(tmp_path / "result.json"))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: "is not JSON, or was cut short" in frame(pilot).replace("\n", ""))


@pytest.mark.parametrize(("seconds", "ago", "rings"), [(11.0, 0.0, True), (9.0, 0.0, False), (11.0, 60.0, False)])
async def test_the_end_of_a_long_run_rings(
    app: ImgstoreApp, monkeypatch: pytest.MonkeyPatch, seconds: float, ago: float, rings: bool
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(app, "bell", lambda: rung.append(1))
    async with app.run_test(size=SMALL) as pilot:
        end = time.time() - ago
        started = next(iter(run_events(plan_of())))
        told = [replace(started, time=end - seconds), events.RunFinished(end, "finished", seconds)]
        await show(pilot, RecordedJob(told), plan_of())
        assert bool(rung) is rings


async def test_the_articles_experiment_is_planned_by_one_key(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("a")
        await until(pilot, lambda: app.workbench.words)
        plan = app.workbench.draft.plan("x")
        assert (plan.preset, plan.sizes[-1], plan.operations[-1]) == ("article", 100_000, "read-one")
        assert "▷ article-png" in frame(pilot)
        await pilot.press("space")
        assert app.workbench.draft.plan("x").preset == ""


async def test_aspects_are_stepped_through_in_table_chart_and_numbers(app: ImgstoreApp) -> None:
    plan = plan_of("files", "lmdb", operations=("store", "read", "read-one"), caches=("warm", "cold"), limits=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(plan), plan)
        titles = []
        for _ in aspects(plan):
            await settle(pilot)
            titles += re.findall(r"─ (2 Backends ─ .*?) ──|─ (4 Charts ─ .*?) ──", frame(pilot))
            await pilot.press("right_square_bracket")
        said = [first or second for first, second in titles]
        assert said[:4] == [
            *("2 Backends ─ Store", "4 Charts ─ Log storage time"),
            *("2 Backends ─ Read ─ from the page cache", "4 Charts ─ Log read time"),
        ]
        assert "2 Backends ─ Read cold ─ from disk, 0 % resident" in said
        assert "4 Charts ─ Time to read one image, from disk" in said
        assert app.workbench.aspect == "store"
        await pilot.press("t", "left_square_bracket")
        assert "4 Numbers ─ Read one image cold" in frame(pilot)


async def test_figures_are_shown_as_multiples_of_the_limit(app: ImgstoreApp) -> None:
    plan = plan_of("files", "lmdb", sizes=(10, 1000), limits=True)
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(plan), plan)
        row = next(line for line in frame(pilot).splitlines() if "▲ lmdb" in line)
        assert f" {units.ratio((7.6e-4 + 8.8e-6 * 1000) / (1.1e-4 + 6.1e-7 * 1000))} " in row
        await pilot.press("G")
        assert app.workbench.configuration == app.workbench.draft.rows[-1].configuration != "limit+raw"


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
        assert app.workbench.query_one(RunPanel).remark.urgent
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

    monkeypatch.setattr("backends.runs.job.start_run", start_run)
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
        assert footer(frame(pilot)) == " Enter choose   o open   H history   ? help   q quit"
        await open_cifar(pilot)
        assert footer(frame(pilot)) == (
            " Enter run   w where   p plan   o open   a article   H history   ? help   q quit"
        )
        await show(pilot, recording(end=at_progress(10_000)), plan_of())
        assert footer(frame(pilot)) == " x stop   [ ] operation   Tab panel   H history   ? help   q quit"
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
        app.post_message(messages.RunEvent("unknown job", events.Progress(0.0, 1, 1, 2)))
        app.post_message(messages.StopRun())
        await open_cifar(pilot)
        assert app_of(pilot).is_running
