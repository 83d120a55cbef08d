"""Least squares: what comes nearest to solving a system, and the polynomials said with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import square
from lazygrad.ops.diagonals import vander
from lazygrad.ops.movement import atleast_1d, expand_dims, squeeze
from lazygrad.ops.norms import matrix_rank
from lazygrad.ops.reduction import sum
from lazygrad.ops.solving import as_floats, pinv
from lazygrad.ops.spectral import svdvals

__all__ = ["LstsqResult", "lstsq", "polyfit", "polyval"]


class LstsqResult(NamedTuple):
    """The solution, the sums of squares that are left, the rank and the singular values."""

    x: Tensor
    residuals: Tensor
    rank: Tensor
    s: Tensor


@function
def lstsq(a: TensorLike, b: TensorLike, rtol: Any = None) -> LstsqResult:
    """The x that makes the sum of squares of b − a @ x least, and of several such the shortest.

    Args:
        a: ``(..., m, n)``, of any rank.
        b: a vector ``(m,)``, or matrices ``(..., m, k)``.
        rtol: singular values up to it times the largest count as zero; max(m, n)·ε of the dtype if not given.

    Returns:
        x ``(..., n, k)``, or ``(n,)`` for a vector; the sums of squares of b − a @ x, ``(..., k)``, or ``(1,)`` for a
        vector, given whatever the rank is; the rank of each matrix, and its singular values. Only what is used of these
        is computed. The derivative is that along changes that keep the rank.

    Raises:
        SpecError: the numbers of rows differ.
    """
    a, b = (as_floats(x) for x in tensors(a, b))
    vector = b.ndim == 1
    rows = expand_dims(b, 1) if vector else b
    if a.ndim < 2 or rows.ndim < 2 or a.shape[-2] != rows.shape[-2]:
        facts = [f"a:  {a.spec}   {a.graph.describe(a.index)}", f"b:  {b.spec}   {b.graph.describe(b.index)}"]
        cure = "Matrices lie in the last two axes; both must have as many rows."
        raise SpecError(report(f"cannot lstsq {a.spec} and {b.spec}", at=here(), facts=facts, cure=cure))
    x = pinv(a, rtol=rtol) @ rows
    left = sum(square(rows - a @ x), axis=-2)
    return LstsqResult(squeeze(x, -1) if vector else x, left, matrix_rank(a, rtol=rtol), svdvals(a))


@function
@in_floats("x", "y")
def polyfit(x: TensorLike, y: TensorLike, deg: int, w: Any = None) -> Tensor:
    """Coefficients, the highest power first, of the polynomial of degree ``deg`` that is nearest to the points.

    Nearest is the least sum of squares of ``w·(y − p(x))``; columns are scaled before, as NumPy does.

    Args:
        x: ``(n,)``.
        y: ``(n,)``, or ``(n, k)`` for k polynomials.
        deg: degree.
        w: weights ``(n,)`` of the distances, not of their squares.
    """
    x, y = tensor(x), tensor(y)
    if x.ndim != 1 or y.ndim not in (1, 2) or y.shape[:1] != x.shape or deg < 0:
        cure = "x has one axis, y as many points along its first, and the degree is not negative."
        raise SpecError(report(f"cannot polyfit {x.spec} and {y.spec} with deg={deg}", at=here(), cure=cure))
    columns = vander(x, deg + 1)
    if w is not None:
        w = tensor(w, x.graph, x.dtype)
        columns = columns * expand_dims(w, 1)
        y = y * (w if y.ndim == 1 else expand_dims(w, 1))
    scale = sum(square(columns), axis=0) ** 0.5
    rtol = float(x.size) * float(np.finfo(x.dtype).eps)
    found = lstsq(columns / scale, y, rtol).x
    return found / (scale if found.ndim == 1 else expand_dims(scale, 1))


@function
def polyval(p: TensorLike, x: TensorLike) -> Tensor:
    """The polynomial with coefficients ``p``, the highest power first, at ``x``, by Horner's rule."""
    p, x = tensors(p, x)
    coefficients = atleast_1d(p)
    y = x * 0
    for k in range(coefficients.shape[0]):
        y = y * x + coefficients[k]
    return y
