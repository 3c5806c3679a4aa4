"""The datasets of an HDF5 container: their types and shapes, and the checks of a file that others may have made.

The low-level interface of h5py is used, as the high-level one takes twice as long for a single image.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5p

from backends.images import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray


def datasets_of(layout: Layout) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Type and shape of each dataset of a container; None for any length."""
    datasets: dict[str, tuple[str, tuple[int | None, ...]]] = {"labels": ("<i8", (layout.count,))}
    if layout.record_bytes is not None:
        return datasets | {"images": ("|u1", images_shape(layout))}
    if layout.carries_shapes:
        datasets["shapes"] = ("<i4", (layout.count, 3))
    return datasets | {"offsets": ("<i8", (layout.count + 1,)), "data": ("|u1", (None,))}


def images_shape(layout: Layout, count: int | None = None) -> tuple[int, ...]:
    """Shape of an array of ``count`` images of one size, or of all."""
    return (layout.count if count is None else count, *(layout.image_shape or ()))


def open_dataset(file: h5f.FileID, name: str, dtype: str, shape: tuple[int | None, ...]) -> h5d.DatasetID:
    """A dataset whose bytes are in this file, uncompressed.

    Raises
    ------
    ValueError, KeyError
        There is none, or it is not of this type and shape (None: any length).
    """
    if file.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link to elsewhere")
    dataset = h5d.open(file, name.encode())
    plan, found, stored_bytes = dataset.get_create_plist(), dataset.shape, dataset.get_storage_size()
    wanted = tuple(side if side is not None else length for side, length in zip(shape, found, strict=False))
    if dataset.dtype.str != dtype or found != wanted or len(found) != len(shape):
        raise ValueError(f"{name} has the type {dataset.dtype} and the shape {found}, not {dtype} and {shape}")
    if plan.get_external_count() or plan.get_nfilters() or plan.get_layout() not in (h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ValueError(f"{name} is compressed or stored outside the file")
    if stored_bytes < math.prod(found) * dataset.dtype.itemsize:
        raise ValueError(f"{name} was never written")
    if (dataset.get_offset() or 0) + stored_bytes > file.get_filesize():
        raise ValueError(f"{name} lies beyond the end of the file")
    return dataset


def chunks_of(data: h5d.DatasetID) -> tuple[NDArray[np.int64], int]:
    """Where in the file each chunk of ``data`` begins, and one more, and how many bytes a chunk has."""
    plan, (size,) = data.get_create_plist(), data.shape
    if plan.get_layout() != h5d.CHUNKED:
        return np.full(2, data.get_offset() or 0), max(1, size)
    (chunk_bytes,) = plan.get_chunk()
    positions = np.zeros(size // chunk_bytes + 1, np.int64)
    data.chunk_iter(lambda chunk: positions.__setitem__(chunk.chunk_offset[0] // chunk_bytes, chunk.byte_offset))
    return positions, chunk_bytes


@cache
def access() -> h5p.PropFAID:
    """How files are opened: without a lock, as some filesystems have none, and without a cache of chunks."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    access.set_cache(0, 0, 0, 0.75)  # chunks are read and written in place: no filter has to see them whole
    access.set_sieve_buf_size(0)  # nothing is kept back that could not be written when a dataset is closed
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


def read_layout(file: h5f.FileID) -> Layout:
    """The attribute ``layout``; the high-level interface takes longer for it than all else takes for an image."""
    attribute = h5a.open(file, b"layout")
    if attribute.shape != ():
        raise ValueError("the attribute 'layout' is not one text")
    text = np.empty((), attribute.dtype)
    attribute.read(text)
    return Layout.from_json(text.item())
