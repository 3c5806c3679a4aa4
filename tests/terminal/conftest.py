"""The program in a terminal of its own, with a history and settings of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.terminal.terminal import Terminal, program

SIX_BACKENDS = """
from backends import registry
registry.entry_points = lambda group: []
registry._BACKENDS = registry._BACKENDS[:6]
"""
"""The frames list the backends: neither those of installed plug-ins nor later ones are expected."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    places = {"XDG_STATE_HOME": "state", "XDG_CONFIG_HOME": "config", "PYTHONPATH": "start"}
    (tmp_path / "start").mkdir()
    (tmp_path / "start/sitecustomize.py").write_text(SIX_BACKENDS)
    state = {name: str(tmp_path / folder) for name, folder in places.items()}
    return {**keep, **state, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "USER": "me"}


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """The program as a shell starts it, in an empty folder, in a window of 80x24."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with closing(Terminal([program()], environment)) as opened:
        yield opened
