"""What only the derivatives look at, left out when they have been written."""

from __future__ import annotations

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.corners import _derived, _length, length
from lazygrad.rewrite.rules import rule

__all__: list[str] = []


@rule("simplify", _derived, example=lambda x: _derived(x, x * x), drops=True)
def value_alone(node: Node, value: Tensor, like: Tensor) -> Tensor:
    """A value with the derivatives of another formula is that value: they have been written by now."""
    return value


@rule("simplify", _length, example=lambda x: length(x, 1, True), drops=True)
def length_alone(node: Node, value: Tensor, *xs: Tensor) -> Tensor:
    """A length is what was computed: its derivatives have been written by now."""
    return value
