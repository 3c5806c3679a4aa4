"""Images, a finished run and plug-ins that all tests share."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends import registry
from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.datasets import open_dataset
from backends.runs.job import open_job, start_job
from tests.backends.datasets.pickles import write_cifar10

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.images import Images
    from backends.runs.run import Run


PLUGIN = Path(__file__).parent / "plugin"


def pytest_configure() -> None:
    """Hide the plug-ins that are installed: what is tested are the backends of this program."""
    see_plugins()


def see_plugins(*folders: Path) -> None:
    """Let this process find the plug-ins in ``folders`` and no others."""
    found = [package.entry_points for package in distributions(path=list(map(str, folders)))]
    registry.entry_points = lambda group: [point for points in found for point in points.select(group=group)]  # type: ignore
    registry.backend_entries.cache_clear()


@pytest.fixture(scope="session")
def sample_images() -> Images:
    """The first 240 images of the sample: 24 of each class."""
    return open_dataset("sample").read(np.arange(240))


@pytest.fixture(scope="session")
def cifar10_folder(tmp_path_factory: pytest.TempPathFactory, sample_images: Images) -> Path:
    """CIFAR-10 in its official layout with 5 x 40 training and 40 test images; do not write into it."""
    folder = tmp_path_factory.mktemp("data") / "cifar-10-batches-py"
    return write_cifar10(folder, sample_images, 40, open_dataset("sample").classes)


@pytest.fixture(scope="session")
def jobs_with_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with one finished run of the sample; copy it to change it."""
    folder = tmp_path_factory.mktemp("state") / "jobs"
    work = str(tmp_path_factory.mktemp("work"))
    plan = Plan(
        "sample",
        configurations_of("files", "files+raw", "lmdb", "hdf5"),
        (10, 40),
        operations=("store", "read"),
        repeats=2,
    )
    for _ in start_job(replace(plan, work_dir=work), folder).follow():
        pass
    return folder


@pytest.fixture(scope="session")
def finished(jobs_with_a_run: Path) -> Run:
    """That run."""
    (folder,) = (path for path in jobs_with_a_run.iterdir() if path.is_dir())
    return open_job(folder).wait()


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """The folder of a history, which is made by its first run."""
    return tmp_path / "jobs"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for temporary files."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a small filesystem")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The backends of tests/plugin, for this process and those that it starts."""
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    monkeypatch.syspath_prepend(str(PLUGIN))
    see_plugins(PLUGIN)
    yield
    see_plugins()
