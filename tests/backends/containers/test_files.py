"""The backend files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from backends.errors import ContainerDamaged, NotAllowed
from backends.images import Images, Layout, join_records
from backends.registry import make_backend
from backends.testing.readers import in_child
from backends.testing.subject import assert_same, layout_of, make_images, read, store
from tests.backends.encoded import encoded

IMAGES = make_images(12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A container of ``IMAGES`` as raw pixels."""
    store(make_backend("files"), tmp_path / "container", IMAGES, layout_of(IMAGES, "raw"))
    return tmp_path / "container"


def test_folders_have_at_most_100_images_and_numbers_as_names(tmp_path: Path) -> None:
    images = make_images(201, side=1)
    store(make_backend("files"), tmp_path / "container", images, layout_of(images, "raw"), batch=64)
    folders = filter(Path.is_dir, (tmp_path / "container").iterdir())
    assert {folder.name: len(list(folder.iterdir())) for folder in folders} == {"000": 100, "001": 100, "002": 1}
    assert (tmp_path / "container/001/000100.raw").read_bytes() == np.asarray(images.pixels)[100].tobytes()


def test_labels_are_a_table_that_anything_reads(path: Path) -> None:
    lines = (path / "labels.csv").read_text().splitlines()
    assert lines[0] == "file,label"
    assert lines[1:] == [f"000/{index:06d}.raw,{label}" for index, label in enumerate(IMAGES.labels)]


FILES = [encoded(IMAGES.pixels[index], form) for form in ("JPEG", "PNG", "BMP", "WebP") for index in range(3)]


@pytest.fixture
def passed_through(tmp_path: Path) -> Path:
    """A container of ``FILES``, three of each format."""
    with make_backend("files").create(tmp_path / "container", Layout(12, "source", (12, 13, 3))) as writer:
        writer.append(join_records(FILES, IMAGES.labels))
    return tmp_path / "container"


def test_files_that_are_passed_through_end_in_their_formats(passed_through: Path) -> None:
    names = [line.partition(",")[0] for line in (passed_through / "labels.csv").read_text().splitlines()[1:]]
    assert [(passed_through / name).read_bytes() for name in names] == FILES
    assert [Path(name).suffix for name in names[::3]] == [".jpg", ".png", ".bmp", ".webp"]
    with make_backend("files").open(passed_through) as reader:
        found = reader.read(np.array([9, 0]))
    assert [found.record(index).tobytes() for index in range(2)] == [FILES[9], FILES[0]]


def test_aborting_removes_files_of_every_format(passed_through: Path) -> None:
    records = make_backend("files").open(passed_through).read(slice(None))
    writer = make_backend("files").create(passed_through.with_name("other"), Layout(13, "source", (12, 13, 3)))
    writer.append(records)
    with pytest.raises(ValueError, match="12 records"):
        writer.close()
    assert not passed_through.with_name("other").exists()


@pytest.mark.parametrize("suffix", [b"", b"jpg", b"/../x", b"./a", b".j\0pg", b"\xff\xfe", b".PNG"])
def test_names_that_are_not_ours_are_refused(passed_through: Path, suffix: bytes) -> None:
    suffixes = np.load(passed_through / "suffixes.npy")
    suffixes[7] = suffix
    np.save(passed_through / "suffixes.npy", suffixes)
    with make_backend("files").open(passed_through) as reader, pytest.raises(ContainerDamaged, match=r"suffixes\.npy"):
        reader.read(slice(None))


@pytest.mark.parametrize("size", [-(2**63), -1, 0, 2**62])
def test_sizes_that_no_file_has_are_refused(passed_through: Path, size: int) -> None:
    sizes = np.load(passed_through / "sizes.npy")
    sizes[7] = size
    np.save(passed_through / "sizes.npy", sizes)
    with make_backend("files").open(passed_through) as reader, pytest.raises(ContainerDamaged, match=r"sizes|000007"):
        reader.read(slice(None))


def test_file_cut_by_a_byte_is_refused_by_name(passed_through: Path) -> None:
    os.truncate(passed_through / "000/000004.png", len(FILES[4]) - 1)
    with make_backend("files").open(passed_through) as reader, pytest.raises(ContainerDamaged, match=r"000004\.png"):
        reader.read(slice(None))


def test_pipe_with_an_image_in_it_is_refused(path: Path) -> None:
    (path / "000/000007.raw").unlink()
    os.mkfifo(path / "000/000007.raw")
    pipe = os.open(path / "000/000007.raw", os.O_RDWR)
    os.write(pipe, IMAGES.pixels[7].tobytes())
    with make_backend("files").open(path) as reader, pytest.raises(ContainerDamaged, match=r"000/000007\.raw"):
        reader.read(slice(7, 8))
    os.close(pipe)


def test_a_linked_folder_is_refused(path: Path) -> None:
    (path / "000").rename(path.parent / "elsewhere")
    (path / "000").symlink_to(path.parent / "elsewhere")
    with make_backend("files").open(path) as reader, pytest.raises(ContainerDamaged, match="000"):
        reader.read(slice(None))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_not_called_damaged(path: Path) -> None:
    (path / "000/000007.raw").chmod(0)
    with make_backend("files").open(path) as reader, pytest.raises(NotAllowed, match=r"000/000007\.raw"):
        reader.read(slice(None))


def read_as_nobody(path: Path) -> Images:
    os.setuid(65_534)
    with make_backend("files").open(path) as reader:
        return read(reader)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_other_user_reads_the_files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store(make_backend("files"), Path(folder) / "container", IMAGES, layout_of(IMAGES, "raw"))
        code, found = in_child("fork", read_as_nobody, Path(folder) / "container")
    assert code == 0
    assert_same(found, IMAGES)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"count":1,"codec":"../x","image_shape":null,"classes":[]}'])
def test_a_layout_that_says_nothing_is_refused(path: Path, content: str) -> None:
    (path / "layout.json").write_text(content)
    with pytest.raises(ContainerDamaged, match=r"layout\.json"):
        make_backend("files").open(path)


def test_files_longer_than_the_first_read_come_back(tmp_path: Path) -> None:
    images = make_images(3, side=200, mixed=True)
    store(make_backend("files"), tmp_path / "container", images, layout_of(images, "raw"))
    with make_backend("files").open(tmp_path / "container") as reader:
        assert_same(read(reader), images)
