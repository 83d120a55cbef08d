"""Passes: fewer nodes, the same values."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.rewrite import fold, merge, optimized, prune


def traced(step: Any, *arrays: Any) -> lg.Graph:
    """The graph of a step."""
    return lg.VariableEnvironment(seed=0).trace(step, *arrays)


def names(graph: lg.Graph) -> list[str]:
    """The ops of a graph, in order."""
    return [node.op.name for node in graph.nodes]


def test_prune_leaves_out_what_no_root_needs() -> None:
    """A node that nothing needs is gone, and the root still is the root."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        lg.exp(x)
        return lg.sin(x)

    graph = prune(traced(step, np.ones(3)))
    assert ["placeholder", "sin"] == names(graph)
    assert (1,) == graph.roots


def test_merge_makes_equal_nodes_one() -> None:
    """The same op of the same operands is computed once."""
    graph = merge(traced(lambda ctx, x: lg.sin(x) + lg.sin(x), np.ones(3)))
    assert ["placeholder", "sin", "add"] == names(graph)


def test_merge_keeps_zeros_of_different_sign_apart() -> None:
    """0.0 and -0.0 are equal numbers and different literals."""
    graph = merge(traced(lambda ctx, x: (x * 0.0, x * -0.0), np.ones(3)))
    assert 2 == names(graph).count("multiply")


def test_merge_keeps_draws_apart() -> None:
    """Two draws of the same shape stay two."""
    graph = merge(traced(lambda ctx: (ctx.random.normal(3), ctx.random.normal(3))))
    assert 2 == names(graph).count("normal")


def test_merge_keeps_hooks_apart() -> None:
    """A hook that is asked for twice is called twice."""
    seen: list[Any] = []

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return x.hook(seen.append) + x.hook(seen.append)

    lg.VariableEnvironment().run(step, np.ones(2))
    assert 2 == len(seen)


def test_fold_computes_what_literals_give() -> None:
    """Arithmetic on numbers is done once, in the dtype it would have had."""
    graph = prune(fold(traced(lambda ctx, x: x * (lg.asarray(np.float32(2)) * 3), np.ones(3, "f4"))))
    assert ["placeholder", "literal", "multiply"] == sorted(
        names(graph), key=["placeholder", "literal", "multiply"].index
    )
    (literal,) = [node for node in graph.nodes if node.op.name == "literal"]
    assert np.float32(6) == literal.params["value"]
    assert np.float32 == literal.params["value"].dtype


def test_fold_leaves_random_numbers_alone() -> None:
    """A draw is never folded."""
    graph = optimized(traced(lambda ctx: ctx.random.normal(()) * 2))
    assert ["normal", "literal", "multiply"] == names(graph)


def test_passes_do_not_change_what_is_computed() -> None:
    """A step with work for every pass gives NumPy's value."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        lg.exp(x)
        scale = lg.asarray(2.0) * 3.0 - 1.0
        return lg.sin(x) * scale + lg.sin(x) * scale

    x = np.linspace(0, 1, 5)
    assert np.array_equal(np.sin(x) * 5.0 + np.sin(x) * 5.0, lg.VariableEnvironment().run(step, x))
