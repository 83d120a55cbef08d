"""A function and its derivative at the same place, computed from one number that is kept in place of the value.

The derivative of the logistic function is lost in its value where that is near 1, so it is computed from the argument;
an exponential again would be dear. So a number is stored from which both come by a few operations: for the logistic
function the smaller of σ(x) and σ(−x), with the sign of x; for the hyperbolic tangent one that grows like e^2|x|.
These rules come last, as others know the functions by their names.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from lazygrad.define import elementwise
from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.elementary import _logistic_slope, _small_part, _tanh_slope, sigmoid, tanh
from lazygrad.rewrite.rules import readers, rule

__all__ = ["FAR", "SLOPES"]


@elementwise()
def _logistic_seed(xp: Any, x: Array) -> Any:
    """The smaller of σ(x) and σ(−x), with the sign of x."""
    return xp.copysign(_small_part(xp, x), x)


@elementwise()
def _logistic_of_seed(xp: Any, seed: Array) -> Any:
    """σ(x)."""
    return xp.where(xp.signbit(seed), -seed, 1 - seed)


@elementwise()
def _logistic_slope_of_seed(xp: Any, seed: Array) -> Any:
    """σ(x)·σ(−x)."""
    small = xp.abs(seed)
    return small * (1 - small)


class Far(NamedTuple):
    """Where a hyperbolic tangent has long been 1: beyond |x| = ``start`` its seed is 2^``shift``·e^|x|.

    So it does not overflow before the derivative is 0, which it is beyond ``held``. 2^shift is above ½·e^start, so that
    all seeds are above ``end`` there, and below it nearer.
    """

    start: float
    shift: int
    held: float

    @property
    def end(self) -> float:
        """¾·2^shift·e^start."""
        return 0.75 * 2.0**self.shift * math.exp(self.start)


# By the size of the type. Half precision has too few exponents for it.
FAR = {4: Far(32.0, 46, 55.0), 8: Far(300.0, 433, 400.0)}


@elementwise()
def _tanh_seed(xp: Any, x: Array) -> Any:
    """h = ½·(e^2|x| − 1) with the sign of x; far out a power of two times e^|x|."""
    return xp.tanh_seed(x)


# Both have the reciprocal, which is computed once where they are computed together.
@elementwise()
def _tanh_of_seed(xp: Any, seed: Array) -> Any:
    """tanh x = h / (1 + h)."""
    return seed * (1 / (1 + xp.abs(seed)))


@elementwise()
def _tanh_slope_of_seed(xp: Any, seed: Array) -> Any:
    """1 / cosh² x = r·(2 − r) with r = 1 / (1 + h); far out it is 4·e^−2|x|."""
    far = FAR[seed.dtype.itemsize]
    h = xp.abs(seed)
    r = 1 / (1 + h)
    return r * xp.where(h < far.end, 2 - r, 2.0 ** (2 * far.shift + 2) * r)


SLOPES: dict[Any, tuple[Any, Any]] = {
    _logistic_slope: (_logistic_seed, _logistic_slope_of_seed),
    _tanh_slope: (_tanh_seed, _tanh_slope_of_seed),
}
_VALUES: dict[Any, tuple[Any, Any, Any]] = {
    sigmoid: (_logistic_slope, _logistic_seed, _logistic_of_seed),
    tanh: (_tanh_slope, _tanh_seed, _tanh_of_seed),
}


def _meets(op: Any, x: Tensor) -> bool:
    """Whether ``op`` is applied to the operand of the node too."""
    return x.dtype.itemsize in FAR and any(node.of(op) for node in readers(x, 0) or ())


@rule(
    "share",
    *_VALUES,
    tolerance=8,
    example=[lambda x: sigmoid(x) + _logistic_slope(x), lambda x: tanh(x) + _tanh_slope(x)],
)
def value_beside_slope(node: Node, x: Tensor) -> Tensor | None:
    """A value beside the derivative at the same place comes from the same number."""
    slope, seed, value = _VALUES[node.op]
    return value(seed(x)) if _meets(slope, x) else None


@rule(
    "share",
    *SLOPES,
    tolerance=8,
    example=[lambda x: sigmoid(x) + _logistic_slope(x), lambda x: tanh(x) + _tanh_slope(x)],
)
def slope_beside_value(node: Node, x: Tensor) -> Tensor | None:
    """A derivative beside the value at the same place comes from the same number."""
    seed, slope = SLOPES[node.op]
    value = next(op for op, parts in _VALUES.items() if parts[0] is node.op)
    return slope(seed(x)) if _meets(value, x) else None
