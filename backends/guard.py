"""A guard that lets the reads of a reader run at once, and what opens or closes it run alone."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque


class Guard:
    """Shared by reads, or held alone by what opens or closes.

    Who waits to hold it alone goes before reads that come later, and reads that wait go before who wants it alone next:
    nobody waits for ever.  A copy, and a child made by fork, has a guard that nobody holds.

    A read takes no lock, which would cost ten times as much: first it says that it is there, then it looks whether
    somebody wants to be alone, who looks in the opposite order.

    Attributes
    ----------
    torn
        Whether the process was forked while another thread, which the child has not, held it alone.
    """

    def __init__(self) -> None:
        self._reset()
        _guards.add(self)

    def _reset(self, torn: bool = False) -> None:
        self._reads = deque[None]()  # an element for each read that runs: appending and popping are atomic
        self._changed = threading.Condition(threading.Lock())
        self._waiting = self._phase = 0  # reads that wait, and how often it was left by who held it alone
        self._wanted = self._held = False  # alone
        self.torn = torn

    def __reduce__(self) -> tuple[type[Guard], tuple[()]]:
        return Guard, ()

    def enter(self) -> None:
        """Share it, once nobody holds it alone or waits to do so."""
        self._reads.append(None)
        if self._wanted:
            self._wait()

    def leave(self) -> None:
        """End what ``enter`` began."""
        self._reads.pop()
        if self._wanted:
            with self._changed:
                self._changed.notify_all()

    def enter_alone(self) -> None:
        """Hold it alone, once all reads have left."""
        with self._changed:
            while self._wanted:
                self._changed.wait()
            try:
                self._wanted = True
                while self._reads:
                    self._changed.wait()
                self._held = True
            except BaseException:  # a signal's handler raised
                self._let_in(0)
                raise

    def leave_alone(self, *, to_read: bool = False) -> None:
        """End what ``enter_alone`` began, or go on as a read among others."""
        with self._changed:
            self._let_in(int(to_read))

    def _wait(self) -> None:
        """Take back that this read is there until ``_let_in`` says so again."""
        with self._changed:
            if not self._wanted:
                return
            self._reads.pop()
            self._changed.notify_all()
            self._waiting, phase = self._waiting + 1, self._phase
            try:
                while self._phase == phase:
                    self._changed.wait()
            except BaseException:
                if self._phase == phase:
                    self._waiting -= 1
                else:
                    self._reads.pop()
                    self._changed.notify_all()
                raise

    def _let_in(self, reads: int) -> None:
        self._reads.extend([None] * (self._waiting + reads))
        self._waiting, self._phase, self._wanted, self._held = 0, self._phase + 1, False, False
        self._changed.notify_all()


_guards: weakref.WeakSet[Guard] = weakref.WeakSet()


def _free_all() -> None:
    """Free the guards of a child: threads that held them exist in its parent only."""
    for guard in list(_guards):
        guard._reset(guard.torn or guard._held)


os.register_at_fork(after_in_child=_free_all)
