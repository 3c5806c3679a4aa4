"""The command ``imgstore-tui``: outside both packages, since it must say which are meant before it imports any."""

from __future__ import annotations

from importlib import import_module


def main() -> None:
    """Run the command line."""
    import_module("imgstore_backends")
    from tui.cli import main as run

    run()
