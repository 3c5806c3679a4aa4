"""What an image costs at 10,000 and at 1,000,000: each container beside the same bytes, written and read bare.

    python -m tests.benchmarks.scale DATASET WORK_DIR [--counts 10000 1000000] [--turns 3]

DATASET has images of one size, CIFAR-10, the first 10,000 of which are repeated; WORK_DIR needs 5 GB for a million.
Each store and each streamed read of all is a process of its own, warm, without sync, in random order within each turn,
with a bare one beside.  Medians of CPU microseconds an image, and of wall time as a multiple of bare; the peak of
anonymous memory has the images that are repeated in it.

A virtual machine gives memory that is free for a while back to its host, and pages from there cost several times what
they hold; so as much memory as the largest container takes is touched and freed right before each measurement.
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
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from backends import units
from backends.bench.meters import MemoryWatch
from backends.datasets import open_dataset
from backends.images import Layout, Records, even_offsets
from backends.registry import make_backend

say = partial(print, flush=True)
BATCH, REPEATED = 1024, 10_000
BARE = "bare"
NAMES = (BARE, "npy", "hdf5", "lmdb", "sqlite", "tar")


def store(name: str, path: Path, dataset: str, count: int, watch: MemoryWatch) -> tuple[float, float]:
    """Seconds, of which on a processor, of storing ``count`` images: those of a container again and again."""
    images = open_dataset(dataset).read(np.arange(REPEATED))
    pixels, labels = np.stack(list(images.pixels)), images.labels
    shape, pixels = pixels.shape[1:], pixels.reshape(REPEATED, -1)
    backend = None if name == BARE else make_backend(name)
    firsts = [(low % (REPEATED - BATCH), min(BATCH, count - low)) for low in range(0, count, BATCH)]
    start = time.perf_counter(), time.process_time()
    if backend is None:
        with path.open("xb", buffering=0) as file:
            for first, some in firsts:
                file.write(pixels[first : first + some].data)
    else:
        with backend.create(path, Layout(count, "raw", shape)) as writer:
            for first, some in firsts:
                batch = pixels[first : first + some].reshape(-1)
                writer.append(Records(batch, even_offsets(some, pixels.shape[1]), labels[first : first + some]))
                watch.sample()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def read(name: str, path: Path, dataset: str, count: int, watch: MemoryWatch) -> tuple[float, float]:
    """Seconds, of which on a processor, of opening and reading all, batch by batch, into one array."""
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


TOUCHED = 6_000
"""Bytes an image: what tar takes, and what the page cache keeps beside it."""
OPERATIONS = {"store": store, "read": read}


def one(operation: str, name: str, path: Path, dataset: str, count: int) -> dict[str, float]:
    """Measure in a fresh process."""
    np.ones(count * TOUCHED, np.uint8)
    command = [sys.executable, "-m", "tests.benchmarks.scale", dataset, str(path)]
    done = subprocess.run([*command, "--only", operation, name, str(count)], check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        operation, name, count = asked.only
        watch = MemoryWatch()
        seconds, cpu = OPERATIONS[operation](name, asked.work_dir, asked.dataset, int(count), watch)
        say(json.dumps({"seconds": seconds, "cpu": cpu, "anonymous": watch.peak_anonymous or 0}))
        return
    say("| images | container | store | read | store / bare | read / bare | memory |\n|---|---|---|---|---|---|---|")
    for count in asked.counts:
        turns: list[dict[tuple[str, str], dict[str, float]]] = []
        for _ in range(asked.turns + 1):
            turns.append({})
            for name in random.sample(NAMES, len(NAMES)):
                path = asked.work_dir / f"scale-{os.getpid()}"
                for operation in OPERATIONS:
                    turns[-1][name, operation] = one(operation, name, path, asked.dataset, count)
                remove(path)
        for name in NAMES:
            cells = [f"{median(t[name, o]['cpu'] for t in turns[1:]) / count * 1e6:.2f} µs" for o in OPERATIONS]
            cells += [
                units.ratio(median(t[name, o]["seconds"] / t[BARE, o]["seconds"] for t in turns[1:]))
                for o in OPERATIONS
            ]
            peak = max(t[name, o]["anonymous"] for t in turns for o in OPERATIONS)
            say(f"| {count:,} | {name} | {' | '.join(cells)} | {units.size(peak)} |")


if __name__ == "__main__":
    main()
