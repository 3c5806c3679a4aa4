"""A Python file that reads a store or a container without this program, for training code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound

from backends.errors import BackendUnavailable, ContainerDamaged, StoreNotFound, UsageError
from backends.images import Layout
from backends.registry import backend_entries, make_backend, make_codec
from backends.stores.manifest import is_store
from backends.stores.store import open_store

_LIBRARIES = {"hdf5": "h5py", "lmdb": "lmdb", "zarr": "zarr", "parquet": "pyarrow.parquet"}
_MODULES = ("functools", "io", "json", "os", "pathlib", "sqlite3")


def loader_code(path: Path, *, torch: bool) -> str:
    """A Python file that reads the store or container at ``path``, with a PyTorch ``Dataset`` in it if ``torch``.

    Raises StoreNotFound where there is neither, StoreDamaged, and UsageError where a backend of another package has
    made it.
    """
    if not is_store(path):
        return container_loader_code(*_find_container(path), [path], torch=torch)
    store = open_store(path)
    manifest = store.manifest
    shape = manifest.image_shape
    facts = {"paths": repr(str(store.path)), "split": repr(next(iter(store.splits))), "container": False}
    has_one_shape = shape is not None and bool((store.shapes == shape).all())
    return _render(manifest.backend, manifest.codec, shape, has_one_shape, torch, facts)


def container_loader_code(backend: str, layout: Layout, paths: Sequence[Path], *, torch: bool) -> str:
    """A Python file that reads the images of containers of one backend, the first of which has this ``layout``.

    Raises UsageError for a backend of another package.
    """
    facts = {"paths": [str(path.absolute()) for path in paths], "classes": list(layout.classes), "container": True}
    return _render(backend, layout.codec, layout.image_shape, layout.image_shape is not None, torch, facts)


def _render(
    backend: str,
    codec: str,
    shape: tuple[int, int, int] | None,
    has_one_shape: bool,  # else a shard may hold images of other shapes
    torch: bool,
    facts: dict[str, Any],
) -> str:
    arrays, pillow = codec == "raw" and has_one_shape, codec != "raw"
    library = _LIBRARIES.get(backend)
    needs = ["numpy", *(["Pillow"] if pillow else []), *([library.partition(".")[0]] if library else [])]
    try:
        frame, _ = _templates().get_template("frame.jinja"), _templates().get_template(f"{backend}.jinja")
    except TemplateNotFound:
        raise UsageError(f"{backend} is a backend of another package: backends.stores.store reads it.") from None
    code = frame.render(
        backend=backend,
        codec=codec,
        needs=", ".join([*needs, *(["torch"] if torch else [])]),
        libraries=sorted(["numpy as np", *([library] if library else []), *(["torch"] if torch and arrays else [])]),
        pillow=pillow,
        jpeg=codec in ("source", "jpeg"),
        torch=torch,
        shape=", ".join(map(str, shape or ())) if has_one_shape else "",
        arrays=arrays,
        raw_mixed=codec == "raw" and not arrays,
        even_shards=codec == "raw" and shape is not None,
        suffix=make_codec(codec).suffix,
        **facts,
    )
    return code.replace("MODULES", ", ".join(name for name in _MODULES if re.search(rf"\b{name}\.", code)), 1)


def _find_container(path: Path) -> tuple[str, Layout]:
    """The backend that has made the container at ``path``, and its layout.  Raises StoreNotFound where none has."""
    for name in backend_entries():
        try:
            with make_backend(name).open(path) as reader:
                reader.read(slice(0, 1))  # the folders of two backends differ only in that
                return name, reader.layout
        except (BackendUnavailable, ContainerDamaged, FileNotFoundError, IsADirectoryError, NotADirectoryError):
            continue
    raise StoreNotFound(
        f"{path} is neither a store nor a container of an installed backend: name a folder that `convert` made, or"
        " one of its shards."
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
