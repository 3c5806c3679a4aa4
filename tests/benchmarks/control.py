"""Counts how often a comparison is right: of a configuration with itself, and with one that does a tenth more work.

    python -m tests.benchmarks.control FOLDER [--configurations lmdb,hdf5] [--size 1000] [--comparisons 100]

Real runs on the sample measure each configuration in two folders below FOLDER, and a twin of it that reads a tenth of
each batch twice.  Each few blocks are one comparison, as a run with so many repeats would make it.  Prints, by aspect
and repeats, how many comparisons of equals find a winner (at most 5 % should), and how many find that the twin is
slower (at least 90 % should, where the twin is 10 % slower).  Works on the libraries' raw reads.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from statistics import median

from backends.analysis.figures import FASTER, SLOWER, compare, paired_ratios
from backends.analysis.ranking import seconds_by_block
from backends.bench.configuration import configurations_of
from backends.bench.measurement import Aspect, Measurement
from backends.bench.plan import Plan
from backends.runs.run import Run
from tests.benchmarks.slower import PREFIX
from tests.benchmarks.speed import run_plan, say

REPEATS = (3, 5, 10)
ROOT = Path(__file__).parents[2]


def add_twins(folder: Path, names: list[str]) -> None:
    """Make the twins known by entry point to this process and to those that it starts."""
    package = folder / "slower-1.0.dist-info"
    package.mkdir(parents=True, exist_ok=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: slower\nVersion: 1.0\n")
    lines = [f"slower-{name} = tests.benchmarks.slower:{name.upper()}" for name in names]
    (package / "entry_points.txt").write_text("\n".join(["[imgstore.backends]", *lines, ""]))
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{ROOT}"
    sys.path.insert(0, str(folder))


def measure(folder: Path, name: str, size: int, blocks: int) -> Run:
    """A run with a configuration in two folders, and its twin."""
    for side in "AB":
        (folder / side).mkdir(exist_ok=True)
    configurations = [f"{name}+raw@{folder / side}" for side in "AB"] + [f"slower-{name}+raw@{folder / 'A'}"]
    plan = Plan(
        "sample",
        configurations_of(*configurations),
        (size,),
        ("read", "shuffled"),
        repeats=blocks,
        work_dir=str(folder),
    )
    return run_plan(plan)


def outcomes(first: dict[int, float], second: dict[int, float], repeats: int) -> Counter[str]:
    """The outcomes of comparisons of ``repeats`` consecutive blocks each."""
    ratios = paired_ratios(first, second)
    groups = [ratios[start : start + repeats] for start in range(0, len(ratios) - repeats + 1, repeats)]
    return Counter(compare(group).outcome for group in groups)


def tally(measurements: tuple[Measurement, ...], aspect: Aspect, size: int, repeats: int) -> str:
    """How many comparisons of equals find a winner, and how many find that the twin is slower."""
    blocks = {str(name): seconds for name, seconds in seconds_by_block(measurements, aspect, size).items()}
    equal: Counter[str] = Counter()
    slower: Counter[str] = Counter()
    ratios = []
    for name in (name for name in blocks if name.startswith(PREFIX)):
        backend = name.removeprefix(PREFIX).partition("@")[0]
        first, second = (blocks[other] for other in sorted(blocks) if other.startswith(f"{backend}@"))
        equal += outcomes(first, second, repeats)
        slower += outcomes(blocks[name], first, repeats)
        ratios.append(median(paired_ratios(blocks[name], first)))
    winners, total = equal[FASTER] + equal[SLOWER], max(1, equal.total())
    return (
        f"{winners} of {total} equals differ ({winners / total:.1%}), {slower[SLOWER]} of {slower.total()} twins are "
        f"slower ({slower[SLOWER] / total:.1%}; they take {min(ratios):.2f}x to {max(ratios):.2f}x)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configurations", default="files,lmdb,hdf5,npy,sqlite")
    parser.add_argument("--size", type=int, default=1_000)
    parser.add_argument("--comparisons", type=int, default=100, help="at least, over all configurations")
    options = parser.parse_args()
    names = options.configurations.split(",")
    blocks = max(REPEATS) * -(-options.comparisons // len(names))
    add_twins(options.folder.absolute() / "twins", names)
    measurements: tuple[Measurement, ...] = ()
    for name in names:
        result = measure(options.folder.absolute(), name, options.size, blocks)
        measurements += result.measurements
        say(f"after {blocks} blocks of {name}, {options.size:,} images; load {os.getloadavg()[0]:.1f}")
        for aspect in dict.fromkeys(figure.aspect for figure in result.figures.values() if figure.repeats):
            for repeats in REPEATS:
                say(f"{aspect}, {repeats} repeats: {tally(measurements, aspect, options.size, repeats)}")


if __name__ == "__main__":
    main()
