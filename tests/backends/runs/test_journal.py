"""The journal: one event a line, whatever happens to a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from backends.bench.configuration import Configuration
from backends.bench.json_files import to_builtins
from backends.bench.measurement import Measurement, Trial
from backends.runs import events
from backends.runs.folder import Journal, Tail, last_event

EVENTS: list[events.Event] = [
    events.Staging(1.0, 5, 10, 0.25),
    events.TrialStarted(2.0, Trial(3, Configuration("lmdb+raw@/[x]\x1b"), "read", 10, 1, reads=2)),
    events.Progress(3.0, 3, 5, 10),
    events.TrialFinished(
        4.0,
        Measurement(
            3, Configuration("lmdb+raw"), "lmdb", "raw", "read", 10, "warm", 1, "ok", seconds=0.5, phases={"read": 0.5}
        ),
    ),
    events.JobFailed(5.0, "Ünïcode 'and' \"quotes\"\nand lines", 2),
    events.RunFinished(6.0, "cancelled", 5.0, ("/left",)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, found: list[events.Event]) -> None:
    journal = Journal(path)
    for event in found:
        journal.append(event)
    journal.close()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_comes_back_equal(event: events.Event) -> None:
    line = events.encode_event(event)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert events.decode_event(line) == event


def test_a_tail_gives_each_event_once_as_it_comes(path: Path) -> None:
    tail = Tail(path)
    assert tail.read() == []
    write(path, EVENTS[:2])
    assert tail.read() == EVENTS[:2]
    write(path, EVENTS[2:])
    assert tail.read() == EVENTS[2:]
    assert tail.read() == []


def test_a_line_is_read_only_when_it_is_whole(path: Path) -> None:
    line = events.encode_event(EVENTS[0])
    tail = Tail(path)
    for end in range(1, len(line)):
        path.write_bytes(line[:end])
        assert tail.read() == []
    path.write_bytes(line)
    assert tail.read() == EVENTS[:1]


def test_torn_and_unknown_lines_are_passed_over(path: Path) -> None:
    whole = events.encode_event(EVENTS[0])
    newer = json.dumps({"event": "from-the-future", "time": 1.0}).encode() + b"\n"
    path.write_bytes(whole[:20] + b"\n" + newer + b"[]\nnull\n\xff\n" + whole)
    assert Tail(path).read() == EVENTS[:1]


@pytest.mark.parametrize("name", ["trial-failed", "trial-skipped"])
def test_trial_that_an_earlier_version_named_by_its_outcome_is_read(name: str) -> None:
    line = events.encode_event(EVENTS[3]).replace(b"trial-finished", name.encode())
    assert name.encode() in line
    assert events.decode_event(line) == EVENTS[3]


def test_overlong_line_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_JSON_BYTES", "100")
    write(path, [EVENTS[0], events.JobFailed(1.0, "x" * 1_000), EVENTS[0]])
    assert Tail(path).read() == [EVENTS[0]] * 2


def test_unknown_fields_are_ignored_and_missing_ones_take_their_default() -> None:
    found = json.loads(events.encode_event(EVENTS[-1]))
    del found["left"]
    found["new"] = {"of": "a newer version"}
    assert events.decode_event(json.dumps(found).encode()) == events.RunFinished(6.0, "cancelled", 5.0)


@pytest.mark.parametrize(
    ("event", "change"),
    [
        (EVENTS[-1], {"time": "now"}),
        (EVENTS[-1], {"seconds": None}),
        (EVENTS[-1], {"outcome": 3}),
        (EVENTS[-1], {"left": "text"}),
        (EVENTS[3], {"measurement": {**to_builtins(EVENTS[3])["measurement"], "phases": 5}}),
    ],
)
def test_a_field_of_the_wrong_kind_is_no_event(event: events.Event, change: dict[str, object]) -> None:
    found = json.loads(events.encode_event(event)) | change
    assert events.decode_event(json.dumps(found).encode()) is None


def test_the_last_event_is_found_behind_torn_and_foreign_lines(path: Path) -> None:
    assert last_event(path) is None
    write(path, EVENTS * 50)
    with path.open("ab") as file:
        file.write(b'{"event": "weather"}\n{"event": "stag')
    assert last_event(path) == EVENTS[-1]


def test_an_event_of_any_length_comes_back(path: Path) -> None:
    long: list[events.Event] = [events.JobFailed(1.0, "x" * 3_000_000), EVENTS[0]]
    write(path, long)
    assert Tail(path).read() == long


def test_after_an_event_that_could_not_be_written_whole_the_next_starts_a_line(path: Path) -> None:
    room = len(events.encode_event(EVENTS[0])) + 40
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from backends.runs import events; from backends.runs.folder import Journal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "journal, event = Journal(Path(sys.argv[1])), events.Staging(1.0, 5, 10, 0.25)\n"
        "journal.append(event)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))\n"
        "try:\n    journal.append(event)\nexcept OSError:\n    sys.stdout.write('refused')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        "journal.append(event)\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path), str(room)], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("refused", "")
    assert Tail(path).read() == [EVENTS[0]] * 2


def test_a_journal_that_cannot_be_read_has_no_events(path: Path) -> None:
    path.mkdir()
    assert (Tail(path).read(), last_event(path)) == ([], None)
