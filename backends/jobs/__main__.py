"""A job's own process: ``python -P -m backends.jobs FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from backends.jobs.work import work

if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
