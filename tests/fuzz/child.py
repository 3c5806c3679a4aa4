"""Reads mutated inputs of one kind in a process of its own: python -m tests.fuzz.child KIND FOLDER SEED FIRST COUNT.

Prints a line for each input: its number, and ``read``, ``refused`` or the exception that it should not have raised.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from backends.errors import ImgstoreError
from tests.fuzz.inputs import KINDS, mutate, mutate_json

MOST_SECONDS = 5.0
MOST_MEMORY = 3 << 30


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(name: str, folder: Path, seed: int, first: int, count: int) -> None:
    kind = KINDS[name]
    warnings.simplefilter("ignore")
    files = [(path, path.read_bytes()) for path in kind.make(folder)]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    for number in range(first, count):
        rng = np.random.default_rng([seed, number])
        path, whole = files[int(rng.integers(0, len(files)))]
        path.unlink(missing_ok=True)  # readers may have the last one mapped
        path.write_bytes(kind.mend(mutate_json(whole, rng) if kind.structured else mutate(whole, rng)))
        say(f"{number} begun")
        signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)  # the signal ends the process
        try:
            kind.use(folder)
            outcome = "read"
        except ImgstoreError:
            outcome = "refused"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}".replace("\n", " ")
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(f"{number} {outcome}")
        path.unlink()
        path.write_bytes(whole)


if __name__ == "__main__":
    kind, where, seed, first, count = sys.argv[1:]
    main(kind, Path(where), int(seed), int(first), int(count))
