"""Where the program keeps things of its own."""

from __future__ import annotations

from pathlib import Path


def jobs_folder() -> Path:
    """The folder of all jobs, in the user's state folder (``XDG_STATE_HOME``)."""
    from platformdirs import user_state_path

    return user_state_path("imgstore-tui", appauthor=False) / "jobs"
