"""The first run of the real program in a real terminal, by keys alone, frame by frame."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backends.runs.folder import EVENTS, LOG, Tail
from backends.runs.job import list_jobs, open_job, sweep
from tests.terminal.terminal import Terminal, program, run_trials_in

GOLDEN = Path(__file__).parent / "golden"
ENTER, ESCAPE = "\r", "\x1b"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    return {**keep, **state, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "USER": "me"}


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    return tmp_path / "state" / "imgstore-tui" / "jobs"


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """The program as a shell starts it, in an empty folder, in a window of 80x24."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = Terminal([program()], environment)
    yield found
    found.close()


def masked(frame: str) -> str:
    """A frame without what differs from run to run: figures, the drawing, the machine and its disks."""
    text = re.sub(r"^(─ 1 Dataset ).*", r"\1", frame)
    text = re.sub(r"─+ (finished in|measured in) [\d:]+", r"\1 CLOCK", text)
    text = re.sub(
        r"(?s)Times storing.*?Enter starts\.", lambda found: " ".join(found[0].replace("│", " ").split()), text
    )
    text = re.sub(r" in /\S+\.", " in FOLDER.", text)
    text = re.sub(r"( *)([\d.,]+) (ms|s|µs|MiB|MB|GB)\b", lambda found: "#".rjust(len(found[0])), text)
    text = re.sub(r"(Store 2,000:) .*", r"\1 (figures)", text)
    text = re.sub(r"(?m)^│ +(# )?[┤│].*\n", "│ (chart)\n", text)
    text = re.sub(r"(│ \(chart\)\n)+", "│ (chart)\n", text)
    return "\n".join(re.sub(r" +│$", " │", line).rstrip() for line in text.splitlines()) + "\n"


def compare(terminal: Terminal, name: str, *texts: str) -> str:
    """Wait for ``texts`` and until the masked frame is the golden one, since a screen is painted in several writes.

    Where IMGSTORE_UPDATE_GOLDEN is set, write the frame instead.
    """
    path, frame = GOLDEN / f"{name}.txt", terminal.wait_for_text(*texts)
    if os.environ.get("IMGSTORE_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(masked(frame), encoding="utf-8")
    golden = path.read_text(encoding="utf-8")
    with suppress(AssertionError):
        terminal.wait_for(lambda frame: masked(frame) == golden)
    assert masked(terminal.frame) == golden
    return terminal.frame


def test_two_keys_lead_from_the_shell_to_a_finished_chart(terminal: Terminal) -> None:
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


def test_quitting_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press("q")
    assert terminal.wait_for_end() == 0
    assert terminal.raw.rstrip().endswith(b"\x1b[?1049l") or b"\x1b[?1049l" in terminal.raw[-200:]


def start_a_run(terminal: Terminal) -> None:
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter starts")
    terminal.press(ENTER)
    terminal.wait_for_text("▸")


def test_a_dropped_line_ends_the_screen_and_not_the_run(terminal: Terminal, jobs: Path) -> None:
    start_a_run(terminal)
    terminal.hang_up()
    _, status = os.waitpid(terminal.pid, 0)
    terminal.pid = 0
    assert os.waitstatus_to_exitcode(status) in (128 + signal.SIGHUP, -signal.SIGHUP)
    (job,) = list_jobs(jobs)
    list(open_job(job.folder).follow())
    assert [one.state for one in list_jobs(jobs)] == ["finished"]


def test_x_stops_a_run_and_what_finished_stays(terminal: Terminal, jobs: Path) -> None:
    start_a_run(terminal)
    terminal.press("x")
    terminal.wait_for_text("stopped")
    assert [one.state for one in list_jobs(jobs)] == ["stopped"]


def start_in_thread(terminal: Terminal, configuration: str = "") -> None:
    """Start a run of the sample in a worker thread, of one more configuration where it is named."""
    terminal.wait_for_text("Open a folder")
    terminal.press(ENTER)
    terminal.wait_for_text("Enter run")
    if configuration:
        terminal.press("+")
        terminal.wait_for_text("Esc back")
        terminal.press(*configuration, ENTER)
        terminal.wait_for(lambda frame: "Add a configuration" not in frame and "4 configurations" in frame)
    run_trials_in(terminal, "worker thread")
    terminal.press(ENTER)
    terminal.wait_for_text("▸")


def test_a_run_in_a_thread_cut_off_by_a_hang_up_is_cleaned_later(terminal: Terminal, jobs: Path) -> None:
    start_in_thread(terminal)
    (job,) = list_jobs(jobs)
    work = [Path(folder) for event in Tail(job.folder / EVENTS).read() for folder in getattr(event, "work", ())]
    assert [folder for folder in work if folder.exists()] == work != []
    terminal.hang_up()
    os.waitpid(terminal.pid, 0)
    terminal.pid = 0
    assert [one.state for one in list_jobs(jobs)] == ["died"]
    sweep(jobs)
    assert not [folder for folder in work if folder.exists()]


UNPROTECTED = """
import contextlib, tui.app, tui.cli
tui.app.own_terminal = contextlib.nullcontext
tui.app.output_to = lambda log: contextlib.nullcontext()
tui.app.run(None, tui.cli.jobs_folder())
"""


@pytest.mark.parametrize("protected", [True, False])
def test_what_a_library_prints_in_a_thread_goes_to_the_log(
    environment: dict[str, str], jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    plugin = str(Path(__file__).parents[1] / "plugin")
    command = [program()] if protected else [sys.executable, "-c", UNPROTECTED]
    found = Terminal(command, {**environment, "PYTHONPATH": plugin})
    try:
        start_in_thread(found, "noisy+png")
        if not protected:
            found.wait_for(lambda frame: b"NOISY failure" in found.raw)
            return
        (job,) = list_jobs(jobs)
        found.wait_for(lambda frame: "NOISY failure" in (job.folder / LOG).read_text())
        found.press("x")
        found.wait_for_text("stopped")
        assert b"NOISE" not in found.raw
        log = (job.folder / LOG).read_text()
        assert {"NOISE on standard output", "NOISE on standard error"} <= set(log.splitlines())
        assert "RuntimeError: NOISY failure" in log
        found.press("q")
        assert found.wait_for_end() == 0
    finally:
        found.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_screen_with_its_code(terminal: Terminal, number: signal.Signals, code: int) -> None:
    terminal.wait_for_text("Open a folder")
    os.kill(terminal.pid, number)
    assert terminal.wait_for_end() == code
    assert b"\x1b[?1049l" in terminal.raw


def test_a_wrong_path_is_told_where_the_user_looks(environment: dict[str, str], tmp_path: Path) -> None:
    found = Terminal([program(), str(tmp_path / "nothing[/]\x1b]0;title\x07")], environment)
    frame = found.wait_for_text("nothing[/]")
    assert "\\x1b" in frame or "…" in frame
    assert b"\x1b]0;title" not in found.raw
    found.press("q")
    assert found.wait_for_end() == 0
    found.close()
