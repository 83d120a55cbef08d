"""Workers that exchange arrays: threads here, processes under mpiexec, and how both learn of failures."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import conversations
import numpy as np
import pytest
from launched import environment, mpiexec, needs_mpi

import lazygrad as lg
from lazygrad.workers import communicator, part, side_by_side
from lazygrad.workers.parts import counts

ALL = ["adds_up", "overlaps", "tells", "shares_out", "fails_alike"]

UNLIKE = """worker {last} has failed, so worker {rank} cannot go on

    {line}

    worker {last}:  ArithmeticError: bad day
    Mend what worker {last} says. A training goes on from its last checkpoint."""


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ALL)
def test_workers_that_are_threads_exchange_what_they_should(name: str, size: int) -> None:
    """Every kind of exchange, among 1 to 4 threads."""
    side_by_side(size, getattr(conversations, name))


@pytest.mark.parametrize("name", ALL[:4])
def test_a_worker_alone_exchanges_with_nobody(name: str) -> None:
    """Every kind of exchange leaves its array as it is."""
    getattr(conversations, name)(communicator())


@needs_mpi
@pytest.mark.parametrize("size", [2, 3])
def test_workers_that_are_processes_exchange_what_they_should(size: int) -> None:
    """Every kind of exchange, under mpiexec."""
    text = f"""
    import sys; sys.path.insert(0, {conversations.__file__.rpartition("/")[0]!r})
    import conversations
    from lazygrad.workers import communicator
    c = communicator("mpi")
    assert communicator("mpi") is c
    for name in {ALL}:
        getattr(conversations, name)(c)
    print(f"{{c.rank}} of {{c.size}}\\n", end="")
    """
    assert (0, [f"{rank} of {size}" for rank in range(size)], "") == _ended(mpiexec(size, text))


def _ended(ended: Any) -> tuple[int, list[str], str]:
    return ended.code, ended.lines(), ended.said


def test_a_thread_that_raises_makes_the_others_raise() -> None:
    """All say what the one has said, in this step and ever after."""

    def work(c: Any) -> list[str]:
        return conversations.fails_unlike(c)

    said = side_by_side(3, work)
    assert said[2][0] == "ArithmeticError: bad day"
    for rank, found in enumerate(said):
        for text in found[rank == 2 :]:
            assert text.startswith(f"WorkerError: worker 2 has failed, so worker {rank} cannot go on"), text
            assert "worker 2:  ArithmeticError: bad day" in text


@needs_mpi
def test_a_process_that_raises_makes_the_others_raise() -> None:
    """Every process ends with the message of the one; the whole text is compared."""
    text = """
    import numpy as np
    from lazygrad.workers import communicator
    c = communicator("mpi")
    c.begin_step()
    if c.rank == 1: raise ArithmeticError("bad day")
    c.sum(np.ones(3))
    """
    ended = mpiexec(2, text)
    assert ended.code
    assert "ArithmeticError: bad day" in ended.said
    expected = UNLIKE.format(last=1, rank=0, line="<string>:7, in <module>")
    assert f"lazygrad.errors.WorkerError: {expected}" in ended.said


@needs_mpi
def test_a_process_that_ends_makes_those_that_wait_for_it_raise() -> None:
    """They say who has ended, where MPI would wait for ever."""
    text = """
    import sys
    import numpy as np
    from lazygrad.workers import communicator
    c = communicator("mpi")
    if c.rank == 1: sys.exit()
    c.sum(np.ones(3))
    """
    ended = mpiexec(3, text)
    assert ended.code
    assert "WorkerError: worker 1 has ended, and worker 0 waits for it" in ended.said
    assert "WorkerError: worker 1 has ended, and worker 2 waits for it" in ended.said


@needs_mpi
def test_a_process_that_is_killed_ends_the_others() -> None:
    """mpiexec ends them, and says what has happened."""
    text = """
    import os, signal
    import numpy as np
    from lazygrad.workers import communicator
    c = communicator("mpi")
    if c.rank == 1: os.kill(os.getpid(), signal.SIGKILL)
    c.sum(np.ones(3))
    """
    ended = mpiexec(3, text)
    assert ended.code
    assert "Killed (signal 9)" in ended.out + ended.said


@needs_mpi
def test_a_process_that_is_no_more_is_found_out_where_mpiexec_does_not_see_to_it() -> None:
    """Who waits looks whether the others live; here one only seems to be dead, as MPICH would end all."""
    text = """
    import time
    import numpy as np
    import lazygrad.workers.mpi as m
    from lazygrad.workers import communicator
    c = communicator("mpi")
    if c.rank == 1: time.sleep(3)
    m._lives = lambda process: False
    c.sum(np.ones(3))
    """
    ended = mpiexec(2, text)
    assert ended.code
    assert "WorkerError: worker 1 has failed, so worker 0 cannot go on" in ended.said
    assert "is no more: it was killed, or has run out of memory" in ended.said


@needs_mpi
def test_what_is_not_started_by_mpiexec_is_one_worker_and_says_so_once() -> None:
    """The sentence stands once on stderr, however often workers are asked for."""
    text = 'from lazygrad.workers import communicator as c; print(c("mpi").size, c("mpi").rank)'
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, timeout=60, env=environment()
    )
    said = "lazygrad: one worker. Start the program with mpiexec -n K for more.\n"
    assert (0, "1 0\n", said) == (done.returncode, done.stdout, done.stderr)


def test_without_mpi4py_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole message."""
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(lg.BackendError) as caught:
        communicator("mpi")
    first, _, facts = str(caught.value).split("\n\n")
    assert first == "there is no MPI to find other workers with"
    assert facts == (
        "    ModuleNotFoundError: import of mpi4py halted; None in sys.modules\n"
        "    Install the extra: pip install 'lazygrad[mpi]'; and start the program with mpiexec -n K."
    )


def test_workers_must_be_something_that_can_exchange() -> None:
    """A word or an object that is none of the known ones is refused, by name."""
    for wrong in ("tcp", 4, object):
        with pytest.raises(lg.BackendError, match="cannot use") as caught:
            communicator(wrong)
        assert 'Say workers="mpi", or give a communicator of mpi4py' in str(caught.value)


def test_workers_that_exchange_different_things_are_told() -> None:
    """A sum of arrays of different shapes is an error on all threads, no wrong number."""

    def work(c: Any) -> str:
        with pytest.raises(lg.WorkerError, match="workers exchange different things") as caught:
            c.sum(np.ones(2 + c.rank))
        return str(caught.value)

    for text in side_by_side(2, work):
        assert "worker 0:  ('sum', (2,), 'float64')" in text
        assert "worker 1:  ('sum', (3,), 'float64')" in text


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_parts_are_all_of_it_and_of_even_length(size: int) -> None:
    """They follow on each other, and differ in length by one at most."""
    for length in (0, 1, 5, 100):
        parts = [part(length, size, rank) for rank in range(size)]
        assert [i for p in parts for i in range(length)[p]] == list(range(length))
        assert max(counts(length, size)) - min(counts(length, size)) <= 1
