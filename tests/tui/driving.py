"""Driving the app in tests: waiting for conditions, reading the screen, telling it of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from textual.pilot import Pilot

from backends.bench.plan import Plan
from backends.runs import events
from backends.runs.job import Job
from tests.tui.recorded import RecordedJob, facts, plan_of, run_events, through_the_file
from tui.app import ImgstoreApp
from tui.draft import draft_of
from tui.keys import View
from tui.widgets.chart import ChartPanel

PATIENCE = 20.0
"""Seconds after which a condition that never came true fails the test."""


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Let the app work until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await pilot.pause()
    await pilot.pause()


def app_of(pilot: Pilot[int]) -> ImgstoreApp:
    """The app that is driven."""
    return cast("ImgstoreApp", pilot.app)


def frame(pilot: Pilot[int]) -> str:
    """The screen as text, a row a line, trailing blanks stripped."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def segments(pilot: Pilot[int]) -> list[Any]:
    """Everything on the screen with its style."""
    return [segment for strip in pilot.app.screen._compositor.render_strips() for segment in strip]


async def settle(pilot: Pilot[int]) -> None:
    """Wait until every chart that is wanted has been drawn."""
    panel = app_of(pilot).workbench.query_one(ChartPanel)
    await until(pilot, lambda: panel.drawn)


async def start(pilot: Pilot[int]) -> ImgstoreApp:
    """The list to begin with, and three backends in the table, however many there are."""
    app = app_of(pilot)
    await until(pilot, lambda: app.workbench.focused is not None)
    app.workbench.draft = draft_of(plan_of(sizes=(10, 100, 1000)))
    await pilot.pause()
    return app


async def open_cifar(pilot: Pilot[int], **changes: Any) -> None:
    """A dataset is open and its plan weighed."""
    app = await start(pilot)
    app.workbench.show_dataset(facts(**changes))
    await until(pilot, lambda: app.workbench.place is not None and app.workbench.view is View.PLAN)


async def show(pilot: Pilot[int], job: RecordedJob, plan: Plan) -> None:
    """A run is followed up to the last of its recorded events."""
    app = app_of(pilot)
    app.follow(cast("Job", job), plan)
    await until(pilot, lambda: app.workbench.run is not None and app.workbench.run.now == job.told[-1].time)
    await settle(pilot)


def recording(plan: Plan | None = None, end: Callable[[events.Event], bool] | None = None, **more: Any) -> RecordedJob:
    """A job with the events of a run, up to the first for which ``end`` holds."""
    told = list(through_the_file(run_events(plan or plan_of(), **more)))
    if end is not None:
        told = told[: next(index for index, event in enumerate(told) if end(event)) + 1]
    return RecordedJob(told)


def at_progress(count: int, operation: str = "store", nth: int = 1) -> Callable[[events.Event], bool]:
    """An end for ``recording``: in the middle of the ``nth`` trial of ``operation`` at ``count`` images."""
    seen: list[int] = []
    found = {}

    def end(event: events.Event) -> bool:
        if isinstance(event, events.TrialStarted):
            found[event.trial.index] = event.trial
        if isinstance(event, events.Progress):
            trial = found[event.trial]
            if (trial.count, trial.operation) == (count, operation) and trial.index not in seen:
                seen.append(trial.index)
            return len(seen) == nth and trial.index == seen[-1] and 0.3 < event.done / event.total < 0.5
        return False

    return end
