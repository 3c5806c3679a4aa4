"""How near epochs of photographs, at full size, come to a bare loop of simplejpeg on as many cores.

    python -m tests.benchmarks.photos FOLDER WORK_DIR --python PATH [--images 4000] [--repeats 3] [CONFIG]...

PATH has torch and simplejpeg.  In each repeat, a loop decodes the files out of memory, in one process and in one a core
at the same time; then a PyTorch DataLoader reads an epoch with 0 workers, which decode in threads, and with one a core.
Prints the medians of their images a second, and these as a share of those of the loops on all cores.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import simplejpeg

from backends.bench.configuration import configurations_of
from backends.bench.machine import granted_cores
from backends.bench.plan import Plan
from tests.benchmarks.speed import run_plan, say

CONFIGURATIONS = ("files+source", "lmdb+source", "hdf5+source")


def decode(paths: list[Path]) -> float:
    """Images that a loop decodes in a second."""
    files = [path.read_bytes() for path in paths]
    files = [file for file in files if simplejpeg.decode_jpeg_header(file)[2] in ("Gray", "YCbCr")]
    begin = time.perf_counter()
    for file in files:
        simplejpeg.decode_jpeg(file)
    return len(files) / (time.perf_counter() - begin)


def loops(paths: list[Path], processes: int) -> float:
    """The sum of what loops at the same time decode in a second, each of an equal share."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return sum(pool.map(decode, [paths[first::processes] for first in range(processes)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work_dir")
    parser.add_argument("configurations", nargs="*", default=CONFIGURATIONS)
    parser.add_argument("--python", required=True)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cores, names = granted_cores(), configurations_of(*options.configurations)
    paths = [path for path in sorted(options.folder.rglob("*")) if path.is_file()][: options.images]
    plan = Plan(
        str(options.folder), names, (len(paths),), ("epoch",), 1, python=options.python, loader_workers=(0, cores),
        work_dir=options.work_dir, first=True,
    )  # fmt: skip
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(options.repeats):
        rates.setdefault(("loop", 1), []).append(loops(paths[::cores], 1))
        rates.setdefault(("loop", cores), []).append(loops(paths, cores))
        for figure in run_plan(plan).figures.values():
            for facts in figure.epochs:
                found = rates.setdefault((str(figure.configuration), facts.workers), [])
                found.append(figure.count / facts.seconds)
    for (name, workers), found in rates.items():
        share = median(rate / loop for rate, loop in zip(found, rates["loop", cores], strict=True))
        say(f"{name:12} {workers} workers {median(found):,.0f} images/s: {share:.2f}x of a loop on each core")


if __name__ == "__main__":
    main()
