"""Whole screens as text, at 80x24 and 120x36: what the user sees in each state."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.bench.plan import Plan
from backends.runs import events
from tests.tui.conftest import compare_golden
from tests.tui.driving import app_of, at_progress, frame, open_cifar, recording, settle, show, start, until
from tests.tui.recorded import START, plan_of, run_events, through_the_file
from tui import messages
from tui.app import ImgstoreApp
from tui.keys import View

Scene = Callable[[Pilot[int]], Awaitable[None]]


async def first_run(pilot: Pilot[int]) -> None:
    await start(pilot)


async def dataset_ready(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)


async def staging(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(end=lambda event: isinstance(event, events.Staging) and event.done > 20_000), plan_of())


async def running(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(end=at_progress(50_000, nth=2)), plan_of())


async def finished_store(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(), plan_of())


async def finished_read(pilot: Pilot[int]) -> None:
    await finished_store(pilot)
    await pilot.press("right_square_bracket")
    await settle(pilot)


async def linear(pilot: Pilot[int]) -> None:
    await finished_store(pilot)
    await pilot.press("s")
    await settle(pilot)


async def numbers(pilot: Pilot[int]) -> None:
    await finished_store(pilot)
    await pilot.press("t")


async def disk(pilot: Pilot[int]) -> None:
    await finished_store(pilot)
    await pilot.press("d")
    await settle(pilot)


async def verdict(pilot: Pilot[int]) -> None:
    await finished_store(pilot)
    await pilot.press("v")


async def failed_trial(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(fails="lmdb+raw store 1000"), plan_of())
    await pilot.press("down")


async def failed_run(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    job = recording(end=lambda event: isinstance(event, events.RunStarted))
    sentence = "/scratch/me has 12 MiB free for this (5 % stays unused) and the run needs up to 500 MiB."
    job.told += through_the_file(iter([events.JobFailed(START + 1, sentence)]))
    await show(pilot, job, plan_of())


async def refused_dataset(pilot: Pilot[int]) -> None:
    await start(pilot)
    app_of(pilot).post_message(messages.OpenDataset("/no/such/folder"))
    await until(pilot, lambda: app_of(pilot).workbench.view is View.ERROR)


async def second_codec(pilot: Pilot[int]) -> None:
    plan = plan_of("files", "lmdb", "hdf5", "lmdb+png")
    await show(pilot, recording(plan), plan)


def everything() -> Plan:
    """A plan that measures all there is, and predicts for more images than it stores."""
    return plan_of(
        *("files", "lmdb", "hdf5", "npy"),
        operations=("store", "read", "shuffled", "store-one", "read-one"),
        sizes=(10, 100, 1000, 10_000),
        caches=("warm", "cold"),
        limits=True,
    )


async def look_at(pilot: Pilot[int], aspect: str) -> None:
    await open_cifar(pilot)
    await show(pilot, recording(everything()), everything())
    app_of(pilot).workbench.aspect = aspect
    await settle(pilot)


async def predicted(pilot: Pilot[int]) -> None:
    await look_at(pilot, "shuffled")


async def from_disk(pilot: Pilot[int]) -> None:
    await look_at(pilot, "read cold")


async def one_image(pilot: Pilot[int]) -> None:
    await look_at(pilot, "read-one")


async def trade_off(pilot: Pilot[int]) -> None:
    await look_at(pilot, "shuffled")
    await pilot.press("d", "d")
    await settle(pilot)


async def full_verdict(pilot: Pilot[int]) -> None:
    await look_at(pilot, "shuffled")
    await pilot.press("v", "4", "f")
    await settle(pilot)


async def article(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await pilot.press("a")
    plan = app_of(pilot).workbench.draft.plan("/data/cifar-10-batches-py")
    await show(pilot, recording(plan), plan)


async def history(pilot: Pilot[int]) -> None:
    for number, names in ((1, ("files", "lmdb")), (2, ("hdf5", "npy")), (3, ("files", "lmdb"))):
        plan = plan_of(*names, sizes=(10, 1000))
        folder = app_of(pilot).jobs / f"20261122-06150{number}-k3f{number}"
        folder.mkdir(parents=True)
        spec = {"kind": "bench", "created": time.time() - 86400.0 * (4 - number), "plan": asdict(plan)}
        (folder / "spec.json").write_text(json.dumps(spec))
        (folder / "events.jsonl").write_bytes(b"".join(map(events.encode_event, run_events(plan))))
    await start(pilot)
    await pilot.press("H")
    await until(pilot, lambda: "finished" in frame(pilot))
    await pilot.press("space", "end", "space")


async def comparison(pilot: Pilot[int]) -> None:
    await history(pilot)
    await pilot.press("equals_sign")
    await until(pilot, lambda: "Medians" in frame(pilot))


async def plan_form(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await pilot.press("p", "end", "comma", "a", "b", "c")
    await until(pilot, lambda: "'abc'" in frame(pilot))


async def quitting(pilot: Pilot[int]) -> None:
    await running(pilot)
    await pilot.press("q")


async def help_screen(pilot: Pilot[int]) -> None:
    await open_cifar(pilot)
    await pilot.press("question_mark")


SCENES: tuple[Scene, ...] = (
    first_run,
    dataset_ready,
    staging,
    running,
    finished_store,
    finished_read,
    linear,
    numbers,
    disk,
    verdict,
    failed_trial,
    failed_run,
    refused_dataset,
    second_codec,
    predicted,
    from_disk,
    one_image,
    trade_off,
    full_verdict,
    article,
    history,
    comparison,
    plan_form,
    quitting,
    help_screen,
)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_each_state_looks_like_its_golden_frame(scene: Scene, size: tuple[int, int], tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path / "jobs")
    async with app.run_test(size=size) as pilot:
        await scene(pilot)
        compare_golden(f"{scene.__name__}-{size[0]}x{size[1]}", frame(pilot))
        app.leave(0)
