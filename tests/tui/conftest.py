"""The app as the tests see it: a fixed user, machine, disk and terminal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import tui.workers
from backends.bench.budget import Estimate
from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from tui.messages import Place

GOLDEN = Path(__file__).with_name("golden")
UPDATE = "IMGSTORE_UPDATE_GOLDEN"
"""Set it to 1 to write the golden frames anew; then read the diff."""


def fixed_weight(plan: Plan, facts: DatasetFacts) -> tuple[Estimate, Place]:
    """What a plan takes, the same on every machine."""
    return Estimate(25.0, 60_000_000, Path("/scratch/me")), Place("/scratch/me", "ext4", 1_200_000_000_000)


@pytest.fixture(autouse=True)
def fixed_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same user, machine, colours and current folder everywhere."""
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LOGNAME", "me")
    monkeypatch.setattr(socket, "gethostname", lambda: "login3")
    monkeypatch.setattr(tui.workers, "weigh", fixed_weight)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


def compare_golden(name: str, found: str) -> None:
    """Fail where ``found`` differs from the golden frame, or write it where that is asked for."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get(UPDATE) == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == found
