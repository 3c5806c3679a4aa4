"""Files and folders whose names are made to act on a terminal: what commands print of them, and what screens show."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.tui.driving import LARGE, frame, start, until, until_text
from tests.tui.test_hostile import MARKUP, SEQUENCES, UNSAFE, check
from tui.app import ImgstoreApp
from tui.messages import OpenDataset
from tui.screens.help import TextScreen
from tui.screens.images import ImagesScreen
from tui.widgets.folders import FolderTree

PAYLOADS = (
    *SEQUENCES,
    *MARKUP,
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "`touch /tmp/harm`",
    "$(harm)",
    "'\"; x",
)
PROGRAM = Path(sys.executable).with_name("imgstore-tui")


def as_name(payload: str) -> bytes:
    """A payload as the name of a file, which may have any byte but two."""
    return payload.encode("utf-8", "surrogatepass").replace(b"/", b"|").replace(b"\0", b"") or b"empty"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Classes called like payloads, each with a picture, one that does not decode, and a file that is left out."""
    folder = tmp_path / "dataset"
    for number, payload in enumerate(PAYLOADS):
        name = os.fsdecode(as_name(payload))
        picture = folder / "train" / name / f"{name}.png"
        picture.parent.mkdir(parents=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(picture)
        picture.with_suffix(".jpg").write_bytes(b"\xff\xd8\xff broken")
        picture.with_suffix(".txt").write_bytes(b"notes")
    return folder


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., bytes]:
    """Calls the program; gives what it printed and wrote, byte for byte."""

    def called(*words: str | Path) -> bytes:
        done = subprocess.run(
            [PROGRAM, *words], capture_output=True, env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
        )
        assert b"Traceback" not in done.stderr
        assert b"internal error" not in done.stderr
        return done.stdout + done.stderr

    return called


def unsafe(output: bytes) -> set[str]:
    """Characters of an output that a terminal obeys or that turn the direction of text; line ends and tabs are none."""
    shown = output.decode("utf-8", "replace").replace("\n", "").replace("\t", "")
    return {character for character in shown if unicodedata.category(character) in UNSAFE}


@pytest.mark.slow
def test_commands_print_no_control_characters(dataset: Path, tmp_path: Path, call: Callable[..., bytes]) -> None:
    store, reports = tmp_path / "a store", [tmp_path / f"report.{kind}" for kind in ("html", "md", "csv", "json")]
    bench = ("--sizes", "10", "--repeats", "1", "--operations", "store", "--work-dir", tmp_path)
    kinds = zip(("--html", "--markdown", "--csv", "--json"), reports, strict=True)
    outputs = [
        call("info", dataset),
        call("info", dataset, "--json"),
        call("info", dataset, "--list-skipped", "-"),
        call("bench", dataset, "npy", *bench, *(word for pair in kinds for word in pair)),
        *(report.read_bytes() for report in reports),
        call("convert", dataset, store, "npy+source", "--shard-images", "10"),
        call("info", store),
        call("info", store, "--json"),
        *(call("show", store, str(index)) for index in range(len(PAYLOADS))),
        call("loader", store),
        call("history"),
        call("history", "show", "last"),
    ]
    for data in store.rglob("data.npy"):
        data.write_bytes(data.read_bytes()[:-1] + b"?")
    outputs.append(call("verify", store))
    assert b"not what was stored" in outputs[-1]
    for output in outputs:
        assert output
        assert not unsafe(output), output
    assert b"x1b]52" in outputs[2]  # the name is shown, spelt out


async def test_screens_show_no_control_characters(app: ImgstoreApp, dataset: Path) -> None:
    async with app.run_test(size=LARGE) as pilot:
        await start(pilot)
        os.chdir(dataset / "train")
        await pilot.press("o", "down")
        tree = app.screen.query_one(FolderTree)
        await until(pilot, lambda: any(len(node.children) >= len(PAYLOADS) for node in tree.root.children))
        for _ in PAYLOADS:
            await pilot.press("down")
            check(pilot)
        await pilot.press("escape")
        app.workbench.post_message(OpenDataset(str(dataset)))
        await until(pilot, lambda: app.workbench.facts is not None)
        check(pilot)
        app.list_left_out()
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        check(pilot)
        await pilot.press("escape")
        await app.push_screen(ImagesScreen(str(dataset)))
        await until_text(pilot, "it is damaged")
        for _ in PAYLOADS:
            before = frame(pilot)
            await pilot.press("down")
            await until(pilot, lambda before=before: frame(pilot) != before)  # type: ignore[misc]
            check(pilot)
        app.leave(0)


def test_names_would_act_as_they_are() -> None:
    """The control: what is looked for is there."""
    assert all(unsafe(as_name(sequence)) or b"\xed\xa0" in as_name(sequence) for sequence in SEQUENCES)
