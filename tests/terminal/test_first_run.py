"""The program in a real terminal: the first run by keys alone, signals, dropped lines, output of libraries."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from backends.runs.job import sweep
from backends.stores.manifest import is_store, read_manifest
from tests.terminal.terminal import Terminal, program, run_trials_in

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"
ENTER, ESCAPE = "\r", "\x1b"


def call(environment: dict[str, str], *words: str) -> str:
    """What a command of the program prints, in another shell of the same user."""
    return subprocess.run(
        [program(), *words], env=environment, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    ).stdout


def only_job(environment: dict[str, str]) -> tuple[str, str, Path]:
    """Name, state and folder of the only job there is."""
    (job,) = json.loads(call(environment, "history", "--json"))
    return job["id"], job["state"], Path(job["folder"])


def events_of(folder: Path) -> list[dict[str, Any]]:
    """The events of a job so far, without a line that is being written."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines(True) if line[-1] == "\n"]


def masked(frame: str) -> str:
    """The frame without what differs from run to run: figures, the drawing, the machine and its disks."""
    text = re.sub(r"^(─ 1 Dataset ).*", r"\1", frame)
    text = re.sub(r"─+ (finished in|measured in) [\d:]+", r"\1 CLOCK", text)
    text = re.sub(
        r"(?s)Times storing.*?Enter starts\.", lambda match: " ".join(match[0].replace("│", " ").split()), text
    )
    text = re.sub(r" in /\S+\.", " in FOLDER.", text)
    text = re.sub(r"( *)([\d.,]+) (ms|s|µs|MiB|MB|GB)\b", lambda match: "#".rjust(len(match[0])), text)
    text = re.sub(r"(Store 2,000:) .*", r"\1 (figures)", text)
    text = re.sub(r"(?m)^│ +(# )?[┤│].*\n", "│ (chart)\n", text)
    text = re.sub(r"(│ \(chart\)\n)+", "│ (chart)\n", text)
    return "\n".join(re.sub(r" +│$", " │", line).rstrip() for line in text.splitlines()) + "\n"


def compare(terminal: Terminal, name: str, *texts: str) -> str:
    """Wait for ``texts`` and the golden frame; with IMGSTORE_UPDATE_GOLDEN=1, write it first."""
    path = GOLDEN / f"{name}.txt"
    terminal.wait_for_text(*texts)
    if os.environ.get("IMGSTORE_UPDATE_GOLDEN") == "1":
        path.write_text(masked(terminal.wait_for_silence()), encoding="utf-8")
    golden = path.read_text(encoding="utf-8")
    with suppress(AssertionError):
        terminal.wait_for(lambda frame: masked(frame) == golden)
    assert masked(terminal.frame) == golden
    return terminal.frame


def test_enter_twice_leads_to_a_finished_chart(terminal: Terminal) -> None:
    texts = ("1 Dataset", "no dataset yet", "2 Backends", "Sample:", "Open a folder", "Choose a dataset", "q quit")
    compare(terminal, "1-start", *texts)
    terminal.press(ENTER)
    compare(
        terminal, "2-plan", "writes to", "CIFAR-10", "Enter starts", "which is not timed", "189 trials", "Enter run"
    )
    terminal.press(ENTER)
    terminal.wait_for_text("elapsed")
    frame = compare(terminal, "3-finished", "trials verified", "finished in", "Enter verdict")
    assert terminal.keys == 2
    chart = frame[frame.index("4 Charts") :]
    for mark, name in (("●", "files"), ("▲", "lmdb"), ("■", "hdf5")):
        assert mark in chart
        assert re.search(rf" {name} *│", chart), f"the line of {name} has no name at its end"


def test_quitting_restores_the_terminal(terminal: Terminal) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press("q")
    assert terminal.wait_for_end() == 0
    assert terminal.raw.rstrip().endswith(b"\x1b[?1049l") or b"\x1b[?1049l" in terminal.raw[-200:]


def start_run(terminal: Terminal) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter starts")
    terminal.press(ENTER)
    terminal.wait_for_text("▸")


def wait_for_end_by(terminal: Terminal) -> int:
    """Wait for the program whose terminal is gone; returns its exit code."""
    _, status = os.waitpid(terminal.pid, 0)
    terminal.pid = 0
    return os.waitstatus_to_exitcode(status)


def test_dropped_line_leaves_the_run_running(terminal: Terminal, environment: dict[str, str]) -> None:
    start_run(terminal)
    terminal.hang_up()
    assert wait_for_end_by(terminal) in (128 + signal.SIGHUP, -signal.SIGHUP)
    name, _, folder = only_job(environment)
    events = len(events_of(folder))
    while len(events_of(folder)) < events + 20:  # the test's own time limit ends this
        time.sleep(0.01)
    call(environment, "history", "stop", name)
    call(environment, "history", "show", name)
    assert only_job(environment)[1] == "stopped"


def test_stop_key_keeps_finished_trials(terminal: Terminal, environment: dict[str, str]) -> None:
    start_run(terminal)
    terminal.press("x")
    terminal.wait_for_text("stopped")
    assert only_job(environment)[1] == "stopped"


def start_in_thread(terminal: Terminal, *, noisy: bool = False) -> None:
    """Start a run of the sample in a worker thread, if wanted with a backend that prints."""
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter run")
    if noisy:
        terminal.press("+")
        terminal.wait_for_text("one file an image")  # said of the field that has the focus
        terminal.press("n", "n")  # past npy
        terminal.wait_for_text("(x) noisy", "(x) png")
        terminal.press(ENTER)
        terminal.wait_for(lambda frame: "Add a configuration" not in frame and "4 configurations" in frame)
    run_trials_in(terminal, "worker thread")
    terminal.press(ENTER)
    terminal.wait_for_text("▸")


def test_dropped_line_kills_a_run_in_a_thread_cleanly(terminal: Terminal, environment: dict[str, str]) -> None:
    start_in_thread(terminal)
    _, _, folder = only_job(environment)
    work = [Path(path) for event in events_of(folder) for path in event.get("work", ())]
    assert [path for path in work if path.exists()] == work != []
    terminal.hang_up()
    wait_for_end_by(terminal)
    assert only_job(environment)[1] == "died"
    sweep(folder.parent)
    assert not [path for path in work if path.exists()]


UNPROTECTED = """
import contextlib, tui.app, tui.settings
tui.app.own_terminal = contextlib.nullcontext
tui.app.output_to = lambda log: contextlib.nullcontext()
tui.app.run(None, tui.settings.jobs_folder(), tui.settings.Settings())
"""


@pytest.mark.parametrize("protected", [True, False])
def test_output_of_a_library_in_a_thread_goes_to_the_log(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    environment["PYTHONPATH"] = str(Path(__file__).parents[1] / "plugin")
    with closing(Terminal([program()] if protected else [sys.executable, "-c", UNPROTECTED], environment)) as opened:
        start_in_thread(opened, noisy=True)
        if not protected:
            opened.wait_for(lambda frame: b"NOISY failure" in opened.raw)
            return
        log = only_job(environment)[2] / "log.txt"
        opened.wait_for(lambda frame: "NOISY failure" in log.read_text())
        opened.press("x")
        opened.wait_for_text("stopped")
        assert b"NOISE" not in opened.raw
        lines = log.read_text().splitlines()
        assert {"NOISE on standard output", "NOISE on standard error", "RuntimeError: NOISY failure"} <= set(lines)
        opened.press("q")
        assert opened.wait_for_end() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_the_program_with_its_code(terminal: Terminal, number: signal.Signals, code: int) -> None:
    terminal.wait_for_text("Open a folder")
    assert not terminal.echoes
    os.kill(terminal.pid, number)
    assert terminal.wait_for_end() == code
    assert b"\x1b[?1049l" in terminal.raw
    assert terminal.echoes


def test_hostile_path_is_shown_escaped(environment: dict[str, str], tmp_path: Path) -> None:
    with closing(Terminal([program(), str(tmp_path / "nothing[/]\x1b]0;title\x07")], environment)) as opened:
        frame = opened.wait_for_text("nothing[/]")
        assert "\\x1b" in frame or "…" in frame
        assert b"\x1b]0;title" not in opened.raw
        opened.press("q")
        assert opened.wait_for_end() == 0


def test_killed_program_leaves_its_conversion_to_finish(
    terminal: Terminal, environment: dict[str, str], tmp_path: Path
) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter run")
    terminal.press("C")
    terminal.wait_for_text("The same from a shell")
    write_field(terminal, "t", "Folder of the store", str(tmp_path / "store"))
    write_field(terminal, "s", "Size of a shard", "10 images")
    terminal.wait_for_text("200, of", "Enter start")
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


def write_field(terminal: Terminal, key: str, title: str, text: str) -> None:
    """Change a field of the conversion in its dialog."""
    terminal.press(key)
    terminal.wait_for_text(title)
    terminal.press("\x15")  # a field that gets the focus selects its text a moment later: wait until it is empty
    terminal.wait_for(lambda frame: re.search(rf"{title}.*\n.*│ {{60,}}│", frame) is not None)
    terminal.press(*text)
    terminal.wait_for_text(text[-9:])
    terminal.press(ENTER)
    terminal.wait_for(lambda frame: title not in frame and "a shell" in frame)
