"""Products and quotients in which zero times anything is zero, and the cotangents that are multiplied so.

By the chain rule a cotangent g is multiplied with partial derivatives, and these may be infinite or NaN where the
result does not depend on the operand at all: ``where(x > 0, log(x), 0)`` has g = 0 and 1 / x = ∞ at 0. IEEE 754
says 0·∞ = NaN; the derivative is 0. So the zeros of a cotangent are *strong* (the word is that of Moses and
Churavy, Enzyme, 2020): what is multiplied with them is 0.

The ops here are multilinear in what they multiply, as products are, and their derivatives are of the same kind.
So derivatives of every order keep the law. Rules of ops need not know of it: they get their cotangent as a
:class:`Cotangent`, whose operators are these ops.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.arithmetic import add, divide, multiply, negative, subtract
from lazygrad.ops.source import _literal

__all__ = ["Cotangent", "cotangent", "like", "plain", "strong_divide", "strong_multiply"]

T = TypeVar("T")


@elementwise(vjp=(lambda h, y, g, p: h * p, lambda h, y, g, p: _both(h, g)))
def strong_multiply(xp: Any, g: Array, p: Array) -> Any:
    """g·p, and 0 where g is 0, whatever p is."""
    return xp.where(xp.not_equal(g, 0), xp.multiply(g, p), 0)


@elementwise(vjp=(lambda h, y, g, x: h / x, lambda h, y, g, x: -strong_divide(_both(h, y), x)))
def strong_divide(xp: Any, g: Array, x: Array) -> Any:
    """g / x, and 0 where g is 0, whatever x is."""
    return xp.where(xp.not_equal(g, 0), xp.divide(g, x), 0)


# The derivative of g·p for p is g, which is a cotangent too: where it is 0 nothing depends on p.
@elementwise(vjp=(lambda h, y, a, b: _both(h, b), lambda h, y, a, b: _both(h, a)))
def _both(xp: Any, a: Array, b: Array) -> Any:
    """a·b, and 0 where either is 0, whatever the other is."""
    return xp.where(xp.logical_and(xp.not_equal(a, 0), xp.not_equal(b, 0)), xp.multiply(a, b), 0)


class Cotangent(Tensor):
    """A cotangent, or a tangent, as a rule sees it: a tensor whose products and quotients are strong.

    What is linear in it is a cotangent again.
    """

    __slots__ = ()

    def __mul__(self, other: Any) -> Tensor:
        return cotangent(multiply(self, other) if _is_number(other) else strong_multiply(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return cotangent(divide(self, other) if _is_number(other) else strong_divide(self, other))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # So ``array * g`` arrives here: an array on the left is a factor like any other.
        if ufunc is np.multiply and method == "__call__" and not kwargs:
            left, right = inputs
            return right * tensor(left, self.graph)
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __neg__(self) -> Tensor:
        return cotangent(negative(self))

    def __add__(self, other: Any) -> Tensor:
        return like(other, add(self, other))

    def __sub__(self, other: Any) -> Tensor:
        return like(other, subtract(self, other))


def cotangent(g: Tensor) -> Cotangent:
    """The same node as a cotangent."""
    return Cotangent(g.graph, g.index, g.spec)


def plain(g: T) -> T | Tensor:
    """The same node as a tensor like any other; what is no cotangent stays as it is."""
    return Tensor(g.graph, g.index, g.spec) if isinstance(g, Cotangent) else g


def like(g: Any, y: Tensor) -> Tensor:
    """``y``, which is linear in ``g``: a cotangent if that is one."""
    return cotangent(y) if isinstance(g, Cotangent) else y


def _is_number(x: Any) -> bool:
    """Whether it is a number known now, finite and not 0: with it strong zeros are no others than those of IEEE 754."""
    if isinstance(x, Tensor):
        node = x.graph.nodes[x.index]
        x = node.params["value"].item() if node.of(_literal) else None
    return type(x) in (int, float) and math.isfinite(x) and x != 0
