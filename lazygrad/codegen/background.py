"""Work that is done beside the program: a thread that compiles while NumPy runs the plan."""

from __future__ import annotations

import atexit
import queue
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Job", "submit"]


class Job:
    """Something to do, and what came of it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._lock = threading.Lock()
        self._done = threading.Event()
        self.result: Any = None
        self.failure: BaseException | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has come to an end."""
        return self._done.is_set()

    def run(self) -> None:
        """Do it, unless somebody has begun."""
        with self._lock:
            work, self._work = self._work, None
        if work is None:
            return
        try:
            self.result = work()
        except Exception as reason:  # whoever waits for the job is told
            self.failure = reason
        except BaseException as reason:
            self.failure = reason
            raise
        finally:
            self._done.set()

    def cancel(self) -> None:
        """Let nobody begin it any more."""
        with self._lock:
            if self._work is not None:
                self._work = None
                self._done.set()

    def wait(self) -> None:
        """Return when it is done; if nobody has begun, do it here."""
        self.run()
        self._done.wait()


class _Thread:
    """One thread for all jobs; it begins with the first, and the process waits for the one being done."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a forked process has none
                self._jobs = queue.SimpleQueue()
                self._thread = threading.Thread(target=self._work, name="lazygrad compiler", daemon=True)
                self._thread.start()
            self._jobs.put(job)

    def _work(self) -> None:
        jobs = self._jobs
        while (job := jobs.get()) is not None and not self._ending:
            job.run()

    _ending = False

    def end(self) -> None:
        """Let the thread finish what it is doing: LLVM must not be at work while the process is taken down."""
        self._ending = True
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._jobs.put(None)
            thread.join(timeout=30)


_thread = _Thread()
atexit.register(_thread.end)


def submit(work: Callable[[], Any]) -> Job:
    """Have work done beside the program."""
    job = Job(work)
    _thread.submit(job)
    return job
