"""Reports have the figures of a run, whatever its outcome, and texts from outside are harmless in them."""

from __future__ import annotations

import csv
import io
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from markupsafe import Markup
from msgspec import structs

from backends import units
from backends.bench.configuration import Configuration
from backends.bench.plan import article_plan
from backends.datasets import open_dataset
from backends.runs import events
from backends.runs.job import open_job, start_job
from backends.runs.run import Run
from tests.tui.recorded import plan_of
from tui.chart_data import Bar, Bars, Chart, Curve, TimeChart
from tui.commands import deliver
from tui.reports import formats, render
from tui.reports.article import CLAIMS, METHODS, Figures
from tui.reports.contents import remarks
from tui.reports.model import Report, Section
from tui.tables import result_text

if TYPE_CHECKING:
    from pathlib import Path

FORBIDDEN_TAGS = {"script", "link", "img", "iframe", "object", "a", "image", "use", "foreignobject"}
HOSTILE = "<script>alert('x')</script>\x1b[31m|`_*\u202e</style>\n=1+1"


@pytest.fixture(scope="session")
def recorded(jobs_with_a_run: Path) -> list[events.Event]:
    """The events of a real run."""
    (folder,) = (path for path in jobs_with_a_run.iterdir() if path.is_dir())
    return list(open_job(folder).follow())


@pytest.fixture(scope="session")
def article(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The article's experiment on the sample, with few images."""
    with open_dataset("sample") as dataset:
        plan = article_plan("sample", dataset.survey())
    work = tmp_path_factory.mktemp("work")
    plan = replace(plan, sizes=(10, 40), repeats=1, caches=("warm", "cold"), work_dir=str(work))
    run = start_job(plan, tmp_path_factory.mktemp("state")).wait()
    assert not run.failures
    return run


def states(recorded: list[events.Event]) -> dict[str, Run]:
    """One real run, with each outcome that a run can have."""
    trials = [event for event in recorded if isinstance(event, events.TrialFinished)]
    started, end = recorded[0], recorded[-1]
    assert isinstance(started, events.RunStarted)
    assert isinstance(end, events.RunFinished)
    failed = [
        events.TrialFinished(event.time, replace(event.measurement, outcome="failed", seconds=None, message="it broke"))
        for event in trials
    ]
    skipped = [
        events.TrialFinished(event.time, replace(event.measurement, outcome="skipped", seconds=None,
                            predicted_seconds=120.0, message="no time")) for event in trials
    ]  # fmt: skip
    outcomes = {
        "finished": recorded,
        "running": recorded[: len(recorded) // 2],
        "cancelled": [*recorded[: len(recorded) // 2], structs.replace(end, outcome="cancelled")],
        "failed": [started, *trials[:9], events.JobFailed(end.time, "the disk is full")],
        "failed before a trial": [started, events.JobFailed(end.time, "the disk is full")],
        "no trial ok": [started, *failed, end],
        "all skipped": [started, *skipped, end],
    }
    return {name: Run(started.plan).after(*outcome) for name, outcome in outcomes.items()}


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

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(text: str) -> Page:
    """Nothing in the page runs, loads something, or leads elsewhere."""
    page = Page(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & FORBIDDEN_TAGS
    attributes = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert not re.search(r"url\(|@import|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    return page


def check_markdown(text: str) -> None:
    """Rows have as many cells as the head of their table, and no text is taken for HTML."""
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1
    assert not re.search(r"(?<!\\)<", re.sub(r"^    .*$", "", text, flags=re.MULTILINE))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


@pytest.mark.parametrize(
    "state", ["finished", "running", "cancelled", "failed", "failed before a trial", "no trial ok", "all skipped"]
)
def test_report_of_each_outcome_says_how_it_ended(recorded: list[events.Event], state: str) -> None:
    run = states(recorded)[state]
    page, markdown = check_page(render(run, "html")), render(run, "markdown")
    check_markdown(markdown)
    assert render(run, "csv").count("\n") == 1 + sum(trial.shown for trial in run.measurements)
    for text in (page.text, markdown.replace("\\", "")):
        assert ("The run was stopped" in text) == (state == "cancelled")
        assert ("the disk is full" in text) == state.startswith("failed")
        assert ("it broke" in text) == (state == "no trial ok")
        assert ("about 2 min" in text) == (state == "all skipped")
        assert shlex.quote(run.plan.dataset) in text


def test_reasons_that_differ_in_numbers_are_counted_together(recorded: list[events.Event]) -> None:
    failed = [
        structs.replace(
            event, measurement=replace(event.measurement, outcome="failed", message=f"no room for {number}")
        )
        for number, event in enumerate(recorded)
        if isinstance(event, events.TrialFinished)
    ]
    run = Run(plan_of()).after(recorded[0], *failed)
    (line,) = (line for line in remarks(run) if "no room" in line)
    shown = [trial for trial in run.measurements if trial.shown]
    assert line.startswith(f"{len(shown)} trials failed (")


@pytest.mark.parametrize("verified", [True, False])
def test_what_was_not_verified_is_said_everywhere(recorded: list[events.Event], verified: bool) -> None:
    told = [
        structs.replace(event, measurement=replace(event.measurement, verified=verified))
        if isinstance(event, events.TrialFinished) and event.measurement.configuration.backend == "lmdb"
        else event
        for event in recorded
    ]
    run = Run(plan_of()).after(*told)
    reason = "their images were not compared with the original."
    texts = [render(run, "html"), render(run, "markdown").replace("\\", ""), result_text(run)]
    assert [(reason in text, "not verified" in text) for text in texts] == [(not verified,) * 2] * 3
    assert ('"verified": false' in render(run, "json")) is not verified
    assert deliver(run, {}) == (0 if verified else 1)


def test_csv_has_a_row_for_each_shown_measurement(finished: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(render(finished, "csv"))))
    shown = [trial for trial in finished.measurements if trial.shown]
    assert [(row["configuration"], row["operation"], float(row["seconds"])) for row in rows] == [
        (trial.configuration, trial.operation, trial.seconds) for trial in shown
    ]
    assert [row["phases.read"] for row in rows] == [str(trial.phases.get("read", "")) for trial in shown]


def test_figures_are_shown_with_their_range(finished: Run) -> None:
    three = tuple(
        replace(one, repeat=repeat, seconds=(one.seconds or 0.0) * factor)
        for one in finished.measurements if one.shown and one.repeat == 1
        for repeat, factor in ((1, 1.0), (2, 1.1), (3, 0.9))
    )  # fmt: skip
    run = replace(finished, measurements=three)
    page, markdown = check_page(render(run, "html")), render(run, "markdown")
    for figure in run.figures.values():
        assert figure.range is not None
        assert f"{units.seconds(figure.seconds)} ({units.span(figure.range)}" in markdown
        assert f"{units.seconds(figure.seconds)}{units.span(figure.range)}" in page.text


def hostile(run: Run) -> Run:
    """The same run with a script, control characters and markup in each text that comes from outside."""
    where = f"@/{HOSTILE}"
    assert run.start is not None
    dataset = replace(
        run.dataset, path=HOSTILE, kind=HOSTILE, split=HOSTILE, classes=(HOSTILE, "b"), fingerprint=HOSTILE
    )
    mounts = tuple(replace(one, point=HOSTILE, filesystem=HOSTILE) for one in run.environment.mounts)
    environment = replace(run.environment, host=HOSTILE, cpu=HOSTILE, libraries={HOSTILE: HOSTILE}, mounts=mounts)
    return replace(
        run,
        plan=replace(run.plan, configurations=tuple(Configuration(one + where) for one in run.plan.configurations)),
        start=structs.replace(run.start, dataset=dataset, environment=environment, notes=(HOSTILE,)),
        end=events.JobFailed(run.now, HOSTILE),
        measurements=tuple(
            replace(one, configuration=Configuration(one.configuration + where),
                    outcome="failed" if one.repeat == 2 else one.outcome, message=HOSTILE) for one in run.measurements
        ),
    )  # fmt: skip


def test_hostile_texts_are_harmless_in_each_format(finished: Run) -> None:
    run = hostile(finished)
    assert "<script>" in check_page(render(run, "html")).text
    check_markdown(render(run, "markdown"))
    for row in csv.reader(io.StringIO(render(run, "csv"))):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "@") or "\x1b" in cell]


@pytest.mark.parametrize(
    ("kind", "protection", "harm"),
    [("html", "escape", Markup), ("html", "safe_text", lambda text, _: text),
     ("markdown", "escape_markdown", Markup), ("markdown", "safe_text", lambda text, _: text)],
)  # fmt: skip
def test_hostile_texts_act_without_a_protection(
    finished: Run, monkeypatch: pytest.MonkeyPatch, kind: str, protection: str, harm: object
) -> None:
    monkeypatch.setattr(formats, protection, harm)
    text = render(hostile(finished), kind)
    with pytest.raises(AssertionError):
        check_page(text) if kind == "html" else check_markdown(text)


def test_article_report_has_its_tables_and_charts(article: Run) -> None:
    page, markdown = check_page(render(article, "html")), render(article, "markdown")
    drawn = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    for title in (
        "Storage time",
        "Log storage time",
        "Read time",
        "Log read time",
        *METHODS,
        "Disk usage of 40 images",
    ):
        assert title in drawn
    for words in ("Save Single Image + Meta", "Read Single Image + Meta", "Memory, 2019", "Number of images",
                  "Seconds to store", "Seconds to read", "realpython.com/storing-images-in-python"):  # fmt: skip
        assert words in page.text
    for rule in ("Disk:", "Cache:", "Durability:", "Data type:", "Codec: to store", "Codec: to read"):
        assert f"- {rule}" in markdown


def test_article_report_leaves_out_what_was_not_measured(finished: Run) -> None:
    markdown = render(replace(finished, plan=replace(finished.plan, preset="article")), "markdown")
    assert "Codec: to store 40 images" in markdown
    assert [rule for rule in ("Cache:", "One image:", "Durability:", "Data type:") if f"- {rule}" in markdown] == []
    assert "article" not in render(finished, "markdown")


def test_article_report_judges_each_statement(article: Run) -> None:
    """Each is judged by figures of this machine, for the article's code and for this program."""
    markdown, figures = render(article, "markdown"), Figures(article)
    rows = {cells[1]: cells[2:4] for line in markdown.splitlines() if len(cells := re.split(r"[| ]*\|[| ]*", line)) > 4}
    for claim in CLAIMS:
        cells = next(cells for text, cells in rows.items() if claim.text == text)
        for cell, methods in zip(cells, zip(*METHODS.values(), strict=True), strict=True):
            ranked = figures.ranked(claim, methods)
            assert [value for value, _ in ranked] == sorted(value for value, _ in ranked)
            measured = ", ".join(f"{way} {claim.write(value)}" for value, way in ranked)
            assert cell == f"{'holds' if claim.holds(ranked) else 'does not hold'} ({measured})"


@pytest.mark.parametrize(("least", "most", "holds"), [("PNG files", "LMDB", True), ("PNG files", "HDF5", False)])
def test_statement_on_disk_holds_if_the_order_is_the_same(least: str, most: str, holds: bool) -> None:
    middle = ({"PNG files", "LMDB", "HDF5"} - {least, most}).pop()
    assert CLAIMS[-1].holds([(1.0, least), (2.0, middle), (3.0, most)]) is holds


def draw(chart: Chart) -> str:
    """The drawings of a page with this chart."""
    text = formats.to_html(Report("title", (), (Section("section", (("title", chart),)),)))
    check_page(text)
    return "".join(re.findall("<figure>.*?</figure>", text, re.DOTALL))


@pytest.mark.parametrize("log", [True, False])
def test_chart_has_a_marker_and_an_error_bar_a_point(log: bool) -> None:
    points, ranges = ((10, 0.01), (100, 0.1), (1000, 0.0)), ((0.008, 0.02), (0.1, 0.1), None, (8.0, 10.0))
    curve = Curve("lmdb+raw", "▲", "$series-lmdb", points, (10_000, 9.0), ranges=ranges)
    empty = Curve("empty", "●", "$dim", ((10, float("nan")),))
    drawn = draw(TimeChart((curve, empty), (10, 100, 1000, 10_000), "x", "y", log))
    assert drawn.count('class="solid"') == 3, "two points and the one beside the name"
    assert drawn.count('class="hollow"') == 1, "the predicted point"
    assert drawn.count('class="error"') == 2, "no bar where there is no interval"
    assert drawn.count("line ahead") == 1
    assert "nan" not in drawn
    assert (">100<" if log else ">10k<") in drawn


def test_chart_without_drawable_points_is_left_out() -> None:
    assert draw(TimeChart((), (), "x", "y")) == ""
    assert draw(TimeChart((Curve("a", "●", "", ((0, 1.0),)),), (1,), "x", "y")) == ""
    assert draw(Bars("title", (Bar("a", "●", "", 0.0, "0 B"),))) == ""


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(("x", "y"), [(1, 1.0), (1, 1e-9), (10**12, 1e9)])
def test_chart_of_a_single_point_is_drawn(x: int, y: float, log: bool) -> None:
    assert 'class="solid"' in draw(TimeChart((Curve("a", "●", "", ((x, y),)),), (x,), "x", "y", log))
