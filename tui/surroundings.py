"""What the terminal around the screen is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App


def set_title(app: App[Any], title: str) -> None:
    """Name the terminal's window; ``title`` is plain text."""
    if app._driver is not None and not app.is_headless:
        app._driver.write(f"\x1b]2;{title}\x07")
