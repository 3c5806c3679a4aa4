"""The threads that ask slow questions: a thread that hangs must not keep the user from the prompt."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

MOST_THREADS = 64
"""One for each run that is followed, and for each question that is not answered yet."""


class Threads(ThreadPoolExecutor):
    """Ends without waiting for one that waits for a dead disk."""

    def __init__(self) -> None:
        super().__init__(MOST_THREADS)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def end_process(code: int) -> int:
    """End the process at once where a thread still hangs, for which the interpreter would wait; else give ``code``."""
    if any(thread is not threading.current_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        os._exit(code)
    return code
