"""Power cuts at random moments and right after an image was reported durable, on a real ext4."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.case import Lost
from tests.faults.child import Child, traced
from tests.faults.conftest import POINTS, some
from tests.faults.powercut import Disk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tests.faults.case import Case, Tally

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the disk that is cut off")


def test_power_cut_loses_nothing(case: Case, tally: Tally, tmp_path: Path, rng: np.random.Generator) -> None:
    """Cuts of one conversion: its disk is copied as it is at the time, and the copy is looked at and gone on with."""
    with Disk(tmp_path) as disk:
        child = Child(case, disk.folder / "store")
        for point in range(max(5, POINTS // 2)):
            child.durable_shards(int(rng.integers(1, 3)))
            if point % 2:
                child.go(wait=True)
                time.sleep(rng.uniform(0, 0.1))
            child.stop()
            with tally.point(), disk.cut() as copy:
                case.check_durable(copy / "store", child.durable)
                case.resume(copy / "store", child.durable)
            child.signal(signal.SIGCONT)
            assert child.process.is_alive() or child.last[0] == "done"
            if child.last[0] == "done":
                child.end()
                child = Child(case, disk.folder / f"store{point}")
        child.signal(signal.SIGKILL)
        child.end()


@some("files", "tar")
def test_power_cut_without_fsync_is_seen_to_lose(case: Case, tmp_path: Path) -> None:
    """The control: where the calls that sync do nothing, images that were reported durable are gone."""
    with Disk(tmp_path) as disk:
        child = Child(case, disk.folder / "store")
        syncs = "fsync,fdatasync,syncfs"
        with traced(child, tmp_path / "log", "-e", f"trace={syncs}", "-e", f"inject={syncs}:retval=0"):
            child.durable_shards(4)
            child.stop()
            with disk.cut() as copy, pytest.raises(Lost):
                case.check_durable(copy / "store", child.durable)
            child.signal(signal.SIGKILL)
            child.end()
