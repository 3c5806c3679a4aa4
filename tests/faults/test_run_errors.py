"""Runs whose system calls fail: a sentence with the cause, an exit code, and nothing left behind for good."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import POINTS
from tests.terminal.terminal import program

BENCH = ("bench", "sample", "lmdb", "--sizes", "10", "--repeats", "1", "--operations", "store,read", "--work-dir")


def bench(tmp_path: Path, *failing: str) -> subprocess.CompletedProcess[str]:
    """Measure the sample, with system calls that fail as strace's ``inject`` says."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt install strace")
    (tmp_path / "work").mkdir(exist_ok=True)
    trace = ["strace", "-f", "-o", str(tmp_path / "trace"), "-e", f"inject={':'.join(failing)}"] if failing else []
    command = [*trace, program(), *BENCH, str(tmp_path / "work")]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("call", ["fsync", "rename", "unlink", "mkdir", "flock", "ftruncate", "pwrite64"])
@pytest.mark.parametrize(("error", "reason"), [("EIO", "Input/output error"), ("ENOSPC", "No space left on device")])
@pytest.mark.parametrize("when", [1, 3, 6] if POINTS > 5 else [3])
def test_failing_call_is_named_or_survived(tmp_path: Path, call: str, error: str, reason: str, when: int) -> None:
    ended = bench(tmp_path, call, f"error={error}", f"when={when}")
    text = ended.stdout + ended.stderr
    assert "Traceback" not in text
    injected = "(INJECTED)" in (tmp_path / "trace").read_text()
    assert ended.returncode in ((0, 1) if injected else (0,))
    assert ended.returncode == 0 or reason in text or "disk is full" in text
    assert ended.returncode == 1 or "read" in ended.stdout
    bench(tmp_path)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_state_folder_without_locks_names_the_variable(tmp_path: Path, error: str) -> None:
    ended = bench(tmp_path, "flock", f"error={error}")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "set XDG_STATE_HOME to a folder on a local disk" in ended.stderr


def test_what_could_not_be_removed_is_said_and_removed_at_the_next_start(tmp_path: Path) -> None:
    ended = bench(tmp_path, "unlinkat", "error=EIO", "when=1")
    (left,) = (tmp_path / "work").iterdir()
    assert "could be removed" in ended.stdout
    assert left.name in ended.stdout
    assert bench(tmp_path).returncode == 0
    assert list((tmp_path / "work").iterdir()) == []
