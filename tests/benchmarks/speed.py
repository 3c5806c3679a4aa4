"""How fast the backends are beside the article's code, the plain libraries and the machine: the README's table.

    python -m tests.benchmarks.speed DATASET WORK_DIR [--photos FOLDER] [--images 50000] [--repeats 5]

Runs plans through the engine: a fresh process a trial, warm, verified, in random order within each block, without
sync.  Ratios are paired within blocks: the median of the repeats, with its 95 % interval.  DATASET has images of one
size (CIFAR-10); FOLDER pictures, for the rows about files that are passed through.  WORK_DIR should lie on a
filesystem with a journal: without one ext4 is slow at creating files after others were deleted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from backends import units
from backends.bench.plan import Plan
from backends.bench.ranking import seconds_by_block
from backends.bench.statistics import compare, paired_ratios
from backends.jobs.job import start_run
from backends.jobs.result import Result, collect

ARTICLE = ("article-png+raw", "article-lmdb+raw", "article-hdf5+raw")
OURS = ("files+png", "lmdb+raw", "hdf5+raw", "npy+raw")
say = partial(print, flush=True)
PASSED = ("files+source", "lmdb+source", "hdf5+source")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: ``other`` takes how many times the seconds of ours, or ours of it where ``multiple``."""

    title: str
    aspect: str
    ours: str
    other: str
    wanted: float
    multiple: bool = False
    other_aspect: str = ""


def article_rows() -> list[Row]:
    png, lmdb, hdf5 = ARTICLE
    rows = [
        Row("store files+png", "store", "files+png", png, 4.5),
        Row("read files+png", "read", "files+png", png, 5),
        Row("store lmdb+raw", "store", "lmdb+raw", lmdb, 4),
        Row("read lmdb+raw", "read", "lmdb+raw", lmdb, 6),
    ]
    for ours in ("hdf5+raw", "npy+raw"):
        rows += [
            Row(f"store {ours}", "store", ours, hdf5, 1),
            Row(f"store {ours}", "store", ours, "limit+raw", 1.6, multiple=True),
            Row(f"read {ours}", "read", ours, hdf5, 4),
            Row(f"read {ours}", "read", ours, "limit+raw", 1.6, multiple=True),
            Row(f"shuffled {ours}", "shuffled", ours, "limit+raw", 1.3, multiple=True),
        ]
    rows.append(Row("shuffled lmdb+raw", "shuffled", "lmdb+raw", "limit+raw", 4, multiple=True))
    for ours, other in zip(OURS, ARTICLE, strict=False):
        rows += [Row(f"{aspect} {ours}", aspect, ours, other, 1) for aspect in ("store-one", "read-one")]
    return rows


def photo_rows() -> list[Row]:
    rows = [Row(f"photos: store {one}", "store", one, "limit+source", 1.6, multiple=True) for one in PASSED]
    return rows + [
        Row(f"photos: shuffled {one}", "shuffled", one, one, 1.5, other_aspect="shuffled plain") for one in PASSED
    ]


def measure(plan: Plan) -> Result:
    with tempfile.TemporaryDirectory() as jobs:
        result = collect(start_run(plan, Path(jobs)).follow())
    if result is None or result.failures:
        sys.exit(f"the run failed: {result.failures[0].message if result and result.failures else 'at its start'}")
    return result


def line(row: Row, result: Result) -> str:
    count = 1 if row.aspect.endswith("-one") else max(result.plan.sizes)
    ours = seconds_by_block(result.measurements, row.aspect, count)[row.ours]
    others = seconds_by_block(result.measurements, row.other_aspect or row.aspect, count)
    pair = (ours, others[row.other]) if row.multiple else (others[row.other], ours)
    found = compare(paired_ratios(*pair))
    ratio, low, high = found.ratio or 0.0, found.low or 0.0, found.high or 0.0
    met = ratio <= row.wanted if row.multiple else ratio >= row.wanted
    figures = {one.cell: one.seconds for one in result.figures}
    beside = row.other.removesuffix("+raw") if not row.other_aspect else "plain library"
    seconds = figures[row.ours, row.aspect, count], figures[row.other, row.other_aspect or row.aspect, count]
    return (
        f"| {row.title} | {units.seconds(seconds[0])} | {beside} {units.seconds(seconds[1])} "
        f"| {ratio:.2f}x ({low:.2f} to {high:.2f}) | {'at most' if row.multiple else 'at least'} {row.wanted:g}x "
        f"| {'yes' if met else 'no'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("work_dir")
    parser.add_argument("--photos")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    plan = Plan(
        dataset=asked.dataset,
        configurations=(*ARTICLE, *OURS),
        sizes=(asked.images,),
        operations=("store", "read", "shuffled", "store-one", "read-one"),
        repeats=asked.repeats,
        work_dir=asked.work_dir,
        limits=True,
    )
    result = measure(plan)
    machine = result.environment
    say(f"{machine.cpu}, {machine.cores} cores, {machine.mounts[0].filesystem}, {time.strftime('%Y-%m-%d')}, "
          f"{asked.images:,} images, medians of {asked.repeats}\n")  # fmt: skip
    say("| what | ours | beside | ratio (95 % interval) | wanted | met |\n|---|---|---|---|---|---|")
    for row in article_rows():
        say(line(row, result))
    shared = measure(
        replace(plan, configurations=("article-png", "files+png"), operations=("store", "read"), workers=2)
    )
    for row in article_rows()[:2]:
        say(line(replace(row, title=f"{row.title}, two workers", wanted=8), shared))
    if asked.photos:
        photos = replace(plan, dataset=asked.photos, configurations=PASSED, operations=("store", "shuffled"))
        photos = replace(photos, sizes=(min(1000, asked.images),))
        result = measure(photos)
        for row in photo_rows():
            say(line(row, result))
        alone, both = result, measure(replace(photos, workers=2))
        for name in PASSED:
            seconds = [{one.cell: one.seconds or 0.0 for one in run.figures}[name, "shuffled", photos.sizes[0]]
                       for run in (alone, both)]  # fmt: skip
            say(f"| photos: shuffled {name}, two workers | {units.seconds(seconds[1])} "
                  f"| one worker {units.seconds(seconds[0])} | {seconds[0] / seconds[1]:.2f}x | at least 1.8x "
                  f"| {'yes' if seconds[0] >= 1.8 * seconds[1] else 'no'} |")  # fmt: skip


if __name__ == "__main__":
    main()
