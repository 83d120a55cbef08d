"""Calls from within a run: handlers of signals, finalizers, hooks, and interrupts at every line."""

from __future__ import annotations

import gc
import itertools
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import snapshot

import lazygrad as lg
from lazygrad.errors import GraphError

X = np.arange(1, 4, dtype="float32")


def counting(wait: bool) -> tuple[lg.VariableEnvironment, Any]:
    """A compiled step that adds 1 to a variable, and returns the sum of an array with it."""
    env = lg.VariableEnvironment(seed=0)
    env.name("count").set(np.zeros((), "float64"))

    def step(ctx: Any, x: Any) -> Any:
        count = ctx.variable("count")
        return lg.sum(x) + count, ctx.assign("count", count + 1)

    return env, env.compile(step, wait=wait)


@pytest.fixture(params=["native", "numpy"])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[lg.VariableEnvironment, Any]:
    """An environment and a step that is called by its quick way, or as a program of NumPy calls."""
    if request.param == "native":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait" if request.param == "native" else "off")
    env, fast = counting(wait=request.param == "native")
    for _ in range(4):
        fast(X)
    return env, fast


def at_every_event(
    call: Callable[[], Any], act: Callable[[], None], before: Callable[[], None] = lambda: None, rooms: str = "lazygrad"
) -> int:
    """Do ``call`` again and again, and act at its first event, its second, and so on; how many there were.

    Events are calls and returns within the package, also of functions written in C: wherever Python may run a handler
    of a signal. ``before`` is done before each call.
    """
    for stop in itertools.count():
        seen = 0
        before()

        def event(frame: Any, kind: str, arg: Any, stop: int = stop) -> None:
            nonlocal seen
            if rooms in frame.f_code.co_filename and kind in ("c_call", "c_return", "call", "return"):
                seen += 1
                if seen == stop + 1:
                    sys.setprofile(None)
                    act()

        sys.setprofile(event)
        try:
            call()
        finally:
            sys.setprofile(None)
        if seen <= stop:
            return stop
    raise AssertionError


def test_a_handler_that_calls_the_same_step_is_refused_or_comes_before_or_after(
    step: tuple[lg.VariableEnvironment, Any],
) -> None:
    """Wherever it is called: no value is wrong, no update is lost, and a refusal is a GraphError."""
    env, fast = step
    values: list[float] = []
    refused = 0

    def again() -> None:
        nonlocal refused
        try:
            values.append(float(fast(X + 10)[0]) - 30)
        except GraphError as reason:
            refused += "while a step is being evaluated" in str(reason)

    def call() -> None:
        values.append(float(fast(X)[0]))

    begun = int(env["count"])
    stops = at_every_event(call, again)
    assert stops >= 3
    assert 0 < refused
    done = len(values)
    assert begun + done == int(env["count"])
    assert sorted(values) == [6.0 + begun + k for k in range(done)]


def test_a_handler_that_sets_or_registers_variables_is_refused_in_a_run(
    step: tuple[lg.VariableEnvironment, Any],
) -> None:
    """The value that it sets is never lost."""
    env, fast = step
    for change, ends in (
        (lambda: env.__setitem__("count", 100.0), {100, 101}),
        (lambda: env.run(lambda ctx: ctx.assign("count", 100.0)), {100, 101}),
        (lambda: env.name(f"other{len(env)}").set(1.0), {1}),
    ):
        made = refused = 0

        def changed(change: Callable[[], Any] = change) -> None:
            nonlocal made, refused
            try:
                change()
                made += 1
            except GraphError:
                refused += 1

        def before(ends: set[int] = ends) -> None:
            nonlocal made
            assert int(env["count"]) in (ends if made else {1, 0})
            made = 0
            env["count"] = 0.0

        env["count"], others = 0.0, len(env)
        at_every_event(lambda: fast(X), changed, before)
        assert refused > 0
        assert 1 == int(env["count"])
        assert (len(env) > others) == (ends == {1})


@pytest.mark.parametrize("kind", ["run", "set", "register", "save", "restore", "layer", "copy"])
def test_a_step_that_a_handler_runs_in_the_middle_of_anything_is_whole(kind: str, tmp_path: Path) -> None:
    """And so is what it came in the middle of: two variables that are always equal stay so, also in files."""
    env = lg.VariableEnvironment()
    for name in ("a", "b"):
        env.name(name).set(np.zeros(3))
    made = refused = 0

    def both(ctx: Any) -> Any:
        return [ctx.assign(name, ctx.variable(name) + 1) for name in ("a", "b")]

    def again() -> None:
        nonlocal made, refused
        try:
            env.run(both)
            made += 1
        except GraphError:
            refused += 1

    file = tmp_path / "file.json"
    env.save(file)
    copies = [env.copy()]
    calls: dict[str, Callable[[], Any]] = {
        "run": lambda: env.run(both),
        "set": lambda: env.__setitem__("c", np.ones(2)),
        "register": lambda: env.name(f"new{len(env)}").set(np.ones(2)),
        "save": lambda: env.save(file),
        "restore": lambda: env.restore(file),
        "copy": lambda: copies.append(env.copy()),
        "layer": lambda: lg.nn.Linear(env, 2, 2),
    }
    env.name("c").set(np.zeros(2))
    env.save(file)

    def before() -> None:
        assert env["a"].tolist() == env["b"].tolist()
        saved = lg.VariableEnvironment.load(file)
        for other in (saved, copies[-1]):
            assert other["a"].tolist() == other["b"].tolist()
        assert len({v._number for v in env}) == len(env)
        if kind == "set":
            assert env["c"].tolist() in ([0.0, 0.0], [1.0, 1.0])

    stops = at_every_event(calls[kind], again, before)
    before()
    assert stops > 5
    assert refused > 0
    assert made > 0
    if kind not in ("run", "restore"):
        assert env["a"].tolist() == [float(made)] * 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no timers")
def test_a_thousand_signals_whose_handler_calls_the_step(step: tuple[lg.VariableEnvironment, Any]) -> None:
    """Real ones, wherever they come."""
    env, fast = step
    values: list[float] = []
    come = refused = 0
    over = False

    def handler(*_: Any) -> None:
        nonlocal come, refused
        if over:
            return
        come += 1
        try:
            values.append(float(fast(X)[0]))
        except GraphError:
            refused += 1
        signal.setitimer(signal.ITIMER_REAL, 1e-4)  # when this one is done

    begun = int(env["count"])
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        while come < 1000:
            values.append(float(fast(X)[0]))
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert begun + len(values) == int(env["count"])
    assert sorted(values) == [6.0 + begun + k for k in range(len(values))]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finalizer_that_calls_the_step_changes_no_result(step: tuple[lg.VariableEnvironment, Any]) -> None:
    """The collector may call it in the middle of a run."""
    env, fast = step
    called = 0

    class Ring:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            nonlocal called
            called += 1
            fast(X)

    begun, made = int(env["count"]), 0
    threshold = gc.get_threshold()
    gc.set_threshold(3, 2, 2)
    try:
        values = []
        for _ in range(300):
            Ring()
            before = called
            values.append(float(fast(X)[0]))
            made += called - before
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert called > 10
    assert len(set(values)) == len(values)
    assert begun + len(values) <= int(env["count"]) <= begun + len(values) + called


@pytest.mark.parametrize("wait", [True, False])
def test_a_hook_that_calls_its_own_step_is_refused(wait: bool) -> None:
    """With all it can do to its environment; nothing changes."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3))
    calls: list[Callable[[], Any]] = []

    def hook(array: Any) -> None:
        for call in calls:
            call()

    fast = env.compile(lambda ctx: ctx.assign("w", lg.hook(ctx.variable("w") * 2, hook)), wait=wait)
    for _ in range(3):
        fast()
    before = snapshot(env)
    for call in (
        fast,
        lambda: env.run(lambda ctx: ctx.variable("w")),
        lambda: fast.prepare(),
        lambda: env.name("v").set(1.0),
        lambda: env.__setitem__("w", 3.0),
        lambda: lg.nn.Linear(env, 3, 3),
        lambda: lg.optim.SGD(env, 0.1),
    ):
        calls[:] = [call]
        for _ in range(2):
            with pytest.raises(GraphError, match="while a step is being evaluated"):
                fast()
            assert snapshot(env) == before
    calls[:] = []
    fast()
    assert snapshot(env) != before


def test_a_step_that_calls_another_step_of_its_environment_is_served() -> None:
    """While it is written nothing is evaluated yet."""
    env, fast = counting(wait=False)
    fast(X)
    assert 7.0 + 1 == env.run(lambda ctx: lg.asarray(fast(X)[0]) + 1)
    assert 2 == env["count"]


def test_arguments_live_as_long_as_native_code_may_read_them() -> None:
    """Also where another thread drops the last name of one meanwhile."""
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    env = lg.VariableEnvironment()
    fast = env.compile(lambda ctx, x: lg.sum(x), wait=True)
    box = [np.ones(100_000)]
    for _ in range(3):
        fast(box[0])
    seen = weakref.ref(box[0])
    stop = threading.Event()

    def dropping() -> None:
        while not stop.is_set():
            box[0] = np.ones(100_000)

    thread = threading.Thread(target=dropping)
    thread.start()
    try:
        assert [100_000.0] * 300 == [float(fast(box[0])) for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    assert seen() is None
