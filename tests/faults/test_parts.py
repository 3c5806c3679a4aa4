"""One store made by many: parts in processes of their own, and workers of a Dask cluster; some of them are killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backends.stores.convert import finish_store
from backends.stores.manifest import is_store
from backends.stores.resume import Part
from backends.stores.sbatch import command
from tests.faults.child import Child
from tests.faults.conftest import POINTS, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from tests.faults.case import Case, Tally


@some("hdf5", "tar")
def test_parts_with_one_killed_make_the_same_store(
    case: Case, tally: Tally, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Without the one that was killed there is no store, and ``finish_store`` says what is missing."""
    folder = tmp_path / "store"
    for _ in range(max(1, POINTS // 20)):
        with tally.point():
            children = [Child(case, folder, part=Part(number, 3), workers=1) for number in (1, 2, 3)]
            victim = int(rng.integers(3))
            children[victim].durable_shards(int(rng.integers(0, 3)))
            children[victim].signal(signal.SIGKILL)
            for child in children:
                child.go()
                child.end()
            assert not is_store(folder)
            case.check_durable(folder, sum(child.durable for child in children))
            manifest, missing = finish_store(folder)
            assert manifest is None
            assert set(missing) <= {shard.path for shard in case.manifest.shards[victim::3]}
            again = Child(case, folder, part=Part(victim + 1, 3), workers=1)
            again.go()
            assert again.end() == 0
            case.resume(folder)
            shutil.rmtree(folder)


@some("npy")
def test_dask_with_a_worker_killed_makes_the_same_store(case: Case, tally: Tally, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    with (
        tally.point(),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,  # type: ignore[no-untyped-call]
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        pids = client.run(os.getpid)
        child = Child(case, tmp_path / "store", dask=cluster.scheduler_address)
        child.durable_shards(1)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        child.go()
        assert child.end() == 0
        assert child.last == ("done",)
        case.resume(tmp_path / "store")


SLURM = """
ClusterName=faults
SlurmctldHost={host}
NodeName={host} CPUs={cpus}
PartitionName=all Nodes=ALL Default=YES
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
SlurmUser=root
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation={folder}
SlurmdSpoolDir={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Slurm of one node."""
    if POINTS <= 5 or shutil.which("slurmctld") is None or os.geteuid() != 0:
        pytest.skip("a Slurm is started by .ci/faults only, by root")
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "slurm.conf").write_text(SLURM.format(host=socket.gethostname(), cpus=os.cpu_count(), folder=folder))
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    daemons = [subprocess.Popen([name, "-D"], stdout=subprocess.DEVNULL) for name in ("slurmctld", "slurmd")]
    yield
    for daemon in daemons:
        daemon.terminate()
        daemon.wait()


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("case", ["hdf5"], indirect=True)
def test_slurm_array_makes_the_same_store(case: Case, tally: Tally, tmp_path: Path) -> None:
    """The script that ``--sbatch`` writes needs nothing else."""
    script = tmp_path / "job.sh"
    words = command(case.request, tmp_path / "store", "--workers", "1", "--sbatch", str(script))
    words[0] = str(Path(sys.executable).with_name(words[0]))
    subprocess.run(words, check=True)
    with tally.point():
        subprocess.run(["sbatch", "--wait", script], check=True)
        case.check_store(tmp_path / "store")
