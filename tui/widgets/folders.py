"""A field for a path, which Tab completes as a shell does, and a tree of folders to choose from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input, Tree
from textual.widgets.tree import TreeNode

from tui.paths import completions, content_of
from tui.text import safe_text

_MATCHES_SHOWN = 20


class FolderInput(Input):
    """A field for a path: Tab completes it as far as all that begins so agrees, and tells what that is.

    With ``files`` also files that may be datasets are completed.
    """

    files = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", "complete", show=False)]

    @dataclass
    class Completed(Message):
        """Tab found these names."""

        names: list[str]

        @property
        def sentence(self) -> str:
            """The names, where there are several, or that there is none."""
            names = "  ".join(safe_text(name, 40) for name in self.names[:_MATCHES_SHOWN])
            more = len(self.names) - _MATCHES_SHOWN
            some = names + (f"  and {more:,} more" if more > 0 else "") if len(self.names) > 1 else ""
            return some if self.names else "nothing begins so"

    @work(group="complete", exclusive=True, exit_on_error=False)
    async def action_complete(self) -> None:
        text = self.value
        found = await asyncio.to_thread(completions, text, self.files)
        if self.value == text:  # nothing was typed meanwhile
            self.value = os.path.commonprefix(found) or text  # noqa: RUF071  of characters
            self.action_end()
            self.post_message(self.Completed([path[text.rfind("/") + 1 :] for path in found]))


class FolderTree(Tree[str]):
    """Folders: Right opens one, which is then read in a thread, Left closes it, Enter takes it; ``files`` as above.

    Textual's own tree of folders makes a node of every file, and stands still in a folder of many.
    """

    files = False
    ICON_NODE, ICON_NODE_EXPANDED = "▸ ", "▾ "
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "cursor_up", "Up", show=False),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Bottom", show=False),
        Binding("right,l", "open", "open", show=False),
        Binding("left,h", "close", "close", show=False),
    ]

    def __init__(self) -> None:
        super().__init__("")
        self.show_root = self.show_guides = self.auto_expand = False
        self.guide_depth = 2

    def offer(self, rows: Sequence[tuple[str, str]], start: str) -> None:
        """List paths, each with what is shown for it, then the folder ``start``, which is opened, and the root."""
        folders = [*rows, *((path, safe_text(path)) for path in dict.fromkeys((start, "/")) if path not in dict(rows))]
        for path, shown in folders:
            node = self.root.add(Text(shown), path)
            if path == start:
                node.expand()
        self.root.expand()

    def on_focus(self) -> None:
        self.cursor_line = max(0, self.cursor_line)

    @on(Tree.NodeExpanded)
    @work(exit_on_error=False)
    async def read(self, event: Tree.NodeExpanded[str]) -> None:
        """Show what is in the folder now."""
        node = event.node
        if node.data is None:
            return
        names, note = await asyncio.to_thread(content_of, node.data, self.files)
        node.remove_children()
        for name in names:
            node.add(Text(safe_text(name.rstrip("/"))), str(Path(node.data) / name), allow_expand=name.endswith("/"))
        if note:
            node.add_leaf(Text(note, style="dim"))

    def action_open(self) -> None:
        if self.cursor_node is not None and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_close(self) -> None:
        node: TreeNode[str] | None = self.cursor_node
        if node is not None and node.is_expanded:
            node.collapse()
        elif node is not None and node.parent is not self.root:
            self.move_cursor(node.parent)
