"""Measures how long keys wait during a run, and trials in a worker thread beside those in separate processes.

    python -m tests.benchmarks.key_delay [--rounds 3]

The program measures the sample in a terminal of 80x24, with trials in separate processes and in a worker thread in
turn, while ``j`` and ``k`` move the cursor of the table: a delay is the time from a key to the frame in which another
row is highlighted.  Prints the delays, beside those without a run (the target is a median of 100 ms), then seconds in a
worker thread over those in separate processes, at the largest size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from backends.bench.measurement import Measurement
from backends.runs.history import list_runs
from backends.runs.job import open_job
from tests.benchmarks.speed import say
from tests.terminal.terminal import Terminal, program, run_trials_in

IDLE, PROCESSES, THREAD = "nothing", "separate processes", "worker thread"
PAUSE_SECONDS = 0.2  # between two keys, as a person presses them


def press(terminal: Terminal, key: str) -> float:
    """Move the cursor; the seconds until another row is highlighted."""
    before, begin = terminal.grounds, time.perf_counter()
    terminal.press(key)
    terminal.wait_for(lambda _: terminal.grounds != before)
    return time.perf_counter() - begin


def press_while_alive(terminal: Terminal, jobs: Path, most: int | None = None) -> list[float]:
    """The delays of keys pressed until the run has ended, or ``most`` of them."""
    delays: list[float] = []
    while len(delays) < most if most else any(run.state == "running" for run in list_runs(jobs)):
        for key in "jk":
            delays.append(press(terminal, key))
            time.sleep(PAUSE_SECONDS)
    return delays


def run_once(mode: str) -> tuple[list[float], list[float], list[Measurement]]:
    """The delays before a run and while it goes on in ``mode``, and what the run measured."""
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        jobs = Path(state) / "imgstore-tui" / "jobs"
        terminal = Terminal([program()], environment)
        try:
            terminal.wait_for_text("Open a folder")
            terminal.press("\r")
            terminal.wait_for_text("Enter run")
            run_trials_in(terminal, mode)
            idle = press_while_alive(terminal, jobs, 40)
            terminal.press("\r")
            terminal.wait_for_text("x stop")
            busy = press_while_alive(terminal, jobs)
            (job,) = list_runs(jobs)
            result = open_job(jobs / job.id).wait()
            if result.outcome != "finished" or result.plan.in_thread is not (mode == THREAD):
                raise SystemExit(f"the run failed:\n{terminal.frame}")
            terminal.press("q")
            terminal.wait_for_end()
        finally:
            terminal.close()
    return idle, busy, [trial for trial in result.measurements if trial.shown and trial.seconds is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="runs in each mode")
    options = parser.parse_args()
    delays: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(options.rounds):
        for mode in (PROCESSES, THREAD):
            idle, busy, measurements = run_once(mode)
            delays[IDLE] += idle
            delays[mode] += busy
            largest = max(trial.count for trial in measurements)
            for trial in measurements:
                if trial.count == largest:
                    seconds[mode][trial.configuration, trial.operation].append(trial.seconds or 0.0)
    for mode in (IDLE, PROCESSES, THREAD):
        cuts = statistics.quantiles(delays[mode], n=20)
        say(f"{mode} runs: {len(delays[mode])} keys, median {cuts[9] * 1e3:.0f} ms, 95 % in {cuts[18] * 1e3:.0f} ms")
    for key, times in seconds[PROCESSES].items():
        process, thread = statistics.median(times), statistics.median(seconds[THREAD][key])
        ratio = f"{thread / process:.2f}x, medians of {len(times)}"
        say(f"{' '.join(key)}: {process * 1e3:.2f} ms, in a worker thread {thread * 1e3:.2f} ms, {ratio}")


if __name__ == "__main__":
    main()
