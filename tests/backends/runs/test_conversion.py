"""Conversions as jobs: real processes that make real stores, wait, are stopped or killed, and are gone on with."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from backends.bench.configuration import Configuration
from backends.errors import ImgstoreError, UsageError
from backends.runs import events
from backends.runs.conversion import Conversion, ConversionSpec
from backends.runs.folder import lock_holder
from backends.runs.history import delete_run, list_runs, read_run
from backends.runs.job import Job, open_job, start_job
from backends.stores.manifest import is_store, read_manifest
from backends.stores.plan import Request
from backends.stores.progress import Progress
from backends.stores.verify import verify

pytestmark = pytest.mark.slow


@pytest.fixture
def spec(tmp_path: Path) -> ConversionSpec:
    """The sample in 100 shards: long enough to be interrupted."""
    request = Request(dataset="sample", configuration=Configuration("hdf5+png"), shard_images=20)
    return ConversionSpec(request, str(tmp_path / "store"), workers=1)


def follow(job: Job, enough: Callable[[Conversion], object] = lambda state: False) -> Conversion:
    """The conversion at the first event at which it is ``enough``, or at its end."""
    spec = job.spec
    assert isinstance(spec, ConversionSpec)
    state = Conversion(spec)
    for event in job.follow():
        state = state.after(event)
        if enough(state):
            break
    return state


def has_sealed(state: Conversion) -> bool:
    return state.progress is not None and 0 < state.progress.sealed < state.progress.shards


def test_conversion_job_makes_a_store_and_tells_it(jobs: Path, spec: ConversionSpec) -> None:
    job = start_job(spec, jobs)
    state = follow(job)
    manifest = read_manifest(Path(spec.destination))
    assert (state.phase, state.images, state.share, manifest.images) == ("finished", 2000, 1.0, 2000)
    assert state.made is not None
    assert (state.made.shards, state.made.failures, state.made.duplicates) == (100, 0, manifest.duplicates)
    assert verify(Path(spec.destination), "full") == []
    told = list(open_job(job.folder).follow())
    assert [type(event) for event in (told[0], *told[-2:])] == [
        events.ConversionStarted,
        events.StoreMade,
        events.RunFinished,
    ]
    times = [event.time for event in told if isinstance(event, events.ConversionProgress)]
    assert all(later - earlier > 0.24 for earlier, later in pairwise(times[:-1]))


def test_cancelled_conversion_is_resumed_by_another_job(jobs: Path, spec: ConversionSpec) -> None:
    job = start_job(spec, jobs)
    follow(job, has_sealed)
    job.cancel()
    state = follow(job)
    assert (state.phase, state.can_stop, is_store(Path(spec.destination))) == ("cancelled", False, False)
    assert [facts.state for facts in list_runs(jobs)] == ["stopped"]
    failed = follow(start_job(spec, jobs))
    assert (failed.phase, "--resume" in failed.message) == ("failed", True)
    again = follow(start_job(structs.replace(spec, resume=True), jobs))
    assert again.phase == "finished"
    assert again.progress is not None
    assert again.progress.resumed > 0


def test_killed_conversion_died_and_is_resumed(jobs: Path, spec: ConversionSpec) -> None:
    job = start_job(spec, jobs)
    follow(job, has_sealed)
    os.kill(lock_holder(job.folder) or 0, signal.SIGKILL)
    assert "died" in follow(job).message
    assert [facts.state for facts in list_runs(jobs)] == ["died"]
    assert follow(start_job(structs.replace(spec, resume=True), jobs)).phase == "finished"


def test_paused_conversion_waits_and_says_nothing_twice(jobs: Path, spec: ConversionSpec) -> None:
    job = start_job(spec, jobs)
    follow(job, has_sealed)
    job.pause(True)
    waiting = follow(job, lambda state: state.is_paused)
    assert (waiting.phase, waiting.images_per_second) == ("running", None)
    job.pause(False)
    assert follow(job).phase == "finished"
    told = [event.progress for event in job.follow() if isinstance(event, events.ConversionProgress)]
    assert all(before != after for before, after in pairwise(told))


def test_history_lists_a_conversion_and_deletes_its_record_only(jobs: Path, spec: ConversionSpec) -> None:
    job = start_job(spec, jobs)
    follow(job, has_sealed)
    (facts,) = list_runs(jobs)
    assert (facts.job, facts.state, facts.dataset, facts.sizes) == ("convert", "running", "sample", (2000,))
    with pytest.raises(UsageError, match="is running"):
        delete_run(job.folder)
    follow(job)
    (facts,) = list_runs(jobs, text="convert finished")
    assert (facts.configurations, facts.headline) == (
        (spec.request.configuration,),
        f"100 % converted to {spec.destination}",
    )
    with pytest.raises(ImgstoreError, match="is a conversion to"):
        read_run(job.folder)
    assert delete_run(job.folder) == ()
    assert not job.folder.exists()
    assert is_store(Path(spec.destination))


def test_conversion_that_cannot_begin_says_why(jobs: Path, spec: ConversionSpec, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine").touch()
    state = follow(start_job(spec, jobs))
    assert (state.phase, state.start, "has other files in it (mine)" in state.message) == ("failed", None, True)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["mine"]


def test_pictures_that_do_not_decode_are_named(jobs: Path, spec: ConversionSpec, tmp_path: Path) -> None:
    (tmp_path / "set" / "cats").mkdir(parents=True)
    for number in range(5):
        pixels = np.full((9, 7, 3), number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "cats" / f"{number}.png")
    (tmp_path / "set" / "cats" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    request = structs.replace(spec.request, dataset=str(tmp_path / "set"), shard_images=None)
    made = follow(start_job(structs.replace(spec, request=request), jobs)).made
    assert made is not None
    assert (made.images, made.failures, len(made.skipped), "3.png" in made.skipped[0]) == (4, 1, 1, True)


def test_rate_is_that_of_late_and_begins_anew_after_a_pause(spec: ConversionSpec) -> None:
    started = events.ConversionStarted(0.0, "sample", "here", 1000, 10, 1, 1.0)
    state = Conversion(spec).after(started)
    assert (state.phase, state.images_per_second, state.seconds_left) == ("starting", None, None)
    for second in range(1, 5):
        state = state.after(progress(float(second), written=100 * second))
    assert (state.images_per_second, state.seconds_left, state.seconds) == (100.0, 6.0, 4.0)
    state = state.after(progress(5.0, 500, paused=True))
    assert (state.is_paused, state.seconds_left) == (True, None)
    state = state.after(progress(1000.0, 500), progress(1001.0, 550))
    assert (state.images_per_second, state.seconds_left) == (50.0, 9.0)
    assert replace(state, stopping=True).can_stop is False


def progress(at: float, written: int, *, paused: bool = False) -> events.ConversionProgress:
    return events.ConversionProgress(at, Progress(1000, written, written - 50, 10, 3, 0, 1 << 20, 0, (), paused))
