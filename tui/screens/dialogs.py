"""The dialogs of the workbench, and what their answers change."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tui import messages
from tui.questions import disks, export, first_facts, folder_to_write
from tui.screens.ask import AskScreen
from tui.screens.plan_form import PlanScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from backends.datasets.base import DatasetFacts
    from tui.app import ImgstoreApp
    from tui.screens.workbench import Workbench


def dialog(what: str, bench: Workbench) -> tuple[Screen[Any], Callable[[Any], None]]:
    """The form for ``what``, and what takes its answer."""
    match what:
        case "open":
            path = bench.facts.path if bench.facts and bench.facts.path != "sample" else ""
            hint = "A folder of pictures, CIFAR-10 or CIFAR-100 (folder or .tar.gz), or: sample"
            return AskScreen("Open a dataset", hint, first_facts, value=path, folders=True), partial(_open, bench)
        case "where":
            hint = "A folder on the disk to measure; empty: beside the dataset. Down: the disks"
            folder = bench.draft.base.work_dir or ""
            asked = AskScreen(
                "Folder for temporary files", hint, folder_to_write, value=folder, folders=True, choices=disks
            )
            return asked, partial(_write_in, bench)
        case "add":
            hint = "Such as lmdb, hdf5+png, lmdb+png:level=2 or hdf5@/scratch (in that folder)"
            return AskScreen("Add a configuration", hint, bench.draft.add, live=True), bench.change
        case "export":
            hint = "File name, ending in .html, .md, .csv or .json"
            answer = partial(export, cast("ImgstoreApp", bench.app).runs.result())
            return AskScreen("Write a report", hint, answer, value=_report_name(bench)), bench.say
    return PlanScreen(bench.draft), bench.change


def _open(bench: Workbench, facts: DatasetFacts) -> None:
    bench.show_dataset(facts)
    bench.post_message(messages.SurveyDataset(facts.path))


def _write_in(bench: Workbench, folder: str) -> None:
    bench.change(bench.draft.moved(folder or None))


def _report_name(bench: Workbench) -> str:
    name = Path(bench.facts.path).name if bench.facts else ""
    return f"{name or 'images'}.html"
