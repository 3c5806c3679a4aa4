"""Inputs that were mutated are read or refused: no other exception, no hang, no crash, nothing written elsewhere.

FUZZ_INPUTS says how many there are of all kinds together.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.inputs import KINDS

pytestmark = pytest.mark.slow

EACH = max(1, int(os.environ.get("FUZZ_INPUTS", "1000")) // len(KINDS))
MAY_CRASH = {"container lmdb"}
"""Kinds whose library checks nothing that it maps; the program reads them in processes of their own."""


def fuzz(kind: str, each: int, tmp_path: Path) -> tuple[Counter[str], list[str]]:
    """How many inputs ended in each way, and what should not have happened."""
    outcomes: Counter[str] = Counter()
    wrong, first = list[str](), 0
    while first < each:
        folder = tmp_path / str(first)
        folder.mkdir()
        command = [sys.executable, "-m", "tests.fuzz.child", kind, str(folder), "0", str(first), str(each)]
        child = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
        lines = re.findall(r"^(\d+) (.+)$", child.stdout, re.MULTILINE)
        assert lines, child.stderr
        ended = [(number, outcome) for number, outcome in lines if outcome != "begun"]
        if child.returncode:
            name = "hang" if child.returncode == -signal.SIGALRM else "crash"
            ended.append((lines[-1][0], f"{name} ({child.returncode}) {child.stderr[-300:]}"))
        for number, outcome in ended:
            word = outcome.partition(" ")[0]
            outcomes[word] += 1
            if word not in ("read", "refused") and not (word == "crash" and kind in MAY_CRASH):
                wrong.append(f"{number}: {outcome}")
        first = int(lines[-1][0]) + 1
    return outcomes, wrong


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "misbehaving"])
def test_mutated_input_is_read_or_refused(kind: str, tmp_path: Path, record_property: Callable[..., None]) -> None:
    outcomes, wrong = fuzz(kind, EACH, tmp_path)
    record_property("fuzz", (kind, dict(outcomes)))
    assert not wrong
    assert outcomes.total() == EACH
    assert [path.name for path in tmp_path.iterdir() if not path.name.isdigit()] == []


def test_reader_that_raises_crashes_or_hangs_is_noticed(tmp_path: Path) -> None:
    outcomes, wrong = fuzz("misbehaving", 16, tmp_path)
    assert set(outcomes) == {"KeyError:", "crash", "hang"}
    assert len(wrong) == 16
