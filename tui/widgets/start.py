"""Start list: the sample, this folder, any folder, and recent runs."""

from __future__ import annotations

import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from backends import units
from tui.keys import MOVES
from tui.labels import identify
from tui.messages import FollowJob, OpenDataset
from tui.text import safe_text

if TYPE_CHECKING:
    from backends.datasets.base import DatasetFacts
    from backends.runs.history import RunFacts

RECENT = 5


class StartList(OptionList, inherit_bindings=False, inherit_css=False):
    """What can be opened, first what is running.

    The first row is selected; rows that arrive later do not move the selection, unless nothing was chosen yet and a job
    is running.
    """

    BINDINGS: ClassVar[list[BindingType]] = MOVES
    COMPONENT_CLASSES: ClassVar[set[str]] = OptionList.COMPONENT_CLASSES

    folder: reactive[DatasetFacts | None] = reactive(None)  # the current folder, where it is a dataset
    jobs: reactive[tuple[RunFacts, ...]] = reactive(())  # recent runs, newest first

    def __init__(self) -> None:
        super().__init__(markup=False, compact=True)
        self._listed: list[str | None] = []

    def watch_folder(self) -> None:
        before = self.highlighted_option.id if self.highlighted_option else None
        running = [job for job in self.jobs if job.state == "running"]
        options = [Option(job_line(job, time.time()), id=f"job {job.id}") for job in running]
        options.append(_option("sample", "Sample: 2,000 real CIFAR-10 images", "30 s"))
        if self.folder is not None:
            name = safe_text(PurePath(self.folder.path).name or self.folder.path, 40)
            text = f"This folder: {name}, {units.count_of(self.folder.count, 'image')}"
            options.append(_option("folder", text, safe_text(self.folder.kind, 40)))
        options.append(_option("open", "Open a folder…", ""))
        ended = [job for job in self.jobs if job not in running][:RECENT]
        options += [Option(job_line(job, time.time()), id=f"job {job.id}") for job in ended]
        self.clear_options().add_options(options)
        moved = self._listed and before != self._listed[0]
        self._listed = [option.id for option in options]
        self.highlighted = self._listed.index(before) if moved and before in self._listed else 0

    watch_jobs = watch_folder

    @on(OptionList.OptionSelected)
    async def choose(self, event: OptionList.OptionSelected) -> None:
        """Ask for what was chosen."""
        event.stop()
        kind, _, name = (event.option.id or "").partition(" ")
        if kind == "sample":
            self.post_message(OpenDataset("sample"))
        elif kind == "folder":
            self.post_message(OpenDataset(str(Path.cwd())))
        elif kind == "open":
            await self.run_action("screen.ask('open')")
        else:
            self.post_message(FollowJob(name))


def _option(name: str, text: str, note: str) -> Option:
    return Option(Content.assemble(text, (f"  ({note})" if note else "", "$dim")), id=name)


def job_words(job: RunFacts, now: float) -> tuple[str, str, str, str]:
    """Of a run in a list: its dataset, its configurations, its sizes, and when it began."""
    sizes = " to ".join(units.count(size) for size in dict.fromkeys((*job.sizes[:1], *job.sizes[-1:])))
    names = ", ".join(one.name for one in identify(job.configurations).values())
    dataset = safe_text(job.dataset.rstrip("/").rpartition("/")[2] or "/", 24)
    return dataset, safe_text(names, 60), sizes, units.ago(max(0.0, now - job.started))


def job_line(job: RunFacts, now: float) -> Content:
    """One job in a list: its state, what it measured or converts, and when it began."""
    alive = job.state == "running"
    dataset, *others = job_words(job, now)
    if job.job == "convert":
        done = f": {job.headline.partition('%')[0]}%" if alive else ""
        dataset = f"{'Converting ' if alive else ''}{dataset} → {others.pop(0)}{done}"
    return Content.assemble(
        ("▸ " if alive else "  ", "bold"),
        (f"{job.state:<10}", "bold" if alive else "$error" if job.state in ("failed", "died") else ""),
        dataset,
        (f"  {'  '.join(others)}", "$dim"),
    )
