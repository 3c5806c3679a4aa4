"""Codecs: other programs read what they encode, and damaged records are refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray
from PIL import Image

from backends.base import JpegOptions, PngOptions
from backends.codecs.pictures import decode_picture
from backends.codecs.png import MAX_PIXELS, head_of
from backends.errors import ContainerDamaged, UsageError
from backends.images import Images, Layout, Records, join_records, offsets_of
from backends.registry import codec_entries, make_codec
from backends.testing.subject import assert_same, encode, layout_of, make_images
from tests.backends.encoded import encoded, png_chunk

Pixels = NDArray[np.uint8]
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]))
LOSSLESS = pytest.mark.parametrize("name", [name for name, entry in codec_entries().items() if entry.lossless])


def decode(*files: bytes, shape: tuple[int, int, int] | None = None, codec: str = "png") -> Images:
    return make_codec(codec).decode(join_records(files, np.arange(len(files))), Layout(len(files), codec, shape))


@LOSSLESS
@given(data=st.data())
def test_images_of_one_size_come_back(name: str, data: st.DataObject) -> None:
    shape = (data.draw(st.integers(0, 5)), *data.draw(SHAPES))
    images = Images(data.draw(stn.arrays(np.uint8, shape)), np.arange(shape[0]))
    codec, layout, records = make_codec(name), layout_of(images, name), encode(images, name)
    out = np.zeros(shape, np.uint8)
    decoded = codec.decode(records, layout, out)
    assert decoded.pixels is out
    assert_same(decoded, images)
    assert_same(codec.decode(records, layout), images)


@LOSSLESS
@given(pixels=st.lists(SHAPES.flatmap(lambda shape: stn.arrays(np.uint8, shape)), max_size=6))
def test_images_of_mixed_size_come_back(name: str, pixels: list[Pixels]) -> None:
    images = Images(pixels, np.arange(len(pixels)))
    assert_same(make_codec(name).decode(encode(images, name), layout_of(images, name)), images)


def test_raw_pixels_are_views_both_ways() -> None:
    images = make_images(5)
    records = make_codec("raw").encode(images)
    assert np.shares_memory(records.data, np.asarray(images.pixels))
    decoded = make_codec("raw").decode(records, layout_of(images, "raw"))
    assert np.shares_memory(np.asarray(decoded.pixels), records.data)


@pytest.mark.parametrize("level", [0, 1, 6, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pillow_reads_what_png_encodes(channels: int, level: int) -> None:
    images = make_images(4, channels=channels, mixed=True, side=40)
    records = make_codec("png", PngOptions(level)).encode(images)
    for index in range(4):
        image = Image.open(io.BytesIO(records.record(index).tobytes()))
        np.testing.assert_array_equal(np.asarray(image).reshape(images.pixels[index].shape), images.pixels[index])


def test_png_larger_than_a_piece_comes_back() -> None:
    images = make_images(3, side=700)
    assert_same(make_codec("png").decode(encode(images, "png"), layout_of(images, "png")), images)


def test_png_reads_files_of_other_encoders_among_its_own() -> None:
    images = make_images(6, side=20)
    ours = make_codec("png").encode(images)
    files = [ours.record(index).tobytes() for index in range(3)]
    files += [encoded(images.pixels[index], compress_level=level) for index, level in ((3, 0), (4, 1), (5, 9))]
    files.insert(0, files.pop())
    for shape in (None, (20, 21, 3)):
        np.testing.assert_array_equal(decode(*files, shape=shape).pixels, np.asarray(images.pixels)[[5, *range(5)]])


GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
OTHER_KINDS = {
    "palette": (encoded(Image.fromarray(GREY).convert("P")), np.dstack([GREY] * 3)),
    "alpha": (encoded(Image.fromarray(GREY).convert("LA")), np.dstack([GREY] * 3 + [np.full_like(GREY, 255)])),
    "one bit": (encoded(Image.fromarray(GREY > 100)), np.where(GREY > 100, 255, 0)[:, :, None]),
    "one transparent grey": (encoded(GREY, transparency=0), GREY[:, :, None]),
    "16 bits": (encoded(Image.fromarray(GREY.astype(np.uint16) << 8)), GREY[:, :, None]),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_png_of_another_kind_becomes_the_nearest_channels(kind: str) -> None:
    file, expected = OTHER_KINDS[kind]
    np.testing.assert_array_equal(decode(file).pixels[0], expected)


def png_of(head: bytes, *bodies: bytes) -> bytes:
    return head + b"".join(png_chunk(b"IDAT", body) for body in bodies) + png_chunk(b"IEND", b"")


WHOLE = make_codec("png").encode(make_images(1)).data.tobytes()
HUGE = head_of(1, 1, 3)[:8] + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
BROKEN = {
    "empty": b"",
    "signature": b"\x89PNG\r\n\x1a\n",
    "another format": b"GIF89a" + bytes(60),
    "cut by a byte": WHOLE[:-1],
    "cut in half": WHOLE[: len(WHOLE) // 2],
    "cut head": WHOLE[:45],
    "60000 x 60000": png_of(HUGE, zlib.compress(bytes(1 << 20))),
    "bomb": png_of(head_of(9, 9, 3), zlib.compress(bytes(50 << 20))),
    "too few rows": png_of(head_of(9, 9, 3), zlib.compress(bytes(100))),
    "unknown filter": png_of(head_of(9, 9, 3), zlib.compress(b"\x07" * (9 * 28))),
    "no deflate": png_of(head_of(9, 9, 3), b"no deflate stream"),
    "no data": png_of(head_of(9, 9, 3)),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("shape", [None, (9, 9, 3)])
def test_broken_png_is_refused_by_its_index(kind: str, shape: tuple[int, int, int] | None) -> None:
    good = encoded(np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ContainerDamaged, match="record 1 "):
        decode(good, BROKEN[kind], shape=shape)


def test_every_flipped_bit_of_a_png_is_noticed() -> None:
    for position in range(8 * len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(ContainerDamaged, match="record 0 "):
            decode(bytes(damaged))


@pytest.mark.parametrize(
    ("codec", "shape"),
    [
        *(("png", shape) for shape in ((2, 2, 2), (0, 4, 3), (MAX_PIXELS, 2, 1))),
        *(("jpeg", shape) for shape in ((2, 2, 4), (2, 2, 2), (0, 4, 3), (65_501, 1, 3))),
    ],
)
def test_image_that_a_codec_cannot_keep_is_refused(codec: str, shape: tuple[int, int, int]) -> None:
    pixels = np.broadcast_to(np.zeros((), np.uint8), (1, *shape))
    with pytest.raises(ValueError, match=f"{codec} keeps"):
        make_codec(codec).encode(Images(pixels, np.zeros(1, int)))
    with pytest.raises(UsageError, match="passes files through; there is nothing to encode"):
        make_codec("source").encode(make_images(1))


@pytest.mark.parametrize(
    ("shapes", "shape"),
    [(None, None), ([[2, 2, 3], [2, 2, 4]], None), ([[-2, -2, 3], [2, 2, 3]], None), (None, (2, 2, 4))],
)
def test_raw_pixels_of_another_shape_are_refused(
    shapes: list[list[int]] | None, shape: tuple[int, int, int] | None
) -> None:
    rows = None if shapes is None else np.array(shapes, np.int32)
    records = Records(np.zeros(24, np.uint8), offsets_of([12, 12]), np.zeros(2, int), rows)
    with pytest.raises(ContainerDamaged):
        make_codec("raw").decode(records, Layout(2, "raw", shape))


@pytest.mark.parametrize(("most", "room"), [(1 << 30, 1 << 20), (1 << 30, 10), (1 << 30, None), (0, 1 << 20)])
def test_mixed_jpegs_decode_into_one_buffer(monkeypatch: pytest.MonkeyPatch, most: int, room: int | None) -> None:
    monkeypatch.setattr("backends.codecs.source.MAX_BUFFER_BYTES", most)
    images = make_images(12, mixed=True)
    files = [encoded(pixels, form) for pixels, form in zip(images.pixels, ["JPEG", "PNG", "JPEG"] * 4, strict=True)]
    records = join_records(files, np.arange(12))
    out = None if room is None else np.zeros(room, np.uint8)
    decoded = make_codec("source").decode(records, Layout(12, "source", None), out)
    assert_same(decoded, Images([decode_picture(file) for file in files], records.labels))
    assert (out is not None and np.shares_memory(decoded.pixels[0], out)) == (most > 0 and room == 1 << 20)


def test_source_decodes_each_file_by_its_own_format() -> None:
    images = make_images(4, side=20)
    files = [encoded(image, form) for image, form in zip(images.pixels, ("PNG", "BMP", "JPEG", "WebP"), strict=True)]
    for shape in (None, (20, 21, 3)):
        decoded = decode(*files, shape=shape, codec="source").pixels
        np.testing.assert_array_equal(decoded[:2], images.pixels[:2])
        for file, pixels in zip(files, decoded, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file))), pixels)


@pytest.mark.parametrize("codec", ["source", "jpeg"])
@pytest.mark.parametrize("shape", [None, (20, 21, 3)])
@pytest.mark.parametrize("harm", [lambda file: b"", lambda file: file[: len(file) // 2], lambda file: bytes(len(file))])
def test_broken_picture_is_refused_by_its_index(
    codec: str, shape: tuple[int, int, int] | None, harm: Callable[[bytes], bytes]
) -> None:
    good = encoded(make_images(1, side=20).pixels[0], "JPEG")
    with pytest.raises(ContainerDamaged, match="record 1 is not the picture that was stored: it "):
        decode(good, harm(good), shape=shape, codec=codec)


@pytest.mark.parametrize("codec", ["png", "source", "jpeg"])
@pytest.mark.parametrize("other", [make_images(1, side=19), make_images(1, side=20, channels=1)])
def test_picture_of_another_shape_is_refused_by_its_index(codec: str, other: Images) -> None:
    encoder = make_codec("png" if codec == "png" else "jpeg")
    files = [encoder.encode(images).data.tobytes() for images in (make_images(1, side=20), other)]
    with pytest.raises(ContainerDamaged, match=r"record 1 is an image of .*, not of \(20, 21, 3\)"):
        decode(*files, shape=(20, 21, 3), codec=codec)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_close_to_its_image_and_as_pillow_reads_it(sample_images: Images, channels: int, mixed: bool) -> None:
    pixels = np.asarray(sample_images.pixels)[:9, :, :, :channels]
    cropped = [image[index:, : 32 - index] for index, image in enumerate(pixels)]
    images = Images(cropped if mixed else pixels, np.arange(9))
    records = make_codec("jpeg").encode(images)
    decoded = make_codec("jpeg").decode(records, layout_of(images, "jpeg"))
    np.testing.assert_array_equal(decoded.labels, images.labels)
    for index, image in enumerate(decoded.pixels):
        file = Image.open(io.BytesIO(records.record(index).tobytes()))
        assert (file.format, file.mode) == ("JPEG", "L" if channels == 1 else "RGB")
        np.testing.assert_array_equal(np.asarray(file).reshape(image.shape), image)
        assert np.abs(image.astype(int) - images.pixels[index]).mean() < 6


def test_higher_jpeg_quality_is_closer_and_larger() -> None:
    images = make_images(4, side=40)
    sizes, errors = [], []
    for quality in (1, 50, 90, 100):
        codec = make_codec("jpeg", JpegOptions(quality))
        records = codec.encode(images)
        pixels = np.asarray(codec.decode(records, layout_of(images, "jpeg")).pixels)
        sizes.append(len(records.data))
        errors.append(np.abs(pixels.astype(int) - images.pixels).mean())
    assert (sizes, errors) == (sorted(sizes), sorted(errors, reverse=True))
    assert make_codec("jpeg").encode(images).data.size == sizes[2], "90 is the default"
