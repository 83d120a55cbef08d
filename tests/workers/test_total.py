"""lg.total, and steps that are given arrays of their own on every worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.errors import GradientError, GraphError
from lazygrad.workers import part, side_by_side

ROWS = 12  # of which each worker is given as many
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(ROWS, 3)), RNG.normal(size=ROWS)
W = RNG.normal(size=3)


def plain(ctx: Any, w: Any, x: Any, y: Any) -> Any:
    """A mean of squares."""
    return lg.total(lg.sum(lg.square(x @ w - y))) / lg.total(x.shape[0])


def decayed(ctx: Any, w: Any, x: Any, y: Any) -> Any:
    """The same, and a term that is no sum over rows."""
    return plain(ctx, w, x, y) + 0.3 * lg.sum(lg.square(w) * lg.exp(w))


def normalized(ctx: Any, w: Any, x: Any, y: Any) -> Any:
    """Totals of what is computed from totals, as of statistics of a batch."""
    z = x @ w
    count = lg.total(x.shape[0])
    center = lg.total(lg.sum(z)) / count
    spread = lg.total(lg.sum(lg.square(z - center))) / count
    return lg.total(lg.sum(lg.square((z - center) / lg.sqrt(spread + 1) - y * w[0]))) / count + lg.sqrt(spread)


def shared(ctx: Any, w: Any, x: Any, y: Any) -> Any:
    """A value that is in a total and beside it."""
    s = lg.sum(lg.sin(w))
    return lg.total(lg.sum(lg.tanh(s * (x @ w)))) * s + s


LOSSES = [plain, decayed, normalized, shared]


def found(loss: Callable[..., Any], one: Any, w: Any, what: str = "grad", compiled: bool = False) -> list[Any]:
    """The loss and a derivative, of this worker's rows; of all where there is one worker."""
    env = lg.VariableEnvironment(seed=0, dtype="float64", workers=one)
    variable = env.name("w").set(w)
    rows = part(ROWS, env.workers, env.worker)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        w = ctx.variable(variable)
        value = loss(ctx, w, x, y)
        if what == "jvp":
            return value, lg.jvp(value, w, np.array([0.3, -1.0, 0.5]))
        (first,) = lg.grad(value, [w])
        if what == "second":
            first = lg.grad(lg.sum(first * np.array([1.0, 2.0, -1.0])), w)
        return value, first

    run = env.compile(step) if compiled else lambda *arrays: env.run(step, *arrays)
    return [np.asarray(y) for y in run(X[rows], Y[rows])]


@pytest.mark.parametrize("what", ["grad", "jvp", "second"])
@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_derivatives_of_totals_are_those_of_the_whole(loss: Callable[..., Any], workers: int, what: str) -> None:
    """Whatever is within a total, beside it, or both."""
    expected = found(loss, None, W, what)
    for values in side_by_side(workers, lambda one: found(loss, one, W, what)):
        np.testing.assert_allclose(values[0], expected[0], rtol=1e-13)
        np.testing.assert_allclose(values[1], expected[1], rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_the_gradient_of_a_total_is_that_of_differences(loss: Callable[..., Any]) -> None:
    """Central differences of what one process computes of all rows."""
    h = 1e-5
    ends = [[float(found(loss, None, W + s * h * e)[0]) for s in (1, -1)] for e in np.eye(3)]
    differences = [(up - down) / (2 * h) for up, down in ends]
    for _, gradient in side_by_side(3, lambda one: found(loss, one, W)):
        np.testing.assert_allclose(gradient, differences, rtol=1e-7)


@pytest.mark.parametrize("loss", [decayed, normalized], ids=lambda loss: loss.__name__)
def test_native_code_totals_as_numpy_does(loss: Callable[..., Any]) -> None:
    """With two workers."""
    expected = found(loss, None, W)
    for values in side_by_side(2, lambda one: found(loss, one, W, compiled=True)):
        np.testing.assert_allclose(values[1], expected[1], rtol=1e-12)


def test_a_loss_of_each_workers_own_is_refused() -> None:
    """Its gradient would be another one on every worker, and so would the variables become."""

    def mean(ctx: Any, w: Any, x: Any, y: Any) -> Any:
        return lg.mean(lg.square(x @ w - y))

    with pytest.raises(GradientError) as raised:
        side_by_side(2, lambda one: found(mean, one, W))
    assert "cannot differentiate what each worker has of its own for a variable" in str(raised.value)
    assert "its own:  placeholder" in str(raised.value)
    assert "workers:  2" in str(raised.value)
    assert "lg.total(lg.sum(losses)) / lg.total(count)" in str(raised.value)


def test_a_total_in_a_loop_is_refused() -> None:
    """At the line where it is written."""

    def turns(ctx: Any, w: Any, x: Any, y: Any) -> Any:
        return lg.scan(lambda carry, row: (carry + lg.total(lg.sum(row)), None), 0.0, x)[0]

    with pytest.raises(GraphError, match="cannot total in the body of scan"):
        side_by_side(2, lambda one: found(turns, one, W))


def test_one_worker_totals_nothing() -> None:
    """No node is written."""
    env = lg.VariableEnvironment(seed=0)
    graph = env.trace(lambda ctx, x: lg.total(lg.exp(x)), np.zeros(3))
    assert ["placeholder", "exp"] == [node.op.name for node in graph.nodes]


def test_a_context_knows_its_worker() -> None:
    """Its number and how many there are, in the step and outside."""

    def asked(one: Any) -> Any:
        env = lg.VariableEnvironment(seed=0, workers=one)
        seen = []
        env.run(lambda ctx, x: seen.append((ctx.worker, ctx.workers)) or lg.total(x), np.ones(2))
        return [*seen, (env.worker, env.workers)]

    assert [[(k, 2)] * 2 for k in range(2)] == side_by_side(2, asked)


def test_draws_of_rows_are_those_of_the_batch() -> None:
    """Whichever rows a worker has; words of 32 and of 64 bits, and along other axes than the first."""

    def drawn(one: Any, compiled: bool) -> list[Any]:
        env = lg.VariableEnvironment(seed=4, workers=one)

        def step(ctx: Any, x: Any) -> Any:
            n = x.shape[0]
            return [
                x + ctx.random.normal((n, 3)),
                x + ctx.random.uniform((n, 3), dtype="float64"),
                x + ctx.random.bernoulli((n, 3), 0.25),
                x + lg.transpose(ctx.random.normal((3, n))),
                x + ctx.random.normal((3,)),
            ]

        run = env.compile(step, wait=True) if compiled else lambda *arrays: env.run(step, *arrays)
        return [np.asarray(y) for y in run(env.rows(np.zeros((7, 3), np.float32)))]

    for compiled in (False, True):
        expected = drawn(None, compiled)
        for values in side_by_side(3, lambda one: drawn(one, compiled)):  # noqa: B023
            for value, wanted in zip(values, expected, strict=True):
                np.testing.assert_array_equal(value, wanted)
