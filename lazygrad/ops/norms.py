"""Norms of vectors and matrices, and what is said with them: rank, condition, standard deviation."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Axes, Mismatch, normalize_axes, normalize_axis
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import abs
from lazygrad.ops.comparison import greater, not_equal
from lazygrad.ops.corners import length
from lazygrad.ops.movement import expand_dims, moveaxis, reshape
from lazygrad.ops.reduction import _count, any, max, mean, min, sum
from lazygrad.ops.solving import as_floats, inv, of_triangle, tolerances
from lazygrad.ops.spectral import _svdvals

__all__ = ["cond", "matrix_norm", "matrix_rank", "norm", "std", "vector_norm"]

Order = Any  # a number, ±inf, "fro", "nuc", or None


def _largest(x: Tensor, axis: Axes, keepdims: bool = False) -> Tensor:
    """Largest of numbers that are not negative: 0 of none, as the array API standard has it for norms."""
    axes = normalize_axes(axis, x.ndim)
    return (max if all(x.shape[i] for i in axes) else sum)(x, axis=axes, keepdims=keepdims)


def _refused(what: str, x: Tensor, ord: Order, cure: str) -> SpecError:
    facts = [f"x:  {x.spec}   {x.graph.describe(x.index)}"]
    return SpecError(report(f"cannot {what} {x.spec} with ord={ord!r}", at=here(), facts=facts, cure=cure))


@function
@in_floats("x")
def vector_norm(x: TensorLike, *, axis: Axes = None, keepdims: bool = False, ord: Order = 2) -> Tensor:
    """Norm over ``axis``, or over every axis: (Σ|x|ᵖ)^(1/p) for a number p.

    ``ord=inf`` and ``-inf`` give the largest and smallest magnitude, 0 the number of elements that are not zero.
    Nothing overflows or underflows on the way, in any dtype of floats. Where a norm has a corner, as at zero, its
    derivatives are zero; but the square of the 2-norm is smooth, and has its own. Elements that tie for the largest
    share the gradient.

    Raises:
        SpecError: the order is no number, or an axis does not exist.
    """
    x = tensor(x)
    try:
        normalize_axes(axis, x.ndim)
    except Mismatch as reason:
        raise _refused("vector_norm", x, ord, str(reason)) from None
    if isinstance(ord, str) or not isinstance(ord, (int, float, np.integer, np.floating)) or math.isnan(ord):
        raise _refused("vector_norm", x, ord, "The order of a vector's norm is a number, inf or -inf.")
    p = float(ord)
    if p == math.inf:
        return _largest(abs(x), axis, keepdims)
    if p == -math.inf:
        return min(abs(x), axis=axis, keepdims=keepdims)
    if p == 0:
        return sum(not_equal(x, 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if p == 1:
        return sum(abs(x), axis=axis, keepdims=keepdims)
    return length(x, axis, keepdims, p)


@function
@in_floats("x")
def matrix_norm(x: TensorLike, *, keepdims: bool = False, ord: Order = "fro") -> Tensor:
    """Norm of each matrix in the last two axes.

    Args:
        x: ``(..., m, n)``.
        keepdims: whether the two axes stay, with size 1.
        ord: ``"fro"``, the root of the sum of squares; ``"nuc"``, the sum of singular values; 2 and -2, the largest and
            smallest singular value; 1 and -1, the largest and smallest sum of magnitudes of a column; inf and -inf,
            the same of a row.

    Raises:
        SpecError: ``x`` has fewer than two axes, or the order is none of these.
    """
    x = tensor(x)
    if x.ndim < 2:
        raise _refused("matrix_norm", x, ord, "Matrices lie in the last two axes.")
    if ord in ("fro", None):
        return length(x, (-2, -1), keepdims)
    if ord in ("nuc", 2, -2):
        s = _svdvals(x)
        y = sum(s, axis=-1) if ord == "nuc" else _largest(s, -1) if ord == 2 else min(s, axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        along = -2 if ord in (1, -1) else -1
        y = (_largest if ord > 0 else min)(sum(abs(x), axis=along), axis=-1)
    else:
        raise _refused("matrix_norm", x, ord, "The order of a matrix norm is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf.")
    return expand_dims(y, (-2, -1)) if keepdims else y


@function
@in_floats("x")
def norm(x: TensorLike, ord: Order = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Norm of a vector or matrix, as NumPy's.

    Without ``ord``, the root of the sum of squares, over ``axis`` or over all elements. With it, ``axis`` says whether
    vectors are meant (one axis, :func:`vector_norm`) or matrices (two axes, :func:`matrix_norm`); without ``axis`` a
    tensor of one axis is a vector and one of two is a matrix.

    Raises:
        SpecError: the axes do not exist or are more than two, or the order does not fit.
    """
    x = tensor(x)
    if axis is None and (ord is None or x.ndim == 1):
        return vector_norm(x, keepdims=keepdims, ord=2 if ord is None else ord)
    if axis is None and x.ndim != 2:
        raise _refused("norm", x, ord, "Say over which axis, for vectors, or over which two, for matrices.")
    axes: Sequence[Any] = (0, 1) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    try:
        normalize_axes(tuple(axes), x.ndim)
    except Mismatch as reason:
        raise _refused("norm", x, ord, str(reason)) from None
    if len(axes) == 1:
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise _refused("norm", x, ord, "A norm is over one axis, for vectors, or two, for matrices.")
    if ord in (None, "fro"):
        return vector_norm(x, axis=tuple(axes), keepdims=keepdims)
    y = matrix_norm(moveaxis(x, tuple(axes), (-2, -1)), ord=ord)
    places = [normalize_axis(a, x.ndim) for a in axes]
    return reshape(y, tuple(1 if i in places else n for i, n in enumerate(x.shape))) if keepdims else y


@function
def matrix_rank(x: TensorLike, *, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """How many singular values of each matrix are larger than ``rtol`` times the largest, as int64.

    ``rtol`` is max(m, n)·ε of the dtype if not given, else a number, or one for each matrix. As in NumPy, a vector
    has rank 1 unless it is zero. If ``hermitian``, only the lower triangle is read.
    """
    x = as_floats(x)
    if x.ndim < 2:
        return any(not_equal(x, 0)).astype(np.int64)
    rtol = tolerances("take the rank of", x, rtol)
    s = _svdvals(of_triangle(x, hermitian))
    if not s.shape[-1]:
        return sum(greater(s, 0), axis=-1)
    limit = rtol * max(s, axis=-1)
    return sum(greater(s, expand_dims(limit, -1)), axis=-1)


@function
def cond(x: TensorLike, p: Order = None) -> Tensor:
    """Condition number of each matrix in the norm ``p``; in the 2-norm if not given, then it need not be square.

    Raises:
        SpecError: ``x`` is not square and ``p`` is not 2 or -2, there is no such norm, or there are no elements.
    """
    x = as_floats(x)
    if x.ndim >= 2 and 0 in x.shape[-2:]:
        raise _refused("cond", x, p, "A matrix without elements has no condition number.")
    if p in (None, 2, -2):
        high, low = matrix_norm(x, ord=2), matrix_norm(x, ord=-2)
        return low / high if p == -2 else high / low
    return matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p)


@function
@in_floats("x")
def std(x: TensorLike, *, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation over ``axis``, the square root of :func:`var`: the length of x − mean over √(n − correction).

    Its derivatives are 0 where all elements are equal, and there is a corner; those of its square are the variance's.
    """
    x = tensor(x)
    center = mean(x, axis=axis, keepdims=True)
    count = float(builtins.max(_count(x, center) - correction, 0))
    return length(x - center, axis, keepdims, count=count)
