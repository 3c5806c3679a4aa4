"""Measures the time from starting the program to its start list on the screen, beside an empty Textual app in turn.

    python -m tests.benchmarks.first_paint [--rounds 10]

Prints the medians and their ratio (the target is at most 1.5x).  A machine that does something else makes it larger.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time

from tests.benchmarks.speed import say
from tests.terminal.terminal import Terminal, program

EMPTY = """
from textual.app import App
from textual.widgets import Static

class Empty(App[None]):
    def compose(self):
        yield Static("Open a folder")

Empty().run()
"""


def seconds_to_paint(command: list[str]) -> float:
    """Seconds until the program in a new terminal of 80x24 shows a line that both programs have."""
    with tempfile.TemporaryDirectory() as state:
        environment = {**os.environ, "XDG_STATE_HOME": state, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
        begin = time.perf_counter()
        terminal = Terminal(command, environment)
        try:
            terminal.wait_for_text("Open a folder")
            return time.perf_counter() - begin
        finally:
            terminal.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    commands = {"empty": [sys.executable, "-c", EMPTY], "imgstore-tui": [program()]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(parser.parse_args().rounds):
        for name, command in commands.items():
            times[name].append(seconds_to_paint(command))
    empty, ours = (statistics.median(times[name]) for name in commands)
    say(f"an empty app {empty * 1e3:.0f} ms, imgstore-tui {ours * 1e3:.0f} ms: {ours / empty:.2f}x")


if __name__ == "__main__":
    main()
