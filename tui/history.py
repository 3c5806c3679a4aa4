"""``imgstore-tui history``: list, show, compare, stop and delete runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from backends import units
from backends.errors import ImgstoreError
from backends.jobs.folder import EVENTS
from backends.jobs.history import delete_run, find_run
from backends.jobs.job import open_job
from backends.jobs.journal import Tail
from backends.jobs.result import collect
from backends.jobs.saved import is_saved_result, load_result
from tui.bench import check_files, deliver, show_job
from tui.narrate import say
from tui.report import table
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.jobs.comparison import RunComparison
    from backends.jobs.history import RunFacts
    from backends.jobs.result import Result


def result_of(jobs: Path, name: str) -> Result:
    """The result called ``name``, as far as it came: a file of ``bench --json``, or a run as ``find_run`` finds it.

    Raises
    ------
    ImgstoreError
        There is none, or nothing was measured.
    """
    if is_saved_result(Path(name)):
        return load_result(Path(name))
    folder = find_run(jobs, name)
    result = collect(Tail(folder / EVENTS).read())
    if result is None:
        raise ImgstoreError(f"nothing was measured in {folder.name}: imgstore-tui history show {folder.name} says why.")
    return result


def runs_text(runs: Sequence[RunFacts]) -> str:
    """The runs, one a line."""
    rows = [
        (
            one.id,
            one.state,
            time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started)),
            safe_text(one.dataset, 60),
            units.count(one.sizes[-1]) if one.sizes else "·",
            safe_text(one.headline or " ".join(one.configurations)),
        )
        for one in runs
    ]
    return table(("run", "state", "started", "dataset", "images", "result"), rows, left=6)


def comparison_text(found: RunComparison) -> str:
    """What two runs have in common, figure by figure, then what differs around them."""
    rows = [
        (
            safe_text(one.configuration),
            one.aspect,
            f"{one.count:,}",
            units.seconds(one.first),
            units.seconds(one.second),
            f"{one.ratio:.2f}x",
            _judged(one.paired.outcome if one.paired else ""),
        )
        for one in found.cells
    ]
    head = ("configuration", "operation", "images", "first", "second", "second / first", "second is")
    how = "repeats are paired" if found.same_plan else "the plans differ: repeats are not paired, nothing is judged"
    lines = [f"Medians; {how}.", *(safe_text(one, 500) for one in found.differences)]
    if found.missing:
        lines.append(f"{found.missing:,} figures are in one of the two only.")
    shown = table(head, rows, left=2) if rows else "They have no figure in common."
    return shown + "\n\n" + "\n".join(lines)


def _judged(outcome: str) -> str:
    return {"": "·", "unsure": "too few repeats"}.get(outcome, outcome)


def show_run(jobs: Path, name: str, files: Mapping[str, str]) -> int:
    """Print what a run found and write ``files``, following it to its end where it runs."""
    check_files(files)
    if is_saved_result(Path(name)):
        return deliver(load_result(Path(name)), None, files)
    return show_job(find_run(jobs, name), files)


def delete_runs(jobs: Path, names: Sequence[str]) -> int:
    """Delete runs and say what stayed of each; where one cannot be found, none is deleted."""
    for folder in [find_run(jobs, name) for name in names]:
        left = delete_run(folder)
        stays = (
            f"; not deleted, since the run did not make it or it cannot be removed: {', '.join(map(safe_text, left))}"
            if left
            else ""
        )
        say(f"Deleted {folder.name}{stays}.")
    return 0


def stop_run(jobs: Path, name: str) -> int:
    """Ask a run to stop and wait until it has."""
    found = open_job(find_run(jobs, name))
    if not found.running():
        say(f"{found.id} is not running.")
        return 0
    found.cancel()
    for _ in found.follow():
        pass
    return 0
