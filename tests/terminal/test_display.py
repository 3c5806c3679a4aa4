"""What the program sends to terminals of each kind, what it makes of being resized, and how it is found again."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from tests.terminal.terminal import Terminal, program

pytestmark = pytest.mark.slow

COLOURS = re.compile(rb"\x1b\[[\d;]*?(?<![\d])(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")
MANY_COLOURS = re.compile(rb"\x1b\[[\d;]*[34]8;[25]")


@pytest.mark.parametrize(
    ("changes", "colours", "many", "ascii_only"),
    [
        ({"COLORTERM": "truecolor"}, True, True, False),
        ({"TERM": "xterm-16color"}, True, False, False),
        ({"COLORTERM": "truecolor", "NO_COLOR": "1"}, False, False, False),
        ({"LC_ALL": "C", "LANG": "C"}, True, True, True),
    ],
    ids=["24 bit", "16 colours", "NO_COLOR", "LANG=C"],
)
def test_terminal_gets_what_it_can_show(
    environment: dict[str, str], changes: dict[str, str], colours: bool, many: bool, ascii_only: bool
) -> None:
    with closing(Terminal([program(), "sample"], environment | changes)) as opened:
        opened.wait_for_text("Enter starts")
        opened.press("i")
        opened.wait_for_text("image 0 of 2,000")
        opened.wait_for_silence(0.5)
    raw = opened.raw
    assert (COLOURS.search(raw) is not None, MANY_COLOURS.search(raw) is not None) == (colours, many)
    assert raw.isascii() is ascii_only


def test_resized_again_and_again_the_screen_comes_out_whole(terminal: Terminal) -> None:
    terminal.wait_for_text("Open a folder")
    for columns, rows in [(20, 5), (200, 50), (61, 17), (1, 1), (132, 43)] * 4:
        terminal.resize(columns, rows)
    terminal.wait_for_silence(0.5)
    terminal.resize(100, 30)
    frame = terminal.wait_for(lambda frame: "4 Start" in frame and "q quit" in (*frame.splitlines(), *[""] * 30)[29])
    assert max(map(len, frame.splitlines())) == 100
