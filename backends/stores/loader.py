"""A Python file that reads a store without this program: for training code, which then depends on one library only."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound

from backends.errors import UsageError
from backends.registry import make_codec
from backends.stores.store import open_store

_LIBRARIES = {"hdf5": "h5py", "lmdb": "lmdb", "zarr": "zarr", "parquet": "pyarrow.parquet"}


def loader_code(path: Path, *, torch: bool) -> str:
    """A Python file that reads the store at ``path``, with a PyTorch ``Dataset`` in it if ``torch``.

    Raises StoreNotFound and StoreDamaged, and UsageError where a backend of another package has made the store.
    """
    store = open_store(path)
    backend, codec, shape = store.manifest.backend, store.manifest.codec, store.manifest.image_shape
    has_one_shape = shape is not None and bool((store.shapes == shape).all())
    arrays, pillow = codec == "raw" and has_one_shape, codec != "raw"
    modules = {"functools", "json", "pathlib"}
    modules |= {"io"} if pillow or backend == "tar" else set()
    modules |= {"os"} if backend in ("lmdb", "sqlite") or (backend == "hdf5" and not arrays) else set()
    modules |= {"os"} if backend == "files" and arrays else set()
    modules |= {"sqlite3"} if backend == "sqlite" else set()
    modules -= {"functools"} if backend == "files" and codec != "source" else set()
    library = _LIBRARIES.get(backend)
    needs = ["numpy", *(["Pillow"] if pillow else []), *([library.partition(".")[0]] if library else [])]
    try:
        frame, _ = _templates().get_template("frame.jinja"), _templates().get_template(f"{backend}.jinja")
    except TemplateNotFound:
        raise UsageError(f"{backend} is a backend of another package: backends.stores.store reads it.") from None
    return frame.render(
        backend=backend,
        codec=codec,
        needs=", ".join([*needs, *(["torch"] if torch else [])]),
        split=repr(next(iter(store.splits))),
        modules=", ".join(sorted(modules)),
        libraries=sorted(["numpy as np", *([library] if library else [])]),
        pillow=pillow,
        torch=torch,
        store=repr(str(store.path)),
        shape=", ".join(map(str, shape or ())) if has_one_shape else "",
        arrays=arrays,
        raw_mixed=codec == "raw" and not arrays,
        even_shards=codec == "raw" and shape is not None,
        suffix=make_codec(codec).suffix,
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("backends.stores", "loaders"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
