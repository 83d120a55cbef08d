"""Right declarations compute in every way of running a step, and those of lazygrad's own ops are right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES
from declared import WAYS, X, evaluated
from numpy.testing import assert_allclose

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction
from lazygrad.define.kinds import Declared, Movement
from lazygrad.engine.checks.declarations import seen
from lazygrad.engine.lower.index import Misdeclared, placed
from lazygrad.graph.spec import Spec

RIGHT: list[tuple[Any, Any, tuple[Any, ...]]] = []


def right(reference: Any, *arrays: Any) -> Callable[[Any], Any]:
    """Puts an op into the table."""

    def put(op: Any) -> Any:
        RIGHT.append((op, reference, arrays or (X,)))
        return op

    return put


@right(lambda x: x.ravel()[::2])
@movement(shape=lambda x: ((math.prod(x) + 1) // 2,), view="contiguous")
def every_second(xp, x):
    """A view of contiguous memory that is no reshape."""
    return xp.reshape(x, (-1,))[::2]


@right(lambda x: x.ravel()[2:6].reshape(2, 2).T)
@movement(shape=lambda x: (2, 2), view="contiguous")
def inner(xp, x):
    """A part of contiguous memory, transposed."""
    return xp.transpose(xp.reshape(x, (-1,))[2:6].reshape((2, 2)))


@right(lambda x: x.reshape(2, 6))
@movement(shape=lambda x: (2, 6), view="contiguous")
def regrouped(xp, x):
    """A reshape of the user's."""
    return x.reshape((2, 6))


@right(lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, -1))
@movement(shape=lambda x: (*x[:-1], x[-1] - 1, 2), view="always")
def pairs(xp, x):
    """Neighbours: elements that are seen twice."""
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:-1], x.shape[-1] - 1, 2), (*x.strides, x.strides[-1]))


@right(lambda x: x[::-1].T)
@movement(shape=lambda x: x[::-1], view="always")
def turned(xp, x):
    """Backwards."""
    return xp.transpose(x[::-1])


@right(lambda x: x[::-1])
@movement(shape=lambda x: x, view="always")
def backwards_if_floats(xp, x):
    """A view that stands no other dtype."""
    if x.dtype != np.float64:
        raise TypeError("floats alone")
    return x[::-1]


@right(lambda x: x[::-1])
@movement(shape=lambda x: x, view="always")
def backwards_if_not_zero(xp, x):
    """A view that does not stand what it is tried on."""
    if not x.all():
        raise ValueError("no zeros")
    return x[::-1]


@right(lambda x: np.repeat(x, 2, 0))
@movement(shape=lambda x: (2 * x[0], x[1]))
def twice(xp, x):
    """Every row twice."""
    return xp.repeat(x, 2, axis=0)


@right(lambda x: np.concatenate([x[2:], x[:2], x[:2]]))
@movement(shape=lambda x: (x[0] + 2, x[1]))
def again(xp, x):
    """Some rows twice, and another order."""
    return xp.concatenate([x[2:], x[:2], x[:2]])


@right(lambda x: np.where(x > 4, x, 0.1 * x))
@elementwise()
def leaky(xp, x):
    """Two branches."""
    return xp.where(x > 4, x, 0.1 * x)


@right(lambda x: np.sum(x * x))
@reduction(identity=0, combine=lg.add)
def energy(xp, x, *, axis=None, keepdims=False):
    """The sum of squares."""
    return xp.sum(xp.square(x), axis=axis, keepdims=keepdims)


@right(lambda x: np.max(x))
@reduction()
def largest(xp, x, *, axis=None, keepdims=False):
    """The largest, of which nobody says how it is combined."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@right(lambda x: x.max(), X.astype(np.int64))
@reduction(identity=-np.inf, combine=lg.maximum)
def largest_of_whole_numbers(xp, x, *, axis=None, keepdims=False):
    """The largest; of none it would be a number that the dtype has not."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@right(lambda a, b: b @ a, X[:, :3], X[:, 1:])
@opaque(shape=lambda a, b: (b[0], a[1]), recorded=True)
def swapped(xp, a, b):
    """A product whose factors stand the other way round."""
    return xp.matmul(b, a)


@right(lambda x: x[[2, 0]])
@opaque(shape=lambda x: (2, x[1]))
def chosen(xp, x):
    """Two rows."""
    return xp.elements(x, (np.array([2, 0]),))


TABLE = np.arange(12.0).reshape(3, 4)


@right(lambda x: TABLE + 0 * x)
@opaque(shape=lambda x: x)
def tabled(xp, x):
    """The same array whatever its operand: it is never written to."""
    return TABLE


@right(lambda x: x)
@opaque(shape=lambda x: x)
def itself(xp, x):
    """Its operand."""
    return x


class Odd(np.ndarray):
    """An array whose sums are others."""

    def __add__(self, other: Any) -> Any:
        return self - 100


@right(lambda x: x)
@opaque(shape=lambda x: x)
def odd_arrays(xp, x):
    """An array of another class, whose + would be another one."""
    return x.view(Odd)


@right(lambda x: np.abs(x - 3))
@elementwise()
def by_branch(xp, x):
    """Another way for positive numbers, with the same result."""
    y = x - 3
    return y if (y >= 0).all() else xp.abs(y)


@right(lambda x: np.hypot(x, 2))
@elementwise()
def with_numpy(xp, x):
    """A function that is not asked of xp."""
    return np.hypot(x, 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("op", "reference", "arrays"), RIGHT, ids=[op.name for op, _, _ in RIGHT])
def test_a_right_declaration_computes_in_every_way(way: str, op: Any, reference: Any, arrays: Any) -> None:
    """Of an argument, of what was computed, and of what does not lie in order."""
    expected = reference(*arrays)
    assert_allclose(expected + 1, evaluated(way, op, *arrays), rtol=1e-12)
    doubled = reference(*[2 * a for a in arrays])
    assert_allclose(doubled + 1, evaluated(way, lambda *xs: op(*[2 * x for x in xs]), *arrays), rtol=1e-12)
    turned = [np.ascontiguousarray(a.T) for a in arrays]
    assert_allclose(expected + 1, evaluated(way, lambda *xs: op(*[x.T for x in xs]), *turned), rtol=1e-12)
    wide = [a * np.ones((5, 1, 1)) for a in arrays]
    assert_allclose(expected + 1, evaluated(way, lambda *xs: op(*[x[2] for x in xs]), *wide), rtol=1e-12)


# lazygrad's own ops.


def primitives() -> list[Any]:
    """A node of every primitive that the table of sample inputs writes, with its operands' specs."""
    found: dict[Any, tuple[Any, list[Spec]]] = {}
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    for case in CASES:
        for dtype in case.dtypes[:1]:
            arrays = case.sample(dtype)
            graph = env.trace(lambda ctx, *xs, case=case: case.call(*xs), *arrays)
            for node in graph.nodes:
                specs = [graph.nodes[j].spec for j in node.inputs]
                if isinstance(node.op, Declared) and all(isinstance(spec, Spec) for spec in specs):
                    found.setdefault((node.op, node.key, tuple(specs)), (node, specs))
    return list(found.values())


OWN = primitives()


def test_the_table_of_ops_writes_most_primitives() -> None:
    """So that the tests below say something."""
    assert len({node.op for node, _ in OWN}) > 150


def test_lazygrads_own_declarations_are_right() -> None:
    """They are believed, so the same is seen of them here, once and for all."""
    odd = []
    for node, specs in OWN:
        if node.op.random or not node.op.pure:
            continue
        try:
            with np.errstate(all="ignore"):
                if not seen(node.op, node, specs):
                    odd.append((node.op.name, node.params, specs, "raises"))
        except Misdeclared as reason:
            odd.append((node.op.name, node.params, specs, reason.args))
    assert [] == odd


def test_lazygrads_own_movements_say_where_their_operands_go() -> None:
    """As is seen by moving numbers."""
    several = 0
    for node, specs in OWN:
        op = node.op
        if not isinstance(op, Movement) or op.view is not None or not all(spec.size for spec in specs):
            continue
        several += 1
        shapes = tuple(spec.shape for spec in specs)
        plain: Any = type("Plain", (), {"kernel": staticmethod(op.kernel)})
        assert placed(plain, shapes, node.params, (op.name, node.key)) == placed(op, shapes, node.params, node.key)
    assert several > 5
