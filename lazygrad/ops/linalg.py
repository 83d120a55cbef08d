"""Functions of whole matrices: trace, powers, chains of products, the exponential."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor
from lazygrad.define.kinds import tensors as tensors_of
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.movement import broadcast_to, concat
from lazygrad.ops.products import matmul
from lazygrad.ops.solving import inv, lapack, of_squares
from lazygrad.ops.source import eye, zeros_like
from lazygrad.ops.standard import sum

__all__ = ["expm", "matrix_power", "multi_dot", "trace"]


@function
def trace(x: TensorLike, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """Sum of a diagonal of the last two axes; ``offset`` counts to the right, ``dtype`` as for ``sum``."""
    return sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


@function
@in_floats("x", whole=False)
def matrix_power(x: TensorLike, n: int) -> Tensor:
    """``x`` times itself, ``n`` times; for negative ``n`` the inverse of ``x``.

    Raises:
        SpecError: ``x`` is not square, or ``n`` is no whole number.
    """
    x = tensor(x)
    what = f"cannot matrix_power {x.spec} with n={n!r}"
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise SpecError(report(what, at=here(), cure="The power of a matrix is a whole number."))
    if x.ndim < 2 or x.shape[-2] != x.shape[-1]:
        cure = "Its last two axes must be equal: only square matrices have powers."
        raise SpecError(report(what, at=here(), cure=cure))
    if n == 0:
        return broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape)
    square, left = (inv(x), -int(n)) if n < 0 else (x, int(n))
    result = None
    while True:  # by repeated squaring
        if left & 1:
            result = square if result is None else result @ square
        left >>= 1
        if not left:
            assert result is not None
            return result
        square = square @ square


@function
def multi_dot(arrays: Sequence[TensorLike]) -> Tensor:
    """Product of several matrices, in the order that takes the fewest multiplications.

    The first and the last may be vectors, which are then a row and a column, as for :func:`matmul`.

    Raises:
        SpecError: there are fewer than two, one has the wrong number of axes, or sizes do not fit.
    """
    given = tensors_of(*arrays)
    halves = bool(given) and all(t.dtype == np.float16 for t in given)
    tensors = [t.astype(np.float32) for t in given] if halves else given
    if len(tensors) < 2:
        raise SpecError(report("cannot multi_dot fewer than two matrices", at=here()))
    for i, t in enumerate(given):
        if t.ndim != 2 and (t.ndim != 1 or 0 < i < len(tensors) - 1):
            cure = f"Number {i} is {t.spec}: all have two axes, but the first and last may have one."
            raise SpecError(report("cannot multi_dot these tensors", at=here(), cure=cure))
    first, last = tensors[0], tensors[-1]
    sizes = [1 if first.ndim == 1 else first.shape[0], *(t.shape[0] for t in tensors[1:])]
    sizes.append(1 if last.ndim == 1 else last.shape[1])
    # Cormen et al., Introduction to Algorithms, §15.2: the cheapest place to cut every stretch i..j.
    count = len(tensors)
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            prices = {k: cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)}
            cut[i][j] = builtins.min(prices, key=lambda k: prices[k])
            cost[i][j] = prices[cut[i][j]]

    def product(i: int, j: int) -> Tensor:
        return tensors[i] if i == j else matmul(product(i, cut[i][j]), product(cut[i][j] + 1, j))

    return product(0, count - 1).astype(np.float16) if halves else product(0, count - 1)


# Coefficients of the Padé approximant [13/13] of eˣ, and the norm up to which it is precise in float64.
PADE = (
    64764752532480000,
    32382376266240000,
    7771770303897600,
    1187353796428800,
    129060195264000,
    10559470521600,
    670442572800,
    33522128640,
    1323241920,
    40840800,
    960960,
    16380,
    182,
    1,
)
PADE_NORM = 5.371920351148152


def pade(a: Any, one: Any) -> tuple[Any, Any]:
    """Denominator and numerator of the approximant of the exponential of matrices whose norm is up to PADE_NORM."""
    b = [float(c) for c in PADE]
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    return even - odd, even + odd


def _push_expm(t: Tensor, a: Tensor) -> Tensor:
    # The derivative along t stands beside eᵃ in the exponential of [[a, t], [0, a]]: Mathias 1996, "A chain rule
    # for matrix functions and applications", theorem 2.1.
    n = a.shape[-1]
    upper, lower = concat([a, t], axis=-1), concat([zeros_like(a), a], axis=-1)
    return expm(concat([upper, lower], axis=-2))[..., :n, n:]


@opaque(
    shape=lambda a: (*of_squares(a), *a[-2:]),
    vjp=lambda g, y, a: _push_expm(g, a.mT),
    jvp=lambda t, y, a: _push_expm(t, a),
    dtype=lapack,
)
def expm(xp: Any, a: Array) -> Any:
    """Exponential of each square matrix, Σ aᵏ / k!, by scaling and squaring.

    Higham 2005, "The scaling and squaring method for the matrix exponential revisited", algorithm 2.3 with the
    approximant of degree 13.
    """
    if not a.size:
        return a.copy()
    size = float(xp.max(xp.sum(xp.abs(a), axis=-2)))
    halvings = builtins.max(0, math.ceil(math.log2(size / PADE_NORM))) if 0 < size < math.inf else 0
    y = xp.linalg.solve(*pade(a * 0.5**halvings, xp.eye(a.shape[-1], dtype=a.dtype)))
    for _ in range(halvings):
        y = y @ y
    return y
