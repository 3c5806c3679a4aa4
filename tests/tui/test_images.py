"""The images screen: what it shows of a dataset and of a store, and in what colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.segment import Segment

from backends.bench.configuration import Configuration
from backends.stores.convert import convert
from backends.stores.plan import Request
from tests.tui.driving import SMALL, app_of, until_text
from tui.app import ImgstoreApp
from tui.screens.images import ImagesScreen
from tui.widgets.picture import Picture, scaled, strips

RED, GREEN = (200, 0, 0), (0, 180, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of pictures: two equal red ones, and in the other a green one and one that does not decode."""
    for name, colour in (("cats/1", RED), ("cats/2", RED), ("dogs/1", GREEN)):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), colour).save(tmp_path / "pets" / f"{name}.png")
    whole = (tmp_path / "pets/dogs/1.png").read_bytes()
    (tmp_path / "pets/dogs/2.png").write_bytes(whole[:-30])
    return tmp_path / "pets"


async def test_images_are_shown_by_number_and_class(app: ImgstoreApp, folder: Path) -> None:
    async with app.run_test(size=SMALL) as pilot:
        app.push_screen(ImagesScreen(str(folder)))
        await until_text(pilot, "image 0 of 4 class cats cats/1.png 6×8×3")
        pixels = app.screen.query_one(Picture).pixels
        assert pixels is not None
        assert (pixels == RED).all()
        await pilot.press("j")
        await until_text(pilot, "image 2 of 4 class dogs")
        await pilot.press("right")
        await until_text(pilot, "dogs/2.png")
        assert app.screen.query_one(Picture).pixels is None
        await pilot.press("slash", "7", "enter")
        await until_text(pilot, "give a number from 0 to 3.")
        await pilot.press("backspace", "1", "enter")
        await until_text(pilot, "image 1 of 4 class cats")


async def test_store_lists_duplicates_and_what_did_not_decode(app: ImgstoreApp, folder: Path, tmp_path: Path) -> None:
    convert(Request(dataset=str(folder), configuration=Configuration("lmdb+png")), tmp_path / "store", workers=1)
    async with app.run_test(size=SMALL) as pilot:
        app.push_screen(ImagesScreen(str(tmp_path / "store"), which="not decoded"))
        await until_text(pilot, "Not decoded: 1 of 1")
        await until_text(pilot, "dogs/2.png")
        await pilot.press("tab", "tab")
        await until_text(pilot, "Duplicates: 1 of 1")
        await until_text(pilot, "cats/2.png 6×8×3 equal to image 0")


async def test_path_that_is_no_dataset_is_said(app: ImgstoreApp, tmp_path: Path) -> None:
    async with app.run_test(size=SMALL) as pilot:
        app.push_screen(ImagesScreen(str(tmp_path / "gone")))
        await until_text(pilot, "does not exist")
        await pilot.press("right", "j", "tab", "slash", "escape")
        assert app_of(pilot).screen is app.workbench


def colours(rows: list[list[Segment]]) -> list[tuple[int, ...]]:
    """The colours of the upper and lower pixel of each half block."""
    styles = [cell.style for row in rows for cell in row if cell.text == "▀"]
    return [tuple(one.triplet) for style in styles if style for one in (style.color, style.bgcolor) if one]  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_cell_has_the_colours_of_two_pixels(channels: int) -> None:
    pixels = np.full((2, 1, channels), 255, np.uint8)
    pixels[1, 0, :3] = 100
    (row,) = strips(pixels, 1, 1, letters=False)
    assert colours([list(row)]) == [(255, 255, 255), (100, 100, 100)]


def test_without_colours_bright_and_dark_are_letters() -> None:
    pixels = np.array([[[0] * 3, [255] * 3]] * 2, np.uint8)
    (row,) = strips(pixels, 2, 1, letters=True)
    assert row.text == " @"


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(32, 32, (32, 32)), (10, 10, (40, 40)), (4000, 100, (44, 1)), (1, 5000, (1, 78))]
)
def test_picture_keeps_its_proportions(height: int, width: int, expected: tuple[int, int]) -> None:
    assert scaled(np.zeros((height, width, 3), np.uint8), 78, 44).shape[:2] == expected
