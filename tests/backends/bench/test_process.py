"""Trials in processes of their own: what they find, and how they end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.disk import usage_of
from backends.bench.measurement import LEAST_SECONDS, STORES, Measurement, Operation, Trial
from backends.bench.operations import Task
from backends.bench.process import Trials, run_in_thread
from backends.bench.staging import Source, Wanted, stage
from backends.bench.trial import execute
from backends.datasets import open_dataset
from backends.errors import Cancelled, ContainerDamaged

CONFIGURATIONS = configurations_of("files+png", "lmdb+raw", "hdf5+raw")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("staging") / "source"
    return stage(open_dataset("sample"), Wanted(2000, 0), folder, lambda done, total: None).source


def task(
    folder: Path, source: Source, configuration: str, operation: Operation = "store", count: int = 500, **changes: Any
) -> Task:
    trial = Trial(1, Configuration(configuration), operation, count, 1, 0 if operation in STORES else None, **changes)
    return Task(trial, source, folder / "artefact", batch=64, copy_bytes=1 << 22)


def run(task: Task) -> Measurement:
    return Trials(CONFIGURATIONS).run(task, lambda done: None)


@pytest.mark.slow
@pytest.mark.parametrize("patience", [5.0, -1.0], ids=["started anew", "not"])
def test_killed_server_is_started_anew(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    monkeypatch.setattr("backends.bench.process.SERVER_SECONDS", patience)
    outcomes = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.suppress(ConnectionError, EOFError):
            outcomes.append(run(task(folder, source, "npy+raw", "store", 10)).outcome)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]
    assert (outcomes == ["ok"] * 6) == (patience > 0)


ALL: tuple[Operation, ...] = ("store", "read", "shuffled")


@pytest.mark.parametrize(
    ("configuration", "operations"),
    [
        *((configuration, ALL) for configuration in CONFIGURATIONS),
        ("limit+raw", (*ALL, "copy")),
        *((configuration, ALL[:2]) for configuration in ("article-png", "article-lmdb", "article-hdf5")),
    ],
)
def test_operations_are_measured_and_verified(
    tmp_path: Path, source: Source, configuration: str, operations: tuple[Operation, ...]
) -> None:
    for operation in operations:
        found = run(task(tmp_path, source, configuration, operation))
        assert (found.outcome, found.verified, found.message) == ("ok", True, "")
        assert (found.seconds or 0) > 0
        assert found.cpu_seconds is not None
        assert found.bytes_apparent is not None
        assert found.bytes_apparent > 500_000
        assert found.peak_anonymous is None or found.peak_anonymous < 400 << 20


@pytest.mark.parametrize(
    ("configuration", "count"),
    [("files+png", 1001), ("lmdb+jpeg", 1001), ("hdf5+raw", 1001), ("npy+raw", 50), ("files+png", 50)],
)
def test_workers_store_and_read_the_same_images(tmp_path: Path, source: Source, configuration: str, count: int) -> None:
    """Also where fewer images than a batch leave a worker without any."""
    trials = Trials(CONFIGURATIONS)
    for operation in ALL:
        found = trials.run(
            replace(task(tmp_path, source, configuration, operation, count=count), workers=3), lambda done: None
        )
        assert (found.outcome, found.verified, found.message) == ("ok", True, "")
        assert trials.done == count
    assert [shard.name for shard in sorted((tmp_path / "artefact").iterdir())] == ["00000", "00001", "00002"]


def test_wrong_image_in_shard_fails_trial(tmp_path: Path, source: Source) -> None:
    assert run(replace(task(tmp_path, source, "files+png"), workers=2)).verified
    folder = tmp_path / "artefact" / "00001" / "000"
    shutil.copy(folder / "000007.png", folder / "000008.png")
    for operation in ALL[1:]:
        found = run(replace(task(tmp_path, source, "files+png", operation), workers=2))
        assert (found.outcome, found.message) == ("failed", "image 258 of files+png is not what was stored.")


def test_failing_worker_fails_trial(tmp_path: Path, source: Source) -> None:
    assert run(replace(task(tmp_path, source, "npy+raw"), workers=2)).verified
    shutil.rmtree(tmp_path / "artefact" / "00001")
    found = run(replace(task(tmp_path, source, "npy+raw", "read"), workers=2))
    assert found.outcome == "failed"
    assert "00001" in found.message


@pytest.mark.parametrize("configuration", [*CONFIGURATIONS, "article-png", "article-lmdb", "article-hdf5"])
def test_one_image_operations_are_looped(tmp_path: Path, source: Source, configuration: str) -> None:
    for operation in ("store-one", "read-one"):
        found = run(task(tmp_path, source, configuration, operation, count=1))
        assert (found.outcome, found.verified, found.message) == ("ok", True, "")
        assert found.seconds is not None
        assert found.loops * found.seconds >= LEAST_SECONDS or found.loops > 50


def test_looped_store_keeps_its_copy_bound(tmp_path: Path, source: Source) -> None:
    free = replace(task(tmp_path, source, "npy+raw", count=10), copy_bytes=1 << 30)
    bounded = replace(free, artefact=tmp_path / "other", copy_bytes=200_000)
    assert run(bounded).loops < run(free).loops
    assert 0 < usage_of(bounded.loops).bytes_allocated <= 200_000 + 4_096
    warm_up = replace(free, artefact=tmp_path / "third", trial=replace(free.trial, repeat=0))
    assert run(warm_up).loops == 1


def test_wrong_image_in_article_store_is_found(tmp_path: Path, source: Source) -> None:
    assert run(task(tmp_path, source, "article-png")).verified
    shutil.copy(tmp_path / "artefact" / "7.png", tmp_path / "artefact" / "8.png")
    found = run(task(tmp_path, source, "article-png", "read"))
    assert (found.outcome, found.message) == ("failed", "image 8 of article-png+raw is not what was stored.")


@pytest.mark.parametrize("operation", ["read", "shuffled", "copy"])
def test_limit_compares_what_it_reads(tmp_path: Path, source: Source, operation: Operation) -> None:
    assert run(task(tmp_path, source, "limit+raw")).verified
    with (tmp_path / "artefact").open("r+b") as file:
        file.write(bytes(32 * 32 * 3))
    found = run(task(tmp_path, source, "limit+raw", operation))
    assert (found.outcome, found.message) == ("failed", "image 0 of limit+raw is not what was stored.")


@pytest.mark.parametrize("codec", ["raw", "source"])
@pytest.mark.parametrize("operation", ["read", "shuffled", "copy"])
@pytest.mark.parametrize("damaged", [False, True])
def test_limit_compares_pictures_of_mixed_sizes(
    tmp_path: Path, operation: Operation, codec: str, damaged: bool
) -> None:
    (tmp_path / "pictures").mkdir()
    for side in range(8, 48):
        Image.new("RGB", (side, 9), (side, 2, 3)).save(tmp_path / f"pictures/{side}.png")
    mixed = stage(
        open_dataset(tmp_path / "pictures"), Wanted(40, 0, records=True), tmp_path / "source", lambda done, total: None
    ).source
    name = f"limit+{codec}"
    assert run(task(tmp_path, mixed, name, count=90)).verified
    with (tmp_path / "artefact").open("r+b") as file:
        file.write(b"?" * damaged)
    found = run(task(tmp_path, mixed, name, operation, count=90))
    assert (found.verified, found.message) == (not damaged, f"image 0 of {name} is not what was stored." * damaged)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_full_disk_fails_trial_with_sentence(small_disk: Path, source: Source, configuration: str) -> None:
    found = run(task(small_disk, source, configuration, count=2000))
    assert found.outcome == "failed"
    assert "the disk is full" in found.message
    assert found.seconds is None


def test_read_of_other_count_fails(tmp_path: Path, source: Source) -> None:
    assert run(task(tmp_path, source, "hdf5+raw")).verified
    found = run(task(tmp_path, source, "hdf5+raw", "read", count=400))
    assert (found.outcome, found.verified) == ("failed", False)
    assert "holds 500 images of 400" in found.message


@pytest.mark.parametrize(
    ("spoil", "sentence"), [("labels.npy", "other labels"), ("digests.npy", "not what was stored")]
)
def test_labels_and_pixels_are_both_compared(tmp_path: Path, source: Source, spoil: str, sentence: str) -> None:
    assert execute(task(tmp_path, source, "lmdb+raw")).verified
    other = tmp_path / "other"
    shutil.copytree(source.folder, other)
    array = np.load(other / spoil)
    array[450] += 1
    np.save(other / spoil, array)
    wrong = Source(other, source.image_shape, source.staged, source.classes)
    with pytest.raises(ContainerDamaged, match=sentence):
        execute(task(tmp_path, wrong, "lmdb+raw", "read"))


def test_exception_of_poll_ends_process(tmp_path: Path, source: Source) -> None:
    def enough(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trials(CONFIGURATIONS).run(task(tmp_path, source, "files+png", count=100_000), enough)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_workers_end_with_killed_trial(tmp_path: Path, source: Source) -> None:
    """Each worker keeps the shard open that it writes."""
    seen: list[int] = []

    def enough(done: int) -> None:
        seen.append(done)
        if len(holders(tmp_path / "artefact")) == 2:
            raise KeyboardInterrupt

    long = replace(task(tmp_path, source, "npy+raw", count=100_000), workers=2)
    with pytest.raises(KeyboardInterrupt):
        Trials(CONFIGURATIONS).run(long, enough)
    while holders(tmp_path / "artefact"):
        time.sleep(0.01)
    assert seen[-1] < 100_000


def holders(folder: Path) -> set[str]:
    """The processes that have a file below ``folder`` open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if folder in link.readlink().parents:
                found.add(link.parts[2])
    return found


@pytest.mark.parametrize("configuration", [*CONFIGURATIONS, "files+jpeg"])
def test_thread_is_cancelled_at_any_batch(tmp_path: Path, source: Source, configuration: str) -> None:
    whole = task(tmp_path, source, configuration, count=3000)
    seen: list[int] = []
    assert run_in_thread(whole, seen.append).outcome == "ok"
    for enough in range(1, len(seen) + 1):
        part = replace(whole, artefact=tmp_path / f"part {enough}")
        calls: list[int] = []

        def poll(done: int, calls: list[int] = calls, enough: int = enough) -> None:
            calls.append(done)
            if len(calls) == enough:
                raise Cancelled

        with pytest.raises(Cancelled):
            run_in_thread(part, poll)
        assert calls == seen[:enough]


def test_thread_and_process_measure_same_sizes(tmp_path: Path, source: Source) -> None:
    found = run_in_thread(task(tmp_path, source, "files+png"), lambda done: None)
    again = run(task(tmp_path, source, "files+png", "read"))
    assert (found.bytes_apparent, found.files) == (again.bytes_apparent, again.files)
