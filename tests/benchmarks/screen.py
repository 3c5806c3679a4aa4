"""Measures the terminal UI beside an empty Textual app in turn, each in a real terminal of 80x24.

    python -m tests.benchmarks.screen [--rounds 5]

Prints medians and ratios: the first paint (target 1.5x); memory before a run (2x); the time from a key to the frame in
which another row is highlighted, 99 % of them, idle (1.5x) and while a run goes on (3x); the processor's time of the
idle program (1 %); and the trials of a run that is watched over those of the same run without a screen (within 3 %).
A machine that does something else makes them larger.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from backends.bench.measurement import Cell, Measurement
from backends.runs.history import list_runs
from backends.runs.job import open_job, start_job
from tests.benchmarks.speed import say
from tests.terminal.terminal import Terminal, program, run_trials_in

EMPTY = """
from textual.app import App
from textual.widgets import OptionList

class Empty(App[None]):
    def compose(self):
        yield OptionList("Open a folder", "two", "three", "four")

Empty().run()
"""
COMMANDS = {"empty": [sys.executable, "-c", EMPTY], "ours": [program()]}
PAUSE_SECONDS = 0.2  # between two keys, as a person presses them
IDLE_KEYS, IDLE_SECONDS = 40, 10.0
MODES = ("separate processes", "worker thread")


def press(terminal: Terminal, key: str) -> float:
    """Move the cursor; the seconds until another row is highlighted."""
    before, begin = terminal.grounds, time.perf_counter()
    terminal.press(key)
    terminal.wait_for(lambda _: terminal.grounds != before)
    seconds = time.perf_counter() - begin
    time.sleep(PAUSE_SECONDS)
    return seconds


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_seconds(pid: int) -> float:
    """What a process has used of processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def look_at(name: str, figures: dict[str, dict[str, list[float]]]) -> None:
    """Start a program in a terminal, and add what it takes while nothing runs to ``figures``."""
    with tempfile.TemporaryDirectory() as state:
        begin = time.perf_counter()
        terminal = Terminal(COMMANDS[name], environment(state))
        try:
            terminal.wait_for_text("Open a folder")
            figures["first paint"][name].append(time.perf_counter() - begin)
            terminal.wait_for_silence()
            figures["memory"][name].append(resident(terminal.pid))
            used = processor_seconds(terminal.pid)
            time.sleep(IDLE_SECONDS)
            figures["processor"][name].append((processor_seconds(terminal.pid) - used) / IDLE_SECONDS)
            keys = ("\x1b[B", "\x1b[A") * (IDLE_KEYS // 2)
            figures["idle key"][name] += [press(terminal, key) for key in keys]
        finally:
            terminal.close()


def watch_run(mode: str) -> tuple[list[float], dict[Cell, float]]:
    """Measure the sample on the screen while keys are pressed: their delays, and watched over unwatched trials."""
    with tempfile.TemporaryDirectory() as state:
        jobs, delays = Path(state) / "imgstore-tui" / "jobs", list[float]()
        terminal = Terminal([program()], environment(state))
        try:
            terminal.wait_for_text("Open a folder")
            terminal.press("\r")
            terminal.wait_for_text("Enter run")
            run_trials_in(terminal, mode)
            terminal.press("\r")
            terminal.wait_for_text("x stop")
            while any(run.state == "running" for run in list_runs(jobs)):
                delays += [press(terminal, key) for key in "jk"]
            (job,) = list_runs(jobs)
            watched = open_job(jobs / job.id).wait()
            if watched.outcome != "finished" or watched.plan.in_thread is not (mode == MODES[1]):
                raise SystemExit(f"the run failed:\n{terminal.frame}")
            terminal.press("q")
            terminal.wait_for_end()
        finally:
            terminal.close()
        alone = medians(start_job(watched.plan, jobs).wait().measurements)
    return delays, {cell: seconds / alone[cell] for cell, seconds in medians(watched.measurements).items()}


def medians(measurements: tuple[Measurement, ...]) -> dict[Cell, float]:
    """The median seconds of each cell."""
    seconds: dict[Cell, list[float]] = defaultdict(list)
    for trial in measurements:
        if trial.shown and trial.seconds is not None:
            seconds[trial.cell].append(trial.seconds)
    return {cell: statistics.median(times) for cell, times in seconds.items()}


def environment(state: str) -> dict[str, str]:
    found = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    found.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
    return found


def slowest(delays: list[float]) -> float:
    """Below this are 99 % of the delays."""
    return statistics.quantiles(delays, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        for name in COMMANDS:
            look_at(name, figures)
    for what, unit, scale, of in (
        ("first paint", "ms", 1e3, statistics.median),
        ("memory", "MB", 1e-6, statistics.median),
        ("processor", "%", 1e2, statistics.median),
        ("idle key", "ms in 99 %", 1e3, slowest),
    ):
        empty, ours = (of(figures[what][name]) for name in COMMANDS)
        ratio = f": {ours / empty:.2f}x" if empty else ""
        say(f"{what}: an empty app {empty * scale:.1f} {unit}, imgstore-tui {ours * scale:.1f} {unit}{ratio}")
    idle = slowest(figures["idle key"]["empty"])
    for mode in MODES:
        runs = [watch_run(mode) for _ in range(rounds)]
        delays = [delay for found, _ in runs for delay in found]
        ratios = [ratio for _, found in runs for ratio in found.values()]
        late = slowest(delays)
        say(f"key while trials run in {mode}: {late * 1e3:.0f} ms in 99 % of {len(delays)}: {late / idle:.2f}x")
        say(f"watched over unwatched, in {mode}: {statistics.median(ratios):.3f}x, median of {len(ratios)} ratios")


if __name__ == "__main__":
    main()
