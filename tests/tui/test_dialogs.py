"""Dialogs: where data lies, the fields of the plan, reports, and what becomes of a run that goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from backends.bench.configuration import Configuration
from backends.bench.disk import IN_MEMORY, mount_of
from backends.datasets.base import Reading
from tests.backends.encoded import encoded
from tests.tui.driving import (
    at_progress,
    field_of,
    fill,
    footer,
    frame,
    planned,
    recording,
    showing,
    started,
    until,
    until_text,
    value_of,
    words,
    write_run,
)
from tests.tui.recorded import plan_of
from tui.app import ImgstoreApp
from tui.messages import OpenDataset
from tui.paths import MOST_NAMES
from tui.plan_fields import parse
from tui.widgets.folders import FolderTree
from tui.workers import first_conversion


async def test_configuration_is_added_by_keys_alone(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("j", "plus")
        assert [value_of(pilot, name) for name in ("backend", "codec", "folder")] == ["lmdb", "raw", ""]
        await pilot.press("enter")
        await until_text(pilot, "lmdb+raw is in the table already")
        await pilot.press("tab", "right", "tab", "2", "enter")
        await until_text(pilot, "4 configurations")
        assert app.workbench.draft.configurations[-1] == app.workbench.table.configuration == "lmdb+png:level=2"
        assert "△" in frame(pilot)


async def test_codecs_and_options_follow_what_is_chosen(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        app.workbench.change(app.workbench.draft.add("lmdb+png:level=9"))
        await pilot.press("plus")
        assert value_of(pilot, "codec_level") == "9"
        await pilot.press("down", "j")
        assert value_of(pilot, "codec_quality") == "90"
        await pilot.press("down")
        assert "jpeg quality: 1 (smallest) to 100 (best); default 90" in frame(pilot)
        await pilot.press("up", "up", *"pa")
        await until(pilot, lambda: value_of(pilot, "codec") == "png")
        assert "jpeg" not in frame(pilot)


async def test_wrong_configuration_stays_in_the_form(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("plus")
        for name, wrong, right, sentence in (
            ("codec_level", "13", "2", "png: level=13 is not there"),
            ("codec_level", "x", "2", "is not NAME=WHOLE"),
            ("folder", "/nowhere", "", "there is no folder"),
        ):
            await fill(pilot, "enter", **{name: wrong})
            await until_text(pilot, sentence)
            assert (value_of(pilot, name), field_of(pilot, f"#{name}").has_focus) == (wrong, True)
            await fill(pilot, **{name: right})
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.draft.configurations[-1] == "files+png:level=2")


async def test_codec_is_chosen_from_a_list(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        before = app.workbench.draft
        await pilot.press("j", "c")
        assert "png PNG, lossless" in words(pilot)
        assert "jpeg JPEG, lossy" in words(pilot)
        await pilot.press("enter")
        assert app.workbench.draft is before
        await pilot.press("c", "G", "enter")
        assert app.workbench.draft.configurations[1] == "lmdb+jpeg"


async def test_codec_in_the_table_is_not_offered(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        app.workbench.change(app.workbench.draft.add("lmdb+png"))
        await pilot.press("g", "j", "c")
        assert "PNG, lossless (in the table already)" in words(pilot)
        await pilot.press("j", "enter")
        assert app.workbench.draft.configurations[1] == "lmdb+jpeg"


async def test_wrong_dataset_path_stays_in_its_dialog(app: ImgstoreApp, cifar10_folder: Path) -> None:
    async with started(app) as pilot:
        await fill(pilot, "o")
        await fill(pilot, "enter", text="/nowhere")
        await until_text(pilot, "does not exist")
        assert app.screen.query_one(Input).value == "/nowhere"
        await fill(pilot, "enter", text=str(cifar10_folder))
        await until_text(pilot, "Times storing and reading 10 to 200 images")


async def test_tab_completes_a_path(app: ImgstoreApp) -> None:
    Path("my pictures").mkdir()
    async with started(app) as pilot:
        await pilot.press("o", *"./my", "tab")
        field = app.screen.query_one(Input)
        await until(pilot, lambda: field.value == "./my pictures/")
        assert field.has_focus


async def test_tab_lists_what_it_cannot_decide(app: ImgstoreApp) -> None:
    for name in ("my photos", "my pictures", "other"):
        Path(name).mkdir()
    for name in ("my p.npz", "my p.txt"):
        Path(name).touch()
    async with planned(app) as pilot:
        for key, names in (("o", "my p.npz my photos/ my pictures/"), ("w", "my photos/ my pictures/")):
            await pilot.press(key)
            await fill(pilot, "tab", text="./m")
            await until_text(pilot, names)
            assert app.screen.query_one(Input).value == "./my p"
            await pilot.press("escape")


async def test_folder_is_chosen_in_the_tree(app: ImgstoreApp, cifar10_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(cifar10_folder.parent.parent)
    async with started(app) as pilot:
        await pilot.press("o", "down")
        tree = app.screen.query_one(FolderTree)
        for path in (cifar10_folder.parent, cifar10_folder):
            await pilot.press("right")
            await until(pilot, lambda path=path: path.name in frame(pilot))  # type: ignore[misc]
            while tree.cursor_node and tree.cursor_node.data != str(path):
                await pilot.press("down")
        await pilot.press("left", "down", "enter")
        await until_text(pilot, "Times storing and reading 10 to 200 images")


async def test_tree_says_what_it_leaves_out(app: ImgstoreApp) -> None:
    for number in range(MOST_NAMES + 3):
        Path(f"{number:04}").mkdir()
    Path("note.txt").touch()
    async with started(app) as pilot:
        await pilot.press("o", "down")
        await until_text(pilot, "0002")
        await pilot.press("end", "up")
        await until_text(pilot, "3 more: type how the name begins, 1 other file")
        await pilot.press("enter")
        assert app.screen.query_one(FolderTree).has_focus


async def test_datasets_of_earlier_runs_are_offered(app: ImgstoreApp, cifar10_folder: Path) -> None:
    for number, path in enumerate((cifar10_folder, Path("/nowhere"), cifar10_folder)):
        write_run(app.jobs, number, replace(plan_of("lmdb", sizes=(10,)), dataset=str(path)), 1.8e9 + number)
    async with started(app) as pilot:
        await until(pilot, lambda: len(app.workbench.jobs) == 3)
        await pilot.press("o", "down")
        nodes = app.screen.query_one(FolderTree).root.children
        await until(pilot, lambda: nodes)
        assert [node.data for node in nodes] == [str(cifar10_folder), str(Path.cwd()), "/"]
        await pilot.press("enter")
        await until_text(pilot, "Times storing and reading 10 to 200 images")


async def test_work_folder_is_checked_before_it_is_taken(app: ImgstoreApp, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with planned(app) as pilot:
        await pilot.press("w")
        for name, sentence in (("file", "is a file"), ("new", "there is no folder")):
            await fill(pilot, "enter", text=str(tmp_path / name))
            await until_text(pilot, sentence)
        await fill(pilot, "enter", text=str(tmp_path))
        await until(pilot, lambda: app.workbench.draft.base.work_dir == str(tmp_path))


async def test_work_folder_is_picked_from_listed_disks(app: ImgstoreApp) -> None:
    if mount_of(Path.cwd()).filesystem in IN_MEMORY:
        pytest.skip("the folder of the tests is in memory: no disk to list")
    async with planned(app) as pilot:
        await pilot.press("w")
        disks = app.screen.query_one(FolderTree)
        await until(pilot, lambda: disks.root.children)
        assert " free" in frame(pilot)
        await pilot.press("down")
        while disks.cursor_node and disks.cursor_node.data != str(Path.cwd()):
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: app.workbench.draft.base.work_dir == str(Path.cwd()))


async def test_wrong_plan_fields_stay_in_the_form(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        before = app.workbench.draft
        await pilot.press("p", "up", "enter")
        for field, wrong, sentence in (
            ("sizes", "abc", "is not a number of images"),
            ("repeats", "0", "choose 1 to 100,000"),
            ("operations", "", "no operations: name at least one"),
            ("budget", "soon", "is not a time"),
        ):
            right = value_of(pilot, field)
            await fill(pilot, "enter", **{field: wrong})
            assert sentence in words(pilot), field
            assert value_of(pilot, field) == wrong
            await fill(pilot, **{field: right})
        await pilot.press("escape")
        assert app.workbench.draft == before


async def test_plan_form_changes_the_plan(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("p")
        await fill(pilot, "enter", sizes="1k, 10", repeats="5", operations="read")
        plan = app.workbench.draft.base
        assert (plan.sizes, plan.repeats, plan.operations) == ((10, 1000), 5, ("read",))
        assert "2 Backends ─ Read" in frame(pilot)


async def test_plan_form_by_keys_alone(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("p")
        assert "batch size     256" not in frame(pilot)
        await pilot.press("tab", "right", "right", "space", "tab", "tab", "enter")
        assert "batch size     256" in frame(pilot)
        await pilot.press("down", "right", "space", "down", "y", "down", *"5 min", "enter")
        plan = app.workbench.draft.base
        assert (plan.operations, plan.caches) == (("store", "read", "shuffled"), ("warm", "cold"))
        assert (plan.limits, plan.budget) == (True, 300)
        await pilot.press("p")
        assert "time limit     5 min" in frame(pilot)


async def test_click_ticks_a_choice(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("p")
        row, line = next((row, line) for row, line in enumerate(frame(pilot).splitlines()) if "shuffled" in line)
        await pilot.click(offset=(line.index("shuffled"), row))
        assert value_of(pilot, "operations") == "store,read,shuffled"


async def test_plan_form_refuses_workers_in_a_thread(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        await pilot.press("p")
        await fill(pilot, "enter", in_thread="worker thread", workers="2")
        assert "choose 1 worker" in words(pilot)
        await fill(pilot, "enter", workers="1")
        assert app.workbench.draft.base.in_thread


async def test_memory_limit_in_gib_is_kept_exactly(app: ImgstoreApp) -> None:
    async with planned(app) as pilot:
        app.workbench.change(app.workbench.draft.changed(memory=6_319_127_552))
        await pilot.press("p")
        assert value_of(pilot, "memory") == "5.88 GiB"
        await fill(pilot, "enter", repeats="7")
        plan = app.workbench.draft.base
        assert (plan.repeats, plan.memory) == (7, 6_319_127_552)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("memory", "6 GiB", 6 << 30),
        ("memory", "512M", 512 << 20),
        ("memory", "1.5 gb", 3 << 29),
        ("memory", "700", 700),
        ("budget", "5 min", 300),
        ("budget", "90s", 90),
        ("budget", "1.5 h", 5400),
        ("memory", "", None),
        ("sizes", "10, 100,1k", (10, 100, 1000)),
        ("sizes", "2M 5;5", (5, 2_000_000)),
        ("sizes", " 007 ", (7,)),
        ("operations", "READ, store read", ("store", "read")),
        ("loader_workers", "4 0", (0, 4)),
        ("loader_workers", "", None),
    ],
)
def test_plan_field_reads_usual_notations(field: str, text: str, value: object) -> None:
    assert parse(field, text) == value


async def test_report_has_the_format_of_its_name_or_says_why_not(app: ImgstoreApp) -> None:
    contents = {"a.html": "<html", "a.md": "# ", "a.csv": "configuration", "a.json": '"trials"'}
    async with showing(app) as pilot:
        for name, content in contents.items():
            await pilot.press("e")
            await fill(pilot, "enter", text=name)
            await until(pilot, Path(name).exists)
            await until_text(pilot, "The report is in")
            assert content in Path(name).read_text()
        await pilot.press("e")
        for name, sentence in (("a.pdf", "no known ending"), ("/nowhere/a.md", "cannot be written")):
            await fill(pilot, "enter", text=name)
            await until_text(pilot, sentence)
            assert not Path(name).exists()


@pytest.mark.parametrize(("key", "leaves", "stops"), [("l", True, False), ("s", True, True), ("escape", False, False)])
async def test_quitting_during_run_offers_three_choices(app: ImgstoreApp, key: str, leaves: bool, stops: bool) -> None:
    job = recording(end=at_progress(10_000))
    async with showing(app, job) as pilot:
        await pilot.press("q", key)
        await until(pilot, lambda: not leaves or app.return_code is not None)
        assert (app.return_code == 0) is leaves
        assert job.cancelled.is_set() is stops
        assert leaves or footer(pilot).startswith(" x stop")


@pytest.mark.parametrize(
    ("keys", "how", "splits"),
    [
        (["enter"], Reading("images"), {"all": 2}),
        (["left", "down", "f", "enter"], Reading(layout="flat"), {"all": 3}),
        (
            ["a", "enter", "down", "s", "tab", *"labels.csv", "enter"],
            Reading("", "splits", "labels.csv"),
            {"images": 2, "masks": 1},
        ),
    ],
)
async def test_masks_beside_photos_are_asked_about_once(
    app: ImgstoreApp, keys: list[str], how: Reading, splits: dict[str, int]
) -> None:
    for name in ("images/1.png", "images/2.png", "masks/1.png"):
        Path("set", name).parent.mkdir(parents=True, exist_ok=True)
        Path("set", name).write_bytes(encoded(np.zeros((4, 4, 3), np.uint8)))
    Path("labels.csv").write_text("file,label\n1.png,cat\n")
    async with started(app) as pilot:
        await pilot.press("o")
        await fill(pilot, "enter", text="set")
        await until_text(pilot, "Which pictures?")
        await pilot.press(*keys)
        await until_text(pilot, "Times storing and reading")
        facts, draft = app.workbench.facts, app.workbench.draft
        assert facts is not None
        assert (facts.how, facts.splits) == (how, splits)
        plan, spec = draft.plan(facts.path), first_conversion(facts, Configuration("tar"), "")
        assert (plan.how, spec.request.how) == (how, how)
        await pilot.press("i")
        await until_text(pilot, f"image 0 of {facts.count}")


async def test_palette_lists_what_is_left_out(app: ImgstoreApp, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "1.png").write_bytes(encoded(np.zeros((4, 4, 3), np.uint8)))
    (folder / "2.png").write_bytes(b"words")
    (folder / "notes.txt").write_text("words")
    async with started(app) as pilot:
        app.workbench.post_message(OpenDataset(str(folder)))
        await until_text(pilot, "1 left out")
        app.list_left_out()
        await until_text(pilot, "notes.txt files of other kinds")
        assert "2.png  it is no JPEG" in frame(pilot)
