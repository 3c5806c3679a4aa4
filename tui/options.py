"""Options that several subcommands have, those of a plan, and a group of commands with a default."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from backends.bench.plan import PLAN_FIELDS
from backends.errors import UsageError
from tui.completion import files, values
from tui.plan_fields import default_of, hint, metavar, option_name, parse, write

T = TypeVar("T")
_OUTPUTS = {
    "json": "the result as JSON",
    "csv": "every trial as CSV",
    "markdown": "a report as Markdown",
    "html": "a report with charts as one HTML file",
}


def output_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that write a result into files; the command takes those given as ``files``, by their kind."""

    @functools.wraps(command)
    def with_files(**options: Any) -> int:
        files = {kind: options.pop(kind) for kind in _OUTPUTS}
        return command(files={kind: file for kind, file in files.items() if file is not None}, **options)

    for kind, content in reversed(_OUTPUTS.items()):
        text = f"Write {content} there; - for standard output."
        with_files = click.option(f"--{kind}", metavar="FILE", help=text, shell_complete=files)(with_files)
    return with_files


def examples(*words: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Add to the help of a command what follows the program's name in some uses of it."""

    def add(command: Callable[..., T]) -> Callable[..., T]:
        lines = "\n".join(f"  imgstore-tui {example}" for example in words)
        command.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n\b\nExamples:\n{lines}"
        return command

    return add


def plan_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options for the fields of a plan; the command takes those that are given as text or True."""
    for name, field in reversed(PLAN_FIELDS.items()):
        text = f"{hint(field)}.  [default: {field.unset or write(name, default_of(name))}]"
        switch = field.kind == "switch"
        kind: dict[str, Any] = {"is_flag": True, "default": None} if switch else {"metavar": metavar(field)}
        command = click.option(option_name(name), name, help=text, shell_complete=values(field), **kind)(command)
    return command


def reading_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say how a dataset is read; the command takes them by name, empty where not given."""
    for name in ("labels", "layout", "root"):
        field = PLAN_FIELDS[name]
        text = f"{field.help}.  [default: {field.unset}]"
        how: dict[str, Any] = {"default": "", "metavar": metavar(field), "help": text}
        command = click.option(option_name(name), shell_complete=values(field), **how)(command)
    return command


class _Bytes(click.ParamType[int]):
    """A number of bytes, such as ``1G``."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(parse("memory", str(value)))
        except UsageError as error:
            self.fail(str(error), param, ctx)


BYTES = _Bytes()


class DefaultGroup(click.Group):
    """A group whose first word may also be an argument of its ``default`` command.

    A word that is nearly the name of a command is refused with that name, unless a file of that name exists.
    """

    def __init__(self, *args: Any, default: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self._default = default

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if context.resilient_parsing and not args:  # a shell completes the first word
            return super().parse_args(context, args)
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h", "--version")):
            if not context.resilient_parsing:
                self._refuse_typo(args)
            args = [self._default, *args]
        return super().parse_args(context, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The subcommands that begin so, else what the first argument of the default command may be."""
        argument = next(iter(self.commands[self._default].params))
        return super().shell_complete(ctx, incomplete) or argument.shell_complete(ctx, incomplete)

    def _refuse_typo(self, args: list[str]) -> None:
        known = [name for name, command in self.commands.items() if not command.hidden]
        near = difflib.get_close_matches(args[0], known, n=1, cutoff=0.7) if args else []
        if near and not Path(args[0]).exists():
            raise click.UsageError(f"no command {args[0]}: did you mean {near[0]}? All commands: {', '.join(known)}.")
