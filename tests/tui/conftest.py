"""The app under test, with a fixed user, machine, disk and terminal."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import tui.workers
from backends.bench.budget import Estimate
from backends.bench.plan import Plan
from backends.datasets.base import DatasetFacts
from tui.app import ImgstoreApp
from tui.messages import Place

GOLDEN = Path(__file__).with_name("golden")


def fixed_weight(plan: Plan, facts: DatasetFacts) -> tuple[Estimate, Place]:
    """An estimate that is the same on every machine."""
    return Estimate(25.0, 60_000_000, Path("/scratch/me")), Place("/scratch/me", "ext4", 1_200_000_000_000)


@pytest.fixture(autouse=True)
def fixed_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set the same user, machine, colours, estimate and current folder for every test."""
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LOGNAME", "me")
    monkeypatch.setattr(socket, "gethostname", lambda: "login3")
    monkeypatch.setattr(tui.workers, "weigh", fixed_weight)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def app(tmp_path: Path) -> ImgstoreApp:
    """The app with an empty history."""
    return ImgstoreApp(tmp_path / "jobs")


def compare_golden(name: str, shown: str) -> None:
    """Fail if ``shown`` differs from the golden frame; with IMGSTORE_UPDATE_GOLDEN=1, write it first."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("IMGSTORE_UPDATE_GOLDEN") == "1":
        path.write_text(shown, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == shown
