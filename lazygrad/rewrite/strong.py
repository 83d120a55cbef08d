"""Strong products and quotients of the derivatives, as plain ones where that makes no difference."""

from __future__ import annotations

import numpy as np

from lazygrad.graph import Node
from lazygrad.ops.arithmetic import divide, multiply
from lazygrad.ops.source import _literal
from lazygrad.ops.strong import strong_divide, strong_multiply
from lazygrad.rewrite.rules import number, rule
from lazygrad.tensor import Tensor

__all__: list[str] = []


@rule(
    "stabilise",
    *(strong_multiply, strong_divide),
    of=[_literal],
    tolerance=1,
    example=[lambda x: strong_multiply(x, 3.0), lambda x: strong_divide(2.0, x)],
)
def weak_zeros(node: Node, g: Tensor, p: Tensor) -> Tensor | None:
    """g·p and g / p need no strong zeros where p is a finite number, and not 0 below a line; or where g is not 0.

    All that may change is the sign of a zero.
    """
    value, zero = number(p), number(g)
    if zero is None or zero == 0:
        if value is None or not np.isfinite(value) or (node.of(strong_divide) and value == 0):
            return None
    return multiply(g, p) if node.of(strong_multiply) else divide(g, p)
