"""PNG as bytes: the head and tail of the files that we write, and the check of any other (W3C PNG, third edition)."""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import deflate
import numpy as np
from isal import isal_zlib

from backends.images import offsets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"
MAX_PIXELS = 89_478_485
"""The limit of Pillow, beyond which it takes an image for a decompression bomb."""

HEAD_BYTES = 33
"""Signature and IHDR."""
DEPTH_BYTE = 24
"""Where IHDR says the bits of a channel."""
FAST_LEVEL = 1
"""ISA-L deflates photographs at it in half the time of libdeflate, which is better at all else."""
BEFORE_STREAM = HEAD_BYTES + 8
AFTER_STREAM = 4 + len(END)
_HEAD = struct.Struct(">8sI4sIIBBBBBI")
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
_CHANNELS = {colour: channels for channels, colour in _COLOUR_TYPES.items()}
_BEFORE, _AFTER = struct.Struct(f">{HEAD_BYTES}sI4s"), struct.Struct(f">I{len(END)}s")
_IDAT = b"IDAT"
_CRC_OF_IDAT = isal_zlib.crc32(_IDAT)


@lru_cache(maxsize=64)
def head_of(height: int, width: int, channels: int) -> bytes:
    """Signature and IHDR of an image with 8 bits a channel, not interlaced.

    Raises
    ------
    ValueError
        PNG has no such image, or no reader would take it.
    """
    if channels not in _COLOUR_TYPES or not 0 < height * width <= MAX_PIXELS:
        raise ValueError(
            f"png keeps images of 1, 3 or 4 channels and up to {MAX_PIXELS:,} pixels, not {(height, width, channels)}."
        )
    fields = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + fields + struct.pack(">I", isal_zlib.crc32(fields))


def shape_of(head: bytes) -> tuple[int, int, int] | None:
    """The shape for which ``head_of`` would write this head; None where it would not."""
    _, _, _, width, height, _, colour, *_ = _HEAD.unpack(head)
    channels = _CHANNELS.get(colour, 0)
    if not channels or not 0 < height * width <= MAX_PIXELS or head != head_of(height, width, channels):
        return None
    return height, width, channels


def wrap(heads: list[bytes], streams: Sequence[bytes | bytearray]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Put each deflated stream between its head and END, as the only IDAT of a file.

    Returns
    -------
    data, offsets
        Of the records.
    """
    parts: list[bytes | bytearray] = []
    for head, stream in zip(heads, streams, strict=True):
        crc = isal_zlib.crc32(stream, _CRC_OF_IDAT)
        parts += (_BEFORE.pack(head, len(stream), _IDAT), stream, _AFTER.pack(crc, END))
    lengths = [BEFORE_STREAM + len(stream) + AFTER_STREAM for stream in streams]
    return np.frombuffer(b"".join(parts), np.uint8), offsets_of(lengths)


def find_plain(data: memoryview, ends: list[int]) -> tuple[list[bytes], list[int]]:
    """Tell which records are a head, one IDAT and IEND, nothing else.

    Returns
    -------
    heads, crcs
        For each record its head, empty where it is not plain, and the CRC of its IDAT.
    """
    heads, crcs = [b""] * (len(ends) - 1), [0] * (len(ends) - 1)
    for index, (start, stop) in enumerate(pairwise(ends)):
        size = stop - start - BEFORE_STREAM - AFTER_STREAM
        if size >= 0:
            head, length, kind = _BEFORE.unpack_from(data, start)
            crcs[index], end = _AFTER.unpack_from(data, stop - AFTER_STREAM)
            if length == size and kind == _IDAT and end == END:
                heads[index] = head
    return heads, crcs


def compress(rows: memoryview, level: int) -> bytes | bytearray:
    """Deflate the filtered rows of an image into a zlib stream: 0 as they are, 12 as small as can be."""
    if level == FAST_LEVEL:
        stream: bytes = isal_zlib.compress(rows, level)
        return stream
    return deflate.zlib_compress(rows, level)


def inflate(stream: memoryview, crc: int, size: int) -> bytearray:
    """Check and inflate the stream of a plain record.

    Raises
    ------
    ValueError
        Its CRC or its stream is damaged, or it does not inflate to ``size`` bytes; no more are made.
    """
    if isal_zlib.crc32(stream, _CRC_OF_IDAT) != crc:
        raise ValueError("its CRC is wrong")
    try:
        rows = deflate.zlib_decompress(stream, size)
    except deflate.DeflateError as error:
        raise ValueError(f"it does not inflate to {size:,} bytes ({error})") from error
    if len(rows) != size:
        raise ValueError(f"it does not inflate to {size:,} bytes")
    return rows


def check_chunks(record: bytes) -> None:
    """Walk the chunks of any PNG: their CRCs, IHDR first, IEND there, a size within the limit.

    Raises
    ------
    ValueError
        It is not a whole PNG.
    """
    if record[:16] != SIGNATURE + b"\x00\x00\x00\rIHDR":
        raise ValueError("it does not begin as a PNG")
    width, height = struct.unpack_from(">II", record.ljust(24), 16)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", record[position : position + 4].rjust(4))
        kind, stop = record[position + 4 : position + 8], position + 8 + length
        if stop + 4 > len(record):
            raise ValueError("it is cut")
        if isal_zlib.crc32(record[position + 4 : stop]) != int.from_bytes(record[stop : stop + 4], "big"):
            raise ValueError(f"the CRC of its chunk {kind!r} is wrong")
        position = stop + 4
