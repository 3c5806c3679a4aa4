"""Makes ``backends`` and ``tui`` this program's own, whatever ``PYTHONPATH`` or the current folder has by these names.

Importing this module is enough: it is installed outside both packages, under a name that nobody else uses.  Run as a
script with the folder of a job, it does the job.  The order of ``sys.path`` stays as it is, since the folder of all
installed packages, put first, would hide modules of the standard library.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_HERE = Path(__file__).resolve()
_HOME = next(folder for folder in _HERE.parents if (folder / "backends" / "__init__.py").is_file())


def _own(name: str) -> None:
    """Import a package from where this program is installed; its modules follow it."""
    folder = _HOME / name
    spec = spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


for _name in ("backends", "tui"):
    if _name not in sys.modules:
        _own(_name)

if __name__ == "__main__":
    from backends.runs.job import work

    if (
        _HERE.parent != _HOME
    ):  # a checkout: the server that forks trials is a new interpreter, which must find this file
        _folders = (str(_HERE.parent), os.environ.get("PYTHONPATH"))
        os.environ["PYTHONPATH"] = os.pathsep.join(folder for folder in _folders if folder)
    sys.exit(work(Path(sys.argv[1]), *map(int, sys.argv[2:])))
