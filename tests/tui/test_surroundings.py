"""Terminals, threads and start-up: what the app must be to everything around it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.dom import DOMNode
from textual.reactive import Reactive
from textual.widget import Widget

from backends.datasets.base import DatasetFacts
from backends.errors import Cancelled
from tests.tui.driving import at_progress, frame, open_cifar, recording, segments, settle, show, start, until
from tests.tui.recorded import plan_of
from tui import messages
from tui.app import ImgstoreApp
from tui.keys import View
from tui.terminal import ascii_glyphs, speaks_unicode
from tui.theme import DARK, LIGHT, SIXTEEN, choose_theme, themes

HEAVY = ("numpy", "h5py", "lmdb", "PIL", "plotext", "isal", "deflate", "xxhash")


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm-256color"}, DARK),
        ({"TERM": "screen", "COLORTERM": "truecolor"}, DARK),
        ({"TERM": "xterm"}, SIXTEEN),
        ({"TERM": "linux"}, SIXTEEN),
        ({}, SIXTEEN),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, SIXTEEN),
        ({"TERM": "xterm", "TEXTUAL_COLOR_SYSTEM": "truecolor"}, DARK),
        ({"TERM": "xterm-256color", "TEXTUAL_COLOR_SYSTEM": "standard"}, SIXTEEN),
    ],
)
def test_the_theme_is_one_that_the_terminal_can_show(environ: Mapping[str, str], theme: str) -> None:
    assert choose_theme(environ) == theme


@pytest.mark.parametrize(
    ("environ", "speaks"),
    [
        ({}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "C.utf8"}, True),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.ISO-8859-1"}, False),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, False),
    ],
)
def test_unicode_is_spoken_where_the_locale_says_so(environ: Mapping[str, str], speaks: bool) -> None:
    assert speaks_unicode(environ) is speaks


def test_ascii_glyphs_keep_every_cell() -> None:
    from rich.cells import cell_len

    text = "● files ▲△ ■ ┤─╮ ⣀⡠⠤ 日本 é µs × ▸ 41 % … ━━ 🙂"
    assert ascii_glyphs(text).isascii()
    assert cell_len(ascii_glyphs(text)) == cell_len(text)


def test_the_marks_stay_apart_in_ascii() -> None:
    marks = "●▲■◆✚✖○△□◇"
    assert len(set(ascii_glyphs(marks))) == len(marks)


@pytest.mark.parametrize("theme", themes(), ids=lambda theme: theme.name)
def test_series_and_roles_read_on_their_ground(theme: Any) -> None:
    if theme.ansi:
        assert "ansi_bright_black" not in theme.variables.values()
        return
    ground = Color.parse(theme.background)
    for name, colour in theme.variables.items():
        if name.startswith("series-") or name == "dim":
            assert Color.parse(colour).get_contrast_text(1.0) is not None
            assert contrast(Color.parse(colour), ground) >= 4.5, name


def contrast(first: Color, second: Color) -> float:
    """The contrast ratio of WCAG 2.1."""

    def luminance(colour: Color) -> float:
        parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("no_color", "coloured"), [(True, False), (False, True)])
async def test_no_color_leaves_no_colour_at_all(
    no_color: bool, coloured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        await pilot.press("t")
        styled = [segment for segment in segments(pilot) if segment.style]
        assert any(segment.style.color or segment.style.bgcolor for segment in styled) is coloured
        assert any(segment.style.bold for segment in styled)
        words = [segment for segment in styled if any(map(str.isalnum, segment.text))]
        assert any(segment.style.reverse for segment in words) is no_color


@pytest.mark.parametrize(("lang", "ascii_only"), [("C", True), ("C.UTF-8", False)])
async def test_a_terminal_without_unicode_gets_ascii(
    lang: str, ascii_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", lang)
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        assert frame(pilot).isascii() is ascii_only
        assert "lmdb" in frame(pilot)


async def test_sixteen_colours_are_never_turned_into_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        colours = [
            part for one in segments(pilot) if one.style for part in (one.style.color, one.style.bgcolor) if part
        ]
        assert {colour.number for colour in colours} <= {0, 7, 9, 10, 11, 12, 15}
        assert all(colour.triplet is None for colour in colours)


@pytest.mark.parametrize("colourless", [False, True])
async def test_the_highlighted_row_of_a_list_stands_out_without_many_colours(
    colourless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if colourless:
        monkeypatch.setenv("NO_COLOR", "1")
    async with ImgstoreApp(tmp_path).run_test(size=(80, 24)) as pilot:
        await start(pilot)
        parts = segments(pilot)
        found = [next(one.style for one in parts if text in one.text) for text in ("Sample:", "Open a folder")]
        chosen, other = ((style.bgcolor, style.underline) for style in found)
        assert chosen != other


async def test_changing_the_theme_while_it_runs_is_harmless(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, recording(end=at_progress(10_000)), plan_of())
        before = frame(pilot)
        for name in (LIGHT, SIXTEEN, DARK):
            app.theme = name
            await settle(pilot)
            assert frame(pilot) == before
        app.leave(0)


def size_is(app: ImgstoreApp, width: int, height: int) -> bool:
    return app.size == (width, height)


async def test_every_size_of_terminal_is_survived(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, recording(end=at_progress(10_000)), plan_of())
        for width, height in ((1, 1), (2, 3), (59, 15), (60, 16), (300, 80), (80, 24)):
            await pilot.resize_terminal(width, height)
            await until(pilot, partial(size_is, app, width, height))
            if (width, height) == (59, 15):
                assert "too small: 60 x 16 at least" in frame(pilot)
        await settle(pilot)
        assert "▸ 41 %" in frame(pilot)
        app.leave(0)


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the threads that change or look for widgets."""
    names: set[str] = set()

    def watched(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            names.add(threading.current_thread().name)
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, call)

    watched(Reactive, "__set__")
    watched(Widget, "refresh")
    watched(DOMNode, "query_one")
    return names


async def test_threads_only_post_messages(touched: set[str], tmp_path: Path, cifar10_folder: Path) -> None:
    app = ImgstoreApp(tmp_path, str(cifar10_folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.workbench.words)
        await show(pilot, recording(), plan_of())
        for key in ("d", "t", "escape", "escape", "o"):
            await pilot.press(key)
        await pilot.press(*"/nowhere", "enter")
        await until(pilot, lambda: "does not exist" in frame(pilot))
    assert touched == {threading.main_thread().name}


async def test_the_watch_on_threads_sees_one_that_does_more(touched: set[str], tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.run_worker(lambda: setattr(app.workbench, "words", "x"), thread=True)
        await app.workers.wait_for_complete()
    assert len(touched) == 2


async def test_nothing_ticks_while_nothing_happens(tmp_path: Path) -> None:
    app = ImgstoreApp(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_cifar(pilot)
        await show(pilot, recording(), plan_of())
        nodes = [app, *app.screen.walk_children(with_self=True)]
        ticking = [timer for node in nodes for timer in node._timers if timer._active.is_set()]
        assert not ticking


async def test_messages_that_wait_are_replaced_by_newer_progress() -> None:
    from backends.runs import events

    first = messages.RunEvent("a", events.Progress(1.0, 1, 1, 9))
    assert first.can_replace(messages.RunEvent("a", events.Progress(2.0, 1, 2, 9)))
    assert not first.can_replace(messages.RunEvent("b", events.Progress(2.0, 1, 2, 9)))
    assert not first.can_replace(messages.RunEvent("a", events.RunFinished(2.0, "finished", 1.0)))


HANGING = """
import asyncio, os, sys, threading
from pathlib import Path
import tui.app, tui.workers

def never(path, cancelled):
    threading.Event().wait()

tui.workers.read_facts = never
app = tui.app.ImgstoreApp(Path("/nowhere"), "/a/dead/disk")

async def leave(pilot):
    while not app.workbench.opening:
        await pilot.pause()
    await pilot.press("q")

asyncio.run(app.run_async(headless=True, size=(80, 24), auto_pilot=leave))
print("left", app.return_code, flush=True)
os._exit(0)
"""


def test_leaving_does_not_wait_for_a_thread_that_hangs() -> None:
    found = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "left 0"


def test_the_first_paint_imports_no_storage_and_no_chart_library() -> None:
    code = f"import sys, tui.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def _refuse() -> Iterator[DatasetFacts]:
    raise Cancelled("stopped")


async def test_escape_leaves_a_dataset_that_takes_long_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def endless(path: str, cancelled: Callable[[], bool]) -> Iterator[DatasetFacts]:
        while not cancelled():
            given_up.wait(0.01)
        given_up.set()
        yield from _refuse()

    monkeypatch.setattr("tui.workers.read_facts", endless)
    app = ImgstoreApp(tmp_path, "/a/slow/disk")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.workbench.opening == "/a/slow/disk"
        await pilot.press("escape")
        await asyncio.to_thread(given_up.wait)
        await pilot.pause()
        assert app.workbench.opening == ""
        assert app.workbench.view is View.START
