"""The record of a run, the history and the files of a result after a power cut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.runs.history import list_runs
from backends.runs.saved import load_run
from tests.faults.powercut import Disk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount the disk that is cut off")
PROGRAM = Path(sys.executable).parent / "imgstore-tui"
FILES = ("out.json", "out.csv", "out.md", "out.html")
UNSYNCED = """
import ctypes, os
os.fsync = lambda descriptor: None
ctypes.CDLL.syncfs = lambda self, descriptor: 0
"""


def run_into(disk: Path, elsewhere: Path) -> None:
    """A small run whose state and results go to ``disk``, and a look at the history."""
    environment = {**os.environ, "XDG_STATE_HOME": str(disk / "state"), "PYTHONPATH": str(elsewhere)}
    options = [f"--{kind}={disk / name}" for kind, name in zip(("json", "csv", "markdown", "html"), FILES, strict=True)]
    plan = ["--sizes=10", "--repeats=1", "--operations=store", "--work-dir", str(elsewhere)]
    subprocess.run([PROGRAM, "bench", "sample", "files", *plan, *options], env=environment, check=True)
    subprocess.run([PROGRAM, "history"], env=environment, check=True)


def test_run_outlasts_a_power_cut(tmp_path: Path) -> None:
    with Disk(tmp_path) as disk:
        run_into(disk.folder, tmp_path)
        before = {path.relative_to(disk.folder): path.read_bytes() for path in files_of(disk.folder)}
        with disk.cut() as found:
            assert {path.relative_to(found): path.read_bytes() for path in files_of(found)} == before
            (facts,) = list_runs(found / "state/imgstore-tui/jobs")
            assert facts.state == "finished"
            assert load_run(found / "out.json").outcome == "finished"
    assert {"events.jsonl", "spec.json", "summary.json", *FILES} <= {path.name for path in before}


def test_without_fsync_a_power_cut_loses_the_run(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(UNSYNCED)
    with Disk(tmp_path) as disk:
        run_into(disk.folder, tmp_path)
        with disk.cut() as found:
            assert not any(path.stat().st_size for path in files_of(found))


def files_of(disk: Path) -> list[Path]:
    return [path for path in disk.rglob("*") if path.is_file()]
