"""The backend sqlite."""

from __future__ import annotations

import gc
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets
from backends.registry import backend_entry, make_backend
from backends.testing.subject import assert_same, layout_of, make_images, read, store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Images

IMAGES = make_images(12)
IN_MANY_PAGES = make_images(12, side=60)


@pytest.fixture(params=[IMAGES, IN_MANY_PAGES], ids=["in one page", "in many"])
def images(request: pytest.FixtureRequest) -> Images:
    found: Images = request.param
    return found


@pytest.fixture
def path(tmp_path: Path, images: Images) -> Path:
    """A container of ``images`` as raw pixels."""
    return stored(tmp_path / "container", images)


def stored(path: Path, images: Images) -> Path:
    store(make_backend("sqlite"), path, images, layout_of(images, "raw"))
    return path


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def test_the_library_finds_no_fault(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_the_library_has_changed_is_read(path: Path, images: Images) -> None:
    change(path, "UPDATE images SET record = (SELECT record FROM images WHERE id = 9) WHERE id = 5")
    pixels = np.array(images.pixels)
    pixels[5] = pixels[9]
    with make_backend("sqlite").open(path) as reader:
        assert np.array_equal(np.array(read(reader).pixels), pixels)
        assert np.array_equal(np.array(read(reader, np.array([5, 3, 5])).pixels), pixels[[5, 3, 5]])


@pytest.mark.parametrize("pixels", [3_072, 4_097, 5_461, 8_200, 10_960, 12_288, 13_120, 16_384, 24_580, 27_648, 49_152])
def test_file_of_any_image_size_has_the_announced_bytes(tmp_path: Path, pixels: int) -> None:
    records = Records(np.zeros(pixels * 100, np.uint8), even_offsets(100, pixels), np.zeros(100, np.int64))
    with make_backend("sqlite").create(tmp_path / "container", Layout(100, "raw", (1, pixels, 1))) as writer:
        writer.append(records)
    blocks = -(-(pixels * 1.02 + backend_entry("sqlite").overhead) // 4_096)
    assert (tmp_path / "container").stat().st_size <= 100 * blocks * 4_096 + (1 << 18)


def test_raw_images_of_mixed_size_have_their_shapes_beside_them(tmp_path: Path) -> None:
    images = make_images(9, mixed=True)
    store(make_backend("sqlite"), tmp_path / "container", images, layout_of(images, "raw"))
    with closing(sqlite3.connect(tmp_path / "container")) as database:
        (found,) = database.execute("SELECT height, width, channels, record FROM images WHERE id = 5")
    assert found == (*images.pixels[5].shape, images.pixels[5].tobytes())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER more AFTER DELETE ON images BEGIN SELECT 1; END",
        "CREATE VIEW more AS SELECT * FROM images",
        "CREATE INDEX more ON images(label)",
        "ALTER TABLE images ADD COLUMN name TEXT",
        "DROP TABLE layout",
        "DELETE FROM layout",
        "INSERT INTO layout SELECT * FROM layout",
        "UPDATE layout SET json = '{}'",
        "UPDATE layout SET json = 7",
        "UPDATE layout SET json = CAST(x'ff' AS TEXT)",
        "UPDATE layout SET json = replace(replace(json, '[12,13,3]', 'null'), '[60,61,3]', 'null')",
    ],
)
def test_tables_that_are_not_ours_are_refused(path: Path, statement: str) -> None:
    change(path, statement)
    with pytest.raises(ContainerDamaged):
        make_backend("sqlite").open(path)


def test_a_layout_that_is_null_is_refused(path: Path) -> None:
    redefine = "UPDATE sqlite_master SET sql = replace(sql, '{}', '{}') WHERE name = 'layout'"
    change(path, "PRAGMA writable_schema = ON", redefine.format("TEXT NOT NULL", "TEXT"))
    change(path, "UPDATE layout SET json = NULL")
    change(path, "PRAGMA writable_schema = ON", redefine.format("TEXT", "TEXT NOT NULL"))
    with pytest.raises(ContainerDamaged):
        make_backend("sqlite").open(path)


def test_failed_read_raises_nothing_later_in_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ignored: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)
    path = stored(tmp_path / "container", IMAGES)
    change(path, "UPDATE images SET record = x'00' WHERE id = 5")
    with make_backend("sqlite").open(path) as reader:
        with pytest.raises(ContainerDamaged) as caught:
            reader.read(slice(None))
        reader.close()
        del caught
        gc.collect()
    assert not ignored


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM images WHERE id = 5",
        "UPDATE images SET id = 99 WHERE id = 5",
        "UPDATE images SET record = x'00' WHERE id = 5",
        "UPDATE images SET record = 7 WHERE id = 5",
        "UPDATE images SET record = 'text' WHERE id = 5",
        "UPDATE layout SET labels = x'00'",
        "UPDATE layout SET labels = 'text'",
    ],
)
@pytest.mark.parametrize("rows", [slice(None), np.array([9, 5])], ids=["slice", "rows"])
def test_rows_that_do_not_fit_are_refused(path: Path, statement: str, rows: slice | NDArray[np.int64]) -> None:
    change(path, statement)
    with make_backend("sqlite").open(path) as reader, pytest.raises(ContainerDamaged):
        reader.read(rows)


@pytest.mark.parametrize("value", ["'wide'", "1 << 40"])
def test_shapes_that_are_no_sides_are_refused(tmp_path: Path, value: str) -> None:
    images = make_images(9, mixed=True)
    store(make_backend("sqlite"), tmp_path / "container", images, layout_of(images, "raw"))
    change(tmp_path / "container", f"UPDATE images SET width = {value} WHERE id = 5")
    with make_backend("sqlite").open(tmp_path / "container") as reader, pytest.raises(ContainerDamaged, match="width"):
        reader.read(slice(None))


@pytest.mark.parametrize("name", ["with space", "50%", "a?b#c", "ключ"])
def test_path_with_uri_characters_is_opened(tmp_path: Path, name: str) -> None:
    stored(tmp_path / name, IN_MANY_PAGES)
    with make_backend("sqlite").open(tmp_path / name) as reader:
        assert_same(read(reader), IN_MANY_PAGES)
