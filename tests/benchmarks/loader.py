"""How long the file that `imgstore-tui loader` prints takes, beside this program's own reader of the same store.

    python -m tests.benchmarks.loader DATASET FOLDER [CONFIG]...

makes a store of the training images for each CONFIG in FOLDER, which may be there already, and prints for an epoch in
batches of 256, in order and shuffled, the least processor time of three processes of each kind, and their ratio.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from backends.bench.configuration import Configuration
from backends.stores.convert import convert
from backends.stores.loader import loader_code
from backends.stores.plan import Request
from backends.stores.store import open_store

BATCH = 256
RAW = ("files", "lmdb", "hdf5", "npy", "sqlite", "tar", "zarr")
CONFIGURATIONS = [*(f"{backend}+raw" for backend in RAW), "files+png", "parquet+png"]


def seconds(images: Any) -> dict[str, float]:
    """Processor time of an epoch, the lesser of two, by its order."""
    count, found = len(images), {}
    for name, order in (("in order", np.arange(count)), ("shuffled", np.random.default_rng(0).permutation(count))):
        epochs = []
        for _ in range(2):
            begin = time.process_time()
            for first in range(0, count, BATCH):
                images.read(order[first : first + BATCH])
            epochs.append(time.process_time() - begin)
        found[name] = min(epochs)
    return found


def measure(side: str, store: Path) -> dict[str, float]:
    if side == "program":
        return seconds(open_store(store))
    names: dict[str, Any] = {"__name__": "loader"}
    exec(store.with_suffix(".py").read_text(), names)
    return seconds(names["Images"]())


def main(dataset: str, folder: Path, configurations: list[str]) -> None:
    for text in configurations or CONFIGURATIONS:
        store = folder / text.replace("+", "-")
        convert(Request(dataset=dataset, configuration=Configuration(text), split="train"), store, resume=True)
        store.with_suffix(".py").write_text(loader_code(store, torch=False))
        least: dict[str, dict[str, float]] = {"program": {}, "loader": {}}
        for side in ("program", "loader") * 3:
            command = [sys.executable, "-m", "tests.benchmarks.loader", f"--{side}", str(store)]
            for name, value in json.loads(subprocess.run(command, check=True, capture_output=True).stdout).items():
                least[side][name] = min(value, least[side].get(name, value))
        for name, program in least["program"].items():
            own = least["loader"][name]
            sys.stdout.write(f"{text:12} {name}  {program:.3f} s, loader {own:.3f} s: {own / program:.2f}x\n")
            sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] in ("--program", "--loader"):
        sys.stdout.write(json.dumps(measure(sys.argv[1][2:], Path(sys.argv[2]))))
    else:
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
