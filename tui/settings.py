"""The user's settings, read from one TOML file: how the terminal UI looks, and defaults of a plan."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.bench.plan import PLAN_FIELDS, PlanField
from backends.errors import NotAllowed, UsageError
from tui.plan_fields import option_name, parse_field

_LOOKS = {
    "theme": PlanField("name", "Colours", noun="a theme", known=("auto", "dark", "light", "16")),
    "markers": PlanField("name", "Signs of charts", noun="a kind of markers", known=("auto", "unicode", "ascii")),
    "bell": PlanField("switch", "Ring after a long run", noun="an answer", known=("no", "yes")),
}
_OF_PLANS = {
    option_name(name)[2:].replace("-", "_"): name
    for name, known in PLAN_FIELDS.items()
    if known.kind != "switch" and name not in ("preset", "split", "root", "layout", "labels")
}
"""The fields of a plan that can have another default, by their keys: those that an option overrides, of any dataset."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set, and sentences on what of it is wrong and was left out."""

    theme: str = "auto"
    markers: str = "auto"
    bell: bool = True
    plan: dict[str, Any] = field(default_factory=dict)  # by the name of the plan's attribute
    problems: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """One sentence on what is wrong; empty where nothing is."""
        more = f" And {len(self.problems) - 1} more: imgstore-tui config validate." if len(self.problems) > 1 else ""
        return self.problems[0] + more if self.problems else ""


def jobs_folder() -> Path:
    """The folder of all jobs, in the user's state folder (``XDG_STATE_HOME``)."""
    from platformdirs import user_state_path

    return _folder(user_state_path) / "jobs"


def settings_file() -> Path:
    """Where the settings are, in the user's configuration folder (``XDG_CONFIG_HOME``)."""
    from platformdirs import user_config_path

    return _folder(user_config_path) / "config.toml"


def _folder(of_user: Callable[..., Path]) -> Path:
    try:
        return of_user("imgstore-tui", appauthor=False)
    except RuntimeError:  # an unknown user
        raise NotAllowed(
            "you have no home folder: set HOME, or XDG_STATE_HOME and XDG_CONFIG_HOME to folders."
        ) from None


def read_settings(path: Path) -> Settings:
    """The settings in ``path``; the defaults where there are none, or they are wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # of no use where there are none

        values = tomllib.loads(text)
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError, RecursionError) as error:  # tomllib says the line
        reason = error.strerror if isinstance(error, OSError) else error
        return Settings(problems=(f"{path} cannot be read: {reason}.",))
    looks: dict[str, Any] = {}
    plan: dict[str, Any] = {}
    problems = []
    for key, value in values.items():
        try:
            if key in _LOOKS:
                looks[key] = parse_field(_LOOKS[key], _text(_LOOKS[key], value))
            else:
                name = _OF_PLANS[key]
                plan[name] = parse_field(PLAN_FIELDS[name], _text(PLAN_FIELDS[name], value))
        except KeyError:
            known = (*_LOOKS, *_OF_PLANS)
            near = difflib.get_close_matches(key, known, n=1)
            way = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            problems.append(f"there is no key {key}: {way} ({_line(text, key)}{path})")
        except UsageError as error:
            problems.append(f"{key}: {error} ({_line(text, key)}{path})")
    return Settings(**looks, plan=plan, problems=tuple(problems))


def _text(known: PlanField, value: Any) -> str:
    """A value of TOML as it is written on the command line."""
    if isinstance(value, bool) and known.kind == "switch":
        return known.known[value]
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _line(text: str, key: str) -> str:
    """``line 3 of `` what has the key; empty where that is not found."""
    found = re.search(rf"(?m)^\s*\[*\s*[\"']?{re.escape(key)}\b", text)
    return f"line {text.count(chr(10), 0, found.end()) + 1} of " if found else ""
