"""What reading a file takes by where, counted from a page, its bytes and the memory they go to begin.

    python -m tests.benchmarks.aliasing FOLDER

Prints microseconds (medians) for 3 MiB out of the page cache: a line for each beginning of the memory, a column for
each of the bytes in the file.  Linux copies by ``rep movsb``; where processors do that slowly, containers had better
not begin their pixels there, since the large arrays of numpy begin 16 bytes behind a page.
"""

from __future__ import annotations

import argparse
import mmap
import tempfile
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np

from backends.transfer import page_buffer, read_at

PIECE = 3 << 20
PIECES = 15
IN_FILE = (0, 64, 128, 1024, 2048, 3072)
IN_MEMORY = (0, 1, 8, 16, 32, 48, 64, 80, 144, 1040, 2064)
say = partial(print, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder")
    room = page_buffer(PIECE + mmap.PAGESIZE)
    room.fill(1)
    with tempfile.TemporaryFile(dir=parser.parse_args().folder) as file:
        file.write(np.random.default_rng(0).bytes(PIECE * PIECES + mmap.PAGESIZE))
        file.flush()
        say("       " + "".join(f"{start:>7}" for start in IN_FILE))
        for place in IN_MEMORY:
            into = room[place : place + PIECE]
            took = []
            for start in IN_FILE:
                turns = []
                for piece in range(PIECES):
                    begin = perf_counter()
                    read_at(file.fileno(), into, start + piece * PIECE, "the file")
                    turns.append(perf_counter() - begin)
                took.append(median(turns))
            say(f"{place:>7}" + "".join(f"{seconds * 1e6:>7.0f}" for seconds in took))


if __name__ == "__main__":
    main()
