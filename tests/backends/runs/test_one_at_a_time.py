"""Jobs of one folder: one at a time works on this machine, whatever becomes of it."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.errors import MachineBusy, NotAllowed
from backends.runs import events, job
from backends.runs.folder import lock_holder
from backends.runs.history import list_runs
from backends.runs.job import Job, start_job

pytestmark = pytest.mark.slow


@pytest.fixture
def quick(tmp_path: Path) -> Plan:
    return Plan("sample", configurations_of("hdf5"), (10,), ("store",), repeats=1, work_dir=str(tmp_path))


@pytest.fixture
def going(quick: Plan, jobs: Path) -> Iterator[Job]:
    """A run in the middle of its trials."""
    started = start_job(replace(quick, repeats=100_000), jobs)
    first(started, events.TrialFinished)
    yield started
    started.cancel()
    started.wait()


def first(started: Job, kind: type[events.Event]) -> events.Event:
    """The first event of a kind."""
    return next(event for event in started.follow() if isinstance(event, kind))


@pytest.mark.parametrize("in_thread", [True, False])
@pytest.mark.parametrize("killed", [True, False])
def test_job_waits_until_the_other_has_ended(
    going: Job, quick: Plan, jobs: Path, in_thread: bool, killed: bool
) -> None:
    second, seen = start_job(replace(quick, in_thread=in_thread), jobs), list[events.Event]()

    def end_first(event: events.Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            os.kill(lock_holder(going.folder) or 0, signal.SIGKILL) if killed else going.cancel()

    second.run(end_first)
    assert isinstance(seen[0], events.Waiting)
    assert seen[0].why.startswith("the run of sample, started ")
    assert going.id in seen[0].why
    assert (seen[1], type(seen[2])) == (events.Waiting(seen[1].time, ""), events.RunStarted)
    assert isinstance(seen[-1], events.RunFinished)
    assert not going.running()


def test_job_does_not_wait_without_the_lock(
    going: Job, quick: Plan, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "take_lock", lambda jobs, name: os.open(os.devnull, os.O_RDONLY))
    assert start_job(quick, jobs).wait().outcome == "finished"
    assert going.running()


def test_waiting_job_can_be_cancelled(going: Job, quick: Plan, jobs: Path) -> None:
    second = start_job(quick, jobs)
    first(second, events.Waiting)
    assert [facts.state for facts in list_runs(jobs)] == ["waiting", "running"]
    second.cancel()
    assert (second.wait().outcome, going.running()) == ("cancelled", True)


def test_start_without_waiting_is_refused(going: Job, quick: Plan, jobs: Path) -> None:
    with pytest.raises(MachineBusy, match=f"the run of sample, started .*{going.id}. is going on: wait") as refused:
        start_job(quick, jobs, wait=False)
    assert refused.value.job == going.id
    assert [facts.id for facts in list_runs(jobs)] == [going.id]


def test_one_of_many_starts_at_once_succeeds(quick: Plan, jobs: Path) -> None:
    def start(_: int) -> Job | None:
        with suppress(MachineBusy):
            return start_job(replace(quick, in_thread=True), jobs, wait=False)
        return None

    with ThreadPoolExecutor(8) as pool:
        (started,) = filter(None, pool.map(start, range(8)))
    assert started.wait().outcome == "finished"
    start_job(quick, jobs, wait=False).wait()


def test_machine_of_another_name_is_not_waited_for(
    going: Job, quick: Plan, jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert start_job(quick, jobs, wait=False).wait().outcome == "finished"


def test_filesystem_without_locks_is_said(quick: Plan, jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    with pytest.raises(NotAllowed, match=r"cannot be locked \(No locks available\): set XDG_STATE_HOME"):
        start_job(quick, jobs)
    assert list_runs(jobs) == ()
