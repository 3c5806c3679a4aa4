"""The journal: one event a line, whatever happens to a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backends.bench.measurement import Measurement, Trial
from backends.jobs import events
from backends.jobs.journal import Journal, Tail

EVENTS: list[events.Event] = [
    events.Staging(1.0, 5, 10, 0.25),
    events.TrialStarted(2.0, Trial(3, "lmdb+raw@/[x]\x1b", "read", 10, 1, reads=2)),
    events.Progress(3.0, 3, 5, 10),
    events.TrialFinished(
        4.0,
        Measurement(3, "lmdb+raw", "lmdb", "raw", "read", 10, "warm", 1, "ok", seconds=0.5, phases={"read": 0.5}),
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


def test_unknown_fields_are_ignored_and_missing_ones_take_their_default() -> None:
    found = json.loads(events.encode_event(EVENTS[-1]))
    del found["left"]
    found["new"] = {"of": "a newer version"}
    assert events.decode_event(json.dumps(found).encode()) == events.RunFinished(6.0, "cancelled", 5.0)


@pytest.mark.parametrize("change", [{"time": "now"}, {"seconds": None}, {"outcome": 3}, {"left": "text"}])
def test_a_field_of_the_wrong_kind_is_no_event(change: dict[str, object]) -> None:
    found = json.loads(events.encode_event(EVENTS[-1])) | change
    assert events.decode_event(json.dumps(found).encode()) is None


def test_only_the_last_events_of_a_long_journal_are_read_where_asked(path: Path) -> None:
    write(path, EVENTS * 50)
    found = Tail(path, last=2000).read()
    assert found == (EVENTS * 50)[-len(found) :]
    assert 0 < len(found) < 60


def test_an_event_too_long_for_a_line_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="too long"):
        write(path, [events.JobFailed(1.0, "x" * 70_000)])
    assert path.read_bytes() == b""
