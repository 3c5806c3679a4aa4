"""Drives the app in tests: waits for conditions, reads the screen, shows recorded runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from textual.pilot import Pilot
from textual.widgets import Input

from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from backends.runs import events
from backends.runs.job import Job
from tests.tui.recorded import PHOTOS, RecordedJob, facts, plan_of, run_events, through_the_file
from tui.app import ImgstoreApp
from tui.draft import draft_of
from tui.screens.convert import ConvertScreen
from tui.widgets.chart import ChartPanel
from tui.widgets.form import ChoiceField

SMALL, LARGE = (80, 24), (120, 36)
TIMEOUT_SECONDS = 60.0
"""After which a condition that never came true fails the test."""
POLL_SECONDS = 0.005


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Let the app work until ``condition`` holds and the screen shows it."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():
            await asyncio.sleep(POLL_SECONDS)
    await pilot.pause()


async def until_text(pilot: Pilot[int], text: str) -> None:
    """Let the app work until ``text`` stands on the screen, wherever its lines are broken."""
    await until(pilot, lambda: text in words(pilot))


def app_of(pilot: Pilot[int]) -> ImgstoreApp:
    """The app under test."""
    return cast("ImgstoreApp", pilot.app)


def frame(pilot: Pilot[int]) -> str:
    """The screen as text, without blanks at the ends of lines."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def words(pilot: Pilot[int]) -> str:
    """The screen as one line of words, without borders."""
    return " ".join(frame(pilot).replace("│", " ").split())


def footer(pilot: Pilot[int]) -> str:
    """The last line of the screen."""
    return frame(pilot).splitlines()[-1]


def segments(pilot: Pilot[int]) -> list[Any]:
    """Everything on the screen with its style."""
    return [segment for strip in pilot.app.screen._compositor.render_strips() for segment in strip]


async def settle(pilot: Pilot[int]) -> None:
    """Wait until every chart that the screen asked for has been drawn."""
    panel = app_of(pilot).workbench.query_one(ChartPanel)
    await until(pilot, lambda: panel.drawn)


async def start(pilot: Pilot[int]) -> ImgstoreApp:
    """Wait for the start list, and put three backends into the table, however many are installed."""
    app = app_of(pilot)
    await until(pilot, lambda: app.workbench.focused is not None)
    app.workbench.draft = draft_of(plan_of(sizes=(10, 100, 1000)))
    await pilot.pause()
    return app


async def open_cifar(pilot: Pilot[int], **changes: Any) -> None:
    """Open CIFAR-10 from the start list and wait until its plan is estimated."""
    await start(pilot)
    await open_dataset(pilot, facts(**changes))


async def open_dataset(pilot: Pilot[int], dataset: DatasetFacts) -> None:
    """Show a dataset as if it had been read and wait until its plan is estimated."""
    app = app_of(pilot)
    app.workbench.show_dataset(dataset)
    await until(pilot, lambda: app.workbench.facts == dataset and footer(pilot).startswith(" Enter run"))


async def show(pilot: Pilot[int], job: RecordedJob, plan: Plan | None = None) -> None:
    """Follow a recorded run up to its last event."""
    app = app_of(pilot)
    job.plan = plan or job.plan
    app.follow(cast("Job", job))
    await until(pilot, lambda: app.workbench.run is not None and app.workbench.run.now == job.told[-1].time)
    await settle(pilot)


async def show_conversion(pilot: Pilot[int], *told: events.Event) -> RecordedJob:
    """Follow a recorded conversion up to its last event."""
    app, job = app_of(pilot), RecordedJob(list(through_the_file(iter(told))), id="convert", plan=PHOTOS)
    app.follow(cast("Job", job))
    await until(pilot, lambda: app.workbench.conversion and app.workbench.conversion.now == job.told[-1].time)
    return job


async def prepared(pilot: Pilot[int]) -> ConvertScreen:
    """The Convert screen once it knows what the conversion takes, or why it cannot be done."""
    app = app_of(pilot)
    await until(pilot, lambda: app.screen is app.convert_screen and app.convert_screen.found is not None)
    return cast("ConvertScreen", app.screen)


@asynccontextmanager
async def started(app: ImgstoreApp, size: tuple[int, int] = SMALL) -> AsyncIterator[Pilot[int]]:
    """The app with the start list."""
    async with app.run_test(size=size) as pilot:
        await start(pilot)
        yield pilot


@asynccontextmanager
async def planned(app: ImgstoreApp, size: tuple[int, int] = SMALL, **changes: Any) -> AsyncIterator[Pilot[int]]:
    """The app with a dataset open and its plan estimated."""
    async with app.run_test(size=size) as pilot:
        await open_cifar(pilot, **changes)
        yield pilot
        app.leave(0)


@asynccontextmanager
async def showing(
    app: ImgstoreApp, job: RecordedJob | None = None, plan: Plan | None = None, size: tuple[int, int] = SMALL
) -> AsyncIterator[Pilot[int]]:
    """The app with a recorded run on the screen, by default one that finished."""
    async with planned(app, size) as pilot:
        await show(pilot, job or recording(plan), plan)
        yield pilot


def field_of(pilot: Pilot[int], selector: str) -> Input | ChoiceField:
    """A field of the dialog."""
    return cast("Input | ChoiceField", app_of(pilot).screen.query_one(selector))


def value_of(pilot: Pilot[int], name: str) -> str:
    """The text of the dialog's field with the id ``name``."""
    return field_of(pilot, f"#{name}").value


async def fill(pilot: Pilot[int], *keys: str, **fields: str) -> None:
    """Put texts into fields of the dialog by their ids, or into its only one as ``text``, then press ``keys``."""
    for name, value in fields.items():
        field_of(pilot, "Input" if name == "text" else f"#{name}").value = value
    await pilot.press(*keys)


def recording(plan: Plan | None = None, end: Callable[[events.Event], bool] | None = None, **more: Any) -> RecordedJob:
    """A job with the events of a run, up to the first for which ``end`` is true."""
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


def record_starts(monkeypatch: Any, job_of: Callable[[Plan], RecordedJob] | None = None) -> list[Plan]:
    """Replace the start of runs by ``job_of``; returns the list of plans that were started."""
    plans: list[Plan] = []

    def start_job(plan: Plan, jobs: object, *, wait: bool) -> RecordedJob:
        plans.append(plan)
        return job_of(plan) if job_of else recording(plan)

    monkeypatch.setattr("backends.runs.job.start_job", start_job)
    return plans


def write_run(jobs: Path, number: int, plan: Plan, created: float) -> str:
    """Write the folder of a finished run into the history; returns its name."""
    folder = jobs / f"20261122-06150{number}-k3f{number}"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps({"kind": "bench", "created": created, "plan": asdict(plan)}))
    (folder / "events.jsonl").write_bytes(b"".join(map(events.encode_event, run_events(plan))))
    return folder.name
