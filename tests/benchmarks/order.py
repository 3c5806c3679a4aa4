"""Compares the order of configurations by our figures with their order by a plain PyTorch DataLoader.

    python -m tests.benchmarks.order --python PATH DATASET... --folders FOLDER... [--fetch batch|item] [--images 20000]

PATH has torch, Pillow, h5py and lmdb; the plain code is ``plain.py`` in this folder.  Both read with 0 workers and with
one a core, the faster of which counts, warm and, outside of memory, cold.  A pair of configurations is decided where
plain code has the same order in all repeats and a median ratio of more than 1.1.  Prints the medians of each
configuration, by plain code and by our operations, and how many decided pairs have the same order by each, with those
that have not: first beside plain code as tutorials have it, then beside such that maps SQLite and HDF5 into memory, as
the loader does that the program prints.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np

from backends import units
from backends.analysis.figures import paired_ratios
from backends.analysis.ranking import seconds_by_block
from backends.bench.configuration import configurations_of
from backends.bench.disk import IN_MEMORY, mount_of
from backends.bench.machine import granted_cores
from backends.bench.measurement import COLD, WARM, Aspect, Cache, Operation
from backends.bench.meters import make_cold, make_warm
from backends.bench.plan import Plan
from backends.datasets import open_dataset
from tests.benchmarks import plain
from tests.benchmarks.speed import run_plan, say

ARRAYS = ("files+png", "files+raw", "hdf5+raw", "lmdb+png", "lmdb+raw", "npy+raw", "sqlite+raw")
PICTURES = ("files+source", "files+png", "hdf5+source", "lmdb+source", "lmdb+png", "sqlite+source")
OPERATIONS: tuple[Operation, ...] = ("epoch", "shuffled")
PLAIN = ("plain", "mapped")
WARM_EPOCHS = 2


def plain_seconds(plan: Plan, folder: Path) -> dict[Aspect, dict[str, dict[int, float]]]:
    """Seconds of an epoch by plain code, by the configuration and the repeat, each of a process of its own."""
    with open_dataset(plan.dataset) as dataset:
        pictures = dataset.facts().image_shape is None
        decoded = dataset.decode(np.arange(min(plan.sizes[0], dataset.count)), source=pictures)
    images, labels = list(decoded.images.pixels), decoded.images.labels.tolist()
    files = [bytes(decoded.source.record(row)) for row in range(len(labels))] if decoded.source else []
    folders = {name: folder / name for name in map(str, plan.configurations)}
    for name, path in folders.items():
        plain.store(name, path, images, files, labels)
    folders |= {mapped: folders[name] for name, mapped in plain.MAPPED.items() if name in folders}
    found: dict[Aspect, dict[str, dict[int, float]]] = {}
    for cache in plan.caches:
        blocks = found[Aspect.of("epoch", cache)] = {name: {} for name in folders}
        for repeat in range(1, plan.repeats + 1):
            for name in random.sample(list(folders), len(folders)):
                workers = [f"0,{granted_cores()}"] if cache == WARM else ["0", f"{granted_cores()}"]
                blocks[name][repeat] = min(epoch(plan, name, folders[name], number, cache) for number in workers)
    return found


def epoch(plan: Plan, name: str, folder: Path, workers: str, cache: Cache) -> float:
    (make_cold if cache == COLD else make_warm)(folder)
    more = [workers, str(plan.batch), plan.fetch, str(0 if cache == COLD else WARM_EPOCHS)]
    command = [plan.python, plain.__file__, name, str(folder), *more]
    seconds: float = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return seconds


def compare(plan: Plan, folder: Path) -> Counter[str]:
    """Print the order of the configurations by plain code and by ours; return how often they agree, by operation."""
    with tempfile.TemporaryDirectory(dir=folder) as work_dir:
        result = run_plan(plan)
        by_plain = plain_seconds(plan, Path(work_dir))
    tally: Counter[str] = Counter()
    names = list(map(str, plan.configurations))
    for cache in plan.caches:
        say(f"\n{Path(plan.dataset).name} in {folder}, {plan.sizes[0]:,} images, {cache}, by {plan.fetch}")
        read = by_plain[Aspect.of("epoch", cache)]
        sides = {"plain": read, "mapped": {name: read[plain.MAPPED.get(name, name)] for name in names}}
        for operation in OPERATIONS:
            blocks = seconds_by_block(result.measurements, Aspect.of(operation, cache), plan.sizes[0])
            sides[operation] = {str(name): seconds for name, seconds in blocks.items()}
        for name in names:
            times = [f"{side} {units.seconds(median(blocks[name].values()))}" for side, blocks in sides.items()]
            say(f"  {name:14} {', '.join(times)}")
        for first, second in combinations(names, 2):
            ratios = {side: paired_ratios(blocks[first], blocks[second]) for side, blocks in sides.items()}
            for code in PLAIN:
                tally += agreements(code, ratios, first, second)
    return tally


def agreements(code: str, ratios: dict[str, list[float]], first: str, second: str) -> Counter[str]:
    """Count a pair that plain code decides, and the operations that give the same order; print those that differ."""
    middle = {side: median(values) for side, values in ratios.items()}
    if min(ratios[code]) <= 1 <= max(ratios[code]) or 1 / 1.1 <= middle[code] <= 1.1:
        return Counter()
    found = Counter([code])
    for operation in OPERATIONS:
        ratio = middle[operation]
        if (ratio > 1) == (middle[code] > 1):
            found[f"{code} {operation}"] += 1
        else:
            say(f"  {operation}: {first} takes {ratio:.2f}x of {second}, by {code} code {middle[code]:.2f}x")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--folders", nargs="+", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--fetch", default="batch")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for dataset in options.datasets:
        with open_dataset(dataset) as opened:
            shape, count = opened.facts().image_shape, min(options.images, opened.count)
        for folder in options.folders:
            caches = (WARM,) if mount_of(folder).filesystem in IN_MEMORY else (WARM, COLD)
            plan = Plan(
                dataset, configurations_of(*(ARRAYS if shape else PICTURES)), (count,), ("shuffled", "epoch"),
                options.repeats, caches=caches, python=options.python, fetch=options.fetch, work_dir=str(folder),
                first=True,
            )  # fmt: skip
            tally = compare(plan, folder)
            for code in PLAIN:
                same = [f"{operation} has the order of {tally[f'{code} {operation}']}" for operation in OPERATIONS]
                say(f"  of {tally[code]} pairs decided by {code} code, {' and '.join(same)}")


if __name__ == "__main__":
    main()
