"""The graph of one worker while it is written, and how a value changes hands in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Elementwise
from lazygrad.distribute.states import PART, WHOLE, Split, State, Value
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Shape, Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.indexing import _slice
from lazygrad.ops.movement import _pad, astype, broadcast_to, reshape
from lazygrad.ops.source import _full, _literal
from lazygrad.ops.streams import _words, _words_from
from lazygrad.ops.workers import _total
from lazygrad.values.rows import part_of
from lazygrad.workers.among import Among

__all__ = ["Inside", "Sharing"]


class Inside(Exception):
    """Workers would have to exchange something in the body of a loop: the loop is computed whole on each instead."""


class Sharing:
    """Writes the graph of one worker.

    Attributes:
        made: that graph.
        among: the workers.
        is_body: whether it is a body of a loop, in which nothing can be exchanged.
    """

    def __init__(self, made: Graph, among: Among, is_body: bool) -> None:
        self.made, self.among, self.is_body = made, among, is_body
        self._whole: dict[int, Tensor] = {}
        self._split: dict[tuple[int, Split], Tensor] = {}
        self._cheap: list[bool] = []  # of every node so far, whether it is made of nothing

    def local_shape(self, shape: Shape, state: State) -> Shape:
        """The shape of what this worker has of a value."""
        return state.local(shape, self.among.size, self.among.rank) if isinstance(state, Split) else shape

    def total(self, x: Tensor) -> Tensor:
        """The sum over all workers."""
        if self.is_body:
            raise Inside
        travels = _travels(x.dtype)
        found = _total(x if travels is None else astype(x, travels), among=self.among)
        return found if travels is None else astype(found, x.dtype)

    # To all workers.

    def whole(self, value: Value) -> Tensor:
        """A value as it is on all workers."""
        if value.is_whole:
            return value.local
        found = self._whole.get(value.local.index)
        if found is None:
            found = self.total(value.local) if value.state is PART else self._gathered(value)
            self._whole[value.local.index] = found
        return found

    def _gathered(self, value: Value) -> Tensor:
        """The rows of all workers: each puts its own between zeros, and these are added up."""
        split = cast(Split, value.split)
        x, dtype = value.local, value.local.dtype
        travels = _travels(dtype)
        x = x if travels is None else astype(x, travels)
        part = part_of(split.rows, self.among.size, self.among.rank)
        front, back = value.shape[: split.axis], value.shape[split.axis + 1 :]
        x = reshape(x, (*front, split.before, part.stop - part.start, split.unit, *back))
        place = len(front) + 1
        before, after = [0] * x.ndim, [0] * x.ndim
        before[place], after[place] = part.start, split.rows - part.stop
        x = self.total(_pad(x, before=tuple(before), after=tuple(after)))
        x = reshape(x, value.shape)
        return x if travels is None else astype(x, dtype)

    def each(self, y: Tensor) -> Tensor:
        """What every worker has, one after the other along a new first axis."""
        rank, size = self.among.rank, self.among.size
        before, after = (rank, *[0] * y.ndim), (size - 1 - rank, *[0] * y.ndim)
        return self.total(_pad(reshape(y, (1, *y.shape)), before=before, after=after))

    # From all workers to each its own.

    def part(self, value: Value) -> Tensor:
        """A value as parts that add up to it: all of it on the first worker, zeros on the others."""
        if value.state is PART:
            return value.local
        x = self.whole(value)
        if self.among.rank == 0:
            return x
        return _full.write(self.made, value=0, shape=x.shape, dtype=x.dtype)

    def split(self, value: Value, split: Split) -> Tensor:
        """The rows of a value that are this worker's."""
        if value.state == split:
            return value.local
        return self._localized(self.whole(value), split)

    def _localized(self, x: Tensor, split: Split) -> Tensor:
        found = self._split.get((x.index, split))
        if found is None:
            found = self._made_local(x, split) if self._is_cheap(x) else None
            found = self._cut(x, split) if found is None else found
            self._split[x.index, split] = found
        return found

    def _cut(self, x: Tensor, split: Split) -> Tensor:
        part = part_of(split.rows, self.among.size, self.among.rank)
        shape = self.local_shape(x.shape, split)
        front, back = x.shape[: split.axis], x.shape[split.axis + 1 :]
        all_of_it = slice(None)
        if split.before == 1:
            places = slice(part.start * split.unit, part.stop * split.unit)
            return _slice(x, index=(*[all_of_it] * len(front), places, *[all_of_it] * len(back)))
        apart = reshape(x, (*front, split.before, split.rows, split.unit, *back))
        index = (*[all_of_it] * (len(front) + 1), part, *[all_of_it] * (len(back) + 1))
        return reshape(_slice(apart, index=index), shape)

    def _is_cheap(self, x: Tensor) -> bool:
        """Whether a value is made of nothing: numbers over and over, draws, and what is computed of these alone."""
        for node in self.made.nodes[len(self._cheap) : x.index + 1]:
            known = node.of(_full) or node.of(_literal) or node.of(_words)
            known = known or (isinstance(node.spec, Spec) and node.spec.size == 1)
            if not known and node.inputs and (node.of(broadcast_to) or _is_formula(node)):
                known = all(self._cheap[i] for i in node.inputs)
            self._cheap.append(known)
        return self._cheap[x.index]

    def _made_local(self, x: Tensor, split: Split) -> Tensor | None:
        """This worker's rows of a value that is made of nothing, made as they are in the whole."""
        node = self.made.nodes[x.index]
        shape = self.local_shape(x.shape, split)
        if node.of(_full):
            return _full.write(self.made, **{**node.params, "shape": shape})
        if node.of(_words):
            if split.before != 1 or math.prod(x.shape[: split.axis]) != 1:
                return None
            start = part_of(split.rows, self.among.size, self.among.rank).start
            begin = start * split.unit * math.prod(x.shape[split.axis + 1 :])
            settings = {"draw": node.params["draw"], "begin": begin, "shape": shape, "dtype": node.params["dtype"]}
            return _words_from(self.made.tensor(node.inputs[0]), **settings)
        if node.of(broadcast_to):
            (source,) = [self.made.tensor(i) for i in node.inputs]
            axis = split.axis - (x.ndim - source.ndim)
            if axis >= 0 and source.shape[axis] != 1:
                source = self._localized(source, split.at(axis))
            return broadcast_to(source, shape)
        if _is_formula(node):
            operands = [self.made.tensor(i) for i in node.inputs]
            return self.again(node, [self.aligned(t, split, x.ndim) for t in operands])
        return None

    def aligned(self, x: Tensor, split: Split, ndim: int) -> Tensor:
        """A whole operand beside one that is split along ``split`` of ``ndim`` axes, to which it is broadcast."""
        axis = split.axis - (ndim - x.ndim)
        if axis < 0 or x.shape[axis] == 1:
            return x
        return self._localized(x, split.at(axis))

    # Writing.

    def again(self, node: Node, operands: Sequence[Tensor], **params: Any) -> Tensor:
        """A node's op on other operands, and with other settings where some are given."""
        settings = {**node.params, **params} if params else node.params
        return self.made.apply(node.op, tuple([t.index for t in operands]), settings, None if params else node.key)

    def copied(self, node: Node, operands: Sequence[Tensor]) -> Value:
        """A node on whole operands."""
        y = self.again(node, operands)
        spec = node.spec
        return Value(y, WHOLE, spec.shape if isinstance(spec, Spec) else ())


def _travels(dtype: np.dtype[Any]) -> Any:
    """The dtype in which sums travel, where it is another one: MPI knows no halves; of booleans the sum is "or"."""
    return np.float32 if dtype.char == "e" else np.int64 if dtype.kind == "b" else None


def _is_formula(node: Node) -> bool:
    """Whether a node computes each element of those at the same place; the user's draws are of the whole."""
    return isinstance(node.op, Elementwise) and not node.op.random
