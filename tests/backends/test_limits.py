"""Every limit can be set, says so where it is exceeded, and is documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends import units
from backends.errors import UsageError
from backends.limits import LIMITS, Limit

each = pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)


@each
def test_limit_is_set_by_its_variable(monkeypatch: pytest.MonkeyPatch, limit: Limit) -> None:
    monkeypatch.delenv(limit.variable, raising=False)
    assert limit.value == limit.default
    for text, value in (("500", 500), ("64g", 64 << 30), (" 2K ", 2048)):
        monkeypatch.setenv(limit.variable, text)
        assert limit.value == value
    assert limit.variable in limit.exceeded()


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "1E", "9" * 30, "٣"])
def test_value_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("IMGSTORE_MAX_MEMBERS", text)
    with pytest.raises(UsageError, match="IMGSTORE_MAX_MEMBERS is"):
        _ = next(limit for limit in LIMITS if limit.name == "MEMBERS").value


@each
def test_security_notes_list_every_limit(limit: Limit) -> None:
    table = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    default = units.size(limit.default) if limit.unit == "bytes" and limit.default else f"{limit.default:,}"
    assert f"| `{limit.variable}` | {default} | {limit.where} |" in table
