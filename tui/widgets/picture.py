"""A picture in half blocks: two pixels a cell, in as many colours as the terminal has, or in letters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.theme import AsciiGlyphs, NoColours

GREYS = " .:-=+*#%@"
"""Letters from dark to bright, for terminals that show no colours or no blocks."""


class Picture(Widget):
    """Shows ``pixels``, ``(height, width, channels)`` uint8, as large as fits, enlarged by whole numbers only."""

    pixels: reactive[NDArray[np.uint8] | None] = reactive(None, always_update=True)

    def watch_pixels(self) -> None:
        self._rows: list[Strip] | None = None

    def on_resize(self) -> None:
        self._rows = None

    def render_line(self, y: int) -> Strip:
        if self._rows is None:
            plain = any(isinstance(one, NoColours | AsciiGlyphs) for one in self.app.get_line_filters())
            self._rows = strips(self.pixels, self.size.width, self.size.height, letters=plain)
        row = self._rows[y] if y < len(self._rows) else Strip.blank(self.size.width)
        return row.apply_style(self.rich_style)


def strips(pixels: NDArray[np.uint8] | None, width: int, height: int, *, letters: bool) -> list[Strip]:
    """The rows of a picture in the middle of ``width`` by ``height`` cells."""
    if pixels is None or not pixels.size or width < 1 or height < 1:
        return []
    colours = scaled(pixels, width, 2 * height)
    if len(colours) % 2:
        colours = np.concatenate([colours, np.zeros_like(colours[:1])])
    above, below = colours[::2], colours[1::2]
    left = " " * ((width - above.shape[1]) // 2)
    right = " " * (width - above.shape[1] - len(left))
    rows = []
    for upper, lower in zip(above, below, strict=True):
        if letters:
            bright = (upper.astype(int) + lower) @ (299, 587, 114) / 510_000
            text = "".join(GREYS[int(one * (len(GREYS) - 1) + 0.5)] for one in bright)
            cells = [Segment(text)]
        else:
            cells = [
                Segment("▀", Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom)))
                for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True)
            ]
        rows.append(Strip([Segment(left), *cells, Segment(right)], width))
    return [Strip.blank(width)] * ((height - len(rows)) // 2) + rows


def scaled(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """RGB pixels that fit into ``width`` by ``height``: small ones repeated, large ones averaged; alpha is on black."""
    high, wide, channels = pixels.shape
    if channels in (2, 4):
        pixels = (pixels[:, :, :-1] * (pixels[:, :, -1:] / 255)).astype(np.uint8)
    rgb = np.broadcast_to(pixels, (high, wide, 3)) if pixels.shape[2] == 1 else pixels[:, :, :3]
    times = min(width // wide, height // high)
    if times >= 1:
        return rgb.repeat(times, 0).repeat(times, 1)
    scale = min(width / wide, height / high)
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.BOX))
