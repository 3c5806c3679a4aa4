"""Strings that attack a terminal or a markup parser when they are shown as they are."""

from __future__ import annotations

MARKUP = ("[/]", "[/", "[b", "[a=']", "x\\", "[$x]", ":smile:", "[@click=app.quit]x[/]", "[unused]", "$foreground")

SEQUENCES = (
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J",
    "\x1bc",
    "\x1b[6n",
    "\x1bP1$r0m\x1b\\",
    "\x1b_apc\x1b\\",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066\u2067\u2069",
    "line\u2028break",
    "\ud800 lone",
    "two\nlines\r\tand tab",
    "\x00\x07\x08\x0b\x0c",
    "zero\u200bwidth\u200d",
)

FORBIDDEN = tuple(chr(code) for code in (*range(0x00, 0x20), *range(0x7F, 0xA0))) + tuple(
    "\u061c\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800"
)
"""Characters of which none may stand on the screen."""
