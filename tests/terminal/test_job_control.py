"""The program under a shell's job control, in a terminal that cannot draw, and in two terminals at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.terminal.terminal import Terminal, program
from tests.terminal.test_first_run import ENTER

pytestmark = pytest.mark.slow

LEAVES = b"\x1b[?1049l"
"""What gives the terminal back to the shell."""


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A shell in which the program is going on."""
    monkeypatch.chdir(tmp_path)
    with closing(Terminal(["bash", "--norc", "-i"], {**environment, "PS1": "READY> "})) as opened:
        opened.wait_for_text("READY>")
        opened.press(f"{program()}{ENTER}")
        opened.wait_for_text("Open a folder")
        yield opened


def test_ctrl_z_gives_the_terminal_back_until_fg(shell: Terminal) -> None:
    shell.press("\x1a")
    shell.wait_for_text("Stopped")
    assert LEAVES in shell.raw
    shell.press(f"fg{ENTER}")
    shell.wait_for(lambda frame: "Stopped" not in frame and "Enter choose" in frame)
    shell.press("?")
    shell.wait_for_text("Next step")
    shell.press("q")
    shell.wait_for(lambda frame: shell.raw.count(LEAVES) > 1)


def test_dropped_line_ends_a_suspended_program(shell: Terminal) -> None:
    (child,) = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
    shell.press("\x1a")
    shell.wait_for_text("Stopped")
    shell.hang_up()
    os.waitpid(shell.pid, 0)
    shell.pid = 0
    while Path(f"/proc/{child}").exists():  # the test's own time limit ends this
        time.sleep(0.01)


def test_terminal_that_cannot_draw_gets_a_sentence(environment: dict[str, str]) -> None:
    with closing(Terminal([program()], {**environment, "TERM": "dumb"})) as opened:
        assert opened.wait_for_end() == 2
        assert "TERM=dumb cannot show the terminal UI" in opened.frame
        assert b"\x1b" not in opened.raw


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that goes on for a while, from another shell."""
    words = (program(), "bench", "sample", "hdf5", "--sizes", "10", "--repeats", "2000", "--work-dir", str(tmp_path))
    with subprocess.Popen(words, env=environment, stdout=-1, stderr=-1, text=True) as started:
        assert started.stderr is not None
        assert "trials" in started.stderr.readline()
        yield started
        started.send_signal(signal.SIGINT)
        started.communicate()


def test_two_terminals_watch_one_run(environment: dict[str, str], run: subprocess.Popen[str]) -> None:
    with closing(Terminal([program()], environment)) as first, closing(Terminal([program()], environment)) as second:
        for opened in (first, second):
            opened.wait_for_text("running")
            opened.press("H")
            opened.wait_for_text("History", "running")
            opened.press(ENTER)
            opened.wait_for_text("elapsed", "x stop")
        first.press("x")
        for opened in (first, second):
            opened.wait_for_text("stopped after")
    assert run.wait() == 128 + signal.SIGINT
