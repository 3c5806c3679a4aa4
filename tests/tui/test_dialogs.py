"""Dialogs: the folder to write in, and the fields of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from backends.bench.disk import IN_MEMORY, mount_of
from tests.tui.driving import frame, open_cifar, until
from tui.app import ImgstoreApp
from tui.plan_fields import FIELDS
from tui.screens.dialogs import AskScreen, Choices

SMALL = (80, 24)


@pytest.fixture
def app(tmp_path: Path) -> ImgstoreApp:
    return ImgstoreApp(tmp_path / "jobs")


async def test_a_disk_is_picked_from_the_list(app: ImgstoreApp) -> None:
    if mount_of(Path.cwd()).filesystem in IN_MEMORY:
        pytest.skip("the folder of the tests is in memory: no disk to list")
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("w")
        listed = app.screen.query_one(Choices)
        await until(pilot, lambda: listed.option_count)
        assert " free" in frame(pilot)
        await pilot.press("down")
        assert listed.has_focus
        while listed.highlighted != listed.get_option_index(str(Path.cwd())):
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.draft.base.work_dir == str(Path.cwd()))


async def test_a_missing_folder_to_write_in_is_refused(app: ImgstoreApp, tmp_path: Path) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        await pilot.press("w")
        app.screen.query_one(Input).value = str(tmp_path / "new")
        await pilot.press("enter")
        await until(pilot, lambda: "there is no folder" in frame(pilot))
        assert isinstance(app.screen, AskScreen)


async def test_memory_is_shown_in_gib_and_kept_exactly(app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await open_cifar(pilot)
        app.workbench.change(app.workbench.draft.changed(memory=6_319_127_552))
        await pilot.press("p")
        field = app.screen.query_one("#memory", Input)
        assert field.value == "5.88 GiB"
        app.screen.query_one("#repeats", Input).value = "7"
        await pilot.press("enter")
        assert (app.workbench.draft.base.repeats, app.workbench.draft.base.memory) == (7, 6_319_127_552)


@pytest.mark.parametrize(
    ("text", "size"), [("6 GiB", 6 << 30), ("512M", 512 << 20), ("1.5 gb", 3 << 29), ("700", 700), ("", None)]
)
def test_memory_is_read_as_people_write_it(text: str, size: int | None) -> None:
    assert FIELDS["memory"].parse(text) == size
