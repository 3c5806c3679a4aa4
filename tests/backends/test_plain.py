"""Reading with the plain libraries."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from backends.images import Images, Layout, Records, offsets_of
from backends.plain import CODECS, has_plain, open_rows, read_all
from backends.registry import codec_entries, make_backend
from backends.testing.batches import assert_same, layout_of, make_images, read, store
from tests.backends.encoded import ORIENTATION, encoded, png_of_16_bits

if TYPE_CHECKING:
    from pathlib import Path

BACKENDS = ("files", "lmdb", "hdf5", "npy", "sqlite", "tar")
ROWS = np.array([201, 3, 239, 3, 0, 118])
KINDS = [(codec, channels) for codec in CODECS for channels in codec_entries()[codec].channels]
EVERY_BACKEND = pytest.mark.parametrize("backend", BACKENDS)


def kept(backend: str, codec: str, path: Path, images: Images) -> Images:
    """Store ``images``; return what our reader makes of them, which for a codec without loss is ``images``."""
    store(make_backend(backend), path, images, layout_of(images, codec))
    with make_backend(backend).open(path) as reader:
        found = read(reader)
    if codec_entries()[codec].lossless:
        assert_same(found, images)
    return found


@EVERY_BACKEND
@pytest.mark.parametrize(("codec", "channels"), KINDS)
def test_real_images_come_back(backend: str, codec: str, channels: int, tmp_path: Path, sample_images: Images) -> None:
    pixels = np.asarray(sample_images.pixels)
    pixels = np.concatenate([pixels, pixels], axis=-1)[..., :channels]
    images = kept(backend, codec, tmp_path / "container", Images(pixels, sample_images.labels * 2**40 - 1))
    found = Images(*read_all(backend, codec, tmp_path / "container"))
    assert isinstance(found.pixels, np.ndarray)
    assert_same(found, images)
    with closing(open_rows(backend, codec, tmp_path / "container")) as rows:
        np.testing.assert_array_equal(rows.labels, images.labels)
        fetched = rows.fetch(ROWS)
        assert isinstance(fetched, np.ndarray)
        assert_same(Images(fetched, rows.labels[ROWS]), images, ROWS)


@EVERY_BACKEND
@pytest.mark.parametrize("codec", CODECS[1:])
def test_pictures_of_mixed_size_come_back(backend: str, codec: str, tmp_path: Path) -> None:
    images = kept(backend, codec, tmp_path / "container", make_images(240, mixed=True))
    found = Images(*read_all(backend, codec, tmp_path / "container"))
    assert_same(found, images)
    with closing(open_rows(backend, codec, tmp_path / "container")) as rows:
        assert_same(Images(rows.fetch(ROWS), rows.labels[ROWS]), images, ROWS)


@EVERY_BACKEND
def test_picture_files_of_every_kind_become_the_pixels_that_our_reader_has(
    backend: str, tmp_path: Path, sample_images: Images
) -> None:
    photo = Image.fromarray(sample_images.pixels[7])
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    files = [encoded(photo, form) for form in ("JPEG", "PNG", "BMP", "WebP")]
    files += [encoded(photo.convert(mode)) for mode in ("1", "L", "LA", "P", "RGBA")]
    files += [encoded(photo.convert("P"), transparency=5), encoded(photo.convert("CMYK"), "JPEG")]
    files += [encoded(photo.crop((0, 0, 9, 20)), "JPEG", exif=turned), encoded(photo, "JPEG", exif=Image.Exif())]
    files += [png_of_16_bits(colour, np.full((5, 4, colour + 1), 0x1234, np.uint16)) for colour in (0, 2)]
    labels = np.arange(len(files))
    data = np.frombuffer(b"".join(files), np.uint8)
    with make_backend(backend).create(tmp_path / "container", Layout(len(files), "source", None)) as writer:
        writer.append(Records(data, offsets_of([len(file) for file in files]), labels))
    found = Images(*read_all(backend, "source", tmp_path / "container"))
    with make_backend(backend).open(tmp_path / "container") as reader:
        assert_same(found, read(reader))


def test_what_has_a_plain_way_is_known_without_importing_a_library() -> None:
    everywhere = [
        has_plain(backend, codec, mixed) for backend in BACKENDS for codec in CODECS for mixed in (False, True)
    ]
    assert everywhere == [True, False, *[True] * 6] * 6
    assert not has_plain("zarr", "raw", mixed=False)
    assert not has_plain("files", "webp", mixed=False)
    heavy = "import sys, backends.plain; print({'numpy', 'h5py', 'lmdb', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout == "set()\n"


def test_more_pictures_than_a_process_may_have_open(tmp_path: Path) -> None:
    images = kept("files", "png", tmp_path / "container", make_images(1_100, side=2))
    code = (
        "import resource, sys, pathlib, backends.plain as plain; resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99));"
        "print(plain.read_all('files', 'png', pathlib.Path(sys.argv[1]))[0].sum())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "container")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"{np.asarray(images.pixels).sum()}\n"
