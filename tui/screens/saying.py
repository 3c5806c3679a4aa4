"""A screen with a line above its footer that says what was done, or why not."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import Screen, ScreenResultType
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from tui.labels import sentence_of
from tui.text import safe_text
from tui.widgets.footer import FooterLine


class SayingScreen(Screen[ScreenResultType]):
    """Says, too, why one of its workers failed."""

    def compose_foot(self) -> ComposeResult:
        """The line and the footer, to come last."""
        yield Static(id="said", markup=False)
        yield FooterLine()

    def say(self, sentence: str, style: str = "") -> None:
        """Show what was done, or why not."""
        self.query_one("#said", Static).update(Content.styled(safe_text(sentence, 400), style))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say what could not be done."""
        if event.state is WorkerState.ERROR:
            self.say(sentence_of(event.worker.error), "$error")
