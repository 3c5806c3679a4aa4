"""The history: summaries follow from the events, whatever happens to them; deleting removes what is ours only."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from backends.bench.configuration import configurations_of
from backends.bench.json_files import read_json
from backends.bench.plan import Plan
from backends.errors import ImgstoreError, NotAllowed, UsageError
from backends.limits import Limit
from backends.runs import events, history
from backends.runs.compare import compare_runs
from backends.runs.folder import Journal, hold_lock, new_folder
from backends.runs.history import delete_run, find_run, list_runs, read_run
from backends.runs.job import open_job, sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.runs.run import Run


@pytest.fixture
def jobs(jobs_with_a_run: Path, tmp_path: Path) -> Path:
    """A finished run, a copy of it that is newer, and a folder that is no run's."""
    folder = tmp_path / "jobs"
    shutil.copytree(jobs_with_a_run, folder)
    (recorded,) = (path for path in folder.iterdir() if path.is_dir())
    shutil.copytree(recorded, folder / "20991231-235959-zzzz")
    (folder / "notes").mkdir()
    return folder


def folders_of(jobs: Path) -> list[str]:
    return sorted((path.name for path in jobs.iterdir() if (path / "spec.json").exists()), reverse=True)


def test_runs_are_listed_the_newest_first_and_filtered_by_words(jobs: Path, finished: Run) -> None:
    found = list_runs(jobs)
    assert [facts.id for facts in found] == folders_of(jobs)
    assert {(facts.state, facts.kind, facts.host) for facts in found} == {
        ("finished", finished.dataset.kind, finished.environment.host)
    }
    assert found[0].configurations == finished.plan.configurations
    assert found[0].headline.startswith("read 40: ")
    assert list_runs(jobs / "none") == ()
    assert len(list_runs(jobs, text="SAMPLE lmdb finished")) == 2
    assert [facts.id for facts in list_runs(jobs, text="lmdb 20991231")] == ["20991231-235959-zzzz"]
    assert list_runs(jobs, text="lmdb tar") == ()


def summaries(jobs: Path) -> list[Path]:
    return sorted(jobs.glob("*/summary.json"))


def test_summary_of_ended_run_spares_reading_events(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list_runs(jobs)
    assert [path.parent.name for path in summaries(jobs)] == sorted(facts.id for facts in before)
    with monkeypatch.context() as patch:
        patch.setattr(history, "read_run", lambda folder: 1 / 0)
        assert list_runs(jobs) == before
        summaries(jobs)[0].unlink()
        with pytest.raises(ZeroDivisionError):
            list_runs(jobs)
    assert list_runs(jobs) == before


def change(**fields: object) -> Callable[[Path], None]:
    """A harm: replace fields of a summary."""

    def harm(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))

    return harm


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        cut,
        replace_by_folder,
        lambda path: path.write_bytes(os.urandom(999)),
        lambda path: path.write_text("[" * 100_000),
        change(version=0, facts={}),
        change(facts={}),
        change(facts={"id": "20991231-235959-zzzz", "state": "died", "started": 1.0, "dataset": "of another run"}),
        change(events=[0, 0], facts={"id": "", "state": "died", "started": 1.0, "dataset": "of fewer events"}),
    ],
)
def test_spoilt_summary_changes_nothing(jobs: Path, harm: Callable[[Path], object]) -> None:
    before = list_runs(jobs)
    harm(summaries(jobs)[0])
    assert list_runs(jobs) == list_runs(jobs) == before


def test_summary_that_cannot_be_written_changes_nothing(jobs: Path) -> None:
    for folder in folders_of(jobs):
        (jobs / folder / ".summary.json.partial").mkdir()
    assert len(list_runs(jobs)) == 2
    assert summaries(jobs) == []


def test_event_after_summary_is_seen(jobs: Path) -> None:
    list_runs(jobs)
    Journal(jobs / folders_of(jobs)[0] / "events.jsonl").append(events.JobFailed(1.0, "it broke"))
    assert [facts.state for facts in list_runs(jobs)] == ["failed", "finished"]


def test_running_run_has_no_summary(jobs: Path) -> None:
    running = new_folder(jobs, Plan("sample", configurations_of("lmdb"), (10,)))
    lock = hold_lock(running)
    assert {facts.id: facts.state for facts in list_runs(jobs)}[running.name] == "running"
    assert not (running / "summary.json").exists()
    os.close(lock)
    assert {facts.id: facts.state for facts in list_runs(jobs)}[running.name] == "died"


def test_a_run_is_found_by_a_part_of_its_name_that_is_its_own(jobs: Path) -> None:
    newest, oldest = folders_of(jobs)
    assert find_run(jobs, "last") == find_run(jobs, newest) == find_run(jobs, "zzzz") == jobs / newest
    assert find_run(jobs, oldest[:-2]) == jobs / oldest
    for name in ("20", "", "notes", "../jobs/" + newest, "."):
        with pytest.raises(UsageError, match="called"):
            find_run(jobs, name)


def test_deleting_a_run_removes_its_folder_and_nothing_else(jobs: Path) -> None:
    list_runs(jobs)
    newest, oldest = folders_of(jobs)
    assert delete_run(jobs / newest) == ()
    assert folders_of(jobs) == [oldest]
    assert [facts.id for facts in list_runs(jobs)] == [oldest]


def test_what_no_job_made_stays_and_is_said(jobs: Path) -> None:
    folder = jobs / folders_of(jobs)[0]
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.txt").write_text("mine")
    assert delete_run(folder) == (str(folder / "thesis"),)
    assert [path.name for path in folder.rglob("*")] == ["thesis", "chapter.txt"]


def test_what_is_no_ended_run_is_not_deleted(jobs: Path, tmp_path: Path) -> None:
    running = new_folder(jobs, Plan("sample", configurations_of("lmdb"), (10,)))
    link = jobs / "20991231-000000-link"
    link.symlink_to(jobs / folders_of(jobs)[0])
    lock = hold_lock(running)
    for folder, error in ((running, UsageError), (link, NotAllowed), (jobs / "notes", ImgstoreError)):
        before = sorted(folder.iterdir())
        with pytest.raises(error):
            delete_run(folder)
        assert sorted(folder.iterdir()) == before
    os.close(lock)


def rewrite_plan(folder: Path, operations: list[str]) -> None:
    """Give a recorded run the plan of an earlier version."""
    spec = json.loads((folder / "spec.json").read_text())
    spec["plan"] |= {"operations": operations, "weights": {"shuffled": 1.0}}
    (folder / "spec.json").write_text(json.dumps(spec))


def test_record_of_earlier_version_keeps_known_trials(jobs: Path, finished: Run) -> None:
    folder = jobs / folders_of(jobs)[0]
    rewrite_plan(folder, ["store", "read", "labels"])
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    read = next(
        event for event in lines if event["event"] == "trial-finished" and event["measurement"]["operation"] == "read"
    )
    lines[0]["plan"]["operations"] = ["store", "read", "labels"]
    lines[0]["plan"]["configurations"].append("uninstalled+raw")
    for changes in ({"reader": "plain"}, {"operation": "labels"}, {"configuration": "uninstalled+raw"}):
        lines.insert(-1, read | {"measurement": read["measurement"] | changes})
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = read_run(folder)
    assert (result.plan, result.measurements) == (finished.plan, finished.measurements)


def test_unreadable_record_is_listed_as_older_format(jobs: Path) -> None:
    folder = jobs / folders_of(jobs)[0]
    rewrite_plan(folder, ["labels"])
    assert list_runs(jobs)[0].state == "older format"
    with pytest.raises(ImgstoreError, match="older format: read it with the version that made it"):
        open_job(folder)
    assert delete_run(folder) == ()
    assert len(list_runs(jobs)) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, text) for name in ("spec.json", "events.jsonl", "summary.json") for text in ("[" * 10**5, "\xff")),
        ("spec.json", '{"plan": ' * 100_000),
        ("spec.json", '{"created": 1, "plan": {"operations": [[]]}}'),
        ("spec.json", '{"created": 1e300, "plan": {}}'),
        ("events.jsonl", None),
    ],
    ids=range(10),
)
def test_run_with_broken_files_stops_neither_list_nor_start(jobs: Path, name: str, content: str | None) -> None:
    sound, broken = (facts.id for facts in list_runs(jobs))
    (jobs / broken / "lock").unlink()
    (jobs / broken / name).unlink()
    if content is None:
        (jobs / broken / name).mkdir()
    else:
        (jobs / broken / name).write_text(content + "\n", encoding="latin-1")
    assert sound in [facts.id for facts in list_runs(jobs)]
    assert sweep(jobs) == ()
    if name == "spec.json":
        with pytest.raises(ImgstoreError, match=r"is missing or broken|of an older format"):
            read_run(jobs / broken)


def test_file_larger_than_its_bound_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text("[1, 2]")
    assert read_json(path, Limit("TEST", 6, "bytes", "a test")) == [1, 2]
    with pytest.raises(ValueError, match="more than 5 B"):
        read_json(path, Limit("TEST", 5, "bytes", "a test"))


def test_a_run_compared_with_itself_is_the_same(finished: Run) -> None:
    found = compare_runs(finished, finished)
    assert len(found.cells) == len([figure for figure in finished.figures.values() if figure.seconds])
    assert {cell.ratio for cell in found.cells} == {1.0}
    assert (found.same_plan, found.differences, found.missing) == (True, (), 0)


def test_a_run_twice_as_slow_is_slower_in_every_figure_and_its_repeats_are_paired(finished: Run) -> None:
    three = tuple(
        replace(trial, repeat=repeat, seconds=(trial.seconds or 0.0) * repeat)
        for trial in finished.measurements if trial.shown and trial.repeat == 1 and trial.outcome == "ok"
        for repeat in (1, 2, 3)
    )  # fmt: skip
    slow = tuple(replace(trial, seconds=2 * (trial.seconds or 0.0)) for trial in three)
    found = compare_runs(replace(finished, measurements=three), replace(finished, measurements=slow))
    assert {(round(cell.ratio, 9), cell.paired.outcome if cell.paired else "") for cell in found.cells} == {
        (2.0, "slower")
    }


def test_runs_of_other_plans_and_machines_are_not_paired_and_the_differences_are_said(finished: Run) -> None:
    assert finished.start is not None
    libraries = {**finished.environment.libraries, "lmdb": "0"}
    start = structs.replace(finished.start, environment=replace(finished.environment, cpu="Z80", libraries=libraries))
    other = replace(finished, plan=replace(finished.plan, seed=1), start=start)
    found = compare_runs(finished, other)
    assert {cell.paired for cell in found.cells} == {None}
    assert not found.same_plan
    assert [text.split(":")[0] for text in found.differences] == ["Other processor", "Other version of lmdb"]
