"""Runs as JSON files: what bench --json wrote is read again, everything else is refused with one sentence."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from backends.errors import ImgstoreError, NotAllowed
from backends.runs.saved import is_saved_run, load_run, to_json, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.runs.run import Run


def save(folder: Path, result: Run, change: Callable[[dict[str, Any]], None] = lambda found: None) -> Path:
    found = json.loads(to_json(result))
    change(found)
    path = folder / "result.json"
    path.write_text(json.dumps(found))
    return path


def test_a_result_is_the_same_after_a_file(finished: Run, tmp_path: Path) -> None:
    path = save(tmp_path, finished)
    assert is_saved_run(path)
    loaded = load_run(path)
    assert loaded.saved
    assert loaded.measurements == tuple(trial for trial in finished.measurements if trial.shown)
    assert to_json(loaded) == to_json(finished)
    assert (loaded.phase, loaded.figures) == ("finished", finished.figures)
    assert (loaded.verdict, loaded.warnings) == (finished.verdict, finished.warnings)


def from_later(saved: dict[str, Any]) -> None:
    saved["weather"] = saved["plan"]["weather"] = saved["trials"][0]["weather"] = "fine"
    saved["plan"]["operations"].append("augmented")
    saved["plan"]["configurations"].append("zip+raw")
    zipped = {"backend": "zip", "configuration": "zip+raw"}
    saved["trials"] += [saved["trials"][0] | {"operation": "augmented"}, saved["trials"][0] | zipped]


def from_before(saved: dict[str, Any]) -> None:
    saved["plan"]["operations"].append("labels")
    saved["plan"]["weights"] = {"shuffled": 1.0}
    read = next(trial for trial in saved["trials"] if trial["operation"] == "read")
    saved["trials"] = [trial | {"reader": "ours"} for trial in saved["trials"]]
    saved["trials"] += [read | {"reader": "plain"}, read | {"reader": "ours", "operation": "labels"}]


@pytest.mark.parametrize(("change", "unknown"), [(from_later, "augmented, zip+raw"), (from_before, " labels")])
def test_fields_and_trials_of_other_versions_are_passed_over(
    finished: Run, tmp_path: Path, change: Callable[[dict[str, Any]], None], unknown: str
) -> None:
    loaded = load_run(save(tmp_path, finished, change))
    assert loaded.figures == finished.figures
    assert loaded.plan == finished.plan
    assert "2 trials are of what this version does not measure" in loaded.notes[-1]
    assert unknown in loaded.notes[-1]


def test_result_of_unknown_operations_only_is_refused(finished: Run, tmp_path: Path) -> None:
    def only_labels(found: dict[str, Any]) -> None:
        found["plan"]["operations"] = ["labels"]

    with pytest.raises(ImgstoreError, match="none of its operations"):
        load_run(save(tmp_path, finished, only_labels))


def test_fields_that_an_earlier_version_lacks_have_their_defaults(finished: Run, tmp_path: Path) -> None:
    def change(saved: dict[str, Any]) -> None:
        for name in ("conditions", "message", "notes"):
            del saved[name]
        for trial in saved["trials"]:
            del trial["resident"], trial["predicted_seconds"]

    loaded = load_run(save(tmp_path, finished, change))
    assert {cell: figure.seconds for cell, figure in loaded.figures.items()} == {
        cell: figure.seconds for cell, figure in finished.figures.items()
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON, or was cut short"),
        ("store 10 images", "not JSON"),
        ("[1, 2]", "no result"),
        ("{}", "schema None"),
        ('{"schema": 2}', "schema 2"),
        ('{"schema": 1}', "missing required field `plan`"),
        ('{"schema": 1, "plan": []}', "Expected `object`"),
        ('{"schema": 1, "seconds": NaN}', "NaN"),
        ('{"schema": 1, "seconds": Infinity}', "Infinity"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_result_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ImgstoreError, match=says):
        load_run(path)


def test_a_folder_a_missing_file_and_a_part_are_one_sentence(finished: Run, tmp_path: Path) -> None:
    whole = save(tmp_path, finished)
    whole.write_text(whole.read_text()[:-40])
    for path, says in ((tmp_path, "directory"), (tmp_path / "none", "No such"), (whole, "cut short")):
        with pytest.raises(ImgstoreError, match=says):
            load_run(path)
    assert not is_saved_run(tmp_path)
    assert not is_saved_run(tmp_path / "none")


def test_a_figure_that_no_clock_shows_is_left_out(finished: Run, tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        found["trials"][0]["seconds"] = -1.0

    shown = sum(trial.shown for trial in finished.measurements)
    assert len(load_run(save(tmp_path, finished, change)).measurements) == shown - 1


def test_a_file_is_replaced_whole_and_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / ("n" * 250), tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    write_file(link, "new")
    assert (link.is_symlink(), file.read_text()) == (True, "new")
    assert {path.name for path in tmp_path.iterdir()} == {file.name, "link"}


def test_a_pipe_is_written_into_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, "text")
    assert os.read(reading, 10) == b"text"
    os.close(reading)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["n" * 300, "none/file"])
def test_what_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotAllowed, match="cannot be written"):
        write_file(tmp_path / name, "text")
    assert list(tmp_path.iterdir()) == []
