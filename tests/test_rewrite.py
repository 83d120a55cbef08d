"""Passes: fewer nodes, the same values."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.define import elementwise
from lazygrad.graph.graph import Graph, Node
from lazygrad.rewrite import absorb, fold, merge, optimized, passes, prune, simplify, stabilise, verify


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
    assert ["stream", "words", "normal", "literal", "multiply"] == names(graph)


def test_passes_do_not_change_what_is_computed() -> None:
    """A step with work for every pass gives NumPy's value."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        lg.exp(x)
        scale = lg.asarray(2.0) * 3.0 - 1.0
        return lg.sin(x) * scale + lg.sin(x) * scale

    x = np.linspace(0, 1, 5)
    assert np.array_equal(np.sin(x) * 5.0 + np.sin(x) * 5.0, lg.VariableEnvironment().run(step, x))


def test_a_number_over_and_over_is_folded_too() -> None:
    """An array of one number, moved and computed with, is an array of one number."""
    graph = optimized(traced(lambda ctx: lg.reshape(2 * lg.exp(lg.zeros((2, 3))), (6,)).T))
    assert ["full"] == names(graph)
    assert 2 == graph.nodes[0].params["value"]


def test_a_gradient_of_ones_is_not_multiplied_by() -> None:
    """The cotangent that everything starts from leaves no trace."""
    graph = optimized(traced(lambda ctx, x: lg.grad(lg.square(x), x), np.ones(3)))
    assert ["placeholder", "literal", "multiply"] == names(graph)


def test_what_broadcasts_by_itself_is_not_broadcast() -> None:
    """A row beside a table is read as it is."""
    graph = optimized(traced(lambda ctx, x, y: x + lg.broadcast_to(y, x.shape), np.ones((4, 3)), np.ones(3)))
    assert ["placeholder", "placeholder", "add"] == names(graph)


def test_what_is_the_same_in_every_row_is_computed_once() -> None:
    """A function of a broadcast is the broadcast of the function."""
    graph = optimized(traced(lambda ctx, y: lg.exp(lg.broadcast_to(y, (4, 3))), np.ones(3)))
    assert ["placeholder", "exp", "broadcast_to"] == names(graph)
    assert (3,) == graph.nodes[1].spec.shape


def test_the_gradient_through_a_transpose_is_one_product() -> None:
    """x @ w.T: the gradient of w is gT @ x, not the transpose of xT @ g."""

    def step(ctx: lg.Context, x: lg.Tensor, w: lg.Tensor) -> lg.Tensor:
        return lg.grad(lg.sum(lg.sin(x @ w.T)), w)

    x, w = np.ones((5, 3)), np.ones((4, 3))
    graph = optimized(traced(step, x, w))
    assert graph.nodes[graph.roots[0]].op.name == "matmul"
    assert np.allclose(np.cos(x @ w.T).T @ x, lg.VariableEnvironment(dtype="float64").run(step, x, w))


def test_a_transpose_that_another_rule_makes_is_absorbed_too() -> None:
    """Of two transposes one is left, which a second walk finds."""

    def step(ctx: lg.Context, x: lg.Tensor, w: lg.Tensor) -> lg.Tensor:
        product = x[None] @ w.T
        return lg.permute_dims(lg.permute_dims(product, (1, 0, 2)), (1, 2, 0))

    graph = optimized(traced(step, np.ones((5, 3)), np.ones((4, 3))))
    assert "product_transposed" in graph.rewrites


def test_a_product_that_is_needed_besides_is_not_turned() -> None:
    """It would be computed twice."""

    def step(ctx: lg.Context, x: lg.Tensor, w: lg.Tensor) -> Any:
        y = x @ w.T
        return y, lg.exp(y.T)

    graph = absorb(traced(step, np.ones((5, 3)), np.ones((4, 3))))
    assert {} == graph.rewrites


def test_a_hook_on_what_is_not_chosen_is_called() -> None:
    """A rule leaves an operand out; what the user sees happen stays."""
    seen: list[Any] = []

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        return lg.where(lg.asarray(True), x, x.hook(seen.append))

    assert np.array_equal(np.ones(2), lg.VariableEnvironment().run(step, np.ones(2)))
    assert 1 == len(seen)


def test_a_hook_on_what_cancels_is_called() -> None:
    """g / p·p = g, and the hook on p's operand is called all the same."""
    seen: list[Any] = []

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> lg.Tensor:
        p = lg.exp(x.hook(seen.append))
        return (y / p) * p

    x = np.array([-1000.0, 1.0])
    assert np.array_equal(x, lg.VariableEnvironment(dtype="float64").run(step, x, x))
    assert 1 == len(seen)


def test_hooks_are_called_in_the_order_they_were_written() -> None:
    """Whatever is rewritten around them."""
    seen: list[str] = []

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        a = lg.log(lg.sum(lg.exp(x.hook(lambda _: seen.append("a")))))
        b = (a * 1).hook(lambda _: seen.append("b"))
        return (x - 0.0).hook(lambda _: seen.append("c")), lg.negative(-b)

    lg.VariableEnvironment().run(step, np.ones(2))
    assert ["a", "b", "c"] == seen


def test_what_stops_a_gradient_and_what_assigns_are_left_alone() -> None:
    """They stand for what the user said, not for numbers."""
    env = lg.VariableEnvironment()
    env.name("w").set(np.ones(3))

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return lg.stop_gradient(lg.stop_gradient(w)), ctx.assign("w", w * 1)

    assert ["variable", "stop_gradient", "stop_gradient", "assign"] == names(optimized(env.trace(step)))


def test_an_op_of_the_users_own_is_moved_before_a_broadcast() -> None:
    """A rule about a kind of op holds for every op of that kind."""

    @elementwise()
    def doubled(xp: Any, x: Any) -> Any:
        """2x."""
        return 2 * x

    graph = optimized(traced(lambda ctx, x: doubled(lg.broadcast_to(x, (4, 3))), np.ones(3)))
    assert ["placeholder", "doubled", "broadcast_to"] == names(graph)


def test_what_stands_for_a_node_has_its_line() -> None:
    """A message about softplus names the line where the user took the logarithm."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        y = 1 + lg.exp(x)
        return lg.log(y)

    before = traced(step, np.ones(3))
    after = optimized(before)
    assert "softplus" == after.nodes[-1].op.name
    assert before.origins[before.roots[0]] == after.origins[-1]


def test_a_graph_says_what_was_done_to_it() -> None:
    """How often each rule was used, and how many nodes were merged."""
    graph = optimized(traced(lambda ctx, x: lg.log(1 + x) * 1 + lg.log(1 + x) * 1, np.ones(3)))
    assert {"merge": 6, "log_beside_one": 1, "times_one": 1} == graph.rewrites


def test_each_pass_uses_its_own_rules() -> None:
    """Folding, simplifying, stabilising and absorbing can be had one by one."""

    def step(ctx: lg.Context, x: lg.Tensor) -> lg.Tensor:
        product = x @ x.T
        return lg.log(1 + product.T) * (lg.asarray(2.0) - 1.0)

    graph = traced(step, np.ones((2, 3), "f4"))
    done = [set(each(graph).rewrites) - {"merge"} for each in (fold, simplify, stabilise, absorb)]
    assert [{"fold"}, set(), {"log_beside_one"}, {"product_transposed"}] == done


@pytest.mark.slow
def test_time_grows_in_proportion_to_the_number_of_nodes() -> None:
    """Four times the nodes take about four times as long; sixteen would be quadratic."""

    def step(ctx: lg.Context, x: lg.Tensor, n: int) -> lg.Tensor:
        y = x
        for k in range(n):
            y = lg.log(lg.exp(y) + 1) * (1 / (1 + lg.exp(-y))) - 0.5 / (k + 1)
        return lg.grad(lg.sum(y), x)

    def seconds(n: int) -> float:
        graph = traced(step, np.ones(3), n)
        best = np.inf
        for _ in range(3):
            start = time.perf_counter()
            optimized(graph)
            best = min(best, time.perf_counter() - start)
        return best

    seconds(100)
    assert seconds(800) / seconds(200) < 8


# Verification.


def broken(change: Any) -> Graph:
    """A good graph with one thing wrong."""
    graph = traced(lambda ctx, x: lg.exp(lg.sin(x)), np.ones(3))
    change(graph)
    return graph


def forward(graph: Graph) -> None:
    """Node 1 reads node 2."""
    node = graph.nodes[1]
    graph.nodes[1] = Node(node.op, (2,), node.params, node.key, node.spec)


def misshapen(graph: Graph) -> None:
    """Node 1 is said to have another dtype than it has."""
    node = graph.nodes[1]
    assert isinstance(node.spec, tuple)
    spec = node.spec._replace(dtype=np.dtype("int8"))
    graph.nodes[1] = Node(node.op, node.inputs, node.params, node.key, spec)


def orphaned(graph: Graph) -> None:
    """A node has no origin."""
    graph.origins.pop()


WRONG = {
    "node 1, sin, reads \\(2,\\)": forward,
    "node 1, sin, should be float64\\[3\\], and is int8\\[3\\]": misshapen,
    "there are 3 nodes and 2 origins": orphaned,
}


@pytest.mark.parametrize("message", WRONG)
def test_a_graph_that_is_not_well_formed_is_found(message: str) -> None:
    """Operands come first, specs are what ops infer, every node has an origin."""
    with pytest.raises(lg.GraphError, match=message):
        verify(broken(WRONG[message]))


def test_a_root_that_has_changed_is_found() -> None:
    """A pass may not hand back another array than was asked for."""
    graph = traced(lambda ctx, x: lg.sum(x), np.ones(3))
    other = traced(lambda ctx, x: lg.exp(x), np.ones(3))
    with pytest.raises(lg.GraphError, match="the roots were"):
        verify(other, graph)


def test_the_check_variable_has_every_plan_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAZYGRAD_CHECK=1 finds a pass that goes wrong; without it nothing is spent on that."""
    graph = traced(lambda ctx, x: lg.exp(lg.sin(x)), np.ones(3))
    monkeypatch.setattr(passes, "walked", lambda graph, rules: (broken(misshapen), False))
    monkeypatch.delenv("LAZYGRAD_CHECK", raising=False)
    optimized(graph)
    monkeypatch.setenv("LAZYGRAD_CHECK", "1")
    with pytest.raises(lg.GraphError, match="should be"):
        optimized(graph)
