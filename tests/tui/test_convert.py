"""The Convert screen by its keys, with the real engine: from the verdict to a store, waiting, stopping, going on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from textual.pilot import Pilot

from backends.bench.configuration import Configuration
from backends.runs import events
from backends.runs.history import list_runs
from backends.runs.machine_lock import take_lock
from backends.stores.manifest import is_store, read_manifest
from tests.tui.driving import (
    SMALL,
    app_of,
    fill,
    footer,
    frame,
    planned,
    prepared,
    show,
    show_conversion,
    started,
    until,
    until_text,
    words,
)
from tests.tui.recorded import START, RecordedJob, conversion_events, facts, plan_of, run_events
from tui import messages
from tui.app import ImgstoreApp

pytestmark = pytest.mark.slow


async def change(pilot: Pilot[int], key: str, text: str) -> None:
    """Change a field of the conversion, and wait for what it takes then."""
    await pilot.press(key)
    await fill(pilot, "enter", text=text)
    await until(pilot, lambda: app_of(pilot).screen is app_of(pilot).convert_screen)
    await prepared(pilot)


@asynccontextmanager
async def offered(app: ImgstoreApp, tmp_path: Path, shards: str = "") -> AsyncIterator[Pilot[int]]:
    """The Convert screen for the sample, opened from the verdict of a run that is over."""
    dataset = facts("sample", count=2000)
    async with started(app) as pilot:
        await show(pilot, RecordedJob(list(run_events(plan_of(), dataset))))
        app.workbench.place = messages.Place(str(tmp_path), "ext4", 1 << 40)
        await pilot.press("enter")
        assert footer(pilot).startswith(" Enter convert")
        await pilot.press("enter")
        await prepared(pilot)
        if shards:
            await change(pilot, "s", shards)
        yield pilot
        app.leave(0)


def conversion(app: ImgstoreApp) -> Any:
    return app.workbench.conversion


async def until_sealed(pilot: Pilot[int]) -> None:
    """Wait until some of a conversion is durable, and not all."""
    await until(pilot, lambda: (state := conversion(app_of(pilot))) and state.progress and state.progress.sealed)
    assert conversion(app_of(pilot)).alive


async def test_enter_leads_from_the_verdict_to_a_store(app: ImgstoreApp, tmp_path: Path) -> None:
    async with offered(app, tmp_path) as pilot:
        assert footer(pilot).startswith(" Enter start")
        await pilot.press("enter")
        await until_text(pilot, "Every image was read back")
        assert read_manifest(tmp_path / "cifar-10-hdf5").images == 2000
        await pilot.press("enter")
        await until_text(pilot, "import numpy as np")
        await pilot.press("escape", "escape", "escape", "escape")
        await until_text(pilot, "finished sample → hdf5 2k just now")


async def test_conversion_waits_stops_and_is_resumed_by_keys(app: ImgstoreApp, tmp_path: Path) -> None:
    async with offered(app, tmp_path, "5 images") as pilot:
        await pilot.press("enter")
        await until_sealed(pilot)
        await pilot.press("p")
        await until(pilot, lambda: conversion(app).is_paused)
        assert footer(pilot).startswith(" p go on   x cancel (resumable)")
        await pilot.press("p", "escape")
        await until_text(pilot, "3 Run ─ converting")
        await pilot.press("C", "x")
        await until_text(pilot, "images are durable")
        assert [one.state for one in list_runs(app.jobs)] == ["stopped"]
        assert footer(pilot).startswith(" Enter resume")
        await pilot.press("escape", "C")
        await prepared(pilot)
        await change(pilot, "s", "5 images")
        assert footer(pilot).startswith(" Enter resume")
        await pilot.press("y", "enter")
        assert app.clipboard.endswith(" --shard-images 5 --resume")
        await until_text(pilot, "Every image was read back")
        assert conversion(app).progress.resumed > 0


async def test_started_again_the_program_shows_a_running_conversion(app: ImgstoreApp, tmp_path: Path) -> None:
    async with offered(app, tmp_path, "5 images") as pilot:
        await pilot.press("enter")
        await until_sealed(pilot)
    async with ImgstoreApp(app.jobs).run_test(size=SMALL) as pilot:
        await until_text(pilot, "▸ running Converting sample → hdf5: ")
        await pilot.press("home", "enter")
        await until_text(pilot, "Every image was read back")
        assert is_store(tmp_path / "cifar-10-hdf5")


async def test_fields_of_a_conversion_are_changed_by_keys(app: ImgstoreApp, tmp_path: Path) -> None:
    async with offered(app, tmp_path) as pilot:
        await pilot.press("c")
        await until_text(pilot, "(x) hdf5")
        await pilot.press("l", "enter")
        await until_text(pilot, "/cifar-10-lmdb t change")
        await prepared(pilot)
        assert "every pixel" in words(pilot)
        for key, text in (("z", "16"), ("s", "1k images"), ("w", "2")):
            await change(pilot, key, text)
        assert "16 pixels at the shorter side (lossy)" in words(pilot)
        assert "not every (lossy) pixel" in words(pilot)
        await pilot.press("w")
        await fill(pilot, "enter", text="many")
        await until_text(pilot, "is not a number of workers")
        await pilot.press("escape", "y")
        made = f"sample {tmp_path}/cifar-10-lmdb lmdb+raw --shard-images 1000 --resize 16 --workers 2"
        assert app.clipboard == f"imgstore-tui convert {made}"
        await pilot.press("b")
        await until_text(pilot, "starts it on the cluster")
        assert "#SBATCH --array=1-2" in (tmp_path / "cifar-10-lmdb.sbatch").read_text()


async def test_field_that_cannot_be_used_is_said_before_the_start(app: ImgstoreApp, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    async with offered(app, tmp_path) as pilot:
        await change(pilot, "t", str(tmp_path))
        await until_text(pilot, "has other files in it")
        assert footer(pilot).startswith(" Enter change folder")
        await pilot.press("enter")
        await until_text(pilot, "Folder of the store, which")
        await fill(pilot, "enter", text=str(tmp_path / "new"))
        await until_text(pilot, "Enter start")
        await change(pilot, "o", "nowhere")
        assert footer(pilot).startswith(" Enter change dataset")
        assert (await prepared(pilot)).spec.request.dataset == str(Path("nowhere").absolute())
        await change(pilot, "o", "sample")
        screen = await prepared(pilot)
        request = structs.replace(screen.spec.request, configuration=Configuration("hdf5@/x"))
        screen.change(structs.replace(screen.spec, request=request))
        await prepared(pilot)
        assert footer(pilot).startswith(" Enter change backend")


async def test_conversion_is_queued_behind_another_job(app: ImgstoreApp, tmp_path: Path) -> None:
    app.jobs.mkdir()
    lock = take_lock(app.jobs, "unknown")
    async with offered(app, tmp_path) as pilot:
        await pilot.press("enter")
        await until_text(pilot, "Going on: another job")
        assert not list_runs(app.jobs)
        await pilot.press("a")
        await until_text(pilot, "waiting for another job")
        os.close(lock or 0)
        await until_text(pilot, "Every image was read back")


async def test_events_of_a_run_leave_a_new_conversion_on_the_screen(app: ImgstoreApp, tmp_path: Path) -> None:
    async with offered(app, tmp_path) as pilot:
        await show_conversion(pilot, *conversion_events())
        await pilot.press("escape", "C")
        screen = await prepared(pilot)
        app._present()
        await pilot.pause()
        assert screen.conversion is None


@pytest.mark.parametrize(("key", "stops"), [("l", False), ("s", True)])
async def test_quitting_during_a_conversion_leaves_or_stops_it(app: ImgstoreApp, key: str, stops: bool) -> None:
    async with started(app) as pilot:
        job = await show_conversion(pilot, *conversion_events(ended=False))
        await pilot.press("q", key)
        await until(pilot, lambda: app.return_code is not None)
        assert job.cancelled.is_set() is stops


async def test_long_listing_of_a_job_is_counted(app: ImgstoreApp) -> None:
    told = events.Listing(START, 12_345)
    async with planned(app) as pilot:
        await show(pilot, RecordedJob([told]))
        await until_text(pilot, "listing the dataset 12,345 pictures")
        await show_conversion(pilot, told)
        await until_text(pilot, "reading the dataset… 12,345 pictures found")


async def test_failed_conversion_says_why_where_nothing_was_begun(app: ImgstoreApp) -> None:
    async with started(app) as pilot:
        await show_conversion(pilot, events.JobFailed(START, "/data/photos does not exist."))
        assert "! /data/photos does not exist." in frame(pilot)
        assert footer(pilot).startswith(" Enter change")
        await pilot.press("enter")
        await until_text(pilot, "o change")
