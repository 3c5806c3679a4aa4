"""Measures what the checks of a conversion cost, and what several workers gain, in turn on the same disk.

    python -m tests.benchmarks.convert_cost DATASET FOLDER CONFIG... [--shards 6] [--workers 2] [--rounds 5]

For each CONFIG the shards of DATASET are made in FOLDER in three ways: written and synced only; also read back,
compared and renamed (without SHA256SUMS); and as `imgstore-tui convert` does.  Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec

from backends.bench.configuration import Configuration
from backends.bench.disk import sync
from backends.stores import shard
from backends.stores.plan import Request, StorePlan, absolute_request, make_plan, open_splits
from tests.benchmarks.speed import say


def write_only(plan: StorePlan, folder: Path, number: int) -> None:
    """Write a shard and sync it, unchecked."""
    work = folder / f"{number:05}"
    shard._write(plan, plan.shards[number], work, shard.no_tick)
    sync(work)


def without_sums(plan: StorePlan, folder: Path, number: int) -> None:
    shard.sha256_lines = lambda path, name: []
    shard.make_shard(plan, folder, number)


def whole(plan: StorePlan, folder: Path, number: int) -> None:
    shard.make_shard(plan, folder, number)


WAYS: dict[str, Callable[[StorePlan, Path, int], None]] = {
    "written": write_only,
    "checked": without_sums,
    "whole": whole,
}


def ready(plan: StorePlan) -> None:
    """Open the dataset in a worker, so that no way pays for it."""
    for split in plan.splits:
        shard._dataset(plan.request.dataset, split, plan.fingerprints[split])


def seconds(way: Callable[[StorePlan, Path, int], None], plan: StorePlan, folder: Path, workers: int) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with ProcessPoolExecutor(workers, get_context("spawn"), ready, (plan,)) as pool:
        list(pool.map(abs, range(4 * workers), chunksize=1))
        time.sleep(0.5)  # until the last worker has opened the dataset; the clock is not running
        begin = time.perf_counter()
        list(pool.map(partial(way, plan, folder), [one.number for one in plan.shards]))
        return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("folder", type=Path)
    parser.add_argument("configurations", nargs="+")
    parser.add_argument("--shards", type=int, default=6)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    target = arguments.folder / "imgstore-convert-cost"
    for text in arguments.configurations:
        request = absolute_request(Request(dataset=arguments.dataset, configuration=Configuration(text)))
        with contextlib.ExitStack() as stack:
            splits = [stack.enter_context(split) for split in open_splits(request)]
            count = sum(split.count for split in splits)
            request = msgspec.structs.replace(request, shard_images=-(-count // arguments.shards))
            plan, _ = make_plan(request, splits)
        cases = {(name, arguments.workers): way for name, way in WAYS.items()} | {("whole", 1): whole}
        times: dict[tuple[str, int], list[float]] = {case: [] for case in cases}
        for _ in range(arguments.rounds):
            for (name, workers), way in cases.items():
                times[name, workers].append(seconds(way, plan, target, workers))
        medians = {case: statistics.median(values) for case, values in times.items()}
        base = medians["written", arguments.workers]
        ways = ", ".join(f"{name} {medians[name, arguments.workers]:.2f} s" for name in WAYS)
        checked, everything = (medians[name, arguments.workers] / base for name in ("checked", "whole"))
        gain = medians["whole", 1] / medians["whole", arguments.workers]
        say(
            f"{text} {count:,} images in {len(plan.shards)} shards, {arguments.workers} workers: {ways}; "
            f"checked {checked:.2f}x, whole {everything:.2f}x of written; {gain:.2f}x as fast as one worker"
        )
    shutil.rmtree(target, ignore_errors=True)


if __name__ == "__main__":
    main()
