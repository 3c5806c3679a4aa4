"""The command that makes a store, and the script that lets a Slurm array make it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from backends.stores.plan import Request, StorePlan

MOST_PARTS = 16
_DEFAULTS = Request.__struct_defaults__


def command(request: Request, destination: Path, *options: str) -> list[str]:
    """The words of the command that makes this store, with ``options`` at the end."""
    words = ["imgstore-tui", "convert", request.dataset, str(destination), str(request.configuration)]
    for name in ("split", "shard_bytes", "shard_images", "resize", "on_error"):
        value = getattr(request, name)
        if value != _default(name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name in ("root", "layout", "labels"):
        words += [f"--{name}", value] if (value := getattr(request.how, name)) else []
    return [*words, *(["--single"] if request.single else []), *options]


def _default(name: str) -> object:
    optional = Request.__struct_fields__[-len(_DEFAULTS) :]
    return dict(zip(optional, _DEFAULTS, strict=True)).get(name)


def sbatch_script(plan: StorePlan, destination: Path, workers: int) -> str:
    """A Slurm array script that makes the store of a plan in parts; submitting it again goes on where it was."""
    parts = max(1, min(MOST_PARTS, len(plan.shards)))
    words = command(plan.request, destination.absolute(), "--workers", str(workers))
    program = Path(sys.argv[0]).absolute() if Path(sys.argv[0]).name == "imgstore-tui" else None
    words[0] = str(program or Path(sys.executable).with_name("imgstore-tui"))
    name = destination.name
    return f"""#!/bin/bash
# Makes {destination.absolute()} in {parts} parts; sbatch this file again to go on after a time limit or a failure.
#SBATCH --job-name={shlex.quote(f"convert-{name}")}
#SBATCH --array=1-{parts}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={workers}
#SBATCH --output={shlex.quote(f"{destination.absolute()}-%a.log")}
#SBATCH --signal=B:TERM@60
exec {shlex.join(words)} --part "$SLURM_ARRAY_TASK_ID/{parts}"
"""
