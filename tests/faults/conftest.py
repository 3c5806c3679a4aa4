"""The dataset and the containers that faults are tried on, and the table of faults at the end."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from backends.bench.configuration import Configuration
from backends.datasets import open_dataset
from backends.stores.convert import convert
from backends.stores.manifest import is_store
from backends.stores.plan import Request
from tests.backends.datasets.pickles import write_cifar10
from tests.faults.case import CONTAINERS, SHARD_IMAGES, Case, Tally
from tests.faults.child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POINTS = int(os.environ.get("FAULT_POINTS", "5"))
"""Faults of the kinds that have no end, for each container."""


def some(*names: str) -> pytest.MarkDecorator:
    """Run a test for these containers, or for all of them where there are many points."""
    return pytest.mark.parametrize("case", names if POINTS <= 5 else CONTAINERS, indirect=True)


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    """Kill what a test that fails has begun."""
    yield
    for child in Child.begun:
        child.signal(signal.SIGKILL)
    Child.begun.clear()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one run of pytest share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "faults"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def dataset(shared: Path, sample_images: Any) -> Path:
    """CIFAR-10 in its official layout with 5 x 40 training and 40 test images."""
    folder = shared / "cifar-10-batches-py"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if folder.exists() else write_cifar10(folder, sample_images, 40, open_dataset("sample").classes)


@pytest.fixture(scope="session", params=CONTAINERS)
def case(request: pytest.FixtureRequest, shared: Path, dataset: Path) -> Case:
    """A conversion into one of the containers, which was made once without a fault."""
    wanted = Request(
        dataset=str(dataset),
        configuration=Configuration.for_dataset(request.param, open_dataset(str(dataset)).survey()),
        shard_images=SHARD_IMAGES,
    )
    with (shared / f"{request.param}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_store(shared / request.param):
            convert(wanted, shared / request.param, workers=2)
    return Case(wanted, shared / request.param)


@pytest.fixture
def tally(request: pytest.FixtureRequest, case: Case) -> Tally:
    """The row of this test in the table of faults."""
    fault = request.node.callspec.params.get("fault")
    kind = fault.__name__ if fault else request.node.originalname.removeprefix("test_")
    tally = Tally([kind.replace("_", " "), case.request.configuration.backend, 0, 0])
    request.node.user_properties.append(("fault", tally.row))
    return tally


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers, other ones for each test, the same ones in each run."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Leave the tests of this folder to ``-m slow``."""
    item.add_marker(pytest.mark.slow)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many faults of each kind the containers were put to."""
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, [])]
    rows = [row for report in reports for name, row in report.user_properties if name == "fault"]
    if rows:
        terminalreporter.section("faults")
    for kind, container, points, survived in sorted(rows):
        line = f"{kind:<40} {container:<8} points {points:>4}  survived {survived:>4}  lost {points - survived}"
        terminalreporter.line(line)
