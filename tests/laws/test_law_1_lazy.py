"""Law 1. A graph is lazy: nothing is computed that nobody asks for."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from snapshots import snapshot
from ways import CALLS, counted, four_ways

import lazygrad as lg

pytestmark = pytest.mark.usefixtures("numpy_alone")  # what holds bit for bit, and kernels that are made to fail


def test_a_graph_of_huge_tensors_is_written_without_memory(env: lg.VariableEnvironment) -> None:
    """Tensors of 10¹² elements, their gradient and their update cost as much to write as small ones."""

    def step(ctx: lg.Context) -> Any:
        n = 10**6
        x = lg.ones((n, n)) * ctx.constant(2.0)
        y = lg.exp(x @ lg.zeros((n, n), "float32")) + ctx.random.normal((n, n))
        z = lg.concat([lg.sort(y, axis=0), lg.cumulative_sum(x, axis=1)])[::2, 1:].T
        loss = lg.mean(lg.where(z > 0, z, -z)) + lg.sum(lg.eye(n) @ lg.linspace(0.0, 1.0, n))
        return loss, lg.grad(loss, [x]), lg.jvp(loss, x, lg.ones_like(x))

    env.trace(step)
    tracemalloc.start()
    graph = env.trace(step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(graph.nodes) > 40
    assert peak < 3_000_000


def test_no_kernel_is_called_while_a_graph_is_written(env: lg.VariableEnvironment) -> None:
    """Writing, differentiating and tracing call no kernel; evaluating does."""
    seen: list[list[str]] = []

    def step(ctx: lg.Context) -> Any:
        y = lg.sum(counted(ctx.variable("w"), label="w"))
        lg.grad(y, ctx.variable("w"))
        seen.append(list(CALLS))
        return y

    env.trace(step)
    assert CALLS == []
    env.run(step)
    assert seen == [[], []]
    assert CALLS == ["w"]


def test_what_no_root_needs_is_not_computed(env: lg.VariableEnvironment) -> None:
    """A node beside the path to the roots is never computed, however the step is run."""

    def step(ctx: lg.Context) -> Any:
        beyond = lg.astype(lg.sum(ctx.variable("w")) * 0 + 999, "int64")
        lg.take(lg.flatten(ctx.variable("w")), beyond)  # an IndexError, if it were computed
        return counted(ctx.variable("b"), label="needed")

    for _ in four_ways(env, step):
        assert CALLS == ["needed"]
        CALLS.clear()


def test_a_node_that_several_roots_need_is_computed_once(env: lg.VariableEnvironment) -> None:
    """Values, a value asked for twice, gradient and update share what they have in common."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        y = counted(w, label="y")
        loss = lg.sum(y * y)
        return loss, y, y, lg.exp(y), lg.grad(loss, w), ctx.assign("w", y)

    for _ in four_ways(env, step):
        assert CALLS == ["y"]
        CALLS.clear()


def test_equal_nodes_are_computed_once(env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing the same pure op of the same tensor twice costs one computation."""
    calls = []
    kernel = lg.exp.kernel  # type: ignore[attr-defined]
    monkeypatch.setattr(lg.exp, "kernel", lambda xp, x: calls.append(1) or kernel(xp, x))

    def step(ctx: lg.Context) -> Any:
        return lg.exp(ctx.variable("w")), lg.exp(ctx.variable("w"))

    env.run(step)
    assert calls == [1]


def test_a_placeholder_that_no_root_needs_may_stay_unfed(env: lg.VariableEnvironment) -> None:
    """Only what is evaluated must have an array."""

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("x", (3,))
        lg.exp(x)
        return ctx.variable("w")

    for value in four_ways(env, step):
        assert value.tolist() == [1.0, 2.0, 3.0]


def test_a_draw_that_no_root_needs_does_not_advance_the_random_state(env: lg.VariableEnvironment) -> None:
    """The random state counts the runs that draw."""

    def step(ctx: lg.Context) -> Any:
        ctx.random.normal(3)
        return ctx.variable("w")

    before = snapshot(env)
    for _ in four_ways(env, step):
        assert snapshot(env) == before
