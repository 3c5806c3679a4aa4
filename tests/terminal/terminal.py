"""A real terminal for a real program: a pty, a screen model that reads what the program draws, and keys."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

PATIENCE_SECONDS = 250.0


class Terminal:
    """A program in a terminal of its own.

    Attributes
    ----------
    keys
        How many keys were pressed.
    raw
        Every byte that the program wrote.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str], columns: int = 80, rows: int = 24) -> None:
        self.keys = 0
        self.raw = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), environment)
        self._resize(columns, rows)

    def _resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window, as dragging its corner does."""
        self._screen.resize(rows, columns)
        self._resize(columns, rows)
        os.kill(self.pid, signal.SIGWINCH)

    def press(self, *keys: str) -> None:
        """Press keys: characters, or escape sequences such as ``\\x1b[B``."""
        for key in keys:
            self.keys += 1
            os.write(self._master, key.encode())

    @property
    def frame(self) -> str:
        """What stands on the screen, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip() + "\n"

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed and gives it line by line, as a shell wants it."""
        flags = int(termios.tcgetattr(self._master)[3])
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    @property
    def grounds(self) -> tuple[tuple[str, bool], ...]:
        """The background of each cell, and whether it is reversed: what a cursor changes."""
        cells = (
            self._screen.buffer[row][column]
            for row in range(self._screen.lines)
            for column in range(self._screen.columns)
        )
        return tuple((cell.bg, cell.reverse) for cell in cells)

    def wait_for(self, enough: Callable[[str], bool]) -> str:
        """Read what is drawn until the frame is as wanted; give that frame."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not enough(self.frame):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"the screen never came to what was wanted; it shows:\n{self.frame}")
        return self.frame

    def wait_for_text(self, *texts: str) -> str:
        """Read until all of ``texts`` stand somewhere on the screen."""
        return self.wait_for(lambda frame: all(text in frame for text in texts))

    def wait_for_silence(self, seconds: float = 2.0) -> str:
        """Read until nothing was drawn for ``seconds``: a screen is painted in several writes."""
        while self._read(seconds):
            continue
        return self.frame

    def wait_for_end(self) -> int:
        """Read until the program ends; give its exit code, negative for a signal."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._read(deadline - time.monotonic()):
            continue
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> None:
        """Close the line, as a dropped SSH connection does."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """End the program if it still runs."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._master >= 0:
            os.close(self._master)

    def _read(self, seconds: float) -> bool:
        """Read once; False when nothing comes any more."""
        if seconds <= 0 or not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            found = os.read(self._master, 1 << 16)
        except OSError:  # Linux says EIO when the other end is closed
            return False
        self.raw += found
        self._stream.feed(found)
        return bool(found)


def program() -> str:
    """The installed command, beside the interpreter that runs the tests."""
    return str(Path(sys.executable).parent / "imgstore-tui")


def run_trials_in(terminal: Terminal, mode: str) -> None:
    """Change the plan on the screen: trials run in a ``worker thread`` or in ``separate processes``."""
    terminal.press("p")
    terminal.wait_for_text("How many images")
    terminal.press("\x1b[A")  # to the last field, or to the button that shows it
    if "More:" in terminal.wait_for(lambda frame: "How many images" not in frame):
        terminal.press("\r")
        terminal.wait_for_text("Images per batch")
    while "a crash is one failed trial" not in terminal.wait_for_silence(0.3):
        terminal.press("\x1b[A")
    terminal.press(mode[0])
    terminal.wait_for_text(f"(x) {mode}")
    terminal.press("\r")
    where = "in the worker thread" if mode == "worker thread" else "in a process of its own"
    terminal.wait_for(lambda frame: "Run trials in" not in frame and where in " ".join(frame.replace("│", " ").split()))
