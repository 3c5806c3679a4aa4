"""Terminals, locales, colours, threads and start-up."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.color import Color
from textual.dom import DOMNode
from textual.pilot import Pilot
from textual.reactive import Reactive
from textual.widget import Widget

from backends.datasets.base import DatasetFacts, Reading
from backends.errors import Cancelled
from tests.tui.driving import (
    LARGE,
    SMALL,
    at_progress,
    fill,
    frame,
    recording,
    segments,
    settle,
    show,
    showing,
    started,
    until,
    until_text,
)
from tui.app import ImgstoreApp
from tui.theme import DARK, LIGHT, SIXTEEN, ascii_glyphs, choose_theme, speaks_unicode, themes


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
def test_theme_suits_the_terminal(environ: Mapping[str, str], theme: str) -> None:
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
def test_unicode_is_used_if_the_locale_allows_it(environ: Mapping[str, str], speaks: bool) -> None:
    assert speaks_unicode(environ) is speaks


def test_ascii_glyphs_keep_widths_and_stay_apart() -> None:
    text = "● files ▲△ ■ ┤─╮ ⣀⡠⠤ 日本 é µs × ▸ 41 % … ━━ 🙂"
    assert ascii_glyphs(text).isascii()
    assert cell_len(ascii_glyphs(text)) == cell_len(text)
    marks = "●▲■◆✚✖○△□◇"
    assert len(set(ascii_glyphs(marks))) == len(marks)


@pytest.mark.parametrize("theme", themes(), ids=lambda theme: theme.name)
def test_theme_colours_have_readable_contrast(theme: Any) -> None:
    if theme.ansi:
        assert "ansi_bright_black" not in theme.variables.values()
        return
    ground = luminance(Color.parse(theme.background)) + 0.05
    for name, colour in theme.variables.items():
        if name.startswith("series-") or name == "dim":
            text = luminance(Color.parse(colour)) + 0.05
            assert max(text, ground) / min(text, ground) >= 4.5, name


def luminance(colour: Color) -> float:
    """The relative luminance of WCAG 2.1, by which a contrast of 4.5 can be read."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def colours_of(pilot: Pilot[int]) -> list[Any]:
    """Every colour on the screen, of text and grounds."""
    styles = [segment.style for segment in segments(pilot) if segment.style]
    return [colour for style in styles for colour in (style.color, style.bgcolor) if colour]


@pytest.mark.parametrize("no_color", [True, False])
async def test_no_color_removes_every_colour(no_color: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with showing(ImgstoreApp(tmp_path), size=LARGE) as pilot:
        await pilot.press("t")
        assert bool(colours_of(pilot)) is not no_color
        styled = [segment for segment in segments(pilot) if segment.style]
        assert any(segment.style.bold for segment in styled)
        assert any(segment.style.reverse for segment in styled if re.search(r"\w", segment.text)) is no_color


@pytest.mark.parametrize(("lang", "ascii_only"), [("C", True), ("C.UTF-8", False)])
async def test_locale_without_unicode_gets_ascii(
    lang: str, ascii_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", lang)
    async with showing(ImgstoreApp(tmp_path)) as pilot:
        assert frame(pilot).isascii() is ascii_only
        assert "lmdb" in frame(pilot)


async def test_sixteen_colour_terminal_gets_only_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    async with showing(ImgstoreApp(tmp_path), size=LARGE) as pilot:
        assert {colour.number for colour in colours_of(pilot)} <= {0, 7, 9, 10, 11, 12, 15}
        assert all(colour.triplet is None for colour in colours_of(pilot))
        words = [segment.style for segment in segments(pilot) if segment.style and segment.text.strip()]
        assert all(style.color != style.bgcolor for style in words)


@pytest.mark.parametrize("no_color", [False, True])
async def test_list_cursor_shows_without_many_colours(
    no_color: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with started(ImgstoreApp(tmp_path)) as pilot:
        parts = segments(pilot)
        styles = [next(part.style for part in parts if text in part.text) for text in ("Sample:", "Open a folder")]
        chosen, other = ((style.bgcolor, style.underline) for style in styles)
        assert chosen != other


async def test_theme_change_keeps_text_and_recolours_chart(app: ImgstoreApp) -> None:
    async with showing(app, recording(end=at_progress(10_000))) as pilot:
        before, chart = frame(pilot), app.query_one("#chart")

        def marker_is(colour: object) -> bool:
            parts = [part for row in range(chart.size.height) for part in chart.render_line(row) if "▲" in part.text]
            colours = [part.style.color for part in parts if part.style and part.style.color]
            return {shown.triplet or shown.number for shown in colours} == {colour}

        for name, colour in ((LIGHT, (0, 11, 158)), (SIXTEEN, 12), (DARK, (82, 132, 225))):
            app.theme = name
            await until(pilot, partial(marker_is, colour))
            assert frame(pilot) == before


async def test_any_terminal_size_is_survived(app: ImgstoreApp) -> None:
    async with showing(app, recording(end=at_progress(10_000))) as pilot:
        for size in ((1, 1), (2, 3), (59, 15), (60, 16), (300, 80), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.size == size)  # type: ignore[misc]
            if size == (59, 15):
                assert "too small: 60 x 16 at least" in frame(pilot)
        await settle(pilot)
        assert "▸ 41 %" in frame(pilot)


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
    async with app.run_test(size=LARGE) as pilot:
        await until_text(pilot, "Times storing and reading")
        await show(pilot, recording())
        await pilot.press("d", "t", "escape", "escape", "o")
        await fill(pilot, "enter", text="/nowhere")
        await until_text(pilot, "does not exist")
    assert touched == {threading.main_thread().name}


async def test_thread_that_touches_a_widget_is_noticed(touched: set[str], app: ImgstoreApp) -> None:
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        app.run_worker(lambda: setattr(app.workbench, "words", "x"), thread=True)
        await app.workers.wait_for_complete()
    assert len(touched) == 2


async def test_no_timer_runs_after_a_run(app: ImgstoreApp) -> None:
    async with showing(app):
        nodes = [app, *app.screen.walk_children(with_self=True)]
        assert not [timer for node in nodes for timer in node._timers if timer._active.is_set()]


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


def test_quitting_does_not_wait_for_a_stuck_thread() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "left 0"


async def test_escape_stops_a_slow_dataset_from_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def endless(path: str, how: Reading, poll: Callable[[int], bool]) -> Iterator[DatasetFacts]:
        begun.set()
        while not poll(0):
            stopped.wait(0.01)
        stopped.set()
        yield from ()
        raise Cancelled("stopped")

    monkeypatch.setattr("tui.workers.read_facts", endless)
    async with ImgstoreApp(tmp_path, "/a/slow/disk").run_test(size=SMALL) as pilot:
        await until(pilot, begun.is_set)
        await until_text(pilot, "/a/slow/disk")
        await pilot.press("escape")
        await until(pilot, stopped.is_set)
        assert "4 Start" in frame(pilot)
        assert "/a/slow/disk" not in frame(pilot)
