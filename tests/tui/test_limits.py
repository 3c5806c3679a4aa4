"""What the command says, or does all the same, where its surroundings lack something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = ("bench", "sample", "hdf5", "--sizes", "10", "--repeats", "1", "--operations", "store")
PROGRAM = "from resource import *; import sys; from imgstore_tui import main; {}; sys.argv[1:] = {!r}; main()"


def run(folder: Path, *words: str, limit: str = "", **variables: str | None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state")} | variables
    kept = {name: value for name, value in environment.items() if value is not None}
    code = PROGRAM.format(limit or "pass", list(words))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=kept, cwd=folder, timeout=60
    )


def test_long_temporary_folder_does_no_harm(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    assert run(tmp_path, *BENCH, TMPDIR=str(long)).returncode == 0


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("setrlimit(RLIMIT_NOFILE, (12, 12))", "too many files are open: close some, or allow more with ulimit -n."),
        ("setrlimit(RLIMIT_FSIZE, (9000, 9000))", "a file would be larger than is allowed: allow more with ulimit -f."),
    ],
)
def test_limit_of_the_process_is_one_sentence(tmp_path: Path, limit: str, sentence: str) -> None:
    done = run(tmp_path, *BENCH, limit=limit)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"imgstore-tui: {sentence}")


def test_fifo_as_an_argument_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for words in (("info", "fifo"), ("bench", "fifo"), ("convert", "fifo", "x", "hdf5"), ("history", "show", "fifo")):
        assert run(tmp_path, *words).returncode in (1, 2)
