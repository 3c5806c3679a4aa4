"""The question how a dataset is read whose folders can be understood in several ways."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Label

from backends.datasets.base import LAYOUTS, Reading
from tui.screens.dialogs import Dialog
from tui.text import middle, safe_text
from tui.widgets.form import ChoiceField, Field, Form

ALL, FOUND_OUT = "all", "found out"
MOST_SHOWN = 6


class ReadingScreen(Dialog[Reading | None]):
    """Shows the folders, and asks which are read and what they are; dismissed with the answer, or with None."""

    def __init__(self, path: str, pictures: dict[str, int]) -> None:
        """``pictures`` says how many there are by folder."""
        super().__init__()
        folders = {safe_text(folder, 40): folder for folder in pictures}
        width = max(map(len, folders))
        lines = [f"  {text:<{width}}  {pictures[folder]:,} pictures" for text, folder in folders.items()]
        more = [f"  and {len(lines) - MOST_SHOWN:,} more folders"] if len(lines) > MOST_SHOWN else []
        self._tree = "\n".join([middle(safe_text(path), 60), *lines[:MOST_SHOWN], *more])
        self._folders = {**folders, ALL: ""}
        self._folder = ChoiceField(tuple(self._folders), next(iter(folders)), id="root")
        self._layout = ChoiceField((FOUND_OUT, *LAYOUTS), FOUND_OUT, id="layout")
        self._labels = Input(placeholder="by folder", id="labels")

    def compose(self) -> ComposeResult:
        yield Form(
            "Which pictures?",
            Label(self._tree, markup=False),
            Field("folder", self._folder, hint="Only this one is read"),
            Field("layout", self._layout, hint="What its folders are: nothing (flat), classes or splits"),
            Field("labels", self._labels, hint="CSV file of file,label"),
        )

    def action_submit(self) -> None:
        """Close with the answer if it leaves one possibility."""
        layout = "" if self._layout.value == FOUND_OUT else self._layout.value
        root = self._folders[self._folder.value]
        if root or layout:
            self.dismiss(Reading(root, layout, self._labels.value.strip()))
        else:
            self.query_one(Form).say("All folders need a layout: choose what they are.", "$error")
