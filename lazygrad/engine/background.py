"""Work that is done beside the program: a thread that makes native code while NumPy runs the plan.

Nothing waits for it: not the end of the process, nor a fork, unless the thread is importing (``forks.py``). A forked
process has no such thread; what its parent had begun is not begun there, and is done when somebody asks for it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

from lazygrad.engine.forks import end_imports, remember

__all__ = ["Cancelled", "Job", "submit"]


class Cancelled(Exception):
    """The job was given up."""


def _nothing() -> None:
    """Nothing has to be left."""


class Job:
    """Something to do, and what came of it.

    Args:
        work: what to do. It is given the job, and asks it now and then whether to go on.

    Attributes:
        leave: called from another thread where the work is given up while it is being done; set by the work.
    """

    def __init__(self, work: Callable[[Job], Any]) -> None:
        self._work = work
        self.leave: Callable[[], None] = _nothing
        self.result: Any = None
        self.failure: BaseException | None = None
        self._is_done = self._is_cancelled = False
        self._renew()
        _jobs.add(self)

    def _renew(self) -> None:
        """Not begun, in the hands of nobody."""
        self._begun = threading.Lock()
        self._open = threading.Lock()  # held until it is done
        self._open.acquire()
        self._is_lost = True

    @property
    def is_done(self) -> bool:
        """Whether it has come to an end. A job that is in nobody's hands is given to the thread."""
        if self._is_lost:
            _thread.take(self)
        return self._is_done

    def run(self) -> None:
        """Do it, unless somebody has begun."""
        if not self._begun.acquire(blocking=False):
            return
        try:
            self.check()
            self.result = self._work(self)
        except Exception as reason:  # whoever waits for the job is told
            self.failure = reason
        except BaseException as reason:
            self.failure = reason
            raise
        finally:
            self._end()

    def _end(self) -> None:
        self._is_done, self._is_lost = True, False
        self._open.release()

    def check(self) -> None:
        """Raise Cancelled if it has been given up."""
        if self._is_cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Give it up, at once: what is being done is left."""
        self._is_cancelled = True
        if self._begun.acquire(blocking=False):
            self.failure = Cancelled()
            self._end()
        elif not self._is_done:
            self.leave()

    def wait(self) -> None:
        """Return when it is done; where no thread can be started, do it here."""
        if self._is_lost and not _thread.take(self):
            self.run()
        while not self._is_done:
            with self._open:
                pass


class _Thread:
    """One thread for all jobs; it begins with the first."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._at: Job | None = None

    def take(self, job: Job) -> bool:
        """Whether the thread will do a job."""
        with self._lock:
            if not job._is_lost:
                return True
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, name="lazygrad compiler", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # no more threads, or Python comes to its end
                    return False
                self._thread = thread
            job._is_lost = False
            self._jobs.put(job)
            return True

    def _work(self) -> None:
        while True:
            self._at = self._jobs.get()
            with contextlib.suppress(BaseException):  # kept in the job
                self._at.run()
            self._at = None

    def leave(self) -> None:
        """Give up what is being done, and what was to be done."""
        for job in list(_jobs):
            job._is_cancelled = True
        at = self._at
        if at is not None:
            at.leave()
            at._open.acquire(timeout=0.2)  # better that it ends by itself than that it is cut short


_jobs: weakref.WeakSet[Job] = weakref.WeakSet()
_thread = _Thread()


def submit(work: Callable[[Job], Any]) -> Job:
    """Have work done beside the program."""
    job = Job(work)
    _thread.take(job)
    return job


def _renew() -> None:
    global _thread
    _thread = _Thread()
    for job in list(_jobs):
        if not job._is_done:
            job._renew()


def _end() -> None:
    with contextlib.suppress(KeyboardInterrupt):  # which is for a program that goes on
        _thread.leave()
        end_imports()
    remember()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
