"""Compiled steps in native code: when it takes over, what it promises, and what happens where there is none."""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from native_steps import script
from snapshots import snapshot

import lazygrad as lg
from lazygrad.engine import background, memory
from lazygrad.engine.table.native import Native
from lazygrad.engine.tier import Tier, policy

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = np.arange(6, dtype="float32").reshape(2, 3)


@pytest.fixture(autouse=True)
def _auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default settings, whatever the suite is run under."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)
    monkeypatch.delenv("LAZYGRAD_CHECK", raising=False)


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env


def training(ctx: Any, x: Any) -> Any:
    """A value, and a variable that is changed."""
    w = ctx.variable("w")
    return lg.sum(lg.tanh(x * w)), ctx.assign("w", w + 1)


# When it takes over.


def test_a_step_that_waits_is_native_from_the_first_call(env: lg.VariableEnvironment) -> None:
    """It says so after it."""
    fast = env.compile(training, wait=True)
    assert not fast.is_native
    fast(X)
    assert fast.is_native


def test_the_first_call_runs_at_once_and_native_code_takes_over(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a thread compiles, NumPy gives the same numbers; wait() returns when native code is in place."""
    begin = threading.Event()
    make = Tier._make

    def slow(self: Tier, *given: Any) -> Any:
        begin.wait()
        return make(self, *given)

    monkeypatch.setattr(Tier, "_make", slow)
    fast, control = env.compile(training), lg.VariableEnvironment(seed=0)
    control.name("w").set(env["w"])
    for _ in range(3):
        np.testing.assert_allclose(fast(X)[0], control.run(training, X)[0], rtol=1e-6)
        assert not fast.is_native
    begin.set()
    fast.wait()
    assert fast.is_native
    for _ in range(3):
        np.testing.assert_allclose(fast(X)[0], control.run(training, X)[0], rtol=1e-6)
    assert control["w"].tolist() == env["w"].tolist() == [7.0, 8.0, 9.0]


def test_the_first_result_waits_for_no_compiler() -> None:
    """What compiles is imported by the thread beside, and by no other."""
    text = """
import importlib.abc, sys, threading, numpy as np, lazygrad as lg
lg.VariableEnvironment  # all public names are imported with the first
seen, importers = [], set()
class Noticed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith(("lazygrad.engine.", "llvmlite.")):
            importers.add(threading.current_thread().name)
sys.meta_path.insert(0, Noticed())
fast = lg.VariableEnvironment().compile(
    lambda ctx, x: lg.hook(x + 1, lambda y: seen.append("lazygrad.engine.cpu.making" in sys.modules))
)
fast(np.ones(3))
fast.wait()
print(seen, importers, fast.is_native)
"""
    assert "[False] {'lazygrad compiler'} True" == script(text).strip()


def test_a_loop_of_very_many_turns_waits_for_native_code(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy would take longer over its turns than the compiler takes; a loop of few turns begins at once."""

    def step(ctx: Any, x: Any, turns: int) -> Any:
        return lg.fori_loop(0, turns, lambda i, x: lg.sin(x) + 1, x)

    few, many = env.compile(step), env.compile(step)
    asked: list[bool] = []
    ask = Tier.ask
    monkeypatch.setattr(Tier, "ask", lambda self, plan, wait: (asked.append(wait), ask(self, plan, wait))[1])
    few(X, 10)
    many(X, 1_000_000)
    assert [False, True] == asked
    assert many.is_native
    assert few.plan.evaluations < 100
    assert 2_000_000 < many.plan.evaluations
    few.wait()


def test_waiting_is_for_all_signatures(env: lg.VariableEnvironment) -> None:
    """Each is native after it."""
    fast = env.compile(lambda ctx, x: x * 2)
    arrays = [np.ones(n) for n in (1, 2, 3)]
    for x in arrays:
        fast(x)
    fast.wait()
    for x in arrays:
        fast(x)
        assert fast.is_native


def test_waiting_before_the_first_call_returns(env: lg.VariableEnvironment) -> None:
    """There is nothing to wait for."""
    env.compile(training).wait()


def test_preparing_computes_nothing(env: lg.VariableEnvironment) -> None:
    """Variables, draws and hooks are left alone; the next call is native."""
    seen: list[Any] = []

    def step(ctx: Any, x: Any) -> Any:
        return lg.hook(x, seen.append) + ctx.random.normal((2, 3)), training(ctx, x)

    before = snapshot(env)
    fast = env.compile(step)
    plan = fast.prepare(X)
    assert (before, []) == (snapshot(env), seen)
    assert fast.is_native
    assert plan is fast.plan
    fast(X)
    assert 1 == len(seen)
    assert plan is fast.plan


def test_preparing_for_what_was_called_compiles_it(env: lg.VariableEnvironment) -> None:
    """It is not traced again."""
    fast = env.compile(training)
    fast(X)
    plan = fast.plan
    assert plan is fast.prepare(X)
    assert fast.is_native


@pytest.mark.parametrize("said", ["wait", "off", "auto", ""])
def test_the_environment_says_when_native_code_is_made(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """LAZYGRAD_NATIVE is wait, off or auto, which it is if nothing is said."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", said)
    assert (said or "auto") == policy()


def test_waiting_may_be_asked_for_by_the_environment(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then every compiled step waits."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait")
    fast = env.compile(training)
    fast(X)
    assert fast.is_native


def test_native_code_may_be_turned_off(env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a step that would wait runs on NumPy."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    fast = env.compile(training, wait=True)
    for _ in range(3):
        fast(X)
    fast.wait()
    assert not fast.is_native
    assert [4.0, 5.0, 6.0] == env["w"].tolist()


def test_another_word_is_an_error_that_lists_the_right_ones(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first call, which changes nothing."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "on")
    with pytest.raises(lg.errors.BackendError, match=r"cannot use LAZYGRAD_NATIVE='on'[^$]*'auto'.*'wait'.*'off'"):
        env.compile(training)(X)
    assert [1.0, 2.0, 3.0] == env["w"].tolist()


# Where there is none.


def test_a_failure_to_compile_is_one_warning(env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its reason; NumPy goes on."""

    def fails(self: Tier, *given: Any) -> Any:
        raise RuntimeError("no room for code")

    monkeypatch.setattr(Tier, "_make", fails)
    fast = env.compile(training, wait=True)
    with pytest.warns(RuntimeWarning, match="could not be compiled .*no room for code") as caught:
        fast(X)
    assert 1 == len(caught)
    fast(X)
    fast.wait()
    assert not fast.is_native
    assert [3.0, 4.0, 5.0] == env["w"].tolist()


def test_a_failure_beside_the_program_is_one_warning_too(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from wait(), or from the next call."""

    def fails(self: Tier, *given: Any) -> Any:
        raise ValueError

    monkeypatch.setattr(Tier, "_make", fails)
    fast = env.compile(training)
    fast(X)
    with pytest.warns(RuntimeWarning, match="could not be compiled .ValueError") as caught:
        fast.wait()
    assert 1 == len(caught)
    fast(X)


def test_without_memory_for_the_arena_numpy_goes_on(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a warning that says so."""

    def full(nbytes: int) -> Any:
        raise MemoryError("no memory")

    monkeypatch.setattr("lazygrad.engine.cpu.binding.aligned", full)
    fast = env.compile(training, wait=True)
    with pytest.warns(RuntimeWarning, match="MemoryError: no memory"):
        fast(X)
    fast(X)
    assert [3.0, 4.0, 5.0] == env["w"].tolist()


WITHOUT = """
import sys
sys.modules["llvmlite"] = None
import numpy as np, lazygrad as lg
env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
def step(ctx, x):
    w = ctx.variable("w")
    loss = lg.sum(lg.tanh(x * w)) + lg.mean(ctx.random.normal(3))
    return loss, ctx.assign("w", w - 0.1 * lg.grad(loss, [w])[0])
fast = env.compile(step, wait=True)
x = np.arange(6, dtype="float32").reshape(2, 3)
print([fast(x)[0].item().hex() for _ in range(4)], env["w"].tolist(), fast.is_native)
fast.wait()
"""


def test_without_llvmlite_everything_works_on_numpy() -> None:
    """Without a warning, with the numbers of LAZYGRAD_NATIVE=off."""
    with_it = WITHOUT.replace('sys.modules["llvmlite"] = None', "")
    without = script(WITHOUT)
    assert "False" in without
    assert script(with_it, LAZYGRAD_NATIVE="off") == without


def test_an_op_that_lacks_a_native_form_is_called_back(env: lg.VariableEnvironment) -> None:
    """Between native stretches; the plan says so."""
    fast = env.compile(lambda ctx, x: lg.i0(lg.tanh(x)) * 2, wait=True)
    np.testing.assert_allclose(np.i0(np.tanh(X)) * 2, fast(X), rtol=1e-6)
    assert "1 calls back to NumPy" in fast.plan.explain()
    assert "NumPy: i0" in fast.plan.explain()


@pytest.mark.parametrize("wait", [True, False])
def test_a_number_that_no_argument_changes_may_be_infinite(env: lg.VariableEnvironment, wait: bool) -> None:
    """What is constant is computed once, as quietly as in a run."""
    fast = env.compile(lambda ctx, x: x * lg.log(lg.arange(3)), wait=wait)
    fast(X)
    fast.wait()
    assert fast.is_native
    np.testing.assert_array_equal(np.isnan(fast(X)), [[True, False, False], [False, False, False]])


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
def test_a_dtype_without_native_form_is_computed_on_numpy(dtype: str) -> None:
    """Without a warning, also where such a variable is just given an argument."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.zeros(3, dtype))
    fast = env.compile(lambda ctx, x: (x + 1, ctx.assign("w", x)), wait=True)
    x = np.arange(3).astype(dtype)
    assert [1.0, 2.0, 3.0] == fast(x)[0].tolist()
    assert x.tolist() == env["w"].tolist()


def test_the_gradient_of_a_sum_of_products_is_native(env: lg.VariableEnvironment) -> None:
    """A factor of its products is ones, which is no array anywhere."""
    w = np.arange(12, dtype="float32").reshape(3, 4)
    fast = env.compile(lambda ctx, x, w: lg.grad(lg.sum(x @ w), [x, w]), wait=True)
    dx, dw = fast(X, w)
    assert fast.is_native
    np.testing.assert_array_equal(np.ones((2, 4)) @ w.T, dx)
    np.testing.assert_array_equal(X.T @ np.ones((2, 4)), dw)


# What the plan says.


def test_the_peak_is_known_before_the_first_run_and_is_that_of_the_arena(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 5 %."""
    sizes: list[int] = []

    def counted(nbytes: int) -> Any:
        block = memory.aligned(nbytes)
        sizes.append(block.nbytes)
        return block

    monkeypatch.setattr("lazygrad.engine.cpu.binding.aligned", counted)
    fast = env.compile(lambda ctx, x: lg.sum(lg.cumulative_sum(x @ x.T, axis=0) @ x), wait=True)
    plan = fast.prepare(np.ones((100, 50)))
    # A plan of another test may be compiled beside this one.
    assert any(plan.peak_bytes == pytest.approx(size, rel=0.05) for size in sizes)
    assert plan.peak_bytes >= 2 * 100 * 100 * 8
    fast(np.ones((100, 50)))
    assert 1 == len(sizes)


def test_the_plan_lists_its_kernels(env: lg.VariableEnvironment) -> None:
    """Each with what it goes over, bytes and operations; none before there is native code."""
    fast = env.compile(lambda ctx, x: (lg.nn.softmax(x @ x.T), lg.sort(x), lg.i0(x)))
    plan = fast.prepare(X)
    text = plan.explain()
    assert "product 2 × 3 × 2" in text
    assert "NumPy: i0" in text
    assert "  argsort  " in text
    assert "2 rows" in text
    assert f"an arena of {plan.peak_bytes:,} bytes" in text
    rows = [line for line in text.splitlines() if line[:4].strip().isdecimal() and line[4:6] == "  "]
    assert len(rows) >= 3


def test_a_plan_on_numpy_has_a_peak_too(env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that its nodes make."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
    plan = env.compile(lambda ctx, x: lg.exp(x) + 1).prepare(X)
    assert 48 == plan.peak_bytes
    assert "kernels" not in plan.explain()


# Nothing grows.

SIGNATURES = """
import resource
import numpy as np, lazygrad as lg
env = lg.VariableEnvironment(seed=0)
env.name("w").set(np.ones(1))
fast = env.compile(lambda ctx, x, k: (lg.sum(x * k), ctx.assign("w", ctx.variable("w") + 1)))
x, sizes = np.ones(3), []
for k in range(1, 1001):
    assert fast(x, k)[0] == 3 * k
    if k % 500 == 0:
        sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
assert fast.is_native
print(sizes[1] - sizes[0])
"""


@pytest.mark.slow
def test_a_thousand_signatures_leave_memory_flat() -> None:
    """The plans of those not used for longest are dropped, with their code: the second 500 need less than 4 MB."""
    pytest.importorskip("resource", reason="the platform does not say how much memory a process has")
    text = f"import warnings\nwarnings.simplefilter('ignore')\n{SIGNATURES}"
    grown = int(script(text, LAZYGRAD_NATIVE="wait", LAZYGRAD_CACHE="off"))
    assert grown * (1 if sys.platform != "darwin" else 1 / 1024) < 4096


# Work beside the program.


def test_a_job_is_done_once_whoever_asks() -> None:
    """By the thread for it."""
    done: list[str] = []
    job = background.Job(lambda job: done.append(threading.current_thread().name))
    job.wait()
    job.run()
    assert ["lazygrad compiler"] == done
    assert job.is_done


def test_a_job_that_fails_says_why() -> None:
    """And has no result."""

    def work(job: background.Job) -> None:
        raise ValueError("no")

    job = background.submit(work)
    job.wait()
    assert ("no", None) == (str(job.failure), job.result)


def test_an_interrupt_of_a_job_reaches_who_does_it() -> None:
    """It is done all the same, so nobody waits for ever."""

    def work(job: background.Job) -> None:
        raise KeyboardInterrupt

    job = background.Job(work)
    with pytest.raises(KeyboardInterrupt):
        job.run()
    assert job.is_done


def test_an_interrupt_while_native_code_is_made_leaves_a_step_that_works(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has changed, and the next call compiles."""

    def interrupted(self: background.Job) -> None:
        raise KeyboardInterrupt

    fast = env.compile(training, wait=True)
    before = snapshot(env)
    with monkeypatch.context() as patch:
        patch.setattr(background.Job, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fast(X)
    assert before == snapshot(env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(X)
    assert fast.is_native


def test_a_native_plan_holds_no_array_of_the_caller(env: lg.VariableEnvironment) -> None:
    """An argument is free as soon as the caller lets it go."""
    fast = env.compile(lambda ctx, x: lg.sum(x * 2), wait=True)
    x = np.ones(5000)
    for _ in range(3):
        fast(x)
    before = sys.getrefcount(x)
    fast(np.ones(5000))
    assert 2 == sys.getrefcount(x) <= before


def test_distinct_kernels_are_compiled_once(env: lg.VariableEnvironment) -> None:
    """Fifty layers alike have no more functions than five."""

    def layers(count: int) -> Native:
        def step(ctx: Any, x: Any) -> Any:
            y = x
            for _ in range(count):
                y = lg.tanh(lg.cumulative_sum(y, axis=0))
            return y

        fast = env.compile(step)
        fast.prepare(X)
        return fast._last.runner.native.loaded.native  # type: ignore[union-attr, no-any-return]

    assert len(layers(50).functions) == len(layers(5).functions)
