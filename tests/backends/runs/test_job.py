"""Jobs: real processes that run real plans, die, are cancelled and are found again."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.errors import ImgstoreError, NotAllowed, UsageError
from backends.runs import events
from backends.runs.folder import hold_lock, lock_holder, new_folder
from backends.runs.history import list_runs
from backends.runs.job import Job, open_job, start_job, sweep
from backends.runs.run import Run
from tests.backends.encoded import encoded
from tests.faults.child import left_behind, members


def plan(work: Path, *configurations: str, sizes: tuple[int, ...] = (10,), repeats: int = 1) -> Plan:
    return Plan(
        "sample",
        configurations_of(*configurations or ("hdf5",)),
        sizes,
        ("store", "read"),
        repeats=repeats,
        work_dir=str(work),
    )


def endless(work: Path) -> Plan:
    """More trials than anybody waits for."""
    return plan(work, "hdf5", "lmdb", sizes=(500,), repeats=1_000)


def follow_until(job: Job, enough: Callable[[events.Event], bool]) -> list[events.Event]:
    found = []
    for event in job.follow():
        found.append(event)
        if enough(event):
            break
    return found


def is_trial(event: events.Event) -> bool:
    return isinstance(event, events.TrialFinished)


def states(jobs: Path) -> list[tuple[str, str]]:
    return [(facts.id, facts.state) for facts in list_runs(jobs)]


def run_elsewhere(code: str, jobs: Path, work: Path) -> str:
    """Run code that starts ``plan`` in a process that is killed in the end, and return what it printed."""
    start = (
        "import os, sys; from pathlib import Path; from backends.runs import events\n"
        "from backends.bench.plan import Configuration, Plan; from backends.runs.job import start_job\n"
        "jobs, plan = Path(sys.argv[1]), Plan('sample', (Configuration('hdf5'),), (300,), work_dir=sys.argv[2])\n"
    )
    command = [sys.executable, "-c", start + code, str(jobs), str(work)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == -signal.SIGKILL
    return found.stdout.strip()


def test_a_run_stores_reads_verifies_and_leaves_nothing(jobs: Path, work: Path) -> None:
    job = start_job(plan(work, "files", "lmdb", "hdf5", sizes=(10, 200), repeats=2), jobs)
    seen = list(job.follow())
    assert list(open_job(job.folder).follow()) == seen, "a second viewer sees the same"
    assert (type(seen[0]), type(seen[-1])) == (events.RunStarted, events.RunFinished)
    result = job.wait()
    assert result.outcome == "finished"
    assert {(trial.outcome, trial.verified) for trial in result.measurements} == {("ok", True)}
    assert len(result.figures) == 3 * 2 * 2
    assert {figure.repeats for figure in result.figures.values()} == {2}
    assert list(work.iterdir()) == []


def test_long_listing_is_told_while_it_lasts(
    jobs: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(encoded(np.zeros((8, 8, 3), np.uint8)))
    monkeypatch.setattr(events, "LISTING_SECONDS", 0.0)
    asked = replace(plan(work, "npy+raw", sizes=(3,)), dataset=str(tmp_path / "set"), in_thread=True)
    told: list[events.Event] = []
    start_job(asked, jobs).run(told.append)
    assert [event.found for event in told if isinstance(event, events.Listing)] == [1, 2]
    assert Run(asked).after(*told[:2]).found == 2
    assert Run(asked).after(*told).outcome == "finished"


def test_a_configuration_writes_in_its_own_folder_and_cleans_it(jobs: Path, work: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    job = start_job(plan(work, "hdf5", f"hdf5@{elsewhere}"), jobs)
    start = next(event for event in job.follow() if isinstance(event, events.RunStarted))
    assert [Path(folder).parent for folder in start.work] == [work, elsewhere]
    assert job.wait().outcome == "finished"
    assert list(elsewhere.iterdir()) == []


def test_phases_add_up_and_durable_time_includes_sync(jobs: Path, work: Path) -> None:
    found = start_job(plan(work, "lmdb"), jobs).wait().measurements
    store, read = [trial for trial in found if trial.shown]
    assert list(store.phases) == ["open", "encode", "write", "close", "sync"]
    assert list(read.phases) == ["open", "read", "decode", "close"]
    assert store.seconds == pytest.approx(sum(store.phases.values()) - store.phases["sync"])
    assert store.seconds_durable == pytest.approx(sum(store.phases.values()))
    assert read.seconds_durable == read.seconds == pytest.approx(sum(read.phases.values()))


def test_more_images_than_the_dataset_has_repeat_it_and_say_so(jobs: Path, work: Path) -> None:
    result = start_job(plan(work, "hdf5", sizes=(4500,)), jobs).wait()
    assert {trial.outcome for trial in result.measurements} == {"ok"}
    assert any("larger sizes repeat them" in note for note in result.notes)


@pytest.mark.parametrize("number", [None, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_cancelled_run_keeps_what_it_finished_and_cleans_up(
    jobs: Path, work: Path, number: signal.Signals | None
) -> None:
    job = start_job(endless(work), jobs)
    follow_until(job, is_trial)
    assert states(jobs) == [(job.id, "running")]
    assert sweep(jobs) == ()
    assert list(work.iterdir()) != []
    follow_until(job, is_trial)
    os.kill(lock_holder(job.folder) or 0, number) if number else job.cancel()
    result = job.wait()
    assert (result.outcome, states(jobs)) == ("cancelled", [(job.id, "stopped")])
    assert (job.folder / "heard").exists()
    assert result.measurements
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("in_thread", "heard", "killed"), [(False, False, True), (False, True, False), (True, False, False)]
)
def test_only_a_process_that_does_not_hear_a_cancel_is_killed(
    jobs: Path, work: Path, in_thread: bool, heard: bool, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in a thread is never killed for it: its process is somebody's screen."""
    folder = new_folder(jobs, replace(plan(work), in_thread=in_thread))
    code = "import sys; from pathlib import Path; from backends.runs.folder import hold_lock\n"
    code += "lock = hold_lock(Path(sys.argv[1])); print(flush=True); sys.stdin.readline()"
    command, pipe = [sys.executable, "-c", code, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, start_new_session=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        if heard:
            (folder / "heard").touch()
        monkeypatch.setattr("backends.runs.job.PATIENCE_SECONDS", 0.0)
        looks: list[bool] = []
        job = open_job(folder)
        job.cancel()
        seen = list(job.follow(lambda: looks.append(True) or (not killed and len(looks) > 3)))  # type: ignore[func-returns-value]
        assert [type(event) for event in seen] == ([events.JobFailed] if killed else [])
        process.stdin.close()
        assert process.wait() == (-signal.SIGKILL if killed else 0)


def test_a_killed_job_takes_its_processes_along_and_the_next_start_cleans(jobs: Path, work: Path) -> None:
    job = start_job(endless(work), jobs)
    follow_until(job, is_trial)
    leader = lock_holder(job.folder) or 0
    assert len(members(leader)) >= 2
    os.kill(leader, signal.SIGKILL)
    last = list(job.follow())[-1]
    assert isinstance(last, events.JobFailed)
    assert "died" in last.message
    assert [state for _, state in states(jobs)] == ["died"]
    assert list(work.iterdir()) != []
    assert not left_behind(leader)
    start_job(plan(work), jobs).wait()
    assert list(work.iterdir()) == []


def test_a_job_outlives_the_process_that_started_it(jobs: Path, work: Path) -> None:
    folder = run_elsewhere("print(start_job(plan, jobs).folder, flush=True); os.kill(os.getpid(), 9)", jobs, work)
    assert open_job(Path(folder)).wait().outcome == "finished"


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("backend", "sentence"),
    [
        ("dying", "died of SIGBUS"),
        ("hungry", "out of memory"),
        ("lying", "is not what was stored"),
        ("raising", "RuntimeError: this plug-in is for another version"),
    ],
)
def test_a_trial_that_goes_wrong_is_a_failed_trial_and_the_run_goes_on(
    jobs: Path, work: Path, backend: str, sentence: str
) -> None:
    result = start_job(plan(work, backend, "hdf5"), jobs).wait()
    assert result.outcome == "finished"
    bad = [trial for trial in result.measurements if trial.backend == backend]
    assert {trial.outcome for trial in bad} == {"failed", "skipped"}
    assert all(sentence in trial.message for trial in bad)
    assert {trial.outcome for trial in result.measurements if trial.backend == "hdf5"} == {"ok"}
    assert list(work.iterdir()) == []


@pytest.mark.usefixtures("plugin")
def test_a_trial_that_hangs_can_be_cancelled(jobs: Path, work: Path) -> None:
    job = start_job(plan(work, "stuck"), jobs)
    follow_until(job, lambda event: isinstance(event, events.TrialStarted))
    job.cancel()
    assert job.wait().outcome == "cancelled"
    assert list(work.iterdir()) == []


def test_a_run_in_a_thread_finds_the_same_things(jobs: Path, work: Path) -> None:
    asked = replace(plan(work, "files", "lmdb", "hdf5"), operations=("store", "read", "shuffled"), in_thread=True)
    found: list[events.Event] = []
    job = start_job(asked, jobs)
    job.run(found.append)
    assert list(open_job(job.folder).follow()) == found
    result = open_job(job.folder).wait()
    assert result.outcome == "finished"
    assert all(trial.verified for trial in result.measurements)
    assert len(result.measurements) == 3 * 3 * 2


@pytest.mark.parametrize("begun", [True, False])
def test_a_run_in_a_thread_stops_within_a_trial_or_before_it_starts(jobs: Path, work: Path, begun: bool) -> None:
    job = start_job(replace(plan(work, "files", sizes=(20_000,)), in_thread=True), jobs)
    found: list[events.Event] = []
    job.run(found.append, lambda: not begun or any(isinstance(event, events.Progress) for event in found))
    assert [event for event in found if isinstance(event, events.Progress)] == (found[-3:-2] if begun else [])
    assert isinstance(found[-1], events.RunFinished)
    assert not any(is_trial(event) for event in found)
    assert states(jobs) == [(job.id, "stopped")]
    assert list(work.iterdir()) == []


def test_others_see_and_cancel_a_run_in_a_thread(jobs: Path, work: Path) -> None:
    job, found = start_job(replace(endless(work), in_thread=True), jobs), list[events.Event]()
    thread = threading.Thread(target=job.run, args=(found.append,))
    thread.start()
    other = open_job(job.folder)
    follow_until(other, is_trial)
    assert states(jobs) == [(job.id, "running")]
    other.cancel()
    assert other.wait().outcome == "cancelled"
    thread.join()
    assert list(work.iterdir()) == []


def test_a_killed_run_in_a_thread_is_cleaned_at_the_next_start(jobs: Path, work: Path) -> None:
    code = (
        "from dataclasses import replace\n"
        "die = lambda event: isinstance(event, events.TrialFinished) and os.kill(os.getpid(), 9)\n"
        "start_job(replace(plan, in_thread=True), jobs).run(die)"
    )
    run_elsewhere(code, jobs, work)
    assert [state for _, state in states(jobs)] == ["died"]
    assert list(work.iterdir()) != []
    start_job(plan(work), jobs).wait()
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(("path", "current"), [(False, True), (True, False), (True, True)])
def test_packages_of_our_names_elsewhere_are_not_imported(
    jobs: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: bool, current: bool
) -> None:
    hostile, broken = tmp_path / "hostile", "raise SystemExit('the wrong module was imported')"
    libraries = () if path else ("numpy.py", "h5py.py", "multiprocessing.py")
    for name in ("backends/__init__.py", "tui/__init__.py", *libraries):
        file = hostile / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(broken)
    if current:
        monkeypatch.chdir(hostile)
    if path:
        monkeypatch.setenv("PYTHONPATH", str(hostile))
    result = start_job(plan(work), jobs).wait()
    assert {trial.outcome for trial in result.measurements} == {"ok"}
    monkeypatch.setenv("XDG_STATE_HOME", str(jobs))
    program = str(Path(sys.executable).parent / "imgstore-tui")
    bench = [program, "bench", "sample", "lmdb", "--sizes", "10", "--repeats", "1", "--work-dir", str(work)]
    for command in (bench, [program, "backends"]):
        found = subprocess.run(command, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        assert "lmdb" in found.stdout
        assert "failed" not in found.stdout
    control = [sys.executable, *(["-P"] if path else []), "-c", "import tui"]
    imported = subprocess.run(control, capture_output=True, text=True)
    assert "the wrong module was imported" in imported.stderr


def test_a_plan_that_cannot_be_meant_starts_nothing(jobs: Path, work: Path) -> None:
    with pytest.raises(UsageError):
        start_job(plan(work, sizes=(0,)), jobs)
    assert not jobs.exists()


@pytest.mark.parametrize(
    ("change", "sentence", "code"),
    [({"dataset": "/not/there"}, "/not/there", 1), ({"split": "dev"}, "dev", 2), ({"sizes": (10**12,)}, "free", 1)],
)
def test_a_run_that_cannot_start_says_why_and_leaves_nothing(
    jobs: Path, work: Path, change: dict[str, object], sentence: str, code: int
) -> None:
    (failed,) = start_job(replace(plan(work), **change), jobs).follow()  # type: ignore[arg-type]
    assert isinstance(failed, events.JobFailed)
    assert sentence in failed.message
    assert failed.exit_code == code
    assert list(work.iterdir()) == []
    assert [state for _, state in states(jobs)] == ["failed"]


def test_looking_for_who_holds_a_lock_takes_and_drops_none(work: Path) -> None:
    assert lock_holder(work) is None
    held = hold_lock(work)
    assert [lock_holder(work), lock_holder(work)] == [os.getpid()] * 2
    os.close(held)
    with (work / "lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert lock_holder(work) is None
    with pytest.raises(ImgstoreError, match="was begun before"):
        hold_lock(work)


def test_a_folder_of_jobs_that_cannot_be_listed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match=r"cannot be listed \(File name too long\): set XDG_STATE_HOME"):
        list_runs(tmp_path / ("n" * 300))
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / "file") == list_runs(tmp_path / "none") == ()


def test_what_is_not_a_job_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ImgstoreError, match="is not the folder of a job"):
        open_job(tmp_path)
