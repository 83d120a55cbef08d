"""Movements that need not be made: twice moved is moved once, and what broadcasts by itself is not broadcast.

Nothing is computed otherwise, only elsewhere or fewer times: values keep every bit.
"""

from __future__ import annotations

import math

from lazygrad.define.kinds import Elementwise
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Shape, Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add
from lazygrad.ops.elementary import exp
from lazygrad.ops.indexing import _place, _slice
from lazygrad.ops.movement import _concat, _pad, astype, broadcast_to, matrix_transpose, permute_dims, reshape
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.products import _matmul
from lazygrad.ops.reduction import max, min, prod, sum
from lazygrad.ops.source import _full, full_like, literal
from lazygrad.rewrite.rules import node_of, number, operands, readers, rule

__all__ = ["plain_shape"]


def _shape(node: Node) -> Shape:
    assert isinstance(node.spec, Spec)
    return node.spec.shape


def plain_shape(shape: Shape) -> Shape:
    """The shape without the axes of size 1 in front, which broadcasting puts there by itself."""
    front = next((i for i, size in enumerate(shape) if size != 1), len(shape))
    return shape[front:]


@rule(
    "simplify",
    *(reshape, permute_dims, broadcast_to, _slice, _concat, _pad),
    example=[
        lambda x: reshape(x, (2, -1)),
        lambda x: permute_dims(x, (0, -1)),
        lambda x: broadcast_to(x, x.shape),
        lambda x: x[:, 0:3],
        lambda x: _concat(x, axis=0),
    ],
)
def moved_nowhere(node: Node, *xs: Tensor) -> Tensor | None:
    """A movement that leaves every element in its place is none."""
    if len(xs) != 1 or xs[0].shape != _shape(node):
        return None
    (x,) = xs
    if node.of(permute_dims):
        return x if [axis % x.ndim for axis in node.params["axes"]] == list(range(x.ndim)) else None
    if node.of(_slice):
        return x if all(isinstance(part, slice) and (part.step or 1) > 0 for part in node.params["index"]) else None
    return x


@rule("simplify", _slice, _place, example=[lambda x: x[:, None], lambda x: _place(x[0], index=(None,), size=(1, 3))])
def new_axes(node: Node, x: Tensor) -> Tensor | None:
    """An index that only puts in axes of size 1 is a reshape, and so is the way back."""
    index = node.params["index"]
    return reshape(x, _shape(node)) if all(part is None or part == slice(None) for part in index) else None


@rule("simplify", reshape, of=[reshape], example=lambda x: reshape(reshape(x, (-1,)), (3, 2)))
def reshaped_twice(node: Node, x: Tensor) -> Tensor:
    """Of two shapes, one after the other, the last one counts."""
    return reshape(operands(x, reshape)[0], _shape(node))


@rule(
    "simplify",
    permute_dims,
    of=[permute_dims],
    example=lambda x: permute_dims(permute_dims(x, (1, 0)), (-1, 0)),
)
def permuted_twice(node: Node, x: Tensor) -> Tensor:
    """Axis i of the result is axis axes[i] of its operand, and so axis inner[axes[i]] of that one's."""
    inner = node_of(x).params["axes"]
    return permute_dims(operands(x, permute_dims)[0], tuple(inner[axis] for axis in node.params["axes"]))


@rule(
    "simplify",
    broadcast_to,
    of=[broadcast_to, reshape],
    example=[
        lambda x: broadcast_to(broadcast_to(x, (1, 2, 3)), (4, 2, 3)),
        lambda x: broadcast_to(reshape(x, (1, 2, 3)), (4, 2, 3)),
    ],
)
def broadcast_twice(node: Node, x: Tensor) -> Tensor | None:
    """A broadcast puts axes in front and repeats them by itself."""
    inner = _unbroadcast(x)
    return None if inner.index == x.index else broadcast_to(inner, _shape(node))


def _unbroadcast(x: Tensor) -> Tensor:
    """What ``x`` is broadcast from: fewer elements, or fewer axes, that broadcast to it."""
    while True:
        wider = operands(x, broadcast_to)
        flat = operands(x, reshape)
        if flat and flat[0].ndim < x.ndim and plain_shape(x.shape) == plain_shape(flat[0].shape):
            wider = flat
        if not wider:
            return literal(x.graph, number(x), x.dtype) if node_of(x).of(_full) else x
        (x,) = wider


@rule(
    "simplify",
    Elementwise,
    of=[broadcast_to, reshape, _full],
    example=[
        lambda x, y: x + broadcast_to(y[0], (2, 3)),
        lambda x: exp(broadcast_to(x[:, :1], (2, 3))),
        lambda x: x * full_like(x, 3),
    ],
)
def computed_before_broadcast(node: Node, *xs: Tensor) -> Tensor | None:
    """f(x repeated) = f(x) repeated, as f looks at each element alone; and beside others x is repeated by itself."""
    op = node.op
    if not isinstance(op, Elementwise) or op.random or not op.pure or op is stop_gradient:
        return None
    inner = [_unbroadcast(x) for x in xs]
    if all(a.index == b.index for a, b in zip(inner, xs, strict=True)):
        return None
    return xs[0].graph.apply(op, tuple([x.index for x in inner]), node.params, node.key)


@rule("simplify", sum, prod, max, min, example=[lambda x: sum(x[:, :1], axis=1), lambda x: max(x[None], axis=0)])
def reduced_alone(node: Node, x: Tensor) -> Tensor | None:
    """A sum of one number is 0 + x, as it starts from 0 and 0 + (−0) = 0; other reductions of one are that one."""
    if math.prod(x.shape[axis] for axis in node.params["axis"]) != 1:
        return None
    assert isinstance(node.spec, Spec)
    one = reshape(astype(x, node.spec.dtype), node.spec.shape)
    return add(one, 0) if node.of(sum) else one


@rule(
    "absorb",
    permute_dims,
    of=[_matmul],
    tolerance=4,
    example=lambda x, y: matrix_transpose(_matmul(x, matrix_transpose(y))),
)
def product_transposed(node: Node, product: Tensor) -> Tensor | None:
    """(A·Bᵀ)ᵀ = B·Aᵀ: one transpose in place of two, where the product is needed so only.

    The sums are the same, but may be added up in another order.
    """
    a, b = operands(product, _matmul)
    n = product.ndim
    turned = (*range(n - 2), n - 1, n - 2)
    if tuple(axis % n for axis in node.params["axes"]) != turned or not (_transposes(a) or _transposes(b)):
        return None
    reading = readers(product, 0)
    if reading is None or len(reading) != 1:
        return None
    return _matmul(matrix_transpose(b), matrix_transpose(a))


def _transposes(x: Tensor) -> bool:
    """Whether ``x`` is another tensor with its last two axes exchanged."""
    node, n = node_of(x), x.ndim
    return node.of(permute_dims) and tuple(axis % n for axis in node.params["axes"]) == (*range(n - 2), n - 1, n - 2)


@rule(
    "absorb",
    _slice,
    of=[_matmul],
    tolerance=4,
    example=[lambda x, y: _matmul(x, matrix_transpose(y))[:, :1], lambda x, y: _matmul(x, matrix_transpose(y))[1:]],
)
def product_sliced(node: Node, product: Tensor) -> Tensor | None:
    """(A·B)[i, j] = A[i]·B[:, j]: rows and columns that are not needed are not computed.

    The sums are the same, but may be added up in another order.
    """
    a, b = operands(product, _matmul)
    index, n = node.params["index"], product.ndim
    if a.ndim != n or b.ndim != n or n < 2 or any(not isinstance(part, slice) for part in index):
        return None
    whole = [*index, *([slice(None)] * (n - len(index)))]
    batch, rows, columns = whole[:-2], whole[-2], whole[-1]
    reading = readers(product, 0)
    if reading is None or len(reading) != 1 or any(part != slice(None) for part in batch):
        return None
    front = (slice(None),) * (n - 2)
    return _matmul(a[(*front, rows, slice(None))], b[(*front, slice(None), columns)])
