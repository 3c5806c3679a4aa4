"""Draws the pictures of the README from a real run on the sample, in about a minute.

    python assets/make_screens.py

Writes ``assets/*.svg`` through Textual's own export: the chart, the verdict, the images and a conversion.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from tui.app import ImgstoreApp
from tui.screens.convert import ConvertScreen

ASSETS = Path(__file__).absolute().parent
SIZE = (100, 30)
PATIENCE_SECONDS = 300


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Wait until ``condition`` holds, and half a second for charts that are drawn in threads."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    await pilot.pause()


def save(app: ImgstoreApp, name: str) -> None:
    """Write what is on the screen; blanks must not be joined by what shows it."""
    picture = app.export_screenshot().replace("<svg ", '<svg xml:space="preserve" ', 1)
    (ASSETS / f"{name}.svg").write_text(picture)


async def draw(state: Path) -> None:
    """Measure the sample, look at its images and convert it, and save a picture of each."""
    app = ImgstoreApp(state / "jobs", "sample")
    async with app.run_test(size=SIZE) as pilot:
        bench = app.workbench
        await until(pilot, lambda: bench.words)
        await pilot.press("enter")
        await until(pilot, lambda: bench.run is not None and not bench.run.alive)
        await pilot.press("right_square_bracket", "right_square_bracket")
        await until(pilot, lambda: True)
        save(app, "chart")
        await pilot.press("enter")
        await until(pilot, lambda: True)
        save(app, "verdict")
        await pilot.press("i", "j", "j")
        await until(pilot, lambda: True)
        save(app, "images")
        await pilot.press("escape", "C")
        await until(pilot, lambda: isinstance(app.screen, ConvertScreen) and app.screen.found is not None)
        save(app, "convert")


def main() -> None:
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color", "LOGNAME": "me"}
    with tempfile.TemporaryDirectory() as state:
        os.chdir(state)
        asyncio.run(draw(Path(state)))


if __name__ == "__main__":
    main()
