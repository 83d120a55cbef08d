"""For each op how it is computed of many examples at once: one function for a kind of op, or for one op.

The examples of a tensor lie along its first axis. A rule is given the node as it was written for one example, its
operands, of which one at least is there for every example, and how many examples there are. It returns the results of
all, or None where there is no such form: then the op is computed example by example, see
:mod:`lazygrad.derivative.examples`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from lazygrad.define.counted import Counted
from lazygrad.define.kinds import Declared, Elementwise, Reduction
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Shape, Spec, broadcast
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.recursion import _backward, _forward, _recursion
from lazygrad.nn.windows import _fold, _window_max, _window_sum, _windows
from lazygrad.ops.corners import _length
from lazygrad.ops.cumulative import _cumulative_sum
from lazygrad.ops.decompositions import _cholesky, _cholesky_cotangent, _cholesky_inverse, _lu, _qr, _qr_complete
from lazygrad.ops.determinants import _slogdet, det
from lazygrad.ops.editing import _convolve
from lazygrad.ops.indexing import ARRAY, _diagonal, _gather, _on_diagonal, _place, _scatter_add, _scatter_set, _slice
from lazygrad.ops.indexing import _gathered as _read_shape
from lazygrad.ops.indexing import _sliced as _slice_shape
from lazygrad.ops.linalg import expm
from lazygrad.ops.movement import _concat, _pad, broadcast_to, flip, moveaxis, permute_dims, reshape, swapaxes
from lazygrad.ops.products import _matmul
from lazygrad.ops.solving import _pinv, _solve, _solve_triangular, inv
from lazygrad.ops.sorting import _argsort, _searchsorted
from lazygrad.ops.source import _arange
from lazygrad.ops.spectral import _eigh, _eigvalsh, _svd, _svd_full, _svdvals

__all__ = ["Each", "again", "batch_rule_of", "whole"]


class Each(NamedTuple):
    """A value of every example.

    Attributes:
        tensor: the numbers.
        batched: whether there are some for every example, along the first axis; else all examples have these.
    """

    tensor: Tensor
    batched: bool

    @property
    def spec(self) -> Spec:
        """That of one example."""
        spec = self.tensor.spec
        return Spec(spec.shape[1:], spec.dtype) if self.batched else spec

    @property
    def shape(self) -> Shape:
        """That of one example."""
        return self.spec.shape


BatchRule = Callable[[Node, Sequence[Each], int], Tensor | None]
RULES: dict[Any, BatchRule] = {}


def batch_rule_of(node: Node) -> BatchRule | None:
    """The rule for a node; None if there is none."""
    op = node.op
    found = RULES.get(op)
    if found is not None or not isinstance(op, Declared) or op.random or not op.pure:
        return found
    if isinstance(op, Elementwise):
        return _elementwise
    if isinstance(op, Counted):
        return _counted
    return _reduction if isinstance(op, Reduction) else None


def _rule(*ops: Any) -> Callable[[BatchRule], BatchRule]:
    """The rule for these ops."""

    def declare(function: BatchRule) -> BatchRule:
        RULES.update(dict.fromkeys(ops, function))
        return function

    return declare


def again(node: Node, operands: Sequence[Tensor], **changed: Any) -> Tensor:
    """The node with other operands, in the graph that is being written, some of its settings changed."""
    graph = operands[0].graph
    params = {**node.params, **changed}
    return graph.apply(node.op, tuple([t.index for t in operands]), params, None if changed else node.key)


def whole(x: Each, size: int) -> Tensor:
    """The value with an axis of the examples, along which it is repeated where all have the same."""
    return x.tensor if x.batched else broadcast_to(x.tensor, (size, *x.tensor.shape))


def _shape(node: Node) -> Shape:
    return cast(Spec, node.spec).shape


def _beside(x: Each, ndim: int) -> Tensor:
    """An operand beside others, to which it is broadcast: with the axes that an example is given in front."""
    missing = ndim - len(x.shape)
    if not x.batched or not missing:
        return x.tensor
    return reshape(x.tensor, (x.tensor.shape[0], *(1,) * missing, *x.shape))


# The kinds.


def _elementwise(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    ndim = len(_shape(node))
    return again(node, [_beside(x, ndim) for x in given])


def _reduction(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [given[0].tensor], axis=tuple([axis + 1 for axis in node.params["axis"]]))


def _counted(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """By the formula of one element: of its number, and of all elements of the operands, one after another."""
    op, shape, graph = cast(Counted, node.op), _shape(node), given[0].tensor.graph
    numbers = _arange.write(graph, start=0, step=1, shape=(math.prod(shape),), dtype=np.dtype(np.uint64))
    elements = [reshape(numbers, shape)]
    for x in given:
        rows = reshape(x.tensor, (size if x.batched else 1, x.spec.size))
        for k in range(x.spec.size):
            one = _slice(rows, index=(slice(None), k))
            elements.append(reshape(one, (size, *(1,) * len(shape)) if x.batched else ()))
    return graph.apply(op.formula, tuple([t.index for t in elements]), {**node.params, "shape": (size, *shape)})


# Movements: the places of an example move behind the first axis.


@_rule(reshape)
def _reshape(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return reshape(given[0].tensor, (size, *_shape(node)))


@_rule(permute_dims)
def _permute_dims(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    (x,) = given
    return permute_dims(x.tensor, (0, *[axis % len(x.shape) + 1 for axis in node.params["axes"]]))


@_rule(broadcast_to)
def _broadcast_to(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    shape = _shape(node)
    return broadcast_to(_beside(given[0], len(shape)), (size, *shape))


@_rule(_pad)
def _padded(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [given[0].tensor], before=(0, *node.params["before"]), after=(0, *node.params["after"]))


@_rule(_concat)
def _joined(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [whole(x, size) for x in given], axis=node.params["axis"] % len(given[0].shape) + 1)


@_rule(_slice)
def _sliced(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [given[0].tensor], index=(slice(None), *node.params["index"]))


@_rule(_place)
def _placed(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    index, shape = node.params["index"], node.params["size"]
    return again(node, [given[0].tensor], index=(slice(None), *index), size=(size, *shape))


@_rule(_windows)
def _windowed(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return moveaxis(again(node, [given[0].tensor]), 2, 0)


@_rule(_fold)
def _folded(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [moveaxis(given[0].tensor, 0, 2)])


# Ops of the last axes, or of two: however many there are in front.


@_rule(_window_sum, _window_max, _diagonal, _on_diagonal)
@_rule(inv, det, expm, _slogdet, _cholesky, _cholesky_inverse, _lu, _qr, _qr_complete)
@_rule(_eigh, _eigvalsh, _svd, _svd_full, _svdvals)
def _of_last(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    return again(node, [given[0].tensor])


@_rule(_solve, _solve_triangular)
def _solved(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Right sides of one matrix are columns of one right side; so that is factorized once."""
    a, b = given
    if a.batched or len(a.shape) > 2 or len(b.shape) > 2:
        return _pairs(node, given, size)
    rows, columns = b.shape
    y = again(node, [a.tensor, reshape(moveaxis(b.tensor, 0, 1), (rows, size * columns))])
    return moveaxis(reshape(y, (rows, size, columns)), 1, 0)


@_rule(_cholesky_cotangent)
def _pairs(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Two matrices, or as many of each."""
    if len({x.shape[:-2] for x in given}) > 1:
        return None
    return again(node, [whole(x, size) for x in given])


@_rule(_pinv)
def _pseudoinverse(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Beside a tolerance for each matrix, or for all."""
    a, tolerance = given
    return again(node, [whole(a, size), _beside(tolerance, len(a.shape) - 2)])


@_rule(_cumulative_sum, _argsort)
def _along(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    (x,) = given
    return again(node, [x.tensor], axis=node.params["axis"] % len(x.shape) + 1)


# Products: examples whose other factor is the same are the rows of one matrix.


@_rule(_matmul)
def _product(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    a, b = given
    if a.batched and not b.batched and len(b.shape) == 2 and a.tensor.size:
        rows = reshape(a.tensor, (-1, a.shape[-1]))
        return reshape(again(node, [rows, b.tensor]), (size, *_shape(node)))
    if b.batched and not a.batched and b.shape[1:] == (1,) and len(a.shape) == 2:  # a matrix times a vector
        rows = again(node, [reshape(b.tensor, (size, b.shape[0])), swapaxes(a.tensor, -1, -2)])
        return reshape(rows, (size, *_shape(node)))
    return again(node, [_beside(x, len(_shape(node))) for x in given])


@_rule(_convolve)
def _convolved(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Of vectors: every window of one, with zeros around it, times the other from behind."""
    a, v = [whole(x, size) for x in given]
    (length,), count = _shape(node), v.shape[1]
    padded = _pad(a, before=(0, count - 1), after=(0, count - 1))
    windows = _windows(reshape(padded, (size, 1, padded.shape[1])), size=(1, count), stride=(1, 1), dilation=(1, 1))
    rows = moveaxis(reshape(windows, (count, size, length)), 0, 2)
    return reshape(_matmul(rows, reshape(flip(v, axis=1), (size, count, 1))), (size, length))


@_rule(_recursion, _forward, _backward)
def _sequences(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Sequences, which are as many more; of the weights the second axis counts them."""
    said, weights = [whole(x, size) for x in given]
    count = given[0].shape[0]
    moved = moveaxis(weights, 0, 1)
    longer = reshape(moved, (moved.shape[0], size * count, *moved.shape[3:]))
    y = again(node, [reshape(said, (size * count, *said.shape[2:])), longer])
    return reshape(y, (size, *_shape(node)))


# Indices that are arrays. The axes of what is read have names here, so that one sees where each of them went: the
# number of the place in the pattern that it comes of, "joint 0", … for those of the arrays, and EXAMPLES.

EXAMPLES = "examples"


def _names(pattern: Sequence[Any], places: Sequence[Any], joint: Sequence[Any]) -> list[Any]:
    """The axes of what an index reads: joint axes stand where the arrays do, and in front if these are apart."""
    arrays = [i for i, part in enumerate(pattern) if isinstance(part, str)]
    together = arrays == list(range(arrays[0], arrays[0] + len(arrays)))
    front = [places[i] for i in range(arrays[0])]
    rest = [places[i] for i, part in enumerate(pattern) if not isinstance(part, str) and i > arrays[0]]
    return [*front, *joint, *rest] if together else [*joint, *front, *rest]


class _IndexOfMany(NamedTuple):
    """An index with arrays, of many examples.

    Attributes:
        pattern, indices: the index.
        order: for each axis of what one example reads, with that of the examples in front, which axis of what the
            index reads it is.
    """

    pattern: tuple[Any, ...]
    indices: list[Tensor]
    order: tuple[int, ...]


def _reading(pattern: Sequence[Any], batched: bool, indices: Sequence[Each], size: int) -> _IndexOfMany:
    """The index of many examples, into what is there for every example, if ``batched``, or for all together."""
    places: list[Any] = list(range(len(pattern)))
    rank = len(broadcast([x.shape for x in indices]))
    joint = [f"joint {k}" for k in range(rank)]
    wanted = [EXAMPLES, *_names(pattern, places, joint)]
    arrays = [_beside(x, rank) for x in indices]
    if not any(x.batched for x in indices):
        pattern, places = (slice(None), *pattern), [EXAMPLES, *places]
    else:
        joint = [EXAMPLES, *joint]
        if batched:  # each example reads its own part: its number is one more index
            numbers = _arange.write(arrays[0].graph, start=0, step=1, shape=(size,), dtype=np.dtype(np.int64))
            arrays = [reshape(numbers, (size, *(1,) * rank)), *arrays]
            pattern, places = (ARRAY, *pattern), [None, *places]
    found = _names(pattern, places, joint)
    return _IndexOfMany(tuple(pattern), arrays, tuple([found.index(name) for name in wanted]))


@_rule(_gather)
def _gathered(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    x, *indices = given
    read = _reading(node.params["pattern"], x.batched, indices, size)
    return permute_dims(again(node, [x.tensor, *read.indices], pattern=read.pattern), read.order)


@_rule(_scatter_add, _scatter_set)
def _scattered(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    x, values, *indices = given
    pattern = node.params["pattern"]
    if not indices:
        shape = _slice_shape(x.shape, pattern)
        new = broadcast_to(_beside(values, len(shape)), (size, *shape))
        return again(node, [whole(x, size), new], pattern=(slice(None), *pattern))
    shape = _read_shape(x.shape, *[index.shape for index in indices], pattern=pattern)
    read = _reading(pattern, True, indices, size)
    new = broadcast_to(_beside(values, len(shape)), (size, *shape))
    back = tuple([read.order.index(axis) for axis in range(len(read.order))])
    return again(node, [whole(x, size), permute_dims(new, back), *read.indices], pattern=read.pattern)


@_rule(_searchsorted)
def _searched(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    edges, x = given
    return None if edges.batched else again(node, [edges.tensor, x.tensor])


@_rule(_length)
def _lengths(node: Node, given: Sequence[Each], size: int) -> Tensor | None:
    """Axes are a setting that the derivative reads."""
    axes, ranks = node.params["axis"], {len(x.shape) for x in given[1:]}
    if len(ranks) > 1:
        return None
    (rank,) = ranks
    if axes is not None and not isinstance(axes, (tuple, list)):
        axes = (axes,)
    moved = tuple([axis % rank + 1 for axis in (range(rank) if axes is None else axes)])
    return again(node, [whole(x, size) for x in given], axis=moved)
