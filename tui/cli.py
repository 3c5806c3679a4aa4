"""The imgstore-tui command and its subcommands.  Imports nothing heavy before a subcommand needs it."""

from __future__ import annotations

import errno
import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backends.errors import ImgstoreError, NotAllowed, exceeded_limit
from tui.completion import configurations, datasets, runs
from tui.options import BYTES, DefaultGroup, examples, output_options, plan_options, reading_options
from tui.settings import jobs_folder, read_settings, settings_file

if TYPE_CHECKING:
    from backends.stores.verify import Level

PROGRAM = "imgstore-tui"

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(cls=DefaultGroup, default="open", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
@examples(
    "~/pictures                    open the terminal UI",
    "bench sample lmdb hdf5        measure without it, and print the result",
)
def cli() -> None:
    """PNG files, LMDB or HDF5?  Measure it on your images and your disk.

    `imgstore-tui [DATASET]` opens the terminal UI.  DATASET is a folder or an archive of pictures, WebDataset
    shards, Parquet of Hugging Face, npz, IDX, HDF5, CIFAR, or `sample`: 2,000 images that come with the program.
    """


@cli.command("open", hidden=True)
@click.argument("dataset", required=False, shell_complete=datasets)
def open_screen(dataset: str | None) -> int:
    """Open the terminal UI."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("the terminal UI needs a terminal: `imgstore-tui bench DATASET` works without one.")
    if os.environ.get("TERM") == "dumb":
        raise click.UsageError("TERM=dumb cannot show the terminal UI: set TERM, or use `imgstore-tui bench DATASET`.")
    import gc

    gc.disable()  # until the first paint, which it would delay by a tenth
    from tui.app import run

    return run(dataset, jobs_folder(), read_settings(settings_file()))


@cli.command()
@click.argument("dataset", shell_complete=datasets)
@click.argument("configurations", metavar="[CONFIG]...", nargs=-1, shell_complete=configurations)
@plan_options
@click.option("--no-wait", is_flag=True, help="Fail where another run is going on, instead of waiting for its end.")
@output_options
@examples(
    "bench sample                  every backend, in a minute",
    "bench ~/pictures lmdb+png hdf5@/scratch --html report.html",
    "bench cifar-10-python.tar.gz --preset article --no-wait",
)
def bench(
    dataset: str, configurations: tuple[str, ...], files: dict[str, str], no_wait: bool, **options: object
) -> int:
    """Time storing and reading a dataset.

    Stores the images of DATASET in each CONFIG, reads them back, and prints how long it took.

    DATASET is a folder or an archive of pictures, a dataset of another kind (see `--help` of the program), or `sample`.

    CONFIG is BACKEND[+CODEC[:OPTION=N]][@FOLDER]: a way to keep images, how each image is encoded, and where to
    write, such as lmdb, lmdb+png:level=2 or hdf5@/scratch.  Without one, every installed backend is measured;
    `imgstore-tui backends` lists them.
    """
    from tui.commands import bench as run_bench
    from tui.commands import make_plan

    settings = read_settings(settings_file())
    if settings.problem:
        _say(settings.problem)
    return run_bench(make_plan(dataset, configurations, options, settings.plan), jobs_folder(), files, wait=not no_wait)


@cli.command()
@click.argument("dataset", required=False, shell_complete=datasets)
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.argument("config", required=False, shell_complete=configurations)
@click.option("--split", help="Which part of the dataset.  [default: all]")
@reading_options
@click.option("--shard-bytes", type=BYTES, default="1G", show_default=True, help="The size of a shard, about.")
@click.option("--shard-images", type=click.IntRange(1), metavar="N", help="The images of a shard, instead.")
@click.option("--single", is_flag=True, help="One shard for each split; such a conversion starts anew after a stop.")
@click.option("--workers", type=click.IntRange(0), metavar="N", default=0, help="Processes; 0 for one a processor.")
@click.option("--part", metavar="I/N", help="Make the I-th of N parts, for N jobs on any machines.")
@click.option("--resize", type=click.IntRange(1), metavar="N", help="Shrink to N pixels at the shorter side (lossy).")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    show_default=True,
    help="What to do where a picture does not decode.",
)
@click.option("--dask", metavar="ADDRESS", help="Let the workers of a Dask cluster make the shards.")
@click.option("--sbatch", metavar="FILE", help="Write a Slurm array script there (- for standard output), and stop.")
@click.option("--resume", is_flag=True, help="Go on where a conversion was stopped.")
@click.option("--finish", type=click.Path(path_type=Path), metavar="DEST", help="Finish a store made in parts.")
@examples(
    "convert ~/pictures /data/store tar --resume",
    "convert sample store hdf5+png --shard-images 500",
    "convert ~/pictures store lmdb+jpeg:quality=90 --sbatch job.sh",
)
def convert(dataset: str | None, dest: Path | None, config: str | None, finish: Path | None, **options: Any) -> int:
    """Make a store of a dataset.

    Keeps the images of DATASET in the folder DEST as CONFIG says (see `bench --help`), in shards that are read back,
    compared with the dataset and synced to disk before they count.  After a stop, whatever it was, --resume goes on.
    """
    from backends.bench.child import in_child
    from tui import store_commands

    if finish is not None:
        if dataset is not None:
            raise click.UsageError("--finish DEST takes nothing else.")
        return in_child(store_commands.finish_parts, finish, opening=False)
    if dataset is None or dest is None or config is None:
        raise click.UsageError("name DATASET, DEST and CONFIG, such as: imgstore-tui convert sample store hdf5")
    return store_commands.make_store(dataset, dest, config, options)


@cli.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--level",
    type=click.Choice(["quick", "sample", "full"]),
    default="full",
    show_default=True,
    help="quick: names, sizes and counts; sample: some images of each shard, too; full: every byte.",
)
@click.option("--repair", "mend", is_flag=True, help="Make damaged shards again from the dataset.")
@as_json_option
@examples("verify /data/store", "verify /data/store --level quick --json", "verify /data/store --repair")
def verify(store: Path, level: Level, *, mend: bool, as_json: bool) -> int:
    """Check that STORE is as it was made.

    Names what is damaged, to the image.  Exit code 3 if anything is.
    """
    from backends.bench.child import in_child
    from tui.store_commands import check_store

    return in_child(partial(check_store, store, level, mend=mend, as_json=as_json), opening=False)


@cli.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("index", type=int)
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE", help="Write the image there.")
@as_json_option
@examples("show /data/store 1234", "show /data/store 1234 --save image.png")
def show(store: Path, index: int, save: Path | None, *, as_json: bool) -> int:
    """Say where an image of STORE lies, and what is known of it."""
    from backends.bench.child import in_child
    from tui.store_commands import show_image

    return in_child(partial(show_image, store, index, save, as_json=as_json))


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--torch", is_flag=True, help="Make it a PyTorch Dataset.")
@examples("loader /data/store > loader.py", "loader /data/store --torch > dataset.py")
def loader(path: Path, *, torch: bool) -> int:
    """Print a Python file that reads PATH, a store or one of its shards.

    It needs numpy, Pillow and the library of the backend, and not this program: for training code.
    """
    from backends.bench.child import in_child
    from backends.stores.loader import loader_code

    click.echo(in_child(partial(loader_code, path, torch=torch)), nl=False)
    return 0


@cli.command()
@click.argument("path", shell_complete=datasets)
@click.option("--split", help="Which part of the dataset.  [default: the first, usually train]")
@reading_options
@click.option("--list-skipped", metavar="FILE", help="Write what is left out, and why, there; - for standard output.")
@as_json_option
@examples("info ~/pictures --list-skipped -", "info /data/store --json", "info result.json")
def info(path: str, split: str | None, list_skipped: str | None, as_json: bool, **how: str) -> int:
    """Describe a dataset, a store, or a file that `bench --json` wrote."""
    from backends.bench.child import in_child
    from backends.runs.saved import is_saved_run
    from tui import commands

    if is_saved_run(Path(path)):
        return commands.show_run(jobs_folder(), path, {"json": "-"} if as_json else {})
    return in_child(commands.describe, path, split, how, list_skipped, as_json)


@cli.command()
@as_json_option
@examples("backends", "backends --json")
def backends(as_json: bool) -> int:
    """List what images can be kept in, and how encoded."""
    from backends.registry import backend_entries, codec_entries
    from tui.tables import backends_text

    entries = list(backend_entries().values())
    if as_json:
        shown = ("name", "title", "codec", "installed", "error")
        codecs = list(codec_entries())
        _print_json(
            [{**{name: getattr(one, name) for name in shown}, "codecs": one.codecs or codecs} for one in entries]
        )
    else:
        click.echo(backends_text(entries, list(codec_entries().values())))
    return 0


@cli.group(cls=DefaultGroup, default="list")
@examples(
    "history pictures lmdb         those with both words", "history show last", "history compare last result.json"
)
def history() -> None:
    """List earlier runs, newest first.

    `history WORD...` lists those that contain every WORD.

    A RUN is an id, the unique beginning or end of one, `last`, or a file that `bench --json` wrote.
    """


@history.command("list", hidden=True)
@click.argument("words", nargs=-1)
@as_json_option
def list_history(words: tuple[str, ...], as_json: bool) -> int:
    """List the runs whose dataset, configurations, host or state contain each of WORDS."""
    from dataclasses import asdict

    from backends.runs.history import list_runs
    from tui.tables import runs_text

    jobs = jobs_folder()
    found = list_runs(jobs, text=" ".join(words))
    if as_json:
        _print_json([{**asdict(run), "folder": str(jobs / run.id)} for run in found])
    elif found:
        click.echo(runs_text(found))
    else:
        click.echo("No run matches." if words else f"No runs yet: `{PROGRAM} bench sample` starts one.", err=True)
    return 0


@history.command("show")
@click.argument("run", shell_complete=runs)
@output_options
@examples("history show last", "history show k3f9 --html report.html")
def show_history(run: str, files: dict[str, str]) -> int:
    """Print the result of RUN; a run that is going on is followed to its end."""
    from tui.commands import show_run

    return show_run(jobs_folder(), run, files)


@history.command()
@click.argument("run", shell_complete=runs)
@examples("history stop last", "history stop k3f9")
def stop(run: str) -> int:
    """Stop RUN; what was measured stays."""
    from tui.commands import stop_run

    return stop_run(jobs_folder(), run)


@history.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True, shell_complete=runs)
@examples("history delete k3f9", "history delete last 20261122-061500")
def delete(names: tuple[str, ...]) -> int:
    """Delete RUNS; files that somebody else put into their folders stay."""
    from tui.commands import delete_runs

    click.echo(delete_runs(jobs_folder(), names), err=True)
    return 0


@history.command()
@click.argument("first", shell_complete=runs)
@click.argument("second", shell_complete=runs)
@as_json_option
@examples("history compare k3f9 last", "history compare before.json after.json --json")
def compare(first: str, second: str, as_json: bool) -> int:
    """Compare two runs: each time of SECOND as a multiple of the time of FIRST, and what differs between them."""
    from dataclasses import asdict

    from tui.commands import compare as compare_runs
    from tui.tables import comparison_rows

    comparison = compare_runs(jobs_folder(), first, second)
    if as_json:
        _print_json(asdict(comparison))
    else:
        for row in comparison_rows(comparison):
            click.echo("".join(text for text, _ in row))
    return 0


@cli.command()
@click.argument("action", type=click.Choice(["path", "validate"]))
@as_json_option
@examples("config path", "config validate", "config validate --json")
def config(action: str, as_json: bool) -> int:
    """Say where the settings are, or what is wrong in them: exit code 2 if anything is.

    They are one TOML file: theme (auto, dark, light or 16), markers (auto, unicode or ascii), bell (true or false),
    and defaults of `bench` by the names of its options, such as work_dir, sizes, repeats, cache or memory.
    """
    from tui.text import safe_text

    file = settings_file()
    problems, exists = read_settings(file).problems, file.exists()
    good = f"{file} {'is right' if exists else 'does not exist: the defaults are used'}."
    if as_json:
        _print_json({"path": str(file), "exists": exists, "problems": problems})
    else:
        for line in [file] if action == "path" else problems or [good]:
            click.echo(safe_text(str(line), limit=1000))
    return 2 if problems and action == "validate" else 0


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@examples(
    "completion bash >> ~/.bashrc",
    "completion zsh >> ~/.zshrc",
    "completion fish > ~/.config/fish/completions/imgstore-tui.fish",
)
def completion(shell: str) -> int:
    """Print what SHELL needs to complete commands, options, backends, codecs and runs."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click knows these shells"
    click.echo(found(cli, {}, PROGRAM, "_IMGSTORE_TUI_COMPLETE").source())
    return 0


def _print_json(value: object) -> None:
    from tui.text import json_text

    click.echo(json_text(value), nl=False)


def main() -> None:
    """Entry point: every error a user can cause is one sentence and an exit code."""
    _complete_streams()
    try:
        _check_current_folder()
        code = cli.main(standalone_mode=False, prog_name=PROGRAM)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except ImgstoreError as error:
        _say(str(error))
        code = error.exit_code
    except BrokenPipeError:  # whoever read our output has enough
        code = _abandon_output()
    except Exception as error:  # a mistake of ours: one sentence here, the rest in a file
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            _say("standard output is on a full disk.")
            sys.exit(_abandon_output())
        limit = exceeded_limit(error)
        _say(
            str(limit)
            if limit
            else f"internal error ({type(error).__name__}: {error}); the details are in {_write_details()}"
        )
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _say(sentence: str) -> None:
    """Write why the program could not do what it was asked to standard error."""
    from tui.progress import say
    from tui.text import safe_text

    say(f"{PROGRAM}: {safe_text(sentence, limit=1000)}")


def _complete_streams() -> None:
    """Open what the shell closed, on nothing, and show what a stream's encoding lacks as a question mark."""
    for name in ("stdin", "stdout", "stderr"):  # each takes the lowest number that is free: its own
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "r" if name == "stdin" else "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _check_current_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise NotAllowed("the current folder was removed: change to another one.") from None


def _abandon_output() -> int:
    """Let the interpreter flush into nothing instead of complaining at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _write_details() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix=f"{PROGRAM}-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    return file.name
