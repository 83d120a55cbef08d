"""A scan computes what the loop written out computes: values, derivatives, in run and compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.graph.body import bodies
from lazygrad.plan import Plan


def unrolled(body: Any, init: Any, xs: Any, reverse: bool = False) -> Any:
    """The loop written out, over one array of xs."""
    carry, ys = init, {}
    turns = range(xs.shape[0])
    for turn in reversed(turns) if reverse else turns:
        carry, ys[turn] = body(carry, xs[turn])
    return carry, lg.stack([ys[turn] for turn in turns])


def arrays() -> list[Any]:
    """Numbers to go through, a carry, and weights."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(3, 3))]


def recurrent(loop: Any, derivative: str, **settings: Any) -> Any:
    """A step with a recurrent network, and a derivative of it."""

    def step(ctx: Any, xs: Any, start: Any, w: Any) -> Any:
        def body(h: Any, x: Any) -> Any:
            h = lg.tanh(h @ w + x)
            return h, lg.sum(h * x)

        last, ys = loop(body, start, xs, **settings)
        loss = lg.sum(last**2) + lg.sum(ys * lg.arange(5))
        wanted = [xs, start, w]
        if derivative == "forward":
            return last, ys, lg.jvp(loss, wanted, [lg.cos(x) for x in wanted])
        grads = lg.grad(loss, wanted)
        if derivative == "second":
            grads = lg.grad(sum(lg.sum(lg.sin(g)) for g in grads), wanted)
        return last, ys, grads

    return step


def listed(result: Any) -> list[Any]:
    """The arrays in what a step gives."""
    return [np.asarray(a) for part in result for a in (part if isinstance(part, list) else [part])]


@pytest.mark.parametrize("derivative", ["first", "second", "forward"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_and_its_derivatives_are_those_of_the_loop_written_out(derivative: str, reverse: bool) -> None:
    """In run and compile; only sums of the second order are added in another order."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    expected = listed(env.run(recurrent(unrolled, derivative, reverse=reverse), *arrays()))
    step = recurrent(lg.scan, derivative, reverse=reverse)
    compiled = env.compile(step, wait=True)
    for found in (env.run(step, *arrays()), env.run(step, *arrays()), compiled(*arrays()), compiled(*arrays())):
        for a, b in zip(listed(found), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_a_scan_reads_variables_and_keeps_a_nesting() -> None:
    """What a body reads outside becomes an input of the loop; tuples, dicts and None stay what they were."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    env.name("w").set(2.0)

    def step(ctx: Any) -> Any:
        def body(carry: Any, _: None) -> Any:
            n, kept = carry["n"], carry["kept"][0]
            return {"n": n + 1, "kept": (kept * ctx.variable("w"),)}, None

        carry, ys = lg.scan(body, {"n": 0, "kept": (1.0,)}, length=4)
        assert ys is None
        return carry

    assert env.run(step) == {"n": 4, "kept": (16.0,)}


def test_what_needs_no_turn_is_one_product_before_the_loop_or_after_it() -> None:
    """x_t @ w for all t, and the gradients of both weights, are one product each; the values are those of the loop."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(7, 16, 16)), rng.normal(size=(16, 32)) / 4, rng.normal(size=(32, 32)) / 6]

    def network(loop: Any) -> Any:
        def step(ctx: Any, xs: Any, w: Any, u: Any) -> Any:
            def body(h: Any, x: Any) -> Any:
                h = lg.tanh(x @ w + h @ u)
                return h, lg.sum(h, axis=0)

            _, ys = loop(body, lg.zeros((16, 32)), xs)
            return lg.grad(lg.sum(ys**2), [w, u])

        return step

    for found, expected in zip(env.run(network(lg.scan), *given), env.run(network(unrolled), *given), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    graph = env.trace(network(lg.scan), *given)
    outside = [node.op.name for node in Plan(graph, graph.roots).graph.nodes]
    assert (2, 3) == (outside.count("scan"), outside.count("matmul"))


def test_writing_a_scan_takes_as_long_for_a_thousand_turns_as_for_one() -> None:
    """The graph has as many nodes, and what the body is made of is used again in the next run."""
    env = lg.VariableEnvironment(seed=0)
    sizes = []
    for length in (1, 1000):
        graph = env.trace(lambda ctx, n=length: lg.scan(lambda c, _: (lg.sin(c), c), 0.5, length=n))
        sizes.append(len(graph))
    assert sizes[0] == sizes[1]


def test_a_loop_with_a_condition_computes_once_what_does_not_change() -> None:
    """Before the loop, if it cannot fail; and so does its gradient."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(16, 32)), rng.normal(size=(32, 32)) / 8, rng.normal(size=(32, 32)) / 8]

    def step(ctx: Any, x: Any, w: Any, u: Any, loop: bool) -> Any:
        def body(c: Any) -> Any:
            return c[0] + 1, lg.tanh(c[1] @ (w @ u) + lg.exp(w[0]) * 0.1)

        carry: Any = (0, x)
        if loop:
            carry = lg.while_loop(lambda c: c[0] < 4, body, carry, max_steps=6)
        else:
            for _ in range(4):
                carry = body(carry)
        loss = lg.sum(carry[1] ** 2)
        return loss, *lg.grad(loss, [x, w, u])

    for found, expected in zip(env.run(step, *given, True), env.run(step, *given, False), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    graph = env.trace(step, *given, True)
    plan = Plan(graph, graph.roots)
    inside = [
        node.op.name for loop in plan.graph.nodes for body in bodies(loop) for node in body.graph.nodes if node.inputs
    ]
    assert "exp" not in inside
    # One in each loop forwards, one for the cotangent of the carry, and one that what is w @ u is read with.
    assert inside.count("matmul") <= 5


def test_only_what_the_derivative_reads_is_kept() -> None:
    """A loop that is linear in its carry is not even run for the gradient; of others each array is kept once."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")

    def plan(body: Any) -> Plan:
        def step(ctx: Any, xs: Any, start: Any) -> Any:
            last, _ = lg.scan(lambda c, x: (body(c, x), None), start, xs)
            return lg.grad(lg.sum(last), [xs, start])

        graph = env.trace(step, np.ones((5, 3)), np.ones(3))
        return Plan(graph, graph.roots)

    def scans(of: Plan) -> list[Any]:
        return [node for node in of.graph.nodes if node.op.name == "scan"]

    assert len(scans(plan(lambda c, x: 0.5 * c + x))) == 1
    forward, backward = scans(plan(lambda c, x: c * x))
    assert len(forward.params["body"].outputs) == 1 + 1  # its carry, and c in every turn
    assert backward.params["xs"] == 2  # c, and x


def test_scans_that_wait_for_each_other_crosswise_are_not_joined() -> None:
    """Of two chains each first scan could be joined to the other one's second, but not both: none would be first."""
    heard: list[float] = []

    def chain(x: Any, sign: float) -> Any:
        shown = lg.scan(lambda c, v: (c, v.hook(lambda a: heard.append(sign * float(a[0])))), None, x)[1]
        return lg.scan(lambda c, v: (c, v * 2), None, lg.exp(shown))[1]

    x = np.arange(6.0).reshape(3, 2)
    env = lg.VariableEnvironment(dtype="float64")
    for found in env.run(lambda ctx, x: (chain(x, 1.0), chain(x, -1.0)), x):
        np.testing.assert_allclose(found, 2 * np.exp(x))
    assert sorted(heard) == [-4.0, -2.0, 0.0, 0.0, 2.0, 4.0]
