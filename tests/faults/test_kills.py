"""Kill -9 of a conversion and of its workers, at random moments and at each system call that changes a disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.stores.manifest import is_store
from backends.stores.sbatch import command
from backends.stores.shard import SEALED
from tests.faults.case import Lost
from tests.faults.child import PATIENCE, Child, calls, left_behind, traced
from tests.faults.conftest import POINTS, some

if TYPE_CHECKING:
    import numpy as np

    from tests.faults.case import Case, Tally

CHANGES = (
    "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,syncfs,msync,ftruncate,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat"
)
SHARD_SECONDS = 0.05


def kill_some_time(child: Child, rng: np.random.Generator, *, worker: bool) -> None:
    """Kill the process, or one of its workers, a random time after a random number of shards."""
    child.durable_shards(int(rng.integers(0, 4)))
    workers = child.workers()
    child.go()
    time.sleep(rng.uniform(0, SHARD_SECONDS if workers else 10 * SHARD_SECONDS))
    with contextlib.suppress(ProcessLookupError):
        os.kill(rng.choice(child.workers() or [child.pid]) if worker else child.pid, signal.SIGKILL)


def test_kill_of_parent_or_worker_loses_nothing(
    case: Case, tally: Tally, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Killed, resumed, killed again, until the store is complete; then from the beginning."""
    folder = tmp_path / "store"
    for point in range(POINTS):
        with tally.point():
            child = Child(case, folder)
            kill_some_time(child, rng, worker=point % 2 == 1)
            code = child.end()
            assert code == -signal.SIGKILL or child.last[0] in ("failed", "done")
            if child.last[0] == "failed":
                assert "worker process was killed" in child.last[1]
            case.check_durable(folder, child.durable)
            if is_store(folder) or point == POINTS - 1:
                case.resume(folder, child.durable)
                shutil.rmtree(folder)


@some("lmdb")
def test_kill_at_each_system_call_loses_nothing(
    case: Case, tally: Tally, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Some of the calls by which processes change a disk or talk."""
    log, folder = tmp_path / "log", tmp_path / "store"
    child = Child(case, tmp_path / "whole")
    with traced(child, log, "-e", f"trace={CHANGES}"):
        child.go()
        child.end()
    places = sorted(calls(log))
    for place in rng.permutation(len(places))[: max(2, POINTS // 2)]:
        name, number = places[place]
        with tally.point():
            child = Child(case, folder)
            with traced(child, log, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"):
                child.go()
                child.end()
            case.check_durable(folder, child.durable)
            case.resume(folder, child.durable)
            shutil.rmtree(folder)


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize("case", ["hdf5"], indirect=True)
def test_sigterm_ends_the_command_and_says_how_to_resume(case: Case, tmp_path: Path, group: bool) -> None:
    """Also where it goes to the workers as well, as that of a batch system does; 143 is what a shell calls SIGTERM."""
    words = command(case.request, tmp_path / "store", "--workers", "1")
    words[0] = str(Path(sys.executable).with_name(words[0]))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (tmp_path / "store" / SEALED).exists():
            assert process.poll() is None
        (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143
    assert "--resume" in said.splitlines()[-1]
    assert not left_behind(process.pid)
    case.resume(tmp_path / "store")


@some("npy", "parquet")
def test_shard_reported_before_its_line_is_seen_lost(case: Case, tmp_path: Path) -> None:
    """The control: a report that comes before the journal's line does not outlive a kill."""
    child = Child(case, tmp_path / "store", unprotected="without_journal")
    child.durable_shards(2)
    child.signal(signal.SIGKILL)
    child.end()
    with pytest.raises(Lost):
        case.check_durable(tmp_path / "store", child.durable)
