"""Launches that follow one another become a CUDA graph, which computes in every run with what lies there then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cupy_double import counts, launch, runtime

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

NAMES = ("w", "v", "drawn")


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def stepped(backend: str = "cupy", **settings: Any) -> tuple[lg.VariableEnvironment, Callable[..., Any]]:
    """A step of three launches, a product and a launch, with draws and a rate that changes."""
    env = lg.VariableEnvironment(backend=backend, seed=0)
    w, v = env.name("w").set(np.ones((60, 8), np.float32)), env.name("v").set(np.ones((8, 8), np.float32))
    drawn = env.name("drawn").set(np.zeros(7, np.float32))

    def step(ctx: Any, x: Any, rate: Any) -> Any:
        scaled = lg.nn.softmax(x * w, axis=1)
        centred = scaled - lg.mean(scaled, axis=0)
        product = lg.matrix_transpose(centred) @ centred
        total = lg.sum(lg.abs(product))
        updates = ctx.assign(w, w - rate * centred * total), ctx.assign(v, lg.tanh(product + v))
        return total, updates, ctx.assign(drawn, drawn + ctx.random.uniform((7,)) * total)

    return env, env.compile(step, wait=True, **settings)


def arrays(env: lg.VariableEnvironment, number: int) -> list[Any]:
    """What the step is given in one of its runs."""
    x = np.random.default_rng(number).normal(size=(60, 8)).astype(np.float32)
    return [env._store.backend.asarray(x), env._store.backend.asarray(np.float32(1e-3 * (number + 1)))]


def state(env: lg.VariableEnvironment) -> list[Any]:
    """All variables."""
    return [np.asarray(env._store.backend.to_numpy(env[name])) for name in NAMES]


def run(env: lg.VariableEnvironment, step: Callable[..., Any], runs: int = 8) -> list[Any]:
    """What the runs returned, and the variables after them."""
    values = [env._store.backend.to_numpy(step(*arrays(env, k))[0]) for k in range(runs)]
    return [*map(np.asarray, values), *state(env)]


@pytest.mark.parametrize("synchronous", [True, False])
def test_a_graph_computes_with_what_lies_there_in_that_run(synchronous: bool) -> None:
    """Other arguments elsewhere, other rates, other draws, and variables in either of their arrays: bit for bit."""
    env, step = stepped(synchronous=synchronous)
    counts.clear()
    found = run(env, step)
    assert counts["graphs"] > 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAZYGRAD_GRAPHS", "off")
        counts.clear()
        expected = run(*stepped(synchronous=synchronous))
        assert (0, 0) == (counts["graphs"], counts["launches that were captured"])
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(found, run(*stepped("numpy")), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # sums are taken in another order


def test_launches_are_captured_once_for_each_side_of_the_variables() -> None:
    """After two plain runs each; from then on nothing is captured, and every kernel is launched as often as before."""
    env, step = stepped()
    run(env, step, 6)
    counts.clear()
    for k in range(4):
        step(*arrays(env, k))
    first = counts.copy()
    assert 0 == first["launches that were captured"]
    assert first["graphs"] > 0
    for k in range(4):
        step(*arrays(env, k))
    assert counts["launches"] == 2 * first["launches"]
    assert counts["graphs"] == 2 * first["graphs"]


@pytest.mark.parametrize("what", ["begin_capture", "end_capture"])
def test_where_cupy_does_not_capture_kernels_are_launched(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is asked once."""

    def refused(self: Any, *_: Any) -> None:
        counts["refused"] += 1
        self._captured = None
        raise runtime.CUDARuntimeError("cudaErrorStreamCaptureUnsupported")

    monkeypatch.setattr(runtime.Stream, what, refused)
    counts.clear()
    found = run(*stepped())
    assert 0 == counts["graphs"]
    assert 1 <= counts["refused"] <= 8
    monkeypatch.undo()
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)
    for a, b in zip(found, run(*stepped("numpy")), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)  # sums are taken in another order


@pytest.mark.parametrize("at", [1, 2])
def test_an_interrupt_in_a_capture_loses_nothing(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was captured has not been run; the stream that kernels run on is the usual one."""
    env, step = stepped()
    run(env, step, 4)
    before, call, left = state(env), launch.Function.__call__, [at]

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        left[0] -= runtime.get_current_stream().is_capturing()
        if not left[0]:
            left[0] = -1
            raise KeyboardInterrupt
        return call(self, *args, **kwargs)

    monkeypatch.setattr(launch.Function, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(*arrays(env, 4))
    assert runtime.Stream.null is runtime.get_current_stream()
    for a, b in zip(before, state(env), strict=True):
        np.testing.assert_array_equal(a, b)
    for k in range(4, 8):
        step(*arrays(env, k))
    for a, b in zip(state(env), run(*stepped())[-len(NAMES) :], strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_launch_is_no_graph() -> None:
    """It would gain nothing."""
    env = lg.VariableEnvironment(backend="cupy")
    w = env.name("w").set(np.ones(5, np.float32))
    step = env.compile(lambda ctx: ctx.assign(w, w * 0.5 + 1), wait=True)
    counts.clear()
    for _ in range(8):
        step()
    assert (0, 0) == (counts["graphs"], counts["launches that were captured"])


def test_a_word_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As are those of other settings."""
    monkeypatch.setenv("LAZYGRAD_GRAPHS", "on")
    with pytest.raises(lg.BackendError, match="cannot use LAZYGRAD_GRAPHS='on'"):
        run(*stepped())
