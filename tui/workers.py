"""What the app has read, weighed, prepared and written in threads: each may take its time, or wait for a disk."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends.datasets.base import AS_FOUND, Reading
from backends.errors import ImgstoreError, UsageError
from tui.labels import dataset_name, sentence_of
from tui.messages import Place, Prepared
from tui.paths import absolute_dataset
from tui.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backends.bench.budget import Estimate
    from backends.bench.configuration import Configuration
    from backends.bench.plan import Plan
    from backends.datasets.base import DatasetFacts
    from backends.runs.conversion import ConversionSpec
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
