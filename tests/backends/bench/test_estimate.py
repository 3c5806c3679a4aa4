"""What a plan writes at most, compared with what it has written."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backends.bench.budget import COPY_FACTOR, container_need, find_places
from backends.bench.disk import usage_of
from backends.bench.plan import Plan, default_sizes
from backends.bench.trial import Task
from backends.datasets import open_dataset
from backends.images import Layout
from backends.registry import backend_entries, make_backend, make_codec
from backends.runs import events
from backends.runs.runner import run

if TYPE_CHECKING:
    from pathlib import Path

    from backends.images import Images


@pytest.mark.parametrize("codec", ["raw", "png", "jpeg"])
@pytest.mark.parametrize("backend", backend_entries())
def test_a_container_takes_no_more_than_estimated(
    sample_images: Images, tmp_path: Path, backend: str, codec: str
) -> None:
    facts, count = open_dataset("sample").facts(), 10 * len(sample_images)
    with make_backend(backend).create(tmp_path / "container", Layout(count, codec, (32, 32, 3))) as writer:
        for _ in range(10):
            writer.append(make_codec(codec).encode(sample_images))
    used, said = usage_of(tmp_path / "container"), container_need(f"{backend}+{codec}", count, facts, 4_096)
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


def measured_peak(work: Path, *configurations: str, in_thread: bool = False, workers: int = 1) -> Peak:
    plan = Plan("sample", configurations, (10, 100), ("store",), repeats=2, work_dir=str(work), workers=workers)
    peak = Peak(work)
    run(replace(plan, in_thread=in_thread), peak.take, lambda: False, "peak")
    return peak


@pytest.fixture
def endless_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in this process is repeated as often as it may be, however long it takes."""
    monkeypatch.setattr("backends.bench.trial.LEAST_SECONDS", math.inf)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_writes_no_more_than_it_announced(tmp_path: Path, workers: int) -> None:
    peak = measured_peak(tmp_path, *backend_entries(), "hdf5+jpeg", workers=workers)
    assert 0 < peak.bytes <= peak.announced


@pytest.mark.usefixtures("endless_copies")
def test_all_copies_take_at_most_ten_largest_containers(tmp_path: Path) -> None:
    peak, facts = measured_peak(tmp_path, "files", "lmdb", "hdf5", in_thread=True), open_dataset("sample").facts()
    largest = max(container_need(name, 100, facts, 4096).bytes for name in ("files", "lmdb", "hdf5"))
    assert 0 < peak.copies <= COPY_FACTOR * largest
    assert peak.bytes <= peak.announced


@pytest.mark.usefixtures("endless_copies")
def test_copies_without_a_limit_exceed_the_announcement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.runs.runner.Task", lambda *given: replace(Task(*given), copy_bytes=1 << 30))
    peak = measured_peak(tmp_path, "hdf5", in_thread=True)
    assert peak.bytes > peak.announced


def test_stores_too_large_for_their_share_make_no_copies(tmp_path: Path) -> None:
    plan = Plan("sample", ("files", "lmdb", "hdf5"), default_sizes(2000), repeats=5, work_dir=str(tmp_path))
    copies = find_places(plan, open_dataset("sample").facts(), "test").copies
    assert copies.count == 100
