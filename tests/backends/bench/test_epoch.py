"""The operation epoch: its place in a plan, what it needs, and epochs of a real torch where there is one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backends.bench.configuration import Configuration, configurations_of
from backends.bench.disk import IN_MEMORY, mount_of
from backends.bench.epoch import DRIVER, require_modules
from backends.bench.measurement import COLD, WARM, Cache, Measurement, Operation, Trial
from backends.bench.operations import Loading, Task
from backends.bench.plan import Plan
from backends.bench.process import Trials
from backends.bench.schedule import trials
from backends.bench.staging import Source, Wanted, stage
from backends.datasets import open_dataset
from backends.errors import UsageError
from backends.images import Layout
from backends.stores.loader import container_loader_code

PLAN = Plan("sample", configurations_of("npy", "lmdb"), (10, 100), ("epoch",), repeats=2)
COUNT = 500


def test_epochs_are_planned_at_the_largest_size_without_warm_up() -> None:
    planned = trials(PLAN)
    epochs = [trial for trial in planned if trial.operation == "epoch"]
    assert {(trial.count, trial.repeat) for trial in epochs} == {(100, 1), (100, 2)}
    assert all(planned[trial.reads or 0].operation == "store" for trial in epochs)


@pytest.mark.usefixtures("plugin")
def test_reference_and_plug_in_have_no_epochs() -> None:
    plan = replace(PLAN, configurations=configurations_of("article-lmdb", "noisy", "npy"))
    assert {trial.configuration for trial in trials(plan) if trial.operation == "epoch"} == {"npy+raw"}


def test_python_without_torch_is_refused(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    bare = str(tmp_path / "bare/bin/python")
    with pytest.raises(UsageError, match=r"needs torch and numpy and lmdb, which .*bare/bin/python does not.*--python"):
        require_modules(replace(PLAN, python=bare))
    require_modules(replace(PLAN, python=bare, operations=("read",)))


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/false"])
def test_what_is_no_python_is_refused(python: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be measured by {python}.*--python"):
        require_modules(replace(PLAN, python=python))


def driver(folder: Path, loader: str) -> subprocess.Popen[bytes]:
    """The driver, begun beside a file that stands in the place of a printed loader."""
    (folder / "loader.py").write_text(loader)
    (folder / "driver.py").write_bytes(DRIVER.read_bytes())
    request = {"workers": [0], "batch": 8, "fetch": "item", "image_size": None, "step": 0, "seed": 0}
    command = [sys.executable, str(folder / "driver.py"), json.dumps({**request, "cold": False, "mixed": False})]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_driver_answers_with_the_error_of_the_loader(tmp_path: Path) -> None:
    process = driver(tmp_path, "print('not an answer')\nraise ImportError('no lmdb here')")
    assert process.stdout is not None
    assert json.loads(process.stdout.read()) == {"error": "ImportError: no lmdb here"}
    process.communicate()
    assert process.returncode == 1


def test_driver_ends_with_its_standard_input(tmp_path: Path) -> None:
    process = driver(tmp_path, "import threading\nthreading.Event().wait()")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 1


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("staging") / "source"
    return stage(open_dataset("sample"), Wanted(COUNT, 0), folder, lambda done, total: None).source


@pytest.fixture
def pictures(tmp_path: Path) -> Source:
    """Pictures of several sizes, grey and RGB."""
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for number in range(9):
        pixels = random.integers(0, 256, (9 + number, 20, 3)[: 2 + number % 2], np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return stage(open_dataset(str(folder)), Wanted(9, 0), tmp_path / "source", lambda done, total: None).source


@cache
def python_with_torch() -> str:
    """A Python that has torch and what printed loaders need: a named one, this one or Debian's; CI has one."""
    for python in (os.environ.get("IMGSTORE_TORCH_PYTHON", ""), "/usr/bin/python3"):
        with suppress(UsageError):
            require_modules(replace(PLAN, configurations=configurations_of("files+png", "hdf5", "lmdb"), python=python))
            return python
    absent = pytest.fail.Exception if os.environ.get("CI") else pytest.skip.Exception
    raise absent("no Python with torch, Pillow, h5py and lmdb: IMGSTORE_TORCH_PYTHON names one")


def measure(
    folder: Path, source: Source, name: str, operation: Operation, cache: Cache = WARM, fetch: str = "batch",
    image_size: int | None = None, step_seconds: float = 0.0, count: int = COUNT, shards: int = 1,
) -> Measurement:  # fmt: skip
    configuration, artefact = Configuration(name), folder / "artefact"
    reads = 0 if operation == "epoch" else None
    trial = Trial(1, configuration, operation, count, 1, reads, cache=cache)
    layout = Layout(count, configuration.codec, source.image_shape, source.classes)
    paths = [artefact / f"{number:05}" for number in range(shards)] if shards > 1 else [artefact]
    code = container_loader_code(configuration.backend, layout, paths, torch=True)
    loading = Loading(code, python_with_torch(), (0, 2), fetch, image_size, step_seconds)
    task = Task(trial, source, artefact, batch=64, seed=3, workers=shards, loading=loading)
    return Trials(configurations_of(name)).run(task, lambda done: None)


@pytest.mark.slow
@pytest.mark.parametrize("fetch", ["batch", "item"])
@pytest.mark.parametrize("name", ["npy+raw", "lmdb+jpeg", "files+png"])
def test_epochs_are_measured_and_verified(tmp_path: Path, source: Source, name: str, fetch: str) -> None:
    measure(tmp_path, source, name, "store")
    found = measure(tmp_path, source, name, "epoch", fetch=fetch, image_size=16, step_seconds=0.001)
    assert (found.outcome, found.verified, found.message) == ("ok", True, "")
    assert [facts.workers for facts in found.epochs] == [0, 2]
    assert found.seconds == min(facts.seconds for facts in found.epochs)
    for facts in found.epochs:
        assert 0 < facts.first_batch <= facts.seconds
        assert 0 < (facts.utilisation or 0) < 1
        assert 0 < facts.waiting < 1


@pytest.mark.slow
def test_cold_epoch_reads_the_container_from_its_device(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    stored = measure(tmp_path, source, "npy+raw", "store")
    found = measure(tmp_path, source, "npy+raw", "epoch", COLD, step_seconds=0.001)
    assert (found.outcome, found.message) == ("ok", "")
    assert list((tmp_path / "temporary").iterdir()) == []
    if mount_of(tmp_path).filesystem not in IN_MEMORY:
        assert found.resident == 0.0
        assert all((facts.bytes_read or 0) >= (stored.bytes_apparent or 0) // 2 for facts in found.epochs)


@pytest.mark.slow
@pytest.mark.parametrize("image_size", [None, 8])
def test_pictures_of_several_sizes_have_epochs(tmp_path: Path, pictures: Source, image_size: int | None) -> None:
    measure(tmp_path, pictures, "tar+raw", "store", count=9)
    found = measure(tmp_path, pictures, "tar+raw", "epoch", image_size=image_size, count=9)
    assert (found.outcome, found.verified, found.message) == ("ok", True, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hdf5+raw", "lmdb+jpeg"])
def test_shards_of_several_processes_have_epochs(tmp_path: Path, source: Source, name: str) -> None:
    measure(tmp_path, source, name, "store", shards=3)
    found = measure(tmp_path, source, name, "epoch", shards=3)
    assert (found.outcome, found.verified, found.message) == ("ok", True, "")


@pytest.mark.slow
def test_wrong_pixel_fails_the_epoch(tmp_path: Path, source: Source) -> None:
    measure(tmp_path, source, "npy+raw", "store")
    images = np.load(tmp_path / "artefact/images.npy", mmap_mode="r+")
    images[7, 0, 0, 0] ^= 1
    images.flush()
    found = measure(tmp_path, source, "npy+raw", "epoch")
    assert (found.outcome, found.message) == ("failed", "image 7 of npy+raw is not what was stored.")
