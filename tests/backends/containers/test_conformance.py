"""Every backend of this program passes the conformance suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.registry import backend_entry
from backends.testing import BackendTests
from tests.backends.snippets import read_by_snippet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.backends.snippets import Everything


class ReadPlainly(BackendTests):
    """With the README's lines that read a container without this program."""

    def plain_read(self, path: Path) -> Everything:
        return read_by_snippet(f"{self.backend}+{backend_entry(self.backend).codec}", path)


class TestFiles(ReadPlainly):
    backend = "files"


class TestHDF5(ReadPlainly):
    backend = "hdf5"


class TestLMDB(ReadPlainly):
    backend = "lmdb"


class TestNpy(ReadPlainly):
    backend = "npy"


class TestParquet(ReadPlainly):
    backend = "parquet"


class TestSQLite(ReadPlainly):
    backend = "sqlite"


class TestTar(ReadPlainly):
    backend = "tar"


class TestZarr(ReadPlainly):
    backend = "zarr"
