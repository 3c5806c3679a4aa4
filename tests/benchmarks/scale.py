"""Measures the cost of an image at 10,000 and at 1,000,000 in each container, beside the same bytes without one.

    python -m tests.benchmarks.scale DATASET WORK_DIR [--counts 10000 1000000] [--turns 3]

The first 10,000 images of DATASET (of one size, such as CIFAR-10) are repeated; WORK_DIR needs 5 GB for a million.
Each store and read is a process of its own, warm, without sync, in random order.  Prints medians of CPU microseconds
an image and of wall time as a multiple of bare, and the peak of anonymous memory, which includes the repeated images.
Memory is touched and freed before each measurement: a virtual machine returns what is unused, and getting it is slow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from backends import units
from backends.bench.meters import MemoryWatch
from backends.datasets import open_dataset
from backends.images import Layout, Records, even_offsets
from backends.registry import make_backend
from tests.benchmarks.speed import say

BATCH, REPEATED = 1024, 10_000
BARE = "bare"
NAMES = (BARE, "npy", "hdf5", "lmdb", "sqlite", "tar")


def store(name: str, path: Path, dataset: str, count: int, watch: MemoryWatch) -> tuple[float, float]:
    """Store ``count`` images, repeating the first ones; returns wall and CPU seconds."""
    images = open_dataset(dataset).read(np.arange(REPEATED))
    pixels, labels = np.stack(list(images.pixels)), images.labels
    shape, pixels = pixels.shape[1:], pixels.reshape(REPEATED, -1)
    backend = None if name == BARE else make_backend(name)
    starts = [(low % (REPEATED - BATCH), min(BATCH, count - low)) for low in range(0, count, BATCH)]
    batches = (slice(first, first + length) for first, length in starts)
    start = time.perf_counter(), time.process_time()
    if backend is None:
        with path.open("xb", buffering=0) as file:
            for batch in batches:
                file.write(pixels[batch].data)
    else:
        with backend.create(path, Layout(count, "raw", shape)) as writer:
            for batch in batches:
                offsets = even_offsets(batch.stop - batch.start, pixels.shape[1])
                writer.append(Records(pixels[batch].reshape(-1), offsets, labels[batch]))
                watch.sample()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def read(name: str, path: Path, dataset: str, count: int, watch: MemoryWatch) -> tuple[float, float]:
    """Open and read all, batch by batch, into one array; returns wall and CPU seconds."""
    batch = np.ones((BATCH, open_dataset(dataset).read(np.arange(1)).pixels[0].size), np.uint8)
    backend = None if name == BARE else make_backend(name)
    start = time.perf_counter(), time.process_time()
    if backend is None:
        with path.open("rb", buffering=0) as file:
            for low in range(0, count, BATCH):
                file.readinto(batch[: min(BATCH, count - low)].data)
    else:
        with backend.open(path) as reader:
            for low in range(0, count, BATCH):
                some = min(BATCH, count - low)
                reader.read(slice(low, low + some), out=batch[:some])
                watch.sample()
    return time.perf_counter() - start[0], time.process_time() - start[1]


OPERATIONS = {"store": store, "read": read}
TOUCHED_BYTES = 6_000
"""For each image: what tar takes, and what the page cache keeps beside it."""


def measure(operation: str, name: str, path: Path, dataset: str, count: int) -> dict[str, float]:
    """Measure in a fresh process, after touching and freeing memory."""
    np.ones(count * TOUCHED_BYTES, np.uint8)
    command = [sys.executable, "-m", "tests.benchmarks.scale", dataset, str(path)]
    command += ["--only", operation, name, str(count)]
    figures: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        (operation, name, count), watch = options.only, MemoryWatch()
        seconds, cpu = OPERATIONS[operation](name, options.work_dir, options.dataset, int(count), watch)
        say(json.dumps({"seconds": seconds, "cpu": cpu, "anonymous": watch.peak_anonymous or 0}))
        return
    say("| images | container | store | read | store / bare | read / bare | memory |\n|---|---|---|---|---|---|---|")
    path = options.work_dir / f"scale-{os.getpid()}"
    for count in options.counts:
        turns: list[dict[tuple[str, str], dict[str, float]]] = []
        for _ in range(options.turns + 1):
            turns.append({})
            for name in random.sample(NAMES, len(NAMES)):
                for operation in OPERATIONS:
                    turns[-1][name, operation] = measure(operation, name, path, options.dataset, count)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in NAMES:
            cells = [f"{median(t[name, o]['cpu'] for t in turns[1:]) / count * 1e6:.2f} µs" for o in OPERATIONS]
            ratios = [median(t[name, o]["seconds"] / t[BARE, o]["seconds"] for t in turns[1:]) for o in OPERATIONS]
            peak = max(t[name, o]["anonymous"] for t in turns for o in OPERATIONS)
            say(f"| {count:,} | {name} | {' | '.join((*cells, *map(units.ratio, ratios)))} | {units.size(peak)} |")


if __name__ == "__main__":
    main()
