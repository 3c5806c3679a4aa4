"""What the app does in threads (read datasets, disks and the history, start runs), and the runs that it follows."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends import units
from backends.datasets.base import AS_FOUND, Reading
from backends.errors import ImgstoreError, UsageError
from tui.labels import dataset_name, sentence_of
from tui.messages import Place, Prepared
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from textual.worker import Worker

    from backends.bench.budget import Estimate
    from backends.bench.configuration import Configuration
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.conversion import Conversion, ConversionSpec
    from backends.runs.events import Event
    from backends.runs.history import RunFacts
    from backends.runs.job import Job
    from backends.runs.run import Run


def facts_of_current_folder() -> DatasetFacts | None:
    """The facts of the current folder; None where it is not a dataset."""
    try:
        return next(read_facts(str(Path.cwd())))
    except ImgstoreError:
        return None


MOST_LISTED = 1000
"""Files that are left out, of which the screen lists no more."""


def read_facts(
    path: str, how: Reading = AS_FOUND, poll: Callable[[int], bool] = lambda found: False
) -> Iterator[DatasetFacts]:
    """The facts of the dataset at ``path``: those known at once, then those found by looking into its pictures.

    It is read in a process of its own.  ``poll`` is called with how many pictures were found so far; True ends it,
    whatever it does.  Raises ImgstoreError with the sentence to show.
    """
    from backends.bench.child import Child
    from backends.datasets import open_dataset

    with Child(partial(open_dataset, path, how=how), keep=True, poll=poll) as child:
        facts = child.ask("facts")
        yield facts
        surveyed = child.ask("survey")
        if surveyed != facts:
            yield surveyed


def left_out(facts: DatasetFacts) -> str:
    """The first files of a dataset that are left out, a line each with the reason.  Raises ImgstoreError."""
    from backends.bench.child import Child
    from backends.datasets import open_dataset

    with Child(partial(open_dataset, facts.path, facts.split, how=facts.how), keep=True) as child:
        listed = child.ask("first_skipped", MOST_LISTED + 1)
    lines = [f"{safe_text(name, 200)}  {safe_text(why, 200)}" for name, why in listed[:MOST_LISTED]]
    more = f"info --list-skipped FILE lists more than these {MOST_LISTED:,}."
    return "\n".join([*lines, *([more] if len(listed) > MOST_LISTED else [])])


def dataset_to_open(text: str) -> str:
    """The path, as it is written, of a dataset that is there; ``sample`` is none.  Raises ImgstoreError."""
    from backends.datasets.discover import locate

    if text != "sample":
        locate(text)
    return text


def weigh(plan: Plan, facts: DatasetFacts) -> tuple[Estimate, Place]:
    """Estimate the time and bytes of ``plan``, and say where it will write.  Raises ImgstoreError."""
    from backends.bench.budget import estimate
    from backends.bench.disk import free_bytes, mount_of

    estimated = estimate(plan, facts)
    folder = estimated.work
    return estimated, Place(str(folder), mount_of(folder).filesystem, free_bytes(folder))


def first_conversion(facts: DatasetFacts, configuration: Configuration, work: str) -> ConversionSpec:
    """What to offer: all splits, into a new folder beside the dataset, or in ``work`` where that cannot be written."""
    from backends.bench.configuration import Configuration
    from backends.runs.conversion import ConversionSpec
    from backends.stores.plan import Request

    configuration = Configuration(configuration.method)
    name = re.sub(r"[^\w.-]+", "-", dataset_name(facts)).strip("-").lower() or "images"
    dataset = absolute_dataset(facts.path)
    beside = Path(dataset).parent
    folder = beside if dataset != "sample" and os.access(beside, os.W_OK | os.X_OK) else Path(work).absolute()
    request = Request(dataset=dataset, configuration=configuration, how=facts.how)
    return ConversionSpec(request, str(folder / f"{name}-{configuration.backend}"))


def absolute_dataset(path: str) -> str:
    """The path made absolute, since a job is resumed from anywhere; ``sample`` is none."""
    from backends.datasets.discover import absolute_path

    return path if path == "sample" else str(absolute_path(path))


def prepare_conversion(spec: ConversionSpec, cancelled: Callable[[], bool]) -> Prepared:
    """What a conversion takes, or why it cannot be done."""
    from backends.bench.child import in_child
    from backends.stores.convert import prepare
    from backends.stores.plan import absolute_request
    from backends.stores.preflight import check_room
    from backends.stores.resume import is_begun

    try:
        request, destination = absolute_request(spec.request), Path(spec.destination)
        begun = is_begun(request, destination)
        plan, needs = in_child(prepare, request, destination, spec.workers, poll=lambda found: cancelled())
        if not begun:
            check_room(needs, destination)
    except (ImgstoreError, OSError, ValueError) as error:  # a path with a NUL in it
        return Prepared(spec, problem=sentence_of(error))
    return Prepared(spec, plan, needs, begun)


def write_batch(found: Prepared, path: str) -> str:
    """Write the Slurm script of a conversion; say where.  Raises OSError."""
    from backends.bench.disk import write_durably
    from backends.stores.sbatch import sbatch_script

    assert found.plan is not None, "it can be done"
    script = sbatch_script(found.plan, Path(found.spec.destination), found.spec.workers or len(os.sched_getaffinity(0)))
    write_durably(Path(path), script.encode())
    return f"sbatch {path} starts it on the cluster."


def state_of(job: Job) -> Run | Conversion:
    """What is known of a job before its first event."""
    from backends.bench.plan import Plan
    from backends.runs.run import Run

    if isinstance(spec := job.spec, Plan):
        return Run(spec)
    from backends.runs.conversion import Conversion

    return Conversion(spec)


def stop_job(folder: Path) -> None:
    """Stop a job that somebody else may follow, and return once it has ended."""
    from backends.runs.job import open_job

    job = open_job(folder)
    job.cancel()
    for _ in job.follow():
        pass


def disks() -> list[tuple[str, str]]:
    """A folder on each disk that can be written to, and how a list shows it."""
    from backends.bench.disk import free_bytes, writable_folders

    rows = [(str(folder), mount.filesystem, free_bytes(folder)) for folder, mount in writable_folders()]
    width = max((min(len(folder), 40) for folder, _, _ in rows), default=0)
    return [
        (folder, f"{safe_text(folder, 40):<{width}}  {kind:<6} {units.capacity(free):>7} free")
        for folder, kind, free in rows
    ]


def folder_to_write(text: str) -> str:
    """The folder that ``text`` names, made absolute; empty where the run is to decide.  Raises NotAllowed."""
    from backends.bench.disk import choose_work_dir

    return str(choose_work_dir(text.strip(), None)) if text.strip() else ""


def export(result: Run | None, text: str) -> str:
    """Write the report of ``result`` into the file that ``text`` names, in the format of its end; say where.

    Raises ImgstoreError with the sentence to show.
    """
    from backends.runs.saved import write_file
    from tui.reports import render

    path = Path(text.strip()).expanduser()
    kinds = {".html": "html", ".md": "markdown", ".csv": "csv", ".json": "json"}
    if path.suffix not in kinds:
        raise UsageError(f"{text.strip()!r} has no known ending: end the name with one of {', '.join(kinds)}.")
    if result is None:
        raise UsageError("nothing was measured yet: there is nothing to write.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file in it.")
    write_file(path, render(result, kinds[path.suffix]))
    return f"The report is in {path.resolve()}."


def completions(text: str, files: bool) -> list[str]:
    """``text`` completed with each folder that begins like it, with ``files`` also with files that may be datasets."""
    if not text or text == "~":
        return []
    try:
        path = Path(text).expanduser()
        parent, begin = (path, "") if text.endswith("/") else (path.parent, path.name)
        names, _ = _list_folder(parent, begin, files)
    except (OSError, RuntimeError):  # RuntimeError: nobody's home
        return []
    return [text + name[len(begin) :] for name in sorted(names)]


def content_of(folder: str, files: bool) -> tuple[list[str], str]:
    """The first of the names that ``completions`` offers in a folder, and a sentence about what is not among them."""
    try:
        names, others = _list_folder(Path(folder), "", files)
    except OSError as error:
        return [], safe_text(sentence_of(error))
    more = len(names) - MOST_NAMES
    notes = [f"{more:,} more: type how the name begins"] if more > 0 else []
    notes += [units.count_of(others, "other file" if files else "file")] if others else []
    return heapq.nsmallest(MOST_NAMES, names), ", ".join(notes)


def _list_folder(folder: Path, begin: str, files: bool) -> tuple[list[str], int]:
    """Names in a folder, those of folders with a slash, and how many other files there are; none of hidden ones."""
    from backends.datasets.discover import may_be_dataset

    names, others = [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(begin) or (not begin and entry.name.startswith(".")):
                continue
            is_folder = False
            with contextlib.suppress(OSError):  # a link to itself
                is_folder = entry.is_dir()
            if is_folder or (files and may_be_dataset(entry.name)):
                names.append(entry.name + ("/" if is_folder else ""))
            else:
                others += 1
    return names, others


def recent_datasets(jobs: Iterable[RunFacts]) -> list[tuple[str, str]]:
    """The datasets of the latest runs that still are there, and how a list shows each."""
    paths = dict.fromkeys(job.dataset for job in jobs if os.access(job.dataset, os.R_OK))
    return [(path, safe_text(path)) for path in itertools.islice(paths, RECENT)]


MOST_NAMES = 1000
"""Shown of one folder."""
RECENT = 5
"""Datasets of earlier runs that are offered."""
MOST_THREADS = 64
"""One for each run that is followed, and for each disk that is being read."""


class Threads(ThreadPoolExecutor):
    """A pool of threads that ends without waiting for a thread that waits for a dead disk."""

    def __init__(self) -> None:
        super().__init__(MOST_THREADS)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def end_process(code: int) -> int:
    """End the process at once where a thread still hangs, for which the interpreter would wait; else give ``code``."""
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)
    return code


@dataclass(slots=True)
class Followed:
    """A job of this app, or a saved run, which has none.  ``stop`` ends the following, not the job."""

    id: str
    run: Run | Conversion
    job: Job | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def perform(self, job: Job, post: Callable[[Event], None], worker: Worker[Any]) -> None:
        """Execute or follow the run in this thread, and post its events; ends when the run ends."""
        from backends.runs.events import JobFailed

        try:
            job.run(post, lambda: worker.is_cancelled, self.stop.is_set)
        except Exception as error:  # Textual says nothing of what a cancelled worker raises
            post(JobFailed(time.time(), sentence_of(error)))
            raise

    @property
    def kind(self) -> str:
        """``run`` or ``conversion``."""
        return type(self.run).__name__.lower()

    @property
    def here(self) -> bool:
        """Whether it goes on in a thread of this program, which cannot be left without it."""
        return self.job is not None and self.job.here and self.run.alive
