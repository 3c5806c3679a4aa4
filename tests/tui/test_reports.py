"""Reports: what they say is what was measured, in every state of a run, and nothing from outside acts in them."""

from __future__ import annotations

import csv
import io
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from backends import units
from backends.bench.plan import Plan, article_plan, check_plan
from backends.datasets import open_dataset
from backends.runs import events
from backends.runs.job import open_job, start_run
from backends.runs.run import Result, collect
from tui.cli import cli
from tui.commands import make_plan
from tui.draft import command_line
from tui.reports import render
from tui.reports.model import Bars, Chart, Curve, Name, Point
from tui.reports.svg import draw_bars, draw_chart

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert('x')</script>\x1b[31m|`_*\u202e</style>\n=1+1"


@pytest.fixture(scope="session")
def recorded(jobs_with_a_run: Path) -> list[events.Event]:
    """The events of a real run."""
    (folder,) = (path for path in jobs_with_a_run.iterdir() if path.is_dir())
    return list(open_job(folder).follow())


@pytest.fixture(scope="session")
def of_article(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The article's experiment on the sample, small."""
    with open_dataset("sample") as dataset:
        plan = article_plan("sample", dataset.survey())
    work = str(tmp_path_factory.mktemp("work"))
    plan = replace(plan, sizes=(10, 40), repeats=1, caches=("warm", "cold"), work_dir=work)
    result = collect(start_run(plan, tmp_path_factory.mktemp("state")).follow())
    assert result is not None
    assert not result.failures
    return result


def states(recorded: list[events.Event]) -> dict[str, Result]:
    """One real run, as it would be had it ended otherwise."""
    trials = [event for event in recorded if isinstance(event, events.TrialFinished)]
    started, end = recorded[0], recorded[-1]
    assert isinstance(end, events.RunFinished)
    failed = [
        events.TrialFailed(event.time, replace(event.measurement, outcome="failed", seconds=None, message="it broke"))
        for event in trials
    ]
    skipped = [
        events.TrialSkipped(event.time, replace(event.measurement, outcome="skipped", seconds=None,
                            predicted_seconds=120.0, message="no time")) for event in trials
    ]  # fmt: skip
    found = {
        "finished": recorded,
        "running": recorded[: len(recorded) // 2],
        "cancelled": [*recorded[: len(recorded) // 2], replace(end, outcome="cancelled")],
        "failed": [started, *trials[:9], events.JobFailed(end.time, "the disk is full")],
        "failed before a trial": [started, events.JobFailed(end.time, "the disk is full")],
        "no trial ok": [started, *failed, end],
        "all skipped": [started, *skipped, end],
    }
    return {name: result for name, those in found.items() if (result := collect(those))}


class Page(HTMLParser):
    """Reads a page: its tags must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(text: str) -> Page:
    page = Page(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "a",
        "image",
        "use",
        "foreignobject",
    }
    assert not [
        name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("src", "href")
    ]
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    return page


def check_tables(text: str) -> None:
    """Every row of a Markdown table has as many cells as its head."""
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


@pytest.mark.parametrize(
    "state", ["finished", "running", "cancelled", "failed", "failed before a trial", "no trial ok", "all skipped"]
)
def test_every_kind_of_report_can_be_made_of_a_run_in_every_state(recorded: list[events.Event], state: str) -> None:
    result = states(recorded)[state]
    shown = [one for one in result.measurements if one.shown]
    page, markdown = check_page(render(result, "html")), render(result, "markdown")
    check_tables(markdown)
    assert len(list(csv.DictReader(io.StringIO(render(result, "csv"))))) == len(shown)
    for text in (page.text, markdown.replace("\\", "")):
        assert ("The run was stopped" in text) == (state == "cancelled")
        assert ("the disk is full" in text) == state.startswith("failed")
        assert ("it broke" in text) == (state == "no trial ok")
        assert ("about 2 min" in text) == (state == "all skipped")
        assert shlex.quote(result.plan.dataset) in text


def test_the_rows_of_the_csv_are_the_samples(finished: Result) -> None:
    rows = list(csv.DictReader(io.StringIO(render(finished, "csv"))))
    shown = [one for one in finished.measurements if one.shown]
    assert [(row["configuration"], row["operation"], float(row["seconds"])) for row in rows] == [
        (one.configuration, one.operation, one.seconds) for one in shown
    ]
    assert [row["phases.read"] for row in rows] == [str(one.phases.get("read", "")) for one in shown]


def test_markdown_and_html_show_figures_with_their_range(finished: Result) -> None:
    three = tuple(
        replace(one, repeat=repeat, seconds=(one.seconds or 0.0) * factor)
        for one in finished.measurements if one.shown and one.repeat == 1
        for repeat, factor in ((1, 1.0), (2, 1.1), (3, 0.9))
    )  # fmt: skip
    result = replace(finished, measurements=three)
    page, markdown = check_page(render(result, "html")), render(result, "markdown")
    for figure in result.figures:
        assert figure.range is not None
        assert f"{units.seconds(figure.seconds)} ({units.span(figure.range)}" in markdown
        assert f"{units.seconds(figure.seconds)}{units.span(figure.range)}" in page.text


def hostile(finished: Result) -> Result:
    """A result with a script, control characters and markup wherever a text comes from outside."""
    where = f"@/{HOSTILE}"
    return replace(
        finished,
        plan=replace(finished.plan, configurations=tuple(one + where for one in finished.plan.configurations)),
        dataset=replace(finished.dataset, path=HOSTILE, kind=HOSTILE, split=HOSTILE, classes=(HOSTILE, "b"),
                        fingerprint=HOSTILE),
        environment=replace(finished.environment, host=HOSTILE, cpu=HOSTILE, libraries={HOSTILE: HOSTILE},
                            mounts=tuple(replace(one, point=HOSTILE, filesystem=HOSTILE)
                                         for one in finished.environment.mounts)),
        notes=(HOSTILE,),
        message=HOSTILE,
        measurements=tuple(
            replace(one, configuration=one.configuration + where, outcome="failed" if one.repeat == 2 else one.outcome,
                    message=HOSTILE) for one in finished.measurements
        ),
    )  # fmt: skip


def test_nothing_from_outside_acts(finished: Result) -> None:
    result = hostile(finished)
    page, markdown = check_page(render(result, "html")), render(result, "markdown")
    assert "<script>" in page.text
    check_tables(markdown)
    prose = "\n".join(line for line in markdown.splitlines() if not line.startswith("    "))
    assert not re.search(r"(?<!\\)<", prose)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", markdown)
    for row in csv.reader(io.StringIO(render(result, "csv"))):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "@") or "\x1b" in cell]


def test_without_escaping_it_would(finished: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.reports.page.escape", str)
    with pytest.raises(AssertionError):
        check_page(render(hostile(finished), "html"))
    monkeypatch.setattr("tui.reports.markdown._SPECIAL", re.compile(r"((?!))"))
    with pytest.raises(AssertionError):
        check_tables(render(hostile(finished), "markdown"))


def test_the_article_report_has_its_tables_and_charts_and_says_what_changes(of_article: Result) -> None:
    page, markdown = check_page(render(of_article, "html")), render(of_article, "markdown")
    titles = [
        "Storage time",
        "Log storage time",
        "Read time",
        "Log read time",
        "PNG files",
        "LMDB",
        "HDF5",
        "Disk usage",
    ]
    drawn = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert [title for title in titles if title not in drawn] == []
    for words in ("Save Single Image + Meta", "Read Single Image + Meta", "Memory, 2019", "Number of images",
                  "Seconds to store", "Seconds to read", "realpython.com/storing-images-in-python"):  # fmt: skip
        assert words in page.text
    for rule in ("Disk:", "Cache:", "One image:", "Durability:", "Data type:", "Codec: to store", "Codec: to read"):
        assert f"- {rule}" in markdown


def test_what_the_article_concludes_is_left_out_where_it_was_not_measured(finished: Result) -> None:
    result = replace(finished, plan=replace(finished.plan, preset="article"))
    markdown = render(result, "markdown")
    assert "Codec: to store 40 images" in markdown
    assert [rule for rule in ("Cache:", "One image:", "Durability:", "Data type:") if f"- {rule}" in markdown] == []
    assert "article" not in render(finished, "markdown")


def test_a_chart_has_a_mark_and_a_bar_for_each_point_and_dashes_to_what_is_predicted() -> None:
    points = (Point(10, 0.01, 0.008, 0.02), Point(100, 0.1, 0.1, 0.1), Point(1000, 0.0))
    curves = (Curve(Name("lmdb+raw", "▲", "lmdb"), points, Point(10_000, 9.0, 8.0, 10.0)),
              Curve(Name("empty"), (Point(10, float("nan")),)))  # fmt: skip
    for log in (True, False):
        drawn = draw_chart(Chart("title", "x", "y", curves, log))
        Page(drawn)
        assert drawn.count('class="solid"') == 3, "two points and the one beside the name"
        assert drawn.count('class="hollow"') == 1
        assert drawn.count('class="error"') == 2, "no bar where there is no interval"
        assert drawn.count("line ahead") == 1
        assert "nan" not in drawn
        assert ">100<" in drawn if log else ">10k<" in drawn


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert draw_chart(Chart("title", "x", "y", ())) == ""
    assert draw_chart(Chart("title", "x", "y", (Curve(Name("a"), (Point(0, 1.0),)),))) == ""
    assert draw_bars(Bars("title", ((Name("a"), 0, 0),))) == ""
    for x, y in ((1, 1.0), (1, 1e-9), (10**12, 1e9)):
        for log in (True, False):
            Page(draw_chart(Chart("title", "x", "y", (Curve(Name("a"), (Point(x, y),)),), log)))


@pytest.mark.parametrize(
    "plan",
    [
        Plan("sample", ("lmdb+raw@/a b",), (10, 100), ("store", "read-one"), 2, 7, work_dir="/tmp"),
        Plan(
            "sample", ("hdf5+raw", "npy+raw"), (10,), caches=("warm", "cold"), limits=True, budget=90.0, split="train"
        ),
        Plan("sample", ("files+png",), (10,), in_thread=True, predict=5000, memory=1 << 30, batch=8),
        Plan("sample", ("article-png+raw", "files+png"), (10,), ("store",), first=True, preset="article"),
    ],
)
def test_the_command_line_of_a_report_makes_the_same_plan(plan: Plan) -> None:
    words = shlex.split(command_line(check_plan(plan)))
    given = cli.commands["bench"].make_context("bench", words[2:]).params
    for kind in ("json", "csv", "markdown", "html"):
        del given[kind]
    assert make_plan(given.pop("dataset"), given.pop("configurations"), given) == plan
