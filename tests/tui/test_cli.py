"""The command line as a shell sees it: output, exit codes, one sentence for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "imgstore-tui"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "LC_ALL": "C.UTF-8"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def call(environment: dict[str, str], *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    found: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
        [PROGRAM, *words], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, **more
    )
    return found


def bench(environment: dict[str, str], work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    quick = ("--sizes", "10", "--repeats", "1") if "--sizes" not in words else ()
    return call(environment, "bench", *words, *quick, "--work-dir", str(work))


def test_bench_prints_a_table_an_aspect_and_narrates_on_standard_error(environment: dict[str, str], work: Path) -> None:
    words = ("files", "lmdb", "--sizes", "10,50", "--repeats", "2", "--operations", "store,read")
    found = bench(environment, work, "sample", *words)
    assert found.returncode == 0, found.stderr
    tables = [table.splitlines() for table in found.stdout.split("\n\n")]
    assert tables[0][0].split() == ["Store", "10", "50", "durable", "on", "disk", "apparent", "files"]
    assert [table[0].split() for table in tables[1:2]] == [["Read", "10", "50"]]
    assert {tuple(line.split()[0] for line in table[1:]) for table in tables[:2]} == {("files+png", "lmdb+raw")}
    assert "median of 2" in found.stdout
    assert "20 trials. Temporary files: up to" in found.stderr


def test_the_json_of_bench_has_every_trial_and_a_summary(
    environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    found = bench(environment, work, "sample", "lmdb", "hdf5", "--json", str(target))
    assert found.returncode == 0, found.stderr
    result = json.loads(target.read_text())
    assert {"schema", "environment", "dataset", "plan", "trials", "summary"} <= set(result)
    assert result["schema"] == 1
    operations = [one["operation"] for one in result["trials"] if one["configuration"] == "lmdb+raw"]
    assert sorted(operations) == sorted(one["operation"] for one in result["trials"])[::2]
    assert set(operations) == {"store", "read", "shuffled"}
    assert {"configuration", "backend", "codec", "operation", "count", "cache", "repeat", "outcome", "seconds",
            "seconds_durable", "phases", "cpu_seconds", "peak_rss", "peak_anonymous", "bytes_apparent",
            "bytes_allocated", "files", "verified", "message"} <= set(result["trials"][0])  # fmt: skip
    assert [path.name for path in tmp_path.glob(".out.json*")] == []


def test_json_on_standard_output_is_all_there_is_on_it(environment: dict[str, str], work: Path) -> None:
    found = bench(environment, work, "sample", "hdf5", "--operations", "read", "--json", "-")
    assert {trial["operation"] for trial in json.loads(found.stdout)["trials"]} == {"read"}


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (("sample", "zip"), "there is no backend 'zip'", 2),
        (("sample", "--sizes", "abc"), "'abc' is not a number of images", 2),
        (("sample", "--sizes", "0"), "0 is not a number of images to measure", 2),
        (("sample", "--sizes", ""), "no sizes: write at least one", 2),
        (("sample", "--repeats", "0"), "0 repeats are not possible", 2),
        (("sample", "--operations", "paint"), "there is no operation 'paint'", 2),
        (("sample", "--split", "dev"), "dev", 2),
        (("sample", "--budget", "0s"), "0s is no time at all", 2),
        (("sample", "--budget", "soon"), "'soon' is not a time", 2),
        (("sample", "--predict", "0"), "0 is not a number of images", 2),
        (("sample", "--batch", "none"), "'none' is not a number of images", 2),
        (("sample", "--cache", "hot"), "there is no cache state 'hot'", 2),
        (("sample", "--cache", "cold", "--operations", "store"), "no operation reads", 2),
        (("sample", "--cache", "cold", "--in-thread"), "cold reads need a process of their own", 2),
        (("sample", "--workers", "2", "--in-thread"), "workers are processes", 2),
        (("sample", "--workers", "0"), "'0' is not a number of workers", 2),
        (("sample", "--memory", "much"), "'much' is not an amount of memory", 2),
        (("sample", "lmdb+source", "--preset", "article"), "not files to pass through", 2),
        (("/not/there",), "/not/there", 1),
        (("sample", "--json", "/not/there/out.json"), "there is no folder /not/there", 1),
        (("sample", "--sizes", "1000000000000"), "free", 1),
        ((), "Missing argument 'DATASET'", 2),
        (("sample", "--nope"), "No such option", 2),
    ],
)
def test_bad_input_is_one_sentence_an_exit_code_and_nothing_left(
    environment: dict[str, str], work: Path, words: tuple[str, ...], sentence: str, code: int
) -> None:
    found = call(environment, "bench", *words, "--work-dir", str(work))
    assert found.returncode == code
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr
    assert found.stdout == ""
    assert list(work.iterdir()) == []


def test_what_a_budget_leaves_out_is_listed_with_its_predicted_time(environment: dict[str, str], work: Path) -> None:
    words = ("sample", "files", "--sizes", "100,100000", "--repeats", "1", "--operations", "store", "--budget", "6s")
    found = bench(environment, work, *words, "--json", "-")
    assert found.returncode == 0, found.stderr
    trials = {trial["count"]: trial for trial in json.loads(found.stdout)["trials"]}
    assert trials[100]["outcome"] == "ok"
    assert trials[100_000]["outcome"] == "skipped"
    assert trials[100_000]["predicted_seconds"] > 4
    assert "of the budget were left" in trials[100_000]["message"]


@pytest.mark.parametrize(("words", "command"), [(["benhc", "sample"], "bench"), (["histroy"], "history")])
def test_a_mistyped_command_is_told_the_nearest(environment: dict[str, str], words: list[str], command: str) -> None:
    found = call(environment, *words)
    assert found.returncode == 2
    assert f"no command {words[0]}: did you mean {command}?" in found.stderr


def test_a_dataset_named_almost_like_a_command_is_opened(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bencch").mkdir()
    found = subprocess.run([PROGRAM, "bencch"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "the terminal UI needs a terminal" in found.stderr


def test_a_budget_that_nothing_fits_into_is_said(environment: dict[str, str], work: Path) -> None:
    found = bench(environment, work, "sample", "lmdb", "--budget", "0.001s")
    assert found.returncode == 1
    assert "Nothing fits into the time limit: the shortest trial takes about" in found.stdout
    assert list(work.iterdir()) == []


def test_limits_cold_reads_and_the_article_are_measured_beside(environment: dict[str, str], work: Path) -> None:
    words = ("--operations", "store,read", "--cache", "warm,cold", "--limits", "--sizes", "20", "--repeats", "1")
    found = bench(environment, work, "sample", "hdf5", "article-hdf5", *words, "--json", "-")
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout)
    cells = {(one["configuration"], one["operation"], one["cache"]) for one in result["summary"]}
    assert {("limit+raw", "read", "cold"), ("limit+raw", "copy", "warm")} <= cells
    assert {("article-hdf5+raw", "store", "warm"), ("hdf5+raw", "read", "cold")} <= cells
    ranked = {one["configuration"] for each in result["verdict"]["rankings"] for one in each["ranks"]}
    assert ranked == {"hdf5+raw"}
    assert result["conditions"]["load_after"] is not None


def test_a_work_dir_that_is_a_file_is_refused(environment: dict[str, str], work: Path) -> None:
    (work / "file").write_bytes(b"precious")
    found = call(environment, "bench", "sample", "hdf5", "--work-dir", str(work / "file"))
    assert (found.returncode, "is a file" in found.stderr) == (1, True)
    assert (work / "file").read_bytes() == b"precious"


def test_an_interrupt_stops_the_run_keeps_what_finished_and_exits_130(environment: dict[str, str], work: Path) -> None:
    words = [str(PROGRAM), "bench", "sample", "hdf5", "--sizes", "10", "--repeats", "2000", "--work-dir", str(work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        assert "trials" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 130
    assert "The run was stopped" in output
    assert list(work.iterdir()) == []


def test_a_run_that_somebody_else_stops_exits_130(environment: dict[str, str], work: Path) -> None:
    words = [str(PROGRAM), "bench", "sample", "hdf5", "--sizes", "10", "--repeats", "2000", "--work-dir", str(work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        (job,) = json.loads(call(environment, "history", "--json").stdout)
        assert call(environment, "history", "stop", job["id"]).returncode == 0
        process.communicate()
    assert process.returncode == 130


def test_more_than_one_interrupt_leaves_a_run_that_still_stops(environment: dict[str, str], work: Path) -> None:
    words = [str(PROGRAM), "bench", "sample", "hdf5", "--sizes", "10", "--repeats", "2000", "--work-dir", str(work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        (job,) = json.loads(call(environment, "history", "--json").stdout)
        stuck = int(Path(job["folder"], "lock").read_text())
        os.kill(stuck, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # a handler may interrupt whatever it likes, itself too
            process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
        assert Path(job["folder"], "cancel").exists()
        assert process.returncode in (130, -signal.SIGINT)  # the last may come when Python listens no more
        os.kill(stuck, signal.SIGCONT)
    assert call(environment, "history", "show", job["id"]).returncode == 0
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full", "2> >(true)"])
def test_a_run_goes_on_though_nobody_reads_what_it_says(
    environment: dict[str, str], work: Path, tmp_path: Path, closed: str
) -> None:
    target = tmp_path / "out.json"
    words = f"'{PROGRAM}' bench sample npy --sizes 10 --repeats 1 --work-dir '{work}' --json '{target}' {closed}"
    found = subprocess.run(["bash", "-c", words], env=environment, capture_output=True, text=True)
    assert found.returncode == 0
    assert "Error" not in found.stderr
    assert json.loads(target.read_text())["outcome"] == "finished"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_standard_output_on_a_full_disk_is_one_sentence(environment: dict[str, str]) -> None:
    found = subprocess.run(
        f"'{PROGRAM}' backends >/dev/full", shell=True, env=environment, capture_output=True, text=True
    )
    assert (found.returncode, found.stderr) == (1, "imgstore-tui: standard output is on a full disk.\n")


def test_an_output_that_lacks_our_characters_shows_others(environment: dict[str, str], work: Path) -> None:
    found = bench(environment | {"PYTHONIOENCODING": "ascii"}, work, "sample", "hdf5", "--sizes", "2000")
    assert found.returncode == 0, found.stderr
    assert found.stdout.isascii()


def test_a_current_folder_that_is_gone_is_one_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    words = f"cd '{tmp_path}/gone' && rmdir '{tmp_path}/gone' && '{PROGRAM}' info sample"
    found = subprocess.run(words, shell=True, env=environment, capture_output=True, text=True)
    assert (found.returncode, "the current folder was removed" in found.stderr) == (1, True)


def test_info_says_what_a_dataset_is(environment: dict[str, str]) -> None:
    found = call(environment, "info", "sample")
    assert "2,000 images 32×32×3, 10 classes" in found.stdout
    assert json.loads(call(environment, "info", "sample", "--json").stdout)["count"] == 2000


def test_backends_lists_what_is_there(environment: dict[str, str]) -> None:
    assert "hdf5+raw" in call(environment, "backends").stdout
    found = json.loads(call(environment, "backends", "--json").stdout)
    assert [entry["name"] for entry in found][:3] == ["files", "lmdb", "hdf5"]


def test_history_lists_shows_and_stops(environment: dict[str, str], work: Path) -> None:
    assert "No runs yet" in call(environment, "history").stderr
    table = bench(environment, work, "sample", "hdf5").stdout
    (job,) = json.loads(call(environment, "history", "--json").stdout)
    assert job["state"] == "finished"
    assert call(environment, "history", "show", job["id"]).stdout == table
    assert "is not running" in call(environment, "history", "stop", job["id"]).stderr
    missing = call(environment, "history", "show", "nope")
    assert (missing.returncode, "no run is called 'nope'" in missing.stderr) == (2, True)


def test_history_compares_and_deletes_runs_and_takes_results_from_elsewhere(
    environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    file = tmp_path / "elsewhere.json"
    table = bench(environment, work, "sample", "hdf5", "--json", str(file)).stdout
    assert call(environment, "info", str(file)).stdout == call(environment, "history", "show", "last").stdout == table
    found = call(environment, "history", "compare", "last", str(file))
    assert (found.returncode, "repeats are paired" in found.stdout, " 1.00x" in found.stdout) == (0, True, True)
    (job,) = json.loads(call(environment, "history", "SAMPLE", "hdf5", "--json").stdout)
    assert "No run matches" in call(environment, "history", "sample", "lmdb").stderr
    assert call(environment, "history", "delete", job["id"][-4:]).returncode == 0
    assert "No runs yet" in call(environment, "history").stderr


def test_a_run_is_written_in_every_kind_at_once_and_again_from_the_history(
    environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"result.{kind}" for kind in ("json", "csv", "markdown", "html")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    assert bench(environment, work, "sample", "lmdb", *options).returncode == 0
    for kind, file in files.items():
        again = call(environment, "history", "show", "last", f"--{kind}", "-")
        assert (again.returncode, again.stdout) == (0, file.read_text()), kind


def test_two_reports_in_one_place_are_refused_before_anything_is_measured(
    environment: dict[str, str], work: Path, tmp_path: Path
) -> None:
    for one in (str(tmp_path / "file"), "-"):
        found = bench(environment, work, "sample", "lmdb", "--csv", one, "--html", one)
        assert (found.returncode, "to one place" in found.stderr) == (2, True)
    assert (list(work.iterdir()), (tmp_path / "file").exists()) == ([], False)


def test_the_screen_needs_a_terminal_and_says_what_does_not(environment: dict[str, str]) -> None:
    found = call(environment)
    assert (found.returncode, "needs a terminal" in found.stderr) == (2, True)


def test_a_closed_pipe_is_no_traceback(environment: dict[str, str]) -> None:
    found = subprocess.run(f"'{PROGRAM}' backends | true", shell=True, env=environment, capture_output=True, text=True)
    assert found.stderr == ""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["bench", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    heavy = {"numpy", "h5py", "lmdb", "PIL", "textual", "plotext", "rich"}
    code = (
        "import sys; sys.argv[0] = 'imgstore-tui'\nfrom tui.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(' '.join(sorted({heavy!r} & set(sys.modules))))"
    )
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert "imgstore-tui" in found.stdout
    assert found.stderr == ""


def test_importing_backends_imports_nothing_heavy() -> None:
    code = (
        "import sys, backends; print(sorted({'numpy', 'h5py', 'lmdb', 'PIL', 'textual', 'click'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
