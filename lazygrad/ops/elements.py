"""Functions of elements beside arithmetic: extremes that pass over NaN, x·log y, remainders as in C, choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import maximum, minimum, trunc
from lazygrad.ops.comparison import equal, isclose, isinf, isnan, less_equal, logical_and, where
from lazygrad.ops.elementary import log, log1p, logaddexp
from lazygrad.ops.movement import astype, broadcast_arrays
from lazygrad.ops.reduction import all
from lazygrad.ops.source import asarray

__all__ = [
    "allclose",
    "array_equal",
    "fmax",
    "fmin",
    "fmod",
    "heaviside",
    "isneginf",
    "isposinf",
    "logaddexp2",
    "piecewise",
    "select",
    "xlog1py",
    "xlogy",
]


def _passing_nan(pick: Callable[[Any, Any], Tensor], a: TensorLike, b: TensorLike) -> Tensor:
    found = pick(a, b)
    if found.dtype.kind != "f":
        return found
    a, b = (tensor(x, found.graph, found.dtype) for x in (a, b))
    return where(isnan(a), b, where(isnan(b), a, found))


@function
def fmax(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of a and b, and the other one where one is NaN; where they are equal each gets half the cotangent."""
    return _passing_nan(maximum, a, b)


@function
def fmin(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of a and b, and the other one where one is NaN; where they are equal each gets half the cotangent."""
    return _passing_nan(minimum, a, b)


@elementwise(vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g * trunc(a / b)))
def fmod(xp: Any, a: Array, b: Array) -> Any:
    """Remainder of division, with the sign of the dividend, as in C."""
    return xp.fmod(a, b)


@function
@in_floats("x", "middle")
def heaviside(x: TensorLike, middle: TensorLike) -> Tensor:
    """0 below zero, 1 above it, and ``middle`` at zero."""
    x = tensor(x)
    middle = tensor(middle, x.graph, x.dtype)
    return where(equal(x, 0), middle, where(isnan(x), x, astype(x > 0, x.dtype)))


@function
@in_floats("a", "b")
def logaddexp2(a: TensorLike, b: TensorLike) -> Tensor:
    """log₂(2ᵃ + 2ᵇ), without overflow."""
    return logaddexp(tensor(a) * math.log(2), tensor(b) * math.log(2)) * (1 / math.log(2))


# 0·log y is 0 for all y but NaN, so its slope in y is 0; the slope in x, log y, is given where there is a logarithm.
def _base(x: Tensor, y: Tensor, least: float) -> Tensor:
    return where(logical_and(equal(x, 0), less_equal(y, least)), least + 1, y)


@elementwise(
    vjp=(lambda g, z, x, y: g * log(_base(x, y, 0)), lambda g, z, x, y: g * (x / _base(x, y, 0))), dtype=floating
)
def xlogy(xp: Any, x: Array, y: Array) -> Any:
    """x·log y, and 0 where x is 0 and y is not NaN."""
    nothing = xp.logical_and(xp.equal(x, 0), xp.logical_not(xp.isnan(y)))
    return xp.where(nothing, 0, x * xp.log(xp.where(nothing, 1, y)))


@elementwise(
    vjp=(lambda g, z, x, y: g * log1p(_base(x, y, -1)), lambda g, z, x, y: g * (x / (1 + _base(x, y, -1)))),
    dtype=floating,
)
def xlog1py(xp: Any, x: Array, y: Array) -> Any:
    """x·log(1 + y), precise near y = 0, and 0 where x is 0 and y is not NaN."""
    nothing = xp.logical_and(xp.equal(x, 0), xp.logical_not(xp.isnan(y)))
    return xp.where(nothing, 0, x * xp.log1p(xp.where(nothing, 0, y)))


@function
def isposinf(x: TensorLike) -> Tensor:
    """Whether x is +∞."""
    x = tensor(x)
    return logical_and(isinf(x), x > 0)


@function
def isneginf(x: TensorLike) -> Tensor:
    """Whether x is −∞."""
    x = tensor(x)
    return logical_and(isinf(x), x < 0)


@function
def allclose(a: TensorLike, b: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether all elements are close, as :func:`isclose` has it; a bool without axes."""
    return all(isclose(a, b, rtol, atol, equal_nan))


@function
def array_equal(a: TensorLike, b: TensorLike, equal_nan: bool = False) -> Tensor:
    """Whether both have one shape and the same elements; a bool without axes."""
    a, b = tensors(a, b)
    if a.shape != b.shape:
        return asarray(False)
    same = equal(a, b)
    return all(same | (isnan(a) & isnan(b)) if equal_nan else same)


@function
def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Tensor:
    """For every element the choice of the first condition that is true there, or ``default`` where none is.

    Args:
        conditions: booleans; they broadcast, with the choices too.
        choices: as many. The gradient goes to the one that is chosen.
        default: the rest.

    Raises:
        SpecError: there are none, or not as many of one as of the other.
    """
    if len(conditions) != len(choices) or not len(choices):
        cure = f"There are {len(conditions)} conditions and {len(choices)} choices: give as many, one or more."
        raise SpecError(report("cannot select", at=here(), cure=cure))
    result = default  # a number is weak
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, choice, result)
    return tensor(result)


@function
def piecewise(x: TensorLike, conditions: Sequence[Any], functions: Sequence[Any]) -> Tensor:
    """A function in pieces: for every element of ``x`` the function of the last condition that is true there.

    Args:
        x: the argument of all functions; each is called with the whole of it, and its gradient passes only where it
            is chosen.
        conditions: booleans that broadcast to ``x``.
        functions: one for each condition, and perhaps one more for where none is true, which else is 0. A number
            stands for a constant. The dtype of the result is that of ``x``, as in NumPy.

    Raises:
        SpecError: there are not as many functions.
    """
    x = tensor(x)
    extra = len(functions) - len(conditions)
    if extra not in (0, 1):
        cure = f"There are {len(conditions)} conditions: give as many functions, or one more."
        raise SpecError(report("cannot piecewise", at=here(), facts=[f"functions:  {len(functions)}"], cure=cure))
    values = [tensor(f(x) if callable(f) else f, x.graph, x.dtype) for f in functions]
    result, _ = broadcast_arrays(values[-1] if extra else tensor(0, x.graph, x.dtype), x)
    for condition, value in zip(conditions, values, strict=False):
        result = where(condition, value, result)
    return result
