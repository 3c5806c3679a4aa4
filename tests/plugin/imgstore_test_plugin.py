"""Backends of another package, found by entry point, each bad in one way: what a run must survive."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import numpy as np

from backends.containers.hdf5 import HDF5, HDF5Reader, HDF5Writer
from backends.registry import BackendEntry

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout, Records


class DyingWriter(HDF5Writer):
    def append(self, records: Records) -> None:
        os.kill(os.getpid(), signal.SIGBUS)


class HungryWriter(HDF5Writer):
    def append(self, records: Records) -> None:
        np.empty(1 << 60, np.uint8)


class StuckWriter(HDF5Writer):
    def append(self, records: Records) -> None:
        while True:
            signal.pause()


class LyingReader(HDF5Reader):
    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        found = super().read_range(start, stop, out)
        found.data[len(found.data) // 2] ^= 1
        return found


class NoisyWriter(HDF5Writer):
    def append(self, records: Records) -> None:
        os.write(1, b"NOISE on standard output\n")
        os.write(2, b"NOISE on standard error\n")
        raise RuntimeError("NOISY failure")


class Dying(HDF5):
    """Its process dies inside the library."""

    def create(self, path: Path, layout: Layout) -> DyingWriter:
        return DyingWriter(path, layout)


class Hungry(HDF5):
    """Asks for more memory than there is."""

    def create(self, path: Path, layout: Layout) -> HungryWriter:
        return HungryWriter(path, layout)


class Stuck(HDF5):
    """Never comes back."""

    def create(self, path: Path, layout: Layout) -> StuckWriter:
        return StuckWriter(path, layout)


class Lying(HDF5):
    """Gives back one wrong bit."""

    def open(self, path: Path) -> LyingReader:
        return LyingReader(path)


class Noisy(HDF5):
    """Prints as a C library does, then raises."""

    def create(self, path: Path, layout: Layout) -> NoisyWriter:
        return NoisyWriter(path, layout)


DYING = BackendEntry("dying", "dies", "imgstore_test_plugin:Dying", "raw")
HUNGRY = BackendEntry("hungry", "eats memory", "imgstore_test_plugin:Hungry", "raw")
LYING = BackendEntry("lying", "flips a bit", "imgstore_test_plugin:Lying", "raw")
RAISING = BackendEntry("raising", "raises", "imgstore_test_raising:Raising", "raw")
NOISY = BackendEntry("noisy", "prints", "imgstore_test_plugin:Noisy", "raw")
STUCK = BackendEntry("stuck", "hangs", "imgstore_test_plugin:Stuck", "raw")
