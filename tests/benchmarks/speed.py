"""Measures the backends beside the article's code and the machine: the table of README.md in this folder.

    python -m tests.benchmarks.speed DATASET WORK_DIR [--photos FOLDER] [--images 50000] [--repeats 5]

Runs a plan for each row through the engine, and prints it as soon as it is measured: a fresh process a trial, warm,
verified, in random order within each block, without sync.  Each cell has the median seconds, how many times as long
something else takes, and how many times the time of the bare bytes it is: medians of the ratios within blocks.  DATASET
has images of one size (CIFAR-10); FOLDER pictures, for the rows about files that are passed through, and a loop that
writes the pictures one by one, in turn.  WORK_DIR should lie on a filesystem with a journal: without one ext4 is slow
at creating files after others were deleted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from backends import units
from backends.analysis.figures import paired_ratios
from backends.analysis.ranking import seconds_by_block
from backends.bench.configuration import configurations_of
from backends.bench.machine import describe_environment
from backends.bench.measurement import ONE_IMAGE, OPERATIONS, Aspect
from backends.bench.plan import Plan
from backends.images import Layout, join_records
from backends.registry import make_backend
from backends.runs.job import start_job
from backends.runs.run import Run

ARTICLE = {"files+png": "article-png+raw", "lmdb+raw": "article-lmdb+raw", "hdf5+raw": "article-hdf5+raw",
           "npy+raw": "article-hdf5+raw"}  # fmt: skip
"""What each configuration is compared with; npy with the article's nearest."""
PASSED = ("files+source", "lmdb+source", "hdf5+source")
PICTURES = 3_000
say = partial(print, flush=True)


def run_plan(plan: Plan) -> Run:
    """Measure a plan; ends the program with a sentence if anything fails."""
    with tempfile.TemporaryDirectory() as jobs:
        result = start_job(plan, Path(jobs)).wait()
    if result.outcome != "finished" or result.failures:
        raise SystemExit(f"the run failed: {result.message or result.failures[0].message}")
    return result


def cell(result: Run, name: str, aspect: Aspect, other: str | None) -> str:
    """Our median, how many times as long ``other`` takes, and the multiple of the limit, if they were measured."""
    count = 1 if aspect.operation in ONE_IMAGE else max(result.plan.sizes)
    blocks = {str(name): seconds for name, seconds in seconds_by_block(result.measurements, aspect, count).items()}
    if name not in blocks:
        return ""
    parts = [units.seconds(median(blocks[name].values()))]
    if other is not None and other in blocks:
        parts.append(units.ratio(median(paired_ratios(blocks[other], blocks[name]))))
    if limit := next((text for text in blocks if text.startswith("limit+")), None):
        parts.append(f"[{units.ratio(median(paired_ratios(blocks[name], blocks[limit])))}]")
    return " ".join(parts)


def measure_row(plan: Plan, title: str, name: str, other: str | None = None) -> None:
    """Measure one configuration, in turn with ``other`` if there is one, and print them as a row."""
    result = run_plan(replace(plan, configurations=configurations_of(*filter(None, (other, name)))))
    say(f"| {title} | {' | '.join(cell(result, name, Aspect(operation), other) for operation in OPERATIONS)} |")


def beside_a_loop(folder: Path, work_dir: Path, count: int, repeats: int) -> list[tuple[float, float]]:
    """Write ``count`` pictures of ``folder`` out of memory to files, in turn by a loop and by the backend.

    Each file is one of its own, 100 a folder; returns both seconds of each turn.
    """
    pictures = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()][:count]
    records = join_records(pictures, np.zeros(len(pictures), np.int64))
    taken = []
    with tempfile.TemporaryDirectory(dir=work_dir) as root:
        for repeat in range(repeats + 1):
            start = time.perf_counter()
            for number, picture in enumerate(pictures):
                if number % 100 == 0:
                    made = f"{root}/{repeat}-{number}"
                    os.mkdir(made)  # noqa: PTH102
                file = os.open(f"{made}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                os.write(file, picture)
                os.close(file)
            middle = time.perf_counter()
            with make_backend("files").create(Path(root, str(repeat)), Layout(len(pictures), "source", None)) as writer:
                writer.append(records)
            taken.append((middle - start, time.perf_counter() - middle))
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("work_dir")
    parser.add_argument("--photos")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    machine = describe_environment((Path(options.work_dir),))
    where = f"{machine.cpu}, {machine.cores} cores, {machine.mounts[0].filesystem}, {time.strftime('%Y-%m-%d')}"
    say(f"{where}; {options.images:,} images, medians of {options.repeats}\n")
    say(f"| | {' | '.join(OPERATIONS)} |\n|---|{'---|' * len(OPERATIONS)}")
    plan = Plan(options.dataset, (), (options.images,), OPERATIONS, options.repeats, limits=True)
    plan = replace(plan, work_dir=options.work_dir)
    for name, other in ARTICLE.items():
        measure_row(plan, name, name, other)
    two = replace(plan, operations=("store", "read"), workers=2)
    measure_row(two, "files+png, two workers", "files+png", ARTICLE["files+png"])
    if options.photos:
        photos = replace(plan, dataset=options.photos, sizes=(min(PICTURES, options.images),))
        photos = replace(photos, operations=("store", "shuffled"))
        for workers, title in ((1, ""), (2, ", two workers")):
            for name in PASSED:
                measure_row(replace(photos, workers=workers), f"photos, {name}{title}", name)
        turns = beside_a_loop(Path(options.photos), Path(options.work_dir), photos.sizes[0], options.repeats)
        loop, times = median(turn[0] for turn in turns), median(turn[1] / turn[0] for turn in turns)
        say(f"\nA loop writes {photos.sizes[0]:,} pictures to files in {units.seconds(loop)};", end=" ")
        say(f"in turn with it, files+source takes {units.ratio(times)}.")


if __name__ == "__main__":
    main()
