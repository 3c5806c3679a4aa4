"""The command line as a shell sees it: output, exit codes, one sentence for what is wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from PIL import Image

from tui.cli import cli, main
from tui.commands import describe

PROGRAM = Path(sys.executable).parent / "imgstore-tui"
QUICK = ("--sizes", "10", "--repeats", "1")
KINDS = ("json", "csv", "markdown", "html")


@dataclass
class Shell:
    """Runs the program with a history and a work folder of its own."""

    folder: Path

    def __post_init__(self) -> None:
        self.work.mkdir()

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def file(self, kind: str) -> Path:
        return self.folder / f"result.{kind}"

    @property
    def environment(self) -> dict[str, str]:
        places = {f"XDG_{kind.upper()}_HOME": str(self.folder / kind) for kind in ("state", "config")}
        return {**os.environ, **places, "LC_ALL": "C.UTF-8"}

    def configure(self, settings: str) -> None:
        """Write the user's settings."""
        file = self.folder / "config/imgstore-tui/config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings)

    def call(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words],
            capture_output=True,
            text=True,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
        )

    def bench(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.call("bench", "sample", *words, "--work-dir", str(self.work), **variables)

    def script(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a line of bash, in which ``imgstore-tui`` is the program."""
        line = f"PATH='{PROGRAM.parent}':$PATH; cd '{self.folder}'; {script}"
        return subprocess.run(["bash", "-c", line], env=self.environment, capture_output=True, text=True)

    @contextmanager
    def long_run(self) -> Iterator[subprocess.Popen[str]]:
        """A run that goes on for a while, from its first words on; ended at the latest with the block."""
        words = ("bench", "sample", "hdf5", "--sizes", "10", "--repeats", "2000", "--work-dir", str(self.work))
        with subprocess.Popen(
            [PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment, text=True
        ) as process:
            assert process.stderr is not None
            assert "trials" in process.stderr.readline()
            yield process

    def history(self, *words: str) -> list[dict[str, str]]:
        jobs: list[dict[str, str]] = json.loads(self.call("history", *words, "--json").stdout)
        return jobs


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


Measured = tuple[Shell, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A run of two configurations that wrote a file of each kind; do not change it."""
    shell = Shell(tmp_path_factory.mktemp("measured"))
    files = [word for kind in KINDS for word in (f"--{kind}", str(shell.file(kind)))]
    done = shell.bench("files", "lmdb", "--sizes", "10,50", "--repeats", "2", "--operations", "store,read", *files)
    assert done.returncode == 0, done.stderr
    return shell, done


def test_bench_prints_a_table_for_each_operation(measured: Measured) -> None:
    shell, done = measured
    tables = [table.splitlines() for table in done.stdout.split("\n\n")]
    assert tables[0][0].split() == ["Store", "10", "50", "durable", "on", "disk", "apparent", "files"]
    assert tables[1][0].split() == ["Read", "10", "50"]
    assert {tuple(line.split()[0] for line in table[1:]) for table in tables[:2]} == {("files+png", "lmdb+raw")}
    assert "median of 2" in done.stdout
    assert "20 trials. Temporary files: up to" in done.stderr
    assert list(shell.work.iterdir()) == []


def test_bench_json_has_every_trial_and_a_summary(measured: Measured) -> None:
    shell, _ = measured
    result = json.loads(shell.file("json").read_text())
    assert {"schema", "environment", "dataset", "plan", "trials", "summary"} <= set(result)
    assert result["schema"] == 1
    keys = [(trial["configuration"], trial["operation"], trial["count"], trial["repeat"]) for trial in result["trials"]]
    assert len(set(keys)) == len(keys) == 16  # four of the 20 trials are warm-ups
    assert {"configuration", "backend", "codec", "operation", "count", "cache", "repeat", "outcome", "seconds",
            "seconds_durable", "phases", "cpu_seconds", "peak_rss", "peak_anonymous", "bytes_apparent",
            "bytes_allocated", "files", "verified", "message"} <= set(result["trials"][0])  # fmt: skip
    assert list(shell.folder.glob(".result*")) == []


@pytest.mark.parametrize("kind", KINDS)
def test_history_writes_the_same_report_again(measured: Measured, kind: str) -> None:
    shell, _ = measured
    again = shell.call("history", "show", "last", f"--{kind}", "-")
    assert (again.returncode, again.stdout) == (0, shell.file(kind).read_text())


def test_history_shows_and_compares_runs_and_files(measured: Measured) -> None:
    shell, done = measured
    file = str(shell.file("json"))
    (job,) = shell.history("SAMPLE", "lmdb")
    assert job["state"] == "finished"
    shown = [shell.call(*words).stdout for words in (("history", "show", job["id"]), ("info", file))]
    assert shown == [done.stdout] * 2
    compared = shell.call("history", "compare", "last", file)
    assert (compared.returncode, "repeats are paired" in compared.stdout, " 1.00x" in compared.stdout) == (0, 1, 1)
    assert "No run matches" in shell.call("history", "sample", "hdf5").stderr
    assert "is not running" in shell.call("history", "stop", job["id"]).stderr
    missing = shell.call("history", "show", "nope")
    assert (missing.returncode, "no run is called 'nope'" in missing.stderr) == (2, True)


def test_history_deletes_a_run(measured: Measured, shell: Shell) -> None:
    assert "No runs yet" in shell.call("history").stderr
    shutil.copytree(measured[0].folder / "state", shell.folder / "state")
    (job,) = shell.history()
    assert shell.call("history", "delete", job["id"][-4:]).returncode == 0
    assert "No runs yet" in shell.call("history").stderr


def test_output_without_our_characters_uses_others(measured: Measured) -> None:
    shown = measured[0].call("history", "show", "last", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.isascii()


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        ("zip", "there is no backend 'zip'", 2),
        ("--sizes abc", "'abc' is not a number of images", 2),
        ("--repeats 0", "0 is not a number of repeats", 2),
        ("--operations paint", "'paint' is not an operation", 2),
        ("--split dev", "dev", 2),
        ("--budget soon", "'soon' is not a time", 2),
        ("--batch none", "'none' is not a number of images", 2),
        ("--cache hot", "'hot' is not a cache state", 2),
        ("--cache cold --operations store", "no operation reads", 2),
        ("--workers 2 --in-thread", "workers are processes", 2),
        ("--memory much", "'much' is not an amount of bytes", 2),
        ("lmdb+source --preset article", "not files to pass through", 2),
        ("--csv FILE --html FILE", "to one place", 2),
        ("--csv - --html -", "to one place", 2),
        ("--json /not/there/out.json", "there is no folder /not/there", 1),
        ("--sizes 1000000000000", "free", 1),
        ("--work-dir FILE", "is a file", 1),
        ("--nope", "No such option", 2),
        ("--repaets 3", "--repeats", 2),
    ],
)
def test_bad_option_is_one_sentence_and_an_exit_code(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    sentence: str,
    code: int,
) -> None:
    options = words.replace("FILE", str(shell.folder / "file")).split()
    if "--work-dir" in options:
        (shell.folder / "file").write_bytes(b"precious")
    monkeypatch.setenv("XDG_STATE_HOME", shell.environment["XDG_STATE_HOME"])
    monkeypatch.setattr(sys, "argv", ["imgstore-tui", "bench", "sample", "--work-dir", str(shell.work), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (code, "")
    assert sentence in errors
    assert "Traceback" not in errors
    assert list(shell.work.iterdir()) == []
    assert not (shell.folder / "file").exists() or (shell.folder / "file").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        ("bench /not/there", "/not/there", 1),
        ("bench", "Missing argument 'DATASET'", 2),
        ("benhc sample", "no command benhc: did you mean bench?", 2),
        ("histroy", "no command histroy: did you mean history?", 2),
        ("", "the terminal UI needs a terminal", 2),
        ("bencch", "the terminal UI needs a terminal", 2),
    ],
)
def test_bad_command_is_one_sentence_and_an_exit_code(shell: Shell, words: str, sentence: str, code: int) -> None:
    """A dataset whose name is almost a command's is opened, not corrected."""
    (shell.folder / "bencch").mkdir()
    done = shell.script(f"imgstore-tui {words} </dev/null")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (code, "", False)
    assert sentence in done.stderr


def test_budget_lists_what_it_leaves_out(shell: Shell) -> None:
    words = ("files", "--sizes", "100,100000", "--repeats", "1", "--operations", "store", "--budget", "6s")
    done = shell.bench(*words, "--json", "-")
    assert done.returncode == 0, done.stderr
    trials = {trial["count"]: trial for trial in json.loads(done.stdout)["trials"]}
    assert trials[100]["outcome"] == "ok"
    assert trials[100_000]["outcome"] == "skipped"
    assert trials[100_000]["predicted_seconds"] > 4
    assert "of the budget were left" in trials[100_000]["message"]


def test_budget_too_short_for_any_trial_fails(shell: Shell) -> None:
    done = shell.bench("lmdb", *QUICK, "--budget", "0.001s")
    assert done.returncode == 1
    assert "Nothing fits into the time limit: the shortest trial takes about" in done.stdout
    assert list(shell.work.iterdir()) == []


def test_limits_cold_reads_and_article_stand_beside(shell: Shell) -> None:
    words = ("--operations", "store,read", "--cache", "warm,cold", "--limits", "--sizes", "20", "--repeats", "1")
    done = shell.bench("hdf5", "article-hdf5", *words, "--json", "-")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    figures = {(figure["configuration"], figure["operation"], figure["cache"]) for figure in result["summary"]}
    assert {("limit+raw", "read", "cold"), ("limit+raw", "copy", "warm")} <= figures
    assert {("article-hdf5+raw", "store", "warm"), ("hdf5+raw", "read", "cold")} <= figures
    ranked = {rank["configuration"] for ranking in result["verdict"]["rankings"] for rank in ranking["ranks"]}
    assert ranked == {"hdf5+raw"}
    assert result["conditions"]["load_after"] is not None


def test_interrupt_stops_the_run_and_exits_130(shell: Shell) -> None:
    with shell.long_run() as process:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 130
    assert "The run was stopped" in output
    assert list(shell.work.iterdir()) == []


def test_bench_waits_for_another_run_and_says_so_once(shell: Shell) -> None:
    with shell.long_run() as process:
        refused = shell.bench("npy", *QUICK, "--no-wait")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert re.fullmatch(r"imgstore-tui: the run of sample, started .* is going on: wait .*\n", refused.stderr)
        words = (PROGRAM, "bench", "sample", "npy", *QUICK, "--work-dir", str(shell.work))
        second = subprocess.Popen(words, stdout=-1, stderr=-1, env=shell.environment, text=True)
        assert second.stderr is not None
        assert second.stderr.readline().startswith("Waiting for the end of the run of sample, started ")
        assert len(shell.history()) == 2
        process.send_signal(signal.SIGINT)
        process.communicate()
    output, errors = second.communicate()
    assert (second.returncode, "npy+raw" in output, "Waiting" in errors) == (0, True, False)


def test_run_stopped_from_the_history_exits_130(shell: Shell) -> None:
    with shell.long_run() as process:
        (job,) = shell.history()
        assert shell.call("history", "stop", job["id"]).returncode == 0
        process.communicate()
    assert process.returncode == 130


def test_repeated_interrupts_still_stop_the_run(shell: Shell) -> None:
    with shell.long_run() as process:
        (job,) = shell.history()
        stuck = int(Path(job["folder"], "lock").read_text())
        os.kill(stuck, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # a handler may interrupt whatever it likes, itself too
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        assert Path(job["folder"], "cancel").exists()
        assert process.returncode in (130, -signal.SIGINT)  # the last may come when Python listens no more
        os.kill(stuck, signal.SIGCONT)
    assert shell.call("history", "show", job["id"]).returncode == 0
    assert list(shell.work.iterdir()) == []


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", "2> >(true)"])
def test_run_goes_on_with_closed_streams(shell: Shell, closed: str) -> None:
    done = shell.script(f"imgstore-tui bench sample npy {' '.join(QUICK)} --work-dir work --json out.json {closed}")
    assert done.returncode == 0
    assert "Error" not in done.stderr
    assert json.loads((shell.folder / "out.json").read_text())["outcome"] == "finished"


@pytest.mark.parametrize(
    ("script", "code", "errors"),
    [
        ("imgstore-tui backends >/dev/full", 1, "imgstore-tui: standard output is on a full disk.\n"),
        ("mkdir gone; cd gone; rmdir ../gone; imgstore-tui info sample", 1,
         "imgstore-tui: the current folder was removed: change to another one.\n"),
        ("imgstore-tui backends | true", 0, ""),
    ],
    ids=["full disk", "removed folder", "closed pipe"],
)  # fmt: skip
def test_broken_surroundings_are_at_most_a_sentence(shell: Shell, script: str, code: int, errors: str) -> None:
    done = shell.script(script)
    assert (done.returncode, done.stderr) == (code, errors)


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("-n 12", "too many files are open: close some, or allow more with ulimit -n."),
        ("-f 9", "a file would be larger than is allowed: allow more with ulimit -f."),
    ],
)
def test_limit_of_the_process_is_one_sentence(shell: Shell, limit: str, sentence: str) -> None:
    done = shell.script(f"ulimit {limit}; imgstore-tui bench sample hdf5 {' '.join(QUICK)} --work-dir work")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"imgstore-tui: {sentence}")


def test_long_temporary_folder_does_no_harm(shell: Shell) -> None:
    long = shell.folder / ("x" * 100)
    long.mkdir()
    assert shell.bench("hdf5", *QUICK, TMPDIR=str(long)).returncode == 0


@pytest.mark.parametrize("words", ["info fifo", "bench fifo", "convert fifo x hdf5", "history show fifo"])
def test_fifo_as_an_argument_does_not_block(shell: Shell, words: str) -> None:
    assert shell.script(f"mkfifo fifo; imgstore-tui {words}").returncode in (1, 2)


def all_commands(group: click.Group, *words: str) -> Iterator[tuple[str, click.Command]]:
    """The commands that help lists, by what calls them."""
    yield " ".join(words), group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, *words, name)
        elif not command.hidden:
            yield " ".join((*words, name)), command


@pytest.mark.parametrize("words", [words for words, _ in all_commands(cli)])
def test_help_of_every_command_has_examples_that_parse(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, command in all_commands(cli):
        monkeypatch.setattr(command, "callback", lambda **_: 0)
    for default in (cli, cli.commands["history"]):
        monkeypatch.setattr(default.commands[default._default], "callback", lambda **_: 0)  # type: ignore[attr-defined]
    found = (dict(all_commands(cli))[words].help or "").partition("Examples:\n")[2].splitlines()
    assert len(found) >= 2
    for example in found:
        program, *arguments = shlex.split(re.split(r" {3}| [|>]", example.strip())[0])
        assert (program, cli.main(arguments, standalone_mode=False)) == ("imgstore-tui", 0)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("", "bench convert verify show loader info backends history config completion"),
        ("hi", "history"),
        ("history s", "show stop"),
        ("history show l", "last"),
        ("history delete 20", "RUN"),
        ("bench sa", "sample"),
        ("bench sample h", "hdf5"),
        ("bench sample hdf5 lmdb", "lmdb lmdb+raw lmdb+png lmdb+source lmdb+jpeg"),
        ("bench sample parquet+", "parquet+source parquet+png"),
        ("bench sample --operations store,re", "store,read store,read-one"),
        ("bench sample --ma", "--markdown"),
        ("completion z", "zsh"),
    ],
)
def test_shell_completes_words(measured: Measured, line: str, offered: str) -> None:
    shell, _ = measured
    (run,) = shell.history()
    done = shell.script(
        f"""eval "$(imgstore-tui completion bash)"; COMP_WORDS=(imgstore-tui {line or '""'})
        COMP_CWORD=$(({len(line.split()) or 1})); _imgstore_tui_completion imgstore-tui; echo "${{COMPREPLY[@]}}" """
    )
    assert (done.stderr, set(done.stdout.split())) == ("", set(offered.replace("RUN", run["id"]).split()))


@pytest.mark.parametrize("shell_name", ["zsh", "fish"])
def test_other_shells_get_their_own_completion(shell: Shell, shell_name: str) -> None:
    assert f"_IMGSTORE_TUI_COMPLETE={shell_name}_complete" in shell.call("completion", shell_name).stdout


@pytest.mark.parametrize("terminal", [True, False])
def test_long_listing_shows_a_count_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    for number in range(2):
        Image.new("L", (8, 8)).save(tmp_path / f"{number}.png")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/notes").touch()
    monkeypatch.setattr("backends.runs.events.LISTING_SECONDS", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert describe(str(tmp_path), None, {"root": "", "layout": "", "labels": ""}, None, False) == 0
    shown = capsys.readouterr().err
    assert ("listing the dataset: 2 pictures found" in shown) is terminal
    assert shown.endswith(" \r") is terminal


def test_info_and_backends_print_text_or_json(shell: Shell) -> None:
    assert "2,000 images 32×32×3, 10 classes" in shell.call("info", "sample").stdout
    assert json.loads(shell.call("info", "sample", "--json").stdout)["count"] == 2000
    assert "hdf5+raw" in shell.call("backends").stdout
    backends = json.loads(shell.call("backends", "--json").stdout)
    assert [backend["name"] for backend in backends][:3] == ["files", "lmdb", "hdf5"]
    assert backends[0]["codecs"] == ["raw", "png", "source", "jpeg"]


HEAVY = {"numpy", "h5py", "lmdb", "PIL", "plotext", "deflate", "xxhash"}
RUN = "import sys; sys.argv[:] = ['imgstore-tui', {}]\nfrom tui.cli import main\ntry: main()\nexcept SystemExit: pass"


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import backends", HEAVY | {"textual", "rich", "click"}),
        (
            "import tui.app",
            HEAVY | {"msgspec", "jinja2", "statistics", "backends.runs", "tui.charts", "tui.screens.help"},
        ),
        (RUN.format("'--help'"), HEAVY | {"textual", "rich"}),
        (RUN.format("'--version'"), HEAVY | {"textual", "rich"}),
        (RUN.format("'bench', '--help'"), HEAVY | {"textual", "rich"}),
    ],
)
def test_start_imports_nothing_heavy(code: str, unwanted: set[str]) -> None:
    code += f"\nimport sys; sys.exit(' '.join({unwanted!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert ("imgstore-tui" in done.stdout) is ("main" in code)
