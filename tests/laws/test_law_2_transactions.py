"""Law 2. One step is one transaction: every variable is read as it was before."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from ways import four_ways

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


DEPTHS = [2, 3]
RATE = 0.1


def weights(depth: int) -> dict[str, np.ndarray]:
    """The weights and biases of a small network, in float64."""
    rng = np.random.default_rng(depth)
    sizes = [3, 4, 2, 2][: depth + 1]
    made = {}
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        made[f"w{i}"] = rng.normal(size=(n, m))
        if depth == 2:
            made[f"b{i}"] = rng.normal(size=m)
    return made


def by_hand(p: dict[str, np.ndarray], x: np.ndarray, t: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Loss, and every weight after one step of SGD, computed backwards by hand from the old weights alone."""
    depth = sum(name.startswith("w") for name in p)
    layers = [x]
    for i in range(depth):
        z = layers[-1] @ p[f"w{i}"] + p.get(f"b{i}", 0.0)
        layers.append(np.tanh(z) if i < depth - 1 else z)
    loss = float(np.mean((layers[-1] - t) ** 2))
    new = {}
    d = 2 * (layers[-1] - t) / t.size
    for i in reversed(range(depth)):
        new[f"w{i}"] = p[f"w{i}"] - RATE * layers[i].T @ d
        if f"b{i}" in p:
            new[f"b{i}"] = p[f"b{i}"] - RATE * d.sum(axis=0)
        d = (d @ p[f"w{i}"].T) * (1 - layers[i] ** 2)
    return loss, new


def network_loss(ctx: lg.Context, x: lg.Tensor, t: lg.Tensor, depth: int) -> lg.Tensor:
    """The loss of the same network as a graph."""
    h = x
    for i in range(depth):
        h = h @ ctx.variable(f"w{i}")
        if depth == 2:
            h = h + ctx.variable(f"b{i}")
        if i < depth - 1:
            h = lg.tanh(h)
    return lg.mean(lg.square(h - t))


@pytest.mark.parametrize("depth", DEPTHS)
def test_one_step_of_sgd_is_the_simultaneous_update_for_every_order(depth: int) -> None:
    """Whatever the order of variables and of pushes, every update is computed from the old weights."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    start = weights(depth)
    loss, expected = by_hand(start, x, t)
    env = lg.VariableEnvironment(dtype="float64")
    for name, array in start.items():
        env.name(name).set(array)

    def step(ctx: lg.Context, x: Any, t: Any, variables: tuple[str, ...], pushes: tuple[int, ...]) -> Any:
        cost = network_loss(ctx, x, t, depth)
        read = [ctx.variable(name) for name in variables]
        grads = lg.grad(cost, read)
        updates = [ctx.assign(v, v - RATE * g) for v, g in zip(read, grads, strict=True)]
        asked = [cost, *read[:1], *updates]
        return [asked[i] for i in pushes]

    count = 2 + len(start)
    orders = list(itertools.permutations(start))
    pushes = list(itertools.permutations(range(count)))
    # Every order of variables with some order of pushes, and every order of pushes with some order of variables.
    some = pushes[:: max(1, len(pushes) // 24)]
    chosen = [(o, some[i % len(some)]) for i, o in enumerate(orders)] + [
        (orders[i % len(orders)], p) for i, p in enumerate(pushes)
    ]
    for order, push in chosen:
        ways = four_ways(env, step, x, t, order, push) if push in some else iter([env.run(step, x, t, order, push)])
        for values in ways:
            assert np.isclose(values[push.index(0)], loss, rtol=1e-13, atol=0)
            assert values[push.index(1)].tolist() == start[order[0]].tolist()
            for name, array in expected.items():
                np.testing.assert_allclose(env[name], array, rtol=1e-12, atol=1e-15)
                env[name] = start[name]


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_optimizer_updates_simultaneously_for_every_order_of_variables(depth: int) -> None:
    """``SGD.update`` gives the hand-computed weights in every order, and so does ``minimize``."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    start = weights(depth)
    _, expected = by_hand(start, x, t)
    env = lg.VariableEnvironment(dtype="float64")
    for name, array in start.items():
        env.name(name).set(array)
    sgd = lg.optim.SGD(env, RATE)

    def step(ctx: lg.Context, x: Any, t: Any, variables: tuple[str, ...]) -> Any:
        cost = network_loss(ctx, x, t, depth)
        return sgd.minimize(cost, variables) if variables else sgd.minimize(cost)

    for order in [*itertools.permutations(start), ()]:
        for _ in four_ways(env, step, x, t, order):
            for name, array in expected.items():
                np.testing.assert_allclose(env[name], array, rtol=1e-12, atol=1e-15)
                env[name] = start[name]


def test_variables_can_be_exchanged(env: lg.VariableEnvironment) -> None:
    """Both reads of an exchange see the values from before the run."""

    def step(ctx: lg.Context) -> Any:
        return ctx.assign("w", ctx.variable("b")), ctx.assign("b", ctx.variable("w"))

    w, b = env["w"].tolist(), env["b"].tolist()
    for _ in four_ways(env, step):
        w, b = b, w
        assert (env["w"].tolist(), env["b"].tolist()) == (w, b)


def test_a_pushed_variable_has_the_value_from_before_the_run(env: lg.VariableEnvironment) -> None:
    """Neither the place of a push nor a view of the variable lets the new value be seen."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        update = ctx.assign(w, w + 1)
        return w, w[::-1], update, w, w.reshape(3, 1), lg.identity(w)

    for k, (first, reversed_, _, last, column, same) in enumerate(four_ways(env, step)):
        old = [1.0 + k, 2.0 + k, 3.0 + k]
        assert first.tolist() == last.tolist() == same.tolist() == old
        assert reversed_.tolist() == old[::-1]
        assert column.tolist() == [[v] for v in old]


def test_the_same_tensor_may_become_several_variables(env: lg.VariableEnvironment) -> None:
    """Two variables assigned one tensor, also through ops that hand it on, both get it at every run."""

    def step(ctx: lg.Context, x: Any) -> Any:
        v = x * 2
        return ctx.assign("b", v), ctx.assign("w", lg.stop_gradient(v)), v

    for k in range(4):
        *_, v = env.run(step, np.full(3, k, "float32"))
        assert v.tolist() == env["w"].tolist() == env["b"].tolist() == [2.0 * k] * 3


def test_an_evaluator_that_has_run_is_committed_though_the_step_raises_later(env: lg.VariableEnvironment) -> None:
    """Each evaluation is a transaction of its own."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        ctx.evaluator().push(ctx.assign(w, w + 1)).run()
        raise RuntimeError("after the evaluation")

    with pytest.raises(RuntimeError, match="after the evaluation"):
        env.run(step)
    assert env["w"].tolist() == [2.0, 3.0, 4.0]
