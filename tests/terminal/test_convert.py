"""A conversion from the terminal UI outlives it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from backends.stores.manifest import is_store, read_manifest
from tests.terminal.terminal import Terminal
from tests.terminal.test_first_run import ENTER, only_job

pytestmark = pytest.mark.slow


def test_killed_program_leaves_its_conversion_to_finish(
    terminal: Terminal,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter run")
    terminal.press("C")
    terminal.wait_for_text("The same from a shell")
    write(terminal, "t", "Folder of the store", str(tmp_path / "store"))
    write(terminal, "s", "Size of a shard", "10 images")
    terminal.press(ENTER)
    terminal.wait_for_text("elapsed", "equal")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.wait_for_end() == -signal.SIGKILL
    assert not is_store(tmp_path / "store")
    assert only_job(environment)[1] == "running"
    while only_job(environment)[1] == "running":  # the test's own time limit ends this
        time.sleep(0.1)
    assert only_job(environment)[1] == "finished"
    assert read_manifest(tmp_path / "store").images == 2000


def write(terminal: Terminal, key: str, title: str, text: str) -> None:
    """Change a field of the conversion in its dialog."""
    terminal.press(key)
    terminal.wait_for_text(title)
    terminal.press("\x15")  # a field that gets the focus selects its text a moment later: wait until it is empty
    terminal.wait_for(lambda frame: re.search(rf"{title}.*\n.*│ {{60,}}│", frame) is not None)
    terminal.press(*text)
    terminal.wait_for_text(text[-9:])
    terminal.press(ENTER)
    terminal.wait_for(lambda frame: title not in frame and "a shell" in frame)
