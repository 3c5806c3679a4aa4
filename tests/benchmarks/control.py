"""One configuration entered twice must tie: how often a comparison finds a winner between equals.

    python -m tests.benchmarks.control FOLDER [--configurations lmdb,hdf5] [--size 1000] [--comparisons 100]

Each configuration is measured in two folders below FOLDER by real runs on the sample, and each few blocks are one
comparison, as a run with so many repeats would make it.  Prints ties of all comparisons by repeats and aspect.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from backends.bench.configuration import Configuration
from backends.bench.measurement import Measurement
from backends.bench.plan import Plan
from backends.bench.ranking import seconds_by_block
from backends.bench.statistics import TIE, compare, paired_ratios
from backends.jobs.job import start_run
from backends.jobs.result import Result, collect

REPEATS = (3, 5, 10)


def measure(folder: Path, configurations: list[str], size: int, blocks: int) -> Result:
    """A run with every configuration in two folders."""
    twice = tuple(f"{name}@{folder / side}" for name in configurations for side in "AB")
    plan = Plan("sample", twice, (size,), repeats=blocks, work_dir=str(folder))
    with tempfile.TemporaryDirectory() as jobs:
        result = collect(start_run(plan, Path(jobs)).follow())
    if result is None or result.outcome != "finished":
        raise SystemExit(result.message if result else "the run did not start.")
    return result


def outcomes(measurements: tuple[Measurement, ...], aspect: str, size: int, repeats: int) -> dict[str, Counter[str]]:
    """How comparisons of ``repeats`` consecutive blocks each come out, by configuration."""
    blocks = seconds_by_block(measurements, aspect, size)
    sides: dict[str, list[str]] = {}
    for name in sorted(blocks):
        sides.setdefault(Configuration.parse(name).method, []).append(name)
    found: dict[str, Counter[str]] = {}
    for method, pair in sides.items():
        if len(pair) == 2:
            ratios = paired_ratios(blocks[pair[0]], blocks[pair[1]])
            groups = [ratios[start : start + repeats] for start in range(0, len(ratios) - repeats + 1, repeats)]
            found[method] = Counter(compare(group).outcome for group in groups)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configurations", default="files,lmdb,lmdb+png,hdf5,npy,sqlite,tar")
    parser.add_argument("--size", type=int, default=1_000)
    parser.add_argument("--comparisons", type=int, default=100, help="at least, over all configurations")
    arguments = parser.parse_args()
    names = [str(Configuration.parse(name)) for name in arguments.configurations.split(",")]
    blocks = max(REPEATS) * -(-arguments.comparisons // len(names))
    result = measure(arguments.folder.absolute(), names, arguments.size, blocks)
    print(f"{blocks} blocks of {arguments.size:,} images, each configuration twice")  # noqa: T201
    for aspect in dict.fromkeys(one.aspect for one in result.figures if one.repeats):
        for repeats in REPEATS:
            by_name = outcomes(result.measurements, aspect, arguments.size, repeats)
            total = sum(by_name.values(), Counter())
            ties = ", ".join(f"{name} {one[TIE]}/{one.total()}" for name, one in by_name.items())
            share = f"{total[TIE] / max(1, total.total()):.1%}"
            print(f"{aspect}, {repeats} repeats: {total[TIE]} of {total.total()} tie ({share}): {ties}")  # noqa: T201


if __name__ == "__main__":
    main()
