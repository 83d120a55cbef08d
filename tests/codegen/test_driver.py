"""Running tables of kernels, alone and with workers."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from lazygrad.engine.cpu import cache, driver
from lazygrad.engine.cpu.llvm import Code
from lazygrad.threads import _default

# ``add`` adds 1 to each number of its chunks, and ``follow`` sets each to the one before it plus 1. ``refuse`` returns
# 5 if chunk 3 is among its own. ``linger`` adds 1, too, and takes about a millisecond a chunk.
KERNELS = """
define i64 @add(ptr %arguments, i64 %begin, i64 %end) {
entry:
  %numbers = load ptr, ptr %arguments
  br label %next
next:
  %i = phi i64 [ %begin, %entry ], [ %j, %next ]
  %place = getelementptr i64, ptr %numbers, i64 %i
  %old = load i64, ptr %place
  %new = add i64 %old, 1
  store i64 %new, ptr %place
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %end
  br i1 %more, label %next, label %done
done:
  ret i64 0
}

define i64 @follow(ptr %arguments, i64 %begin, i64 %end) {
entry:
  %numbers = load ptr, ptr %arguments
  br label %next
next:
  %i = phi i64 [ %begin, %entry ], [ %j, %next ]
  %place = getelementptr i64, ptr %numbers, i64 %i
  %before = getelementptr i64, ptr %place, i64 -1
  %old = load i64, ptr %before
  %new = add i64 %old, 1
  store i64 %new, ptr %place
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %end
  br i1 %more, label %next, label %done
done:
  ret i64 0
}

define i64 @refuse(ptr %arguments, i64 %begin, i64 %end) {
  %after = icmp sle i64 %begin, 3
  %before = icmp sgt i64 %end, 3
  %within = and i1 %after, %before
  %status = select i1 %within, i64 5, i64 0
  ret i64 %status
}

define i64 @linger(ptr %arguments, i64 %begin, i64 %end) {
entry:
  %chunks = sub i64 %end, %begin
  %turns = mul i64 %chunks, 3000000
  br label %wait
wait:
  %k = phi i64 [ 0, %entry ], [ %l, %wait ]
  %seen = load volatile ptr, ptr %arguments
  %l = add i64 %k, 1
  %more = icmp slt i64 %l, %turns
  br i1 %more, label %wait, label %done
done:
  %status = call i64 @add(ptr %arguments, i64 %begin, i64 %end)
  ret i64 %status
}
"""
NAMES = ["add", "follow", "linger", "refuse"]


class Plan:
    """A table of kernels and what they work on.

    Args:
        rows: name, chunks, whether they are shared; each with numbers of its own.
    """

    def __init__(self, *rows: tuple[str, int, bool]) -> None:
        self.code: Code = cache.code(KERNELS, NAMES, {})
        self.numbers = [np.zeros(max(chunks, 1) + 1, np.int64) for _, chunks, _ in rows]
        self.arguments = np.array([[x.ctypes.data + 8] for x in self.numbers], np.int64).reshape(-1, 1)
        table = [
            [self.code.addresses[name], self.arguments.ctypes.data + 8 * place, chunks, shared]
            for place, (name, chunks, shared) in enumerate(rows)
        ]
        self.table: NDArray[np.int64] = np.array(table, np.int64).reshape(-1, driver.COLUMNS)

    def run(self) -> int:
        """What the driver returns."""
        return driver.run(self.table)


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZYGRAD_CACHE", "off")


@pytest.fixture
def three() -> None:
    """Three workers, whatever the machine has."""
    if driver.hire(3) == 0:
        pytest.skip("the system has no threads of POSIX")


def script(text: str, **environment: str) -> str:
    """What a new process prints that runs a program with this file's kernels; it must end well, and soon."""
    before = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_driver import *\n"
    done = subprocess.run(
        [sys.executable, "-c", before + text],
        env={**os.environ, "LAZYGRAD_CACHE": "off", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def test_rows_run_in_order() -> None:
    """Each row sees what the one before has written."""
    plan = Plan(("add", 4, False), ("follow", 4, False))
    plan.arguments[1] = plan.arguments[0]
    assert 0 == plan.run()
    assert [0, 1, 2, 3, 4] == plan.numbers[0].tolist()


def test_a_table_without_rows_succeeds() -> None:
    """Nothing to do is no error."""
    assert 0 == Plan().run()


def test_the_first_row_that_fails_is_told_and_ends_the_run() -> None:
    """The number of the row is returned, from 1 on; the rows after it do not run."""
    plan = Plan(("add", 2, False), ("refuse", 4, False), ("add", 2, False))
    assert 2 == plan.run()
    assert [1, 0] == [int(x[1]) for x in (plan.numbers[0], plan.numbers[2])]


@pytest.mark.usefixtures("three")
def test_a_shared_row_that_fails_is_told() -> None:
    """It does not matter which thread met the failure."""
    plan = Plan(("refuse", 64, True), ("add", 2, False))
    assert [1] * 200 == [plan.run() for _ in range(200)]
    assert 0 == plan.numbers[1][1]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("chunks", [1, 2, 3, 31, 32, 33, 1000, 70000])
def test_every_chunk_of_a_shared_row_is_done_once(chunks: int) -> None:
    """No chunk is left out or done twice, however many there are."""
    plan = Plan(("add", chunks, True))
    for _ in range(100):
        plan.run()
    assert [0] + [100] * chunks == plan.numbers[0].tolist()


@pytest.mark.usefixtures("three")
def test_shared_rows_that_follow_each_other_do_not_mix() -> None:
    """A worker that comes late to one row does no harm to the next: 20,000 rows of every size."""
    sizes = np.random.default_rng(0).integers(1, 80, 1000).tolist()
    plan = Plan(*[("add", size, True) for size in sizes])
    for _ in range(20):
        assert 0 == plan.run()
    assert [[0] + [20] * size for size in sizes] == [x.tolist() for x in plan.numbers]


@pytest.mark.usefixtures("three")
def test_a_shared_row_is_done_before_the_next_begins() -> None:
    """What workers have written is there for the row that follows."""
    plan = Plan(*[("add", 200, True), ("follow", 200, False)] * 50)
    plan.arguments[1::2] = plan.arguments[0::2]
    expected = list(range(201))
    for _ in range(20):
        plan.run()
        assert [expected] * 50 == [x.tolist() for x in plan.numbers[0::2]]


@pytest.mark.usefixtures("three")
def test_sleeping_workers_wake_up() -> None:
    """Workers that found nothing for a while come back: chunks are signed by more than one thread."""
    text = KERNELS.replace(
        "  store i64 %new, ptr %place", "  %me = call i64 @pthread_self()\n  store i64 %me, ptr %place"
    )
    code = cache.code(text + "declare i64 @pthread_self()\n", NAMES, {})
    plan = Plan(("linger", 64, True))
    plan.table[:, 0] = code.addresses["linger"]
    threading.Event().wait(0.05)
    plan.run()
    assert len(set(plan.numbers[0][1:].tolist())) > 1


@pytest.mark.usefixtures("three")
def test_several_threads_run_tables_at_once() -> None:
    """One has the workers and the others go alone; all get their chunks done once."""
    plans = [Plan(*[("add", 100, True)] * 20) for _ in range(4)]

    def work(call: Callable[[], int]) -> None:
        for _ in range(100):
            call()

    threads = [threading.Thread(target=work, args=(driver.caller(plan.table),)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[0] + [100] * 100] * 80 == [x.tolist() for plan in plans for x in plan.numbers]


@pytest.mark.parametrize("release", [True, False])
def test_a_bound_function_runs_its_table(release: bool) -> None:
    """It returns what the run returns."""
    plan = Plan(("add", 3, False), ("refuse", 4, False))
    call = driver.caller(plan.table, release=release)
    assert [2, 2] == [call(), call()]
    assert [0, 2, 2, 2] == plan.numbers[0].tolist()


@pytest.mark.parametrize("release", [True, False])
def test_a_bound_function_takes_no_arguments(release: bool) -> None:
    """As with any function of Python, others raise."""
    call = driver.caller(Plan().table, release=release)
    with pytest.raises(TypeError):
        call(1)  # type: ignore[call-arg]


@pytest.mark.parametrize("release", [True, False])
def test_a_bound_function_keeps_what_it_is_given_and_no_longer(release: bool) -> None:
    """Table and other objects live as long as the function; calls leave no reference behind."""

    class Thing:
        """Something that can be watched."""

    thing = Thing()
    plan = Plan(("add", 1, False))
    call = driver.caller(plan.table, thing, release=release)
    seen = weakref.ref(thing)
    del thing
    for _ in range(1000):
        call()
    gc.collect()
    assert seen() is not None
    del call
    gc.collect()
    assert seen() is None


def test_a_cycle_through_a_bound_function_is_collected() -> None:
    """An object that holds the function that keeps it is no leak."""

    class Step:
        """Something that holds its function."""

        call: Callable[[], int]

    step = Step()
    step.call = driver.caller(Plan().table, step)
    seen = weakref.ref(step)
    del step
    gc.collect()
    assert seen() is None


def test_calls_without_the_interface_of_python_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python cannot call native code by itself, ctypes does."""
    found = driver._driver()._replace(held=None, released=None)
    monkeypatch.setattr(driver, "_driver", lambda: found)
    plan = Plan(("add", 3, False), ("refuse", 4, False))
    assert 2 == driver.caller(plan.table, plan)()
    assert [0, 1, 1, 1] == plan.numbers[0].tolist()


@pytest.mark.parametrize("table", [np.zeros((2, 3), np.int64), np.zeros((2, 4)), np.zeros((4, 8), np.int64)[:, ::2]])
def test_what_is_no_table_is_refused(table: NDArray[np.int64]) -> None:
    """Shape, dtype and layout are checked before native code reads them."""
    with pytest.raises(TypeError):
        driver.run(table)


def test_the_number_of_threads_is_read_from_the_environment() -> None:
    """LAZYGRAD_THREADS counts the caller too."""
    assert "3 2\n" == script("print(driver.threads(), driver.hire())", LAZYGRAD_THREADS="3")


def test_one_thread_hires_nobody() -> None:
    """With one thread all rows run alone."""
    assert "0 0\n" == script("print(driver.hire(), Plan(('add', 9, True)).run())", LAZYGRAD_THREADS="1")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning says what stands there; the number of cores is taken instead."""
    monkeypatch.setenv("LAZYGRAD_THREADS", value)
    with pytest.warns(RuntimeWarning) as caught:
        count = _default.__wrapped__()
    message = f"LAZYGRAD_THREADS is {value!r}, which is no whole number from 1 to 1,024: {count} are used"
    assert [message] == [str(w.message) for w in caught]
    assert count >= 1


@pytest.mark.parametrize("pause", [0, 0.05])
def test_python_ends_cleanly_while_workers_wait(pause: float) -> None:
    """Neither workers that look for work nor workers that sleep hold the process up, or crash it."""
    text = f"import time\ndriver.hire(3); print(Plan(('add', 99, True)).run()); time.sleep({pause})"
    assert "0\n" == script(text)


def test_python_ends_cleanly_when_bound_functions_are_left() -> None:
    """What modules hold until the very end may be freed after the driver's module."""
    text = (
        "driver.hire(2); plan = Plan(('add', 9, True)); call = driver.caller(plan.table, plan); sys.kept = call; call()"
    )
    assert "" == script(text)


@pytest.mark.parametrize("release", [True, False])
def test_python_ends_cleanly_while_a_thread_runs_a_table(release: bool) -> None:
    """A thread that is left behind in the midst of shared rows neither holds the process up nor crashes it."""
    text = (
        "driver.hire(2); plan = Plan(*[('linger', 8, True)] * 4)\n"
        f"call = driver.caller(plan.table, plan, release={release})\n"
        "def work():\n    while True: call()\n"
        "threading.Thread(target=work, daemon=True).start(); threading.Event().wait(0.05); print('end')\n"
    )
    assert "end\n" == script(text)


def test_threads_that_ask_first_at_once_get_one_driver() -> None:
    """There is one pool in a process, whoever comes first."""
    text = (
        "found = []\n"
        "threads = [threading.Thread(target=lambda: found.append(driver.run_address())) for _ in range(8)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; print(len(found), len(set(found)))\n"
    )
    assert "8 1\n" == script(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_runs_alone_and_hires_again() -> None:
    """The child has no workers; its rows are done, before and after it hires its own, and it ends well."""
    text = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "driver.hire(2); plan = Plan(('add', 500, True)); plan.run()\n"
        "sys.stdout.flush(); child = os.fork()\n"
        "if not child:\n"
        "    for _ in range(100): plan.run()\n"
        "    hired = driver.hire(2)\n"
        "    for _ in range(100): plan.run()\n"
        "    sys.exit(0 if (plan.numbers[0][1:] == 201).all() and hired == 2 else 9)\n"
        "code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "plan.run(); print(code, set(plan.numbers[0][1:].tolist()))\n"
    )
    assert "0 {2}\n" == script(text)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_fork_during_a_shared_row_of_another_thread_does_no_harm() -> None:
    """The child finds the pool as if nobody had it."""
    text = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "driver.hire(2); busy = Plan(*[('linger', 16, True)] * 4); plan = Plan(('add', 500, True))\n"
        "thread = threading.Thread(target=busy.run); thread.start(); threading.Event().wait(0.005)\n"
        "sys.stdout.flush(); child = os.fork()\n"
        "if not child:\n"
        "    driver.hire(2)\n"
        "    for _ in range(100): plan.run()\n"
        "    os._exit(0 if (plan.numbers[0][1:] == 100).all() else 9)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "thread.join(); print(set(busy.numbers[3][1:].tolist()))\n"
    )
    assert "0\n{1}\n" == script(text)


def test_an_interrupt_during_a_run_leaves_the_pool_whole() -> None:
    """Ctrl-C is raised when the run is over, all of whose chunks are done; the next run is as any other."""
    text = (
        "import _thread, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background lacks\n"
        "driver.hire(2); plan = Plan(*[('linger', 32, True)] * 2)\n"
        "threading.Timer(0.01, _thread.interrupt_main).start()\n"
        "try:\n    plan.run()\n    threading.Event().wait(5); print('never')\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
        "print(plan.run(), [set(x[1:].tolist()) for x in plan.numbers])\n"
    )
    assert "interrupted\n0 [{2}, {2}]\n" == script(text)
