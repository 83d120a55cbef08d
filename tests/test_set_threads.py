"""How many threads there are, said in code and by threadpoolctl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad import threads
from lazygrad.threads import MOST


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a test chooses is forgotten."""
    yield
    lg.set_threads(None)


def test_the_number_is_set_and_read() -> None:
    """None goes back to what the process may use."""
    before = lg.get_threads()
    assert before >= 1
    lg.set_threads(3)
    assert 3 == lg.get_threads()
    lg.set_threads(np.int64(1))  # type: ignore[arg-type]
    assert 1 == lg.get_threads()
    lg.set_threads(None)
    assert before == lg.get_threads()


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2", MOST + 1, float("nan")])
def test_what_is_no_number_of_threads_is_refused(count: Any) -> None:
    """And changes nothing."""
    before = lg.get_threads()
    with pytest.raises(lg.SpecError, match=r"It is a whole number from 1 to 1,024, or None"):
        lg.set_threads(count)
    assert before == lg.get_threads()


def script(text: str, **more: str) -> str:
    """What a program of its own prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAZYGRAD_THREADS")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, timeout=120, env={**kept, **more}
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


# The kernel notes which threads have called it: a shared row of many chunks, of which each takes a while.
PROGRAM = """
import ctypes, threading, time
import numpy as np
import lazygrad as lg
from lazygrad.engine.cpu import driver

KERNEL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
seen = set()

def chunk(arguments, begin, end):
    seen.add(threading.get_ident())
    time.sleep(0.002)
    return 0

kernel = KERNEL(chunk)
address = ctypes.cast(kernel, ctypes.c_void_p).value
table = np.array([[address, 0, 64, 1]], np.int64)

def used():
    seen.clear()
    for _ in range(3):
        driver.run(table)
    return len(seen)
"""


@pytest.fixture
def _native() -> None:
    pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    if os.name != "posix":
        pytest.skip("workers are threads of POSIX")


@pytest.mark.usefixtures("_native")
def test_no_more_threads_work_than_are_allowed() -> None:
    """Fewer, while the others sleep, and all of them again."""
    text = PROGRAM + "\nlg.set_threads(4)\ndriver.hire()\nfound = [used()]"
    text += "\nfor n in (1, 2, 3, 4):\n    lg.set_threads(n)\n    found.append(used())\nprint(found)"
    first, *others = eval(script(text))
    assert first <= 4
    assert 1 == others[0]
    assert all(1 <= count <= n for n, count in enumerate(others, 1)), others
    assert others[3] > 1


@pytest.mark.usefixtures("_native")
def test_threads_that_are_allowed_later_are_started_then() -> None:
    """A step that was bound when one thread was allowed goes faster when two are."""
    text = PROGRAM + "\nlg.set_threads(1)\nprint(driver.hire(), used())\nlg.set_threads(3)\nprint(used() > 1)"
    assert "0 1\nTrue" == script(text)


@pytest.mark.usefixtures("_native")
@pytest.mark.parametrize("first", ["threadpoolctl", "lazygrad as lg"])
def test_threadpoolctl_limits_our_threads(first: str) -> None:
    """Whichever is imported first; within the block, and not after it."""
    pytest.importorskip("threadpoolctl", reason="it limits threads")
    text = f"""
import {first}
import threadpoolctl, lazygrad as lg
import numpy as np
lg.set_threads(2)
step = lg.VariableEnvironment(seed=0).compile(lambda ctx, x: x @ x, wait=True)
x = np.ones((300, 300), "f4")
whole = step(x)
with threadpoolctl.threadpool_limits(1):
    print(lg.get_threads(), np.array_equal(whole, step(x)))
with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
    print(lg.get_threads())
with threadpoolctl.threadpool_limits(limits={{"lazygrad": 5}}):
    print(lg.get_threads())
print(lg.get_threads())
own = [one for one in threadpoolctl.threadpool_info() if one["internal_api"] == "lazygrad"]
print(len(own), own[0]["num_threads"], own[0]["version"] == lg.__version__)
"""
    assert ["1 True", "2", "5", "2", "1 2 True"] == script(text).splitlines()


@pytest.mark.usefixtures("_native")
def test_a_limit_holds_for_what_is_compiled_within_it() -> None:
    """If threadpoolctl was imported before lazygrad, the first step may come within the block."""
    pytest.importorskip("threadpoolctl", reason="it limits threads")
    text = """
import threadpoolctl, lazygrad as lg, numpy as np
from lazygrad.engine.cpu import driver
lg.set_threads(2)
with threadpoolctl.threadpool_limits(1):
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, x: x @ x, wait=True)
    step(np.ones((300, 300), "f4")), step(np.ones((300, 300), "f4"))
    print(len(driver._hired))
lg.set_threads(3)
print(len(driver._hired))
"""
    assert "0\n2" == script(text)


def default(monkeypatch: pytest.MonkeyPatch, own: str, all_libraries: str) -> int:
    """What a process has whose environment says this."""
    monkeypatch.setenv("LAZYGRAD_THREADS", own)
    monkeypatch.setenv("OMP_NUM_THREADS", all_libraries)
    return threads._default.__wrapped__()  # what it remembers left aside


@pytest.mark.parametrize(
    ("own", "all_libraries", "expected"),
    [("", "1", 1), ("", "1,4", 1), ("3", " 1 ", 3), ("", "1024", None), ("", "0", None), ("", "x", None)],
)
def test_processes_of_joblib_have_the_threads_that_it_gives_them(
    own: str, all_libraries: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so to all libraries by a variable of the environment; ours says more, and cores are a limit."""
    cores = default(monkeypatch, "", "")
    assert (expected or cores) == default(monkeypatch, own, all_libraries)


@pytest.mark.parametrize("wanted", ["0", "-1", "2.5", "many", str(MOST + 1), "9" * 5000])
def test_what_the_environment_says_is_a_number_of_threads_or_warned_of(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand threads are no more started than when code asks for them."""
    said = re.escape(f"LAZYGRAD_THREADS is {wanted!r:.40}, which is no whole number from 1 to 1,024: 1 are used")
    with pytest.warns(RuntimeWarning, match=said):
        assert 1 == default(monkeypatch, wanted, "1")


def test_threadpoolctl_is_not_imported_for_nothing() -> None:
    """A program that never compiles does without it."""
    assert "False" == script("import sys, lazygrad; lazygrad.get_threads(); print('threadpoolctl' in sys.modules)")
