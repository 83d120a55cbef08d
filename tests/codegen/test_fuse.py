"""Which nodes become one kernel: how many kernels a step has, and what they read and write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import plan_of, random_floats, whole

import lazygrad as lg
from lazygrad.engine.lanes.target import cpu
from lazygrad.engine.lower.fuse import MOST, Draft, fused
from lazygrad.engine.lower.index import Index, View, identity
from lazygrad.engine.lower.kernels import Anywhere, Load, Statement
from lazygrad.engine.lower.ways import Ways
from lazygrad.engine.table.lower import lowered
from lazygrad.graph.spec import Spec

TARGET = cpu(8)
LARGE = whole((200, 100))


def entries(step: Callable[..., Any], *arguments: Any, **variables: Any) -> list[Any]:
    """The kernels, products and calls back of a step."""
    return fused(Ways(plan_of(step, *arguments, **variables)), TARGET)


def softmax(x: Any) -> Any:
    """By hand, so that there is something to fuse."""
    e = lg.exp(x - lg.max(x, axis=1, keepdims=True))
    return e / lg.sum(e, axis=1, keepdims=True)


def normalised(x: Any) -> Any:
    """Mean 0 and variance 1 in every row."""
    c = x - lg.mean(x, axis=1, keepdims=True)
    return c / lg.sqrt(lg.mean(c * c, axis=1, keepdims=True) + 1e-5)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda ctx, x: lg.tanh(x * 2 + 1) * x, 1),
        (lambda ctx, x: (x + 1, x * 2), 1),
        (lambda ctx, x: lg.sum(lg.tanh(x)), 1),
        (lambda ctx, x: (lg.sum(x, axis=1), lg.max(x, axis=1)), 1),
        (lambda ctx, x: (lg.sum(x, axis=0), lg.max(x, axis=1), lg.sum(x), x * 2), 1),
        (lambda ctx, x: softmax(x), 1),
        (lambda ctx, x: normalised(x), 1),
        (lambda ctx, x: lg.sum(lg.logsumexp(x, axis=1)), 1),
        (lambda ctx, x: lg.mean(lg.logsumexp(x, axis=1)), 2),
        (lambda ctx, x: lg.argmin(lg.sum(lg.square(x[:, None] - x[None, :8]), axis=-1), axis=1), 1),
        (lambda ctx, x: x - lg.mean(x, axis=0), 2),
        (lambda ctx, x: x / lg.sum(x), 2),
        (lambda ctx, x: softmax(softmax(x)), 1),
        (lambda ctx, x: softmax(x.T), 1),
        (lambda ctx, x: lg.cumulative_sum(x + 1, axis=0) * 2, 3),
        (lambda ctx, x: lg.maximum(x @ x.T, 0), 2),
    ],
)
def test_a_step_becomes_so_many_entries(step: Callable[..., Any], expected: int) -> None:
    """On arrays that are not small."""
    assert expected == len(entries(step, LARGE))


def test_small_steps_become_one_kernel_where_nothing_is_called() -> None:
    """A whole training step of few numbers."""
    x, y = random_floats((64, 1)), random_floats((64, 1), seed=1)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        w, b = ctx.variable("w"), ctx.variable("b")
        loss = lg.mean(lg.square(x * w + b - y))
        g = lg.grad(loss, [w, b])
        return loss, ctx.assign("w", w - 0.1 * g[0]), ctx.assign("b", b - 0.1 * g[1])

    found = entries(step, x, y, w=np.ones((1, 1), "float32"), b=np.zeros((1, 1), "float32"))
    assert 1 == len(found)


def test_a_kernel_has_a_limit() -> None:
    """However small its statements are, it ends after so many."""
    found = entries(lambda ctx, x: [lg.exp(x + k) for k in range(2 * MOST + 2)], whole(7))
    assert all(len(e.statements) <= MOST for e in found)
    assert 3 == len(found)


def test_what_only_its_own_kernel_reads_is_not_in_memory() -> None:
    """The exponentials of a softmax have no buffer; of what two kernels read there is one."""
    plan = plan_of(lambda ctx, x: softmax(x), LARGE)
    assert lowered(plan, 8).nbytes < LARGE.nbytes // 10
    plan = plan_of(lambda ctx, x: lg.sum((y := lg.exp(x * 1e-3)) / lg.sum(y), axis=0), LARGE)
    assert lowered(plan, 8).nbytes >= LARGE.nbytes


def test_everything_that_is_read_is_made_before_or_in_the_same_kernel() -> None:
    """In a step with much in it, for every entry in order."""

    def step(ctx: Any, x: Any) -> Any:
        s = softmax(x) @ lg.ones((100, 7))
        n = normalised(x * lg.sum(x, axis=0))
        joined = lg.concat([n, lg.exp(n) - lg.max(n)], axis=1)
        return lg.cumulative_sum(lg.sum(joined, axis=1), axis=0), lg.sum(s) + lg.sum(joined), joined.T[3] * s[:, 0]

    ways = Ways(plan_of(step, LARGE))
    made: set[int] = {i for i, way in enumerate(ways.way) if way == "leaf"}
    for entry in fused(ways, TARGET):
        if not isinstance(entry, Draft):
            views = [ways.view(j) for j in ways.nodes[entry.node].inputs if ways.way[j] != "number"]
            assert {v.buffer for v in views if v is not None} <= made
            made.add(entry.node)
            continue
        for s in entry.statements:
            own = {s.node, getattr(s.target, "node", s.node)}
            assert {r.node for r in s.reads} - own <= made
            made |= own


def test_rows_of_a_kernel_are_axes_that_all_its_statements_have() -> None:
    """Whatever joined it."""
    step = lambda ctx, x: (lg.sum(x, axis=2), lg.max(x, axis=(1, 2)), x * 2)  # noqa: E731
    for entry in entries(step, whole((100, 6, 10))):
        for s in entry.statements:
            assert entry.rows == s.shape[: entry.rank]


@pytest.mark.parametrize(
    ("axes", "leading", "rank"), [((), 0, 3), ((0,), 1, 1), ((0, 1), 2, 2), ((2,), 0, 2), ((1,), 0, 1), ((0, 2), 1, 1)]
)
def test_a_statement_has_rows_before_what_it_folds(axes: tuple[int, ...], leading: int, rank: int) -> None:
    """Or, if the leading axes are folded, these are the rows."""
    s = Statement(0, (2, 3, 4), 0, axes)
    assert (leading, rank, 24) == (s.leading, s.rank, s.size)


def test_a_place_of_an_extreme_folds_no_rows() -> None:
    """It is found at once, even of an array of one axis."""
    assert 0 == Statement(0, (5,), 1, (0,), whole=True).leading


def test_a_statement_does_not_join_rows_it_does_not_have() -> None:
    """Shapes must begin alike."""
    kernel = Draft(Statement(0, (300, 50), 0))
    assert kernel.fits(Statement(1, (400, 50), 1), TARGET) is None
    assert 1 == kernel.fits(Statement(1, (300, 60), 1), TARGET)
    assert 2 == kernel.fits(Statement(1, (300, 50), 1), TARGET)


def test_a_statement_that_reads_another_row_comes_in_a_later_kernel() -> None:
    """What is made of a row can be read in it alone."""
    kernel = Draft(Statement(0, (300, 50), 0))
    spec = Spec((300, 50), np.dtype(np.float32))
    loops = identity((300, 50), range(2))

    def reading(element: Any) -> Statement:
        return Statement(1, (300, 50), 1, elements=(element,))

    own = reading(Load(0, loops, Index(), spec))
    assert 2 == kernel.fits(own, TARGET)
    own = reading(Load(0, loops[::-1], Index(), spec))
    assert kernel.fits(own, TARGET) is None
    own = reading(Anywhere(View(0, 0, (50, 1), (300, 50)), spec.dtype))
    assert kernel.fits(own, TARGET) is None
