"""Names from outside are shown, never obeyed: class names, paths, hosts, sentences, configurations."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.bench.plan import Plan
from backends.runs import events
from backends.runs.history import RunFacts
from tests.tui.driving import app_of, frame, open_cifar, recording, segments, show, until
from tests.tui.hostile import FORBIDDEN, MARKUP, SEQUENCES
from tests.tui.recorded import START, RecordedJob, facts, plan_of, run_events, through_the_file
from tui import messages
from tui.app import ImgstoreApp
from tui.keys import View

SIZE = (120, 36)
BAD = (*MARKUP, *("".join(SEQUENCES[start : start + 4]) for start in range(0, len(SEQUENCES), 4)))


async def class_names(pilot: Pilot[int], bad: str) -> None:
    await open_cifar(pilot, classes=(bad, "cat"))


async def paths_and_kinds(pilot: Pilot[int], bad: str) -> None:
    app_of(pilot).workbench.show_dataset(replace(facts(f"/data/{bad}"), kind=bad, splits={bad: 1}, split=bad))
    await until(pilot, lambda: app_of(pilot).workbench.view is View.PLAN)


async def place(pilot: Pilot[int], bad: str) -> None:
    app_of(pilot).workbench.place = messages.Place(f"/{bad}", bad, 1)


async def error_sentence(pilot: Pilot[int], bad: str) -> None:
    app_of(pilot).workbench.show_error(f"{bad} is broken")
    app_of(pilot).workbench.say(f"{bad} is broken", urgent=True)


async def folder_of_a_configuration(pilot: Pilot[int], bad: str) -> None:
    plan = replace(plan_of(sizes=(10, 100)), configurations=(f"lmdb+raw@/x{bad}", "hdf5+raw"))
    await open_cifar(pilot)
    await show(pilot, RecordedJob(list(run_events(plan, note=bad)), id=ascii(bad)), plan)
    for key in ("t", "v", "d"):
        await pilot.press(key)


async def failing_run(pilot: Pilot[int], bad: str) -> None:
    job = recording(end=lambda event: isinstance(event, events.RunStarted))
    job.told += through_the_file(iter([events.JobFailed(START, f"died of {bad}")]))
    await show(pilot, job, plan_of())


async def jobs_in_lists(pilot: Pilot[int], bad: str) -> None:
    plan = Plan(dataset=f"/data/{bad}", configurations=(bad, "lmdb+raw"), sizes=(10,))
    app_of(pilot).workbench.folder = replace(facts(), kind=bad)
    app_of(pilot).workbench.jobs = (
        RunFacts(bad, "finished", START, plan.dataset, bad, plan.configurations, plan.sizes, bad, bad),
    )


@pytest.mark.parametrize(
    "put",
    [class_names, paths_and_kinds, place, error_sentence, folder_of_a_configuration, failing_run, jobs_in_lists],
    ids=lambda put: put.__name__,
)
async def test_nothing_from_outside_reaches_the_terminal_raw(put: object, tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        for bad in BAD:
            await put(pilot, bad)  # type: ignore[operator]
            await pilot.pause()
            shown = "".join(segment.text for segment in segments(pilot))
            assert not [char for char in FORBIDDEN if char in shown]
            assert app.is_running


async def test_markup_is_shown_as_it_is_written(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await open_cifar(pilot, classes=(*MARKUP, "cat"))
        assert " ".join((*MARKUP, "cat")) in frame(pilot)


async def test_clicking_a_name_runs_no_action(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await open_cifar(pilot, classes=("[@click=app.quit]quit[/]", "cat"))
        for column in range(2, 40, 4):
            await pilot.click(offset=(column, 3))
        assert app.is_running
        assert app.return_code is None


async def test_the_host_name_is_made_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "\x1b[2Jhost[/]")
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert "\\x1b[2Jhost[/]" in frame(pilot).splitlines()[0]
