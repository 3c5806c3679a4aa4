"""The terminal around the screen: its title, and what libraries print while the screen is drawn."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from textual.app import App

_PRINTED = (1, 2)
"""The descriptors on which libraries print."""


def set_title(app: App[Any], title: str) -> None:
    """Name the terminal's window; ``title`` is plain text."""
    if app._driver is not None and not app.is_headless:
        app._driver.write(f"\x1b]2;{title}\x07")


@contextmanager
def own_terminal() -> Iterator[None]:
    """Draw on copies of the descriptors 1 and 2; what libraries print on these two does not reach the screen."""
    before = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    for stream in before[:2]:
        stream.flush()
    out, err = (os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace") for descriptor in _PRINTED)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = out, err  # type: ignore[misc]
    _print_into(os.devnull)
    try:
        yield
    finally:
        for stream, descriptor in zip((out, err), _PRINTED, strict=True):
            stream.flush()
            os.dup2(stream.fileno(), descriptor)
            stream.close()
        sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = before  # type: ignore[misc]


@contextmanager
def output_to(log: Path) -> Iterator[None]:
    """Append what is printed on the descriptors 1 and 2 to ``log``; to be used within ``own_terminal``."""
    _print_into(log)
    try:
        yield
    finally:
        _print_into(os.devnull)


def _print_into(path: Path | str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    for descriptor in _PRINTED:
        os.dup2(file, descriptor)
    os.close(file)
