"""Runs of the real engine through the app, in a worker thread and in a process of their own."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from textual.message import Message
from textual.pilot import Pilot
from textual.worker import Worker, WorkerState

from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.runs import events
from backends.runs.history import list_runs
from backends.runs.job import start_job
from backends.runs.run import Run
from tests.tui.driving import app_of, frame, start, until, until_text
from tui import messages
from tui.app import ImgstoreApp
from tui.screens.dialogs import ChoiceScreen

pytestmark = pytest.mark.slow

MODES = pytest.mark.parametrize("in_thread", [True, False], ids=["worker thread", "separate processes"])


def plan(work: Path, in_thread: bool) -> Plan:
    both = configurations_of("hdf5+raw", "lmdb+raw")
    return Plan("sample", both, (50,), ("store", "read"), 10, work_dir=str(work), in_thread=in_thread)


def endless(work: Path, in_thread: bool) -> Plan:
    """More images than anybody waits for."""
    return replace(plan(work, in_thread), configurations=configurations_of("hdf5+png"), sizes=(100_000,), repeats=100)


async def run(pilot: Pilot[int], asked: Plan) -> Worker[Any]:
    """Start a run, and wait until a trial has begun."""
    app = await start(pilot)
    app.post_message(messages.StartJob(asked))
    await until(pilot, lambda: app.shown)
    (worker,) = (one for one in app.workers if one.group == app.shown)
    await until(pilot, lambda: state(pilot).trial or not state(pilot).alive)
    return worker


def state(pilot: Pilot[int]) -> Run:
    app = app_of(pilot)
    return cast("Run", app.runs[app.shown].run)


@MODES
async def test_the_worker_of_a_run_ends_with_it(app: ImgstoreApp, work: Path, in_thread: bool) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        worker = await run(pilot, plan(work, in_thread))
        await until(pilot, lambda: worker.is_finished and not state(pilot).alive)
        assert (worker.state, state(pilot).phase) == (WorkerState.SUCCESS, "finished")
        assert {one.outcome for one in state(pilot).measurements} == {"ok"}
        assert [one.state for one in list_runs(app.jobs)] == ["finished"]
        assert list(work.iterdir()) == []


@MODES
@pytest.mark.parametrize("by_key", [True, False], ids=["x", "worker.cancel"])
async def test_cancelling_the_worker_cancels_the_run(
    app: ImgstoreApp, work: Path, in_thread: bool, by_key: bool
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        worker = await run(pilot, endless(work, in_thread))
        await until(pilot, lambda: state(pilot).done)
        await pilot.press("x") if by_key else worker.cancel()
        await until(pilot, lambda: state(pilot).stopping or not state(pilot).alive)
        await until(pilot, lambda: not state(pilot).alive)
        assert (worker.state, state(pilot).phase) == (WorkerState.CANCELLED, "cancelled")
        assert [one.state for one in list_runs(app.jobs)] == ["stopped"]
        assert list(work.iterdir()) == []


@MODES
async def test_keys_act_during_a_run_that_q_stops_or_leaves(app: ImgstoreApp, work: Path, in_thread: bool) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await run(pilot, endless(work, in_thread))
        await pilot.press("question_mark")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("escape")
        assert state(pilot).trial is not None, "a screen that is left does not end the run"
        await pilot.press("q")
        assert isinstance(app.screen, ChoiceScreen)
        assert ("leave it running" in frame(pilot)) is not in_thread
        await pilot.press("s")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0
    assert [one.state for one in list_runs(app.jobs)] == ["stopped"]
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("key", ["w", "s", "a"])
async def test_second_run_watches_stops_or_waits_for_the_first(app: ImgstoreApp, work: Path, key: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        other = start_job(endless(work, in_thread=False), app.jobs)
        await start(pilot)
        app.post_message(messages.StartJob(plan(work, in_thread=False)))
        await until_text(pilot, "Going on: the run of sample, started ")
        assert [one.id for one in list_runs(app.jobs)] == [other.id]
        await pilot.press(key)
        if key == "w":
            await until(pilot, lambda: app.shown == other.id and state(pilot).trial)
        elif key == "a":
            await until_text(pilot, "waiting for the run of sample")
            assert other.running()
        if key != "s":
            other.cancel()
        await until(pilot, lambda: app.shown and not state(pilot).alive)
    outcomes = {one.id: one.state for one in list_runs(app.jobs)}
    assert outcomes.pop(other.id) == "stopped"
    assert list(outcomes.values()) == ([] if key == "w" else ["finished"])


async def test_progress_comes_ten_times_a_second_at_most(app: ImgstoreApp, work: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        worker = await run(pilot, endless(work, in_thread=True))
        seen: list[float] = []
        post = app.post_message

        def watched(message: Message) -> bool:
            if isinstance(message, messages.RunEvent) and isinstance(message.event, events.Progress):
                seen.append(message.event.time)
            return post(message)

        app.post_message = watched  # type: ignore[method-assign]
        await until(pilot, lambda: len(seen) > 3)
        worker.cancel()
        await until(pilot, lambda: not state(pilot).alive)
    assert all(later - earlier > 0.09 for earlier, later in pairwise(seen))


async def test_a_run_whose_thread_fails_says_why(app: ImgstoreApp, work: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        app.jobs.mkdir()
        app.post_message(messages.StartJob(replace(plan(work, in_thread=True), dataset="/not/there")))
        await until(pilot, lambda: app.shown and not state(pilot).alive)
        assert (state(pilot).phase, "/not/there" in state(pilot).message) == ("failed", True)
