"""Text from outside (class names, paths, hosts, messages) is shown as it is and never acts."""

from __future__ import annotations

import socket
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.cells import cell_len
from textual.pilot import Pilot

from backends.bench.configuration import configurations_of
from backends.bench.plan import Plan
from backends.runs import events
from backends.runs.conversion import Conversion
from backends.runs.history import RunFacts
from backends.stores.progress import Progress, ShardState
from tests.tui.driving import LARGE, app_of, frame, open_cifar, open_dataset, planned, recording, segments, show, until
from tests.tui.recorded import (
    PHOTOS,
    START,
    RecordedJob,
    conversion_events,
    facts,
    plan_of,
    run_events,
    through_the_file,
)
from tui import messages
from tui.app import ImgstoreApp
from tui.text import fit, middle, safe_text

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
BAD = (
    " ".join(MARKUP[:5]),
    " ".join(MARKUP[5:]),
    *("".join(SEQUENCES[start : start + 4]) for start in range(0, len(SEQUENCES), 4)),
)
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of which no character may reach the terminal."""


async def class_names(pilot: Pilot[int], bad: str) -> None:
    await open_cifar(pilot, classes=(bad, "cat"))


async def paths_and_kinds(pilot: Pilot[int], bad: str) -> None:
    await open_dataset(pilot, replace(facts(f"/data/{bad}"), kind=bad, splits={bad: 1}, split=bad))


async def work_folder(pilot: Pilot[int], bad: str) -> None:
    app_of(pilot).workbench.place = messages.Place(f"/{bad}", bad, 1)


async def error_sentence(pilot: Pilot[int], bad: str) -> None:
    app_of(pilot).workbench.show_error(f"{bad} is broken")
    app_of(pilot).workbench.say(f"{bad} is broken", urgent=True)


async def folder_of_a_configuration(pilot: Pilot[int], bad: str) -> None:
    plan = replace(
        plan_of(sizes=(10, 100), repeats=1), configurations=configurations_of(f"lmdb+raw@/x{bad}", "hdf5+raw")
    )
    await show(pilot, RecordedJob(list(run_events(plan, note=bad)), id=ascii(bad)), plan)
    await pilot.press("t", "v", "d")


async def failing_run(pilot: Pilot[int], bad: str) -> None:
    job = recording(end=lambda event: isinstance(event, events.RunStarted))
    job.told += through_the_file(iter([events.JobFailed(START, f"died of {bad}")]))
    await show(pilot, replace(job, id=ascii(bad)))


async def start_list(pilot: Pilot[int], bad: str) -> None:
    plan = Plan(dataset=f"/data/{bad}", configurations=configurations_of(f"lmdb@{bad}", "hdf5"), sizes=(10,))
    app_of(pilot).workbench.folder = replace(facts(), kind=bad)
    app_of(pilot).workbench.jobs = (
        RunFacts(bad, "finished", START, plan.dataset, bad, plan.configurations, plan.sizes, bad, bad),
    )


async def conversion(pilot: Pilot[int], bad: str) -> None:
    request = structs.replace(PHOTOS.request, dataset=f"/data/{bad}")
    spec = structs.replace(PHOTOS, request=request, destination=f"/data/{bad}-tar")
    shard = ShardState(bad, 1, 1, 1, 1)
    told = [
        *conversion_events(ended=False),
        events.ConversionProgress(START, Progress(9, 1, 1, 9, 1, 0, 1, 0, (shard,))),
    ]
    state = Conversion(spec).after(*told)
    made = events.StoreMade(START, 1, 1, 1, 1, 1, (bad,), 0, 0)
    for shown in (
        state,
        state.after(events.JobFailed(START, bad)),
        state.after(made, events.RunFinished(START, "", 1)),
    ):
        app_of(pilot)._open_convert_screen(spec, shown)
        await pilot.pause()
        check(pilot)
    screen = app_of(pilot).convert_screen
    assert screen is not None
    screen.change(spec)
    await until(pilot, lambda: screen.found)
    check(pilot)
    screen.dismiss(None)


def check(pilot: Pilot[int]) -> None:
    """Nothing on the screen acts on the terminal."""
    shown = "".join(segment.text for segment in segments(pilot))
    assert not [char for char in shown if unicodedata.category(char) in UNSAFE]


@pytest.mark.parametrize(
    "put",
    [
        *(class_names, paths_and_kinds, work_folder, error_sentence, folder_of_a_configuration, failing_run),
        *(start_list, conversion),
    ],
    ids=lambda put: put.__name__,
)
async def test_hostile_text_reaches_the_screen_escaped(app: ImgstoreApp, put: object) -> None:
    async with app.run_test(size=LARGE) as pilot:
        for bad in BAD:
            await put(pilot, bad)  # type: ignore[operator]
            await pilot.pause()
            check(pilot)
            assert app.is_running
        app.leave(0)


async def test_markup_in_class_names_stays_text(app: ImgstoreApp) -> None:
    async with planned(app, LARGE, classes=(*MARKUP, "cat")) as pilot:
        assert " ".join((*MARKUP, "cat")) in frame(pilot)


async def test_click_on_class_name_runs_no_action(app: ImgstoreApp) -> None:
    async with planned(app, LARGE, classes=("[@click=app.quit]quit[/]", "cat")) as pilot:
        row = next(number for number, line in enumerate(frame(pilot).splitlines()) if "@click" in line)
        for column in range(2, 40, 4):
            await pilot.click(offset=(column, row))
        assert app.is_running
        assert app.return_code is None


async def test_host_name_is_escaped(monkeypatch: pytest.MonkeyPatch, app: ImgstoreApp) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "\x1b[2Jhost[/]")
    async with app.run_test(size=LARGE) as pilot:
        await until(pilot, lambda: "\\x1b[2Jhost[/]" in frame(pilot).splitlines()[0])


@given(st.text(st.characters(codec=None), max_size=300), st.integers(1, 300))
def test_safe_text_is_one_short_printable_line(value: str, limit: int) -> None:
    shown = safe_text(value, limit)
    assert len(shown) <= limit
    assert not [char for char in shown if unicodedata.category(char) in UNSAFE]


@pytest.mark.parametrize("value", [*MARKUP, "cat", "größe", "日本語", "a b", "\\"])
def test_safe_text_leaves_printable_text_alone(value: str) -> None:
    assert safe_text(value) == value


@pytest.mark.parametrize("value", SEQUENCES, ids=ascii)
def test_safe_text_spells_out_control_sequences(value: str) -> None:
    assert any(mark in safe_text(value) for mark in ("\\x", "\\u"))


@given(st.text(max_size=60).map(safe_text), st.integers(1, 80), st.booleans())
def test_fitted_text_has_the_width_asked_for(value: str, width: int, right: bool) -> None:
    assert cell_len(fit(value, width, right=right)) == width
    assert cell_len(middle(value, width)) <= width


def test_shortened_path_keeps_its_end() -> None:
    assert middle("/a/very/long/path/to/images", 12) == "/a/v…/images"
