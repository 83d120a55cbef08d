"""Loops of compiled steps on CuPy's double: as one kernel, or as turns whose kernels the host launches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import cupy_double
import numpy as np
import pytest
from cupy_double import counts
from gpu.emulated import emulated

import lazygrad as lg
from lazygrad.engine.cuda import turns
from lazygrad.engine.table.native import Instruction

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

X = np.random.default_rng(0).normal(size=(5, 7, 40))
W = np.random.default_rng(1).normal(size=(40, 40)) * 0.1


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    for name, module in cupy_double.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def compiled(step: Any, backend: str = "cupy", **variables: Any) -> tuple[lg.VariableEnvironment, Any]:
    """A step that is native from its first call, and its environment."""
    env = lg.VariableEnvironment(backend=backend, dtype="float64", seed=1)
    for name, value in variables.items():
        env.name(name).set(np.array(value))
    return env, env.compile(step, wait=True)


def host(env: lg.VariableEnvironment, results: Any) -> list[Any]:
    """All arrays of a result, and then of the variables, in NumPy's memory."""
    found: list[Any] = []
    todo = [results]
    while todo:
        one = todo.pop(0)
        if isinstance(one, (tuple, list)):
            todo = [*one, *todo]
        elif one is not None:
            found.append(env._store.backend.to_numpy(one))
    return [*found, *(env._store.backend.to_numpy(v.value) for v in env)]


def kinds(step: Any) -> list[str]:
    """What a compiled step runs, in order."""
    return [type(one).__name__ for one in step.prepare(X).native().native.program]


# One kernel.


def _sum(ctx: Any, x: Any) -> Any:
    return lg.scan(lambda h, row: (h * 0.5 + row, h), lg.zeros(3), x)


def _network(ctx: Any, x: Any) -> Any:
    w = ctx.variable("w")

    def turn(h: Any, row: Any) -> Any:
        h = lg.tanh(h * w + row)
        return h, h

    last, every = lg.scan(turn, lg.zeros(3), x)
    loss = lg.sum(last * last) + lg.sum(every)
    return loss, lg.grad(loss, w), lg.grad(loss, x)


SMALL: dict[str, Callable[..., Any]] = {
    "scan": _sum,
    "derivative": _network,
    "while_loop": lambda ctx, x: lg.while_loop(lambda c: lg.sum(c) < 100, lambda c: c * 1.5, lg.abs(x[0])),
    "cond": lambda ctx, x: lg.cond(lg.sum(x) > 0, lambda a: a * 2, lambda a: a - 1, x),
    "written": lambda ctx, x: lg.fori_loop(0, 4, lambda i, c: lg.at(c)[i].add(lg.sum(x[i])), lg.zeros(6)),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("seed", [None, 0])
def test_a_small_loop_is_one_kernel_with_the_bits_of_the_host(name: str, seed: int | None) -> None:
    """One warp runs all turns; threads may run in any order between the places where it meets."""
    x = X[0, :4, :3].astype(np.float32)
    known = {"w": np.array([0.5, -0.2, 0.1], np.float32)} if name == "derivative" else {}
    this = emulated(SMALL[name], x, seed=seed, **known)
    assert all(isinstance(step, Instruction) for step in this.native.program)
    for found, expected, numpy in zip(this.found, this.host, this.expected, strict=True):
        assert expected.tobytes() == found.tobytes()
        np.testing.assert_allclose(found, numpy, rtol=1e-5, atol=1e-6)


# Turns that the host launches.


def _recurrent(ctx: Any, x: Any) -> Any:
    w = ctx.variable("w")

    def turn(h: Any, row: Any) -> Any:
        h = lg.tanh(h @ w + row)
        return h, h

    last, every = lg.scan(turn, lg.zeros((7, 40)), x)
    loss = lg.sum(last * last) + lg.sum(every)
    change = lg.grad(loss, w)
    return loss, last, lg.sum(every, axis=0), lg.grad(loss, x), ctx.assign(w, w - 0.01 * change)


def _nested(ctx: Any, x: Any) -> Any:
    w = ctx.variable("w")

    def turn(h: Any, row: Any) -> Any:
        inner, _ = lg.scan(lambda c, q: (lg.tanh(c @ w + q), None), h, lg.stack([row, row * 2, row * 3]))
        return inner, inner[0]

    last, every = lg.scan(turn, lg.zeros((7, 40)), x)
    return last, every, lg.grad(lg.sum(last), x)


def _grown(ctx: Any, x: Any) -> Any:
    w = ctx.variable("w")
    last = lg.while_loop(lambda c: lg.sum(c) < 1000, lambda c: c * 1.5 + c @ lg.abs(w), lg.abs(x[0]), max_steps=50)
    return last, lg.grad(lg.sum(last * last), x)


def _multiplied(ctx: Any, x: Any, turns: int) -> Any:
    w = ctx.variable("w")
    step = lambda c: (c[0] @ w, c[1] + 1)  # noqa: E731
    last, count = lg.while_loop(lambda c: c[1] < turns, step, (x[0], 0), max_steps=50)
    return last, count, lg.grad(lg.sum(last * last), x), lg.grad(lg.sum(last), w)


def _checkpointed(ctx: Any, x: Any) -> Any:
    w = ctx.variable("w")
    layer = lg.checkpoint(lambda a: lg.tanh(a @ w))
    loss = lg.sum(layer(layer(x)))
    return loss, lg.grad(loss, w)


def _factors(ctx: Any, x: Any) -> Any:
    def turn(h: Any, r: Any) -> Any:
        factor = lg.linalg.cholesky(h @ h.T + 10 * lg.eye(12))
        return factor * r, factor[0]

    return lg.scan(turn, x[0, :, :12].T @ x[0, :, :12], lg.arange(4.0))


REPEATS: dict[str, Callable[..., Any]] = {
    "scan and derivative": _recurrent,
    "backwards": lambda ctx, x: lg.scan(
        lambda h, r: (h * 0.5 + r + h @ ctx.variable("w"), h[0]), lg.zeros((7, 40)), x, reverse=True
    ),
    "kernels alone": lambda ctx, x: lg.scan(
        lambda h, r: (h * 0.5 + lg.sum(r, axis=0), h + ctx.variable("w")[0]), lg.zeros((7, 40)), x
    ),
    "a product reads what a kernel replaces": lambda ctx, x: lg.scan(
        lambda h, r: (h * 0.5 + r, h @ ctx.variable("w")), lg.zeros((7, 40)), x
    ),
    "slices of a view": lambda ctx, x: lg.scan(
        lambda h, r: (h * 0.5 + lg.sum(r @ ctx.variable("w"), axis=0), None), lg.zeros((7, 40)), lg.flip(x, 0)
    ),
    "while_loop and derivative": _grown,
    "while_loop of an odd number of turns": lambda ctx, x: _multiplied(ctx, x, 3),
    "while_loop of an even number of turns": lambda ctx, x: _multiplied(ctx, x, 4),
    "while_loop without a turn": lambda ctx, x: lg.while_loop(
        lambda c: lg.sum(c) < 0, lambda c: c @ ctx.variable("w"), lg.abs(x[0])
    ),
    "true": lambda ctx, x: lg.cond(
        lg.sum(x) < 1e9, lambda a: lg.tile(a @ ctx.variable("w"), (4, 1)), lambda a: lg.tile(a, (4, 1)), x[0]
    ),
    "false": lambda ctx, x: lg.cond(
        lg.sum(x) > 1e9, lambda a: lg.tile(a @ ctx.variable("w"), (4, 1)), lambda a: lg.tile(a, (4, 1)), x[0]
    ),
    "a loop in a loop": _nested,
    "checkpoint": _checkpointed,
    "linear algebra": _factors,
    "draws": lambda ctx, x: lg.scan(
        lambda h, r: (h @ ctx.variable("w") + r * ctx.random.uniform((7, 40)), None), lg.zeros((7, 40)), x
    ),
}


@pytest.mark.parametrize("name", REPEATS)
def test_a_larger_loop_is_turns_of_launches(name: str) -> None:
    """As on the CPU, to rounding, in every run; nothing of it is interpreted."""
    (here, expected), (there, found) = compiled(REPEATS[name], "numpy", w=W), compiled(REPEATS[name], w=W)
    assert "Repeat" in kinds(found)
    for _ in range(3):
        for a, b in zip(host(there, found(X)), host(here, expected(X)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_many_turns_are_sent_in_pieces(reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eleven turns in pieces of four give the bits of eleven in one."""
    x = np.random.default_rng(2).normal(size=(11, 7, 40))

    def step(ctx: Any, x: Any) -> Any:
        return lg.scan(lambda h, r: (lg.tanh(h @ ctx.variable("w") + r), h), lg.zeros((7, 40)), x, reverse=reverse)

    found = []
    for rows in (1024, 4):
        monkeypatch.setattr(turns, "ROWS", rows)
        env, run = compiled(step, w=W)
        found.append(host(env, run(x)))
    for a, b in zip(*found, strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_turn_is_its_launches_and_nothing_is_sent_for_it() -> None:
    """In the second run on the same arrays the rows are on the device already, and the host waits for nothing."""

    def step(ctx: Any) -> Any:
        w = ctx.variable("w")
        last, _ = lg.scan(lambda h, r: (lg.tanh(h @ w + r), None), lg.zeros((7, 40)), ctx.variable("x"))
        return lg.sum(last)

    _, run = compiled(step, w=W, x=X)
    run()
    before = counts.copy()
    run()
    spent = counts - before
    assert 0 == spent["to the device"] + spent["to the host"] + spent["waits for the device"]
    assert spent["launches"] <= 2 * len(X) + 2


def test_a_condition_is_one_byte_a_turn() -> None:
    """The host waits for it, and for nothing else."""
    _, run = compiled(REPEATS["while_loop without a turn"], w=W)
    x = cupy_double.modules()["cupy"].asarray(X)
    run(x)
    before = counts.copy()
    run(x)
    assert 1 == (counts - before)["to the host"]


# What fails.


def test_an_index_out_of_range_in_a_turn_ends_the_step() -> None:
    """Which turn it was is said, the variables are as they were, and the next step is right."""

    def step(ctx: Any, x: Any, i: Any) -> Any:
        w = ctx.variable("w")
        last, _ = lg.scan(lambda h, j: (h @ w + x[j], None), lg.zeros((7, 40)), i)
        return lg.sum(last), ctx.assign(w, w * 1.5)

    env, run = compiled(step, w=W)
    good = float(run(X, np.array([0, 1]))[0])
    with pytest.raises(IndexError, match="index 9 is out of bounds") as caught:
        run(X, np.array([0, 9]))
    assert any("in turn 1 of the scan" in note for note in caught.value.__notes__)
    np.testing.assert_array_equal(env._store.backend.to_numpy(env["w"]), W * 1.5)
    _, expected = compiled(step, "numpy", w=W)
    assert float(expected(X, np.array([0, 1]))[0]) == pytest.approx(good)
    assert float(run(X, np.array([2, 3]))[0]) == pytest.approx(float(expected(X, np.array([2, 3]))[0]))


def test_a_matrix_that_is_not_positive_definite_in_a_turn_ends_the_step() -> None:
    """The error is NumPy's, and says in which turn."""

    def step(ctx: Any, r: Any) -> Any:
        eye = lg.eye(12)
        return lg.scan(lambda h, k: (h + lg.linalg.cholesky(eye * k), None), lg.zeros((12, 12)), r)[0]

    env, run = compiled(step)
    run(np.array([1.0, 2.0, 3.0]))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        run(np.array([1.0, 2.0, -3.0]))
    assert any("in turn 2 of the scan" in note for note in caught.value.__notes__)
    found = env._store.backend.to_numpy(run(np.array([1.0, 4.0])))
    np.testing.assert_allclose(found, 3 * np.eye(12))


def test_more_turns_than_there_may_be_are_an_error() -> None:
    """As on NumPy, in the same words."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.while_loop(lambda c: lg.sum(c) < 1e9, lambda c: c + c @ lg.abs(ctx.variable("w")), x, max_steps=3)

    messages = []
    for backend in ("numpy", "cupy"):
        _, run = compiled(step, backend, w=W)
        with pytest.raises(Exception, match="3") as caught:
            run(np.abs(X[0]))
        messages.append((type(caught.value), str(caught.value)))
    assert messages[0] == messages[1]


def test_what_a_kernel_said_of_a_step_that_an_error_ended_is_not_said_of_the_next() -> None:
    """An index is out of range in a kernel, then a call back raises; the step after it is well."""

    def step(ctx: Any, a: Any, i: Any) -> Any:
        return lg.sum(a[i] * 2, axis=0) * 3, lg.linalg.cholesky(a)

    env, run = compiled(step)
    good, bad = np.eye(12), -np.eye(12)
    run(good, np.array([0, 1]))
    with pytest.raises((IndexError, np.linalg.LinAlgError)):
        run(bad, np.array([0, 99]))
    runs = counts["launches"]
    found = host(env, run(good, np.array([0, 1])))
    assert counts["launches"] > runs
    np.testing.assert_array_equal(found[1], np.eye(12))
