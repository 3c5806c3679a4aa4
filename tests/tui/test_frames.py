"""Whole screens as text: one golden frame for each state, at the sizes where it differs.

With IMGSTORE_UPDATE_GOLDEN=1 the frames are written anew: read their diff before you commit them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from backends.runs import events
from backends.stores.plan import Shard, StorePlan
from backends.stores.preflight import Estimate
from tests.backends.encoded import encoded
from tests.tui.conftest import compare_golden
from tests.tui.driving import (
    LARGE,
    SMALL,
    app_of,
    at_progress,
    fill,
    frame,
    open_cifar,
    prepared,
    recording,
    settle,
    show,
    show_conversion,
    start,
    until_text,
    write_run,
)
from tests.tui.recorded import CLASSES, START, conversion_events, plan_of, through_the_file
from tui.app import ImgstoreApp
from tui.messages import OpenDataset, Prepared

Scene = Callable[[Pilot[int]], Awaitable[None]]
HUGE, LEAST = (200, 50), (60, 18)
EVERYTHING = plan_of(
    *("files", "lmdb", "hdf5", "npy"),
    operations=("store", "read", "shuffled", "store-one", "read-one"),
    sizes=(10, 100, 1000, 10_000),
    caches=("warm", "cold"),
    limits=True,
)
SCENES: list[tuple[Scene, tuple[int, int]]] = []


def scene(*sizes: tuple[int, int]) -> Callable[[Scene], Scene]:
    """Register a function that brings the app into a state, to be looked at in each of ``sizes``."""

    def register(prepare: Scene) -> Scene:
        SCENES.extend((prepare, size) for size in sizes)
        return prepare

    return register


@scene(SMALL)
async def first_run(pilot: Pilot[int]) -> None:
    await start(pilot)


@scene(SMALL, LARGE)
async def dataset_ready(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)


@scene(SMALL)
async def staging(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(end=lambda event: isinstance(event, events.Staging) and event.done > 20_000))


@scene(SMALL, LEAST)
async def running(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(end=at_progress(50_000, nth=2)))


@scene(SMALL, LARGE, LEAST)
async def finished_store(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording())


def press_after(before: Scene, *keys: str, sizes: tuple[tuple[int, int], ...] = (SMALL,), name: str) -> None:
    """Register the state ``name``: what keys show after the state ``before``."""

    async def prepare(pilot: Pilot[int]) -> None:
        await before(pilot)
        await pilot.press(*keys)
        await settle(pilot)

    prepare.__name__ = name
    scene(*sizes)(prepare)


@scene(HUGE)
async def everything(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(EVERYTHING), EVERYTHING)


press_after(finished_store, "s", name="linear")
press_after(finished_store, "t", name="numbers")
press_after(finished_store, "d", name="disk")
press_after(finished_store, "v", name="verdict", sizes=(SMALL, LEAST))
press_after(dataset_ready, "question_mark", name="help_screen")
press_after(running, "q", name="quitting")


@scene(SMALL)
async def predicted(pilot: Pilot[int]) -> None:
    await everything(pilot)
    while "2 Backends ─ Shuffled" not in frame(pilot):
        await pilot.press("right_square_bracket")
    await settle(pilot)


press_after(predicted, "d", "d", name="trade_off", sizes=(SMALL, LARGE))
press_after(predicted, "v", "4", "f", name="full_verdict", sizes=(LARGE,))
press_after(everything, "left_square_bracket", name="one_image_from_disk")


@scene(SMALL, LARGE)
async def epochs(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    plan = plan_of("files", "lmdb", "hdf5", operations=("shuffled", "epoch"), sizes=(1000, 50_000))
    await show(pilot, recording(plan), plan)
    await pilot.press("right_square_bracket")
    await settle(pilot)


@scene(SMALL)
async def failed_trial(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(fails="lmdb+raw store 1000"))
    await pilot.press("down")


press_after(failed_trial, "enter", name="why_it_failed")


@scene(SMALL)
async def failed_run(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    job = recording(end=lambda event: isinstance(event, events.RunStarted))
    sentence = "/scratch/me has 12 MiB free for this (5 % stays unused) and the run needs up to 500 MiB."
    job.told += through_the_file(iter([events.JobFailed(START + 1, sentence)]))
    await show(pilot, job)


@scene(SMALL)
async def second_codec(pilot: Pilot[int]) -> None:
    plan = plan_of("files", "lmdb", "hdf5", "lmdb+png")
    await show(pilot, recording(plan), plan)


@scene(LARGE)
async def article(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await pilot.press("a")
    plan = app_of(pilot).workbench.draft.plan("/data/cifar-10-batches-py")
    await show(pilot, recording(plan), plan)


@scene(SMALL, LARGE)
async def history(pilot: Pilot[int]) -> None:
    for number, names in ((1, ("files", "lmdb")), (2, ("hdf5", "npy")), (3, ("files", "lmdb"))):
        created = time.time() - 86400.0 * (4 - number)
        write_run(app_of(pilot).jobs, number, plan_of(*names, sizes=(10, 1000)), created)
    await start(pilot)
    await pilot.press("H")
    await until_text(pilot, "finished")
    await pilot.press("space", "end", "space")


@scene(SMALL)
async def comparison(pilot: Pilot[int]) -> None:
    await history(pilot)
    await pilot.press("equals_sign")
    await until_text(pilot, "Medians")


@scene(SMALL)
async def plan_form(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await pilot.press("p", "end", "comma", "a", "b", "c")
    await until_text(pilot, "'abc'")


press_after(dataset_ready, "p", "up", "enter", name="whole_plan_form", sizes=((60, 18), SMALL))
press_after(dataset_ready, "j", "c", name="codecs")


@scene(SMALL, LARGE)
async def convert_before(pilot: Pilot[int]) -> None:
    """What a conversion of CIFAR-10 takes, as if the dataset were there."""
    await finished_store(pilot)
    await pilot.press("v", "enter")
    await prepared(pilot)
    for key, text in (("t", "/data/cifar-10-hdf5"), ("w", "4")):
        await pilot.press(key)
        await fill(pilot, "enter", text=text)
        screen = await prepared(pilot)
    shards = tuple(Shard(number, f"shards/0000{number}.h5", "train", 0, 50_000) for number in range(2))
    plan = StorePlan(
        screen.spec.request, "CIFAR-10", {}, {"train": 50_000, "test": 10_000}, None, CLASSES, 3072, shards
    )
    needs = Estimate(201_000_000, 74, 1.2, 13_000_000_000, 812_000, 186_000_000)
    screen.post_message(Prepared(screen.spec, plan, needs))
    await until_text(pilot, "The same from a shell")


@scene(SMALL, LARGE)
async def convert_during(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show_conversion(pilot, *conversion_events(ended=False))


@scene(SMALL, LARGE)
async def convert_after(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show_conversion(pilot, *conversion_events())


@scene(SMALL)
async def convert_failed(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    full = "the disk of /data/photos-tar is full, with 12 kB left: free some, then go on with --resume"
    why = events.JobFailed(START + 340, f"{full}; what is durable stays.")
    await show_conversion(pilot, *conversion_events(ended=False), why)


press_after(convert_during, "escape", name="converting_beside")


async def open_folders(pilot: Pilot[int], *names: str) -> None:
    """Open the folder ``photos`` with pictures of these names."""
    for name in names:
        Path("photos", name).parent.mkdir(parents=True, exist_ok=True)
        Path("photos", name).write_bytes(encoded(np.zeros((8, 8, 3), np.uint8)))
    await start(pilot)
    app_of(pilot).workbench.post_message(OpenDataset("photos"))


@scene(SMALL)
async def unclear_masks(pilot: Pilot[int]) -> None:
    await open_folders(pilot, "images/1.png", "images/2.png", "masks/1.png", "masks/2.png")
    await until_text(pilot, "Which pictures?")
    await settle(pilot)


@scene(SMALL)
async def unclear_depths(pilot: Pilot[int]) -> None:
    names = [f"kitti/{folder}/{number}.png" for folder in ("left", "right", "depth") for number in range(3)]
    await open_folders(pilot, *names)
    await until_text(pilot, "Which pictures?")
    await pilot.press("a", "enter")
    await until_text(pilot, "All folders need a layout")


@scene(SMALL)
async def unclear_pictures_beside_classes(pilot: Pilot[int]) -> None:
    await open_folders(pilot, "1.png", "cats/2.png", "dogs/3.png")
    await until_text(pilot, "Times storing and reading")


@scene(SMALL)
async def unclear_read_as_splits(pilot: Pilot[int]) -> None:
    await unclear_masks(pilot)
    await pilot.press("a", "down", "s", "enter")
    await until_text(pilot, "2 images 8×8×3")
    await settle(pilot)


@pytest.mark.parametrize(
    ("prepare", "size"), SCENES, ids=[f"{prepare.__name__}-{size[0]}x{size[1]}" for prepare, size in SCENES]
)
async def test_state_matches_its_golden_frame(app: ImgstoreApp, prepare: Scene, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await prepare(pilot)
        compare_golden(f"{prepare.__name__}-{size[0]}x{size[1]}", frame(pilot))
        app.leave(0)
