"""Budget: what a plan writes at most, how long trials take, and which of them fit."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backends.bench.budget import COPY_FACTOR, Pace, choose_folders, container_need
from backends.bench.configuration import Configuration, configurations_of
from backends.bench.disk import usage_of
from backends.bench.measurement import Trial
from backends.bench.operations import Task
from backends.bench.plan import Plan, default_sizes
from backends.bench.trial import blank
from backends.datasets import open_dataset
from backends.images import Layout
from backends.registry import backend_entries, make_backend, make_codec
from backends.runs import events
from backends.runs.runner import run

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images

FACTS = open_dataset("sample").facts()
FAST = Trial(0, Configuration("npy+raw"), "store", 1000, 1)
SLOW = Trial(1, Configuration("files+png"), "store", 1000, 1)
SLOW_READ = Trial(2, Configuration("files+png"), "read", 1000, 1, reads=1)
BLOCK = (SLOW, SLOW_READ, FAST)


@pytest.mark.parametrize(
    ("backend", "codec"),
    [
        (entry.name, codec)
        for entry in backend_entries().values()
        for codec in ("raw", "png", "jpeg")
        if not entry.codecs or codec in entry.codecs
    ],
)
def test_container_takes_no_more_than_estimated(
    sample_images: Images, tmp_path: Path, backend: str, codec: str
) -> None:
    count = 10 * len(sample_images)
    with make_backend(backend).create(tmp_path / "container", Layout(count, codec, (32, 32, 3))) as writer:
        for _ in range(10):
            writer.append(make_codec(codec).encode(sample_images))
    used, said = (
        usage_of(tmp_path / "container"),
        container_need(Configuration(f"{backend}+{codec}"), count, FACTS, 4_096),
    )
    assert max(used.bytes_apparent, used.bytes_allocated) <= said.bytes
    assert used.files <= said.files


class Peak:
    """Takes the events of a run and keeps the largest disk usage seen, whole and of copies alone."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.announced = self.bytes = self.copies = 0

    def take(self, event: events.Event) -> None:
        match event:
            case events.RunStarted():
                self.announced = event.bytes_at_most
            case events.TrialFinished():
                self.bytes = max(self.bytes, usage_of(self.work).bytes_allocated)
                copies = (usage_of(path).bytes_allocated for path in self.work.glob("imgstore-*/*.loops"))
                self.copies = max(self.copies, sum(copies))


def measured_peak(
    work: Path, *configurations: str, in_thread: bool = False, workers: int = 1, sizes: tuple[int, ...] = (10, 100)
) -> Peak:
    plan = Plan("sample", configurations_of(*configurations), sizes, ("store",), repeats=2, work_dir=str(work))
    peak = Peak(work)
    run(replace(plan, workers=workers, in_thread=in_thread), peak.take, lambda: False, "peak")
    return peak


@pytest.fixture
def endless_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in this process is repeated as often as it may be, however long it takes."""
    monkeypatch.setattr("backends.bench.trial.LEAST_SECONDS", math.inf)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_run_writes_no_more_than_announced(tmp_path: Path, workers: int) -> None:
    peak = measured_peak(tmp_path, *backend_entries(), "hdf5+jpeg", workers=workers, sizes=(100,))
    assert 0 < peak.bytes <= peak.announced


@pytest.mark.usefixtures("endless_copies")
def test_all_copies_take_at_most_ten_largest_containers(tmp_path: Path) -> None:
    peak = measured_peak(tmp_path, "files", "lmdb", "hdf5", in_thread=True)
    largest = max(container_need(Configuration(name), 100, FACTS, 4096).bytes for name in ("files", "lmdb", "hdf5"))
    assert 0 < peak.copies <= COPY_FACTOR * largest
    assert peak.bytes <= peak.announced


@pytest.mark.slow
@pytest.mark.usefixtures("endless_copies")
def test_copies_without_a_limit_exceed_the_announcement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.runs.runner.Task", lambda *given: replace(Task(*given), copy_bytes=1 << 23))
    peak = measured_peak(tmp_path, "hdf5", in_thread=True)
    assert peak.bytes > peak.announced


def test_stores_too_large_for_their_share_make_no_copies(tmp_path: Path) -> None:
    plan = Plan(
        "sample", configurations_of("files", "lmdb", "hdf5"), default_sizes(2000), repeats=5, work_dir=str(tmp_path)
    )
    copies = choose_folders(plan, FACTS, "test").copies
    assert copies.count == 100


def pace(budget: float | None) -> Pace:
    found = Pace(budget, FACTS, time.monotonic())
    for trial, seconds in ((FAST, 0.1), (SLOW, 300.0), (SLOW_READ, 100.0)):
        found.learn(trial, seconds, replace(blank(trial, "ok"), seconds=seconds))
    return found


def test_pace_scales_to_larger_counts_only() -> None:
    known = pace(None)
    assert known.predict(SLOW) == 300.0
    assert 1500.0 <= known.predict(replace(SLOW, count=5000)) <= 5000.0
    assert known.predict(replace(SLOW, count=10)) == 300.0
    assert 0 < known.predict(replace(SLOW, configuration=Configuration("lmdb+raw"))) < 10


def test_pace_ignores_warm_ups() -> None:
    known = Pace(None, FACTS, time.monotonic())
    known.learn(replace(SLOW, repeat=0), 300.0, replace(blank(SLOW, "ok"), seconds=300.0))
    assert known.predict(SLOW) < 10


def test_everything_is_affordable_without_budget() -> None:
    assert pace(None).unaffordable(BLOCK) == {}
    assert pace(None).left() is None


@pytest.mark.parametrize(
    ("budget", "skipped"),
    [(1000.0, {}), (350.0, {2: 100.0}), (200.0, {1: 300.0, 2: 100.0}), (0.01, {0: 0.1, 1: 300.0, 2: 100.0})],
)
def test_cheapest_trials_and_their_stores_are_kept(budget: float, skipped: dict[int, float]) -> None:
    assert pace(budget).unaffordable(BLOCK) == skipped
