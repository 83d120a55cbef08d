"""Numbers: what literals, and arrays of one number, give is worked out when the graph is written."""

from __future__ import annotations

import numpy as np

from lazygrad.define.kinds import Elementwise
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add, multiply
from lazygrad.ops.indexing import _slice
from lazygrad.ops.movement import broadcast_to, permute_dims, reshape
from lazygrad.ops.source import _full, _literal, full_like, literal
from lazygrad.rewrite.rules import number, rule

__all__ = ["fold"]


@rule("fold", Elementwise, of=[_literal], example=lambda x: multiply(x, add(literal(x.graph, 2.0, x.dtype), 3)))
def fold(node: Node, *xs: Tensor) -> Tensor | None:
    """An elementwise op of numbers is the number that its kernel gives for them."""
    op = node.op
    if not all(x.graph.nodes[x.index].of(_literal) for x in xs):
        return None
    if not isinstance(op, Elementwise) or op.random or not op.pure or not op.own:
        return None
    with np.errstate(all="ignore"):
        try:
            value = np.asarray(op.kernel(np, *[np.asarray(number(x)) for x in xs], **node.params))
        except Exception:  # a function that NumPy has not, or numbers it refuses: the run says where
            return None
    return literal(xs[0].graph, value[()], value.dtype) if Spec(value.shape, value.dtype) == node.spec else None


@rule(
    "fold",
    *(reshape, permute_dims, broadcast_to, _slice),
    of=[_literal, _full],
    example=[lambda x: broadcast_to(reshape(full_like(x, 3), (-1,)), (2, 6)), lambda x: full_like(x, 3)[0]],
)
def fold_moved(node: Node, x: Tensor) -> Tensor:
    """A number over and over, moved, is that number over and over."""
    assert isinstance(node.spec, Spec)
    shape, dtype = node.spec
    return (
        _full.write(x.graph, value=number(x), shape=shape, dtype=dtype) if shape else literal(x.graph, number(x), dtype)
    )
