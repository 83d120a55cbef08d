"""Systems of linear equations: solve, inverse, triangular systems, pseudo-inverse.

What all of linear algebra shares is here too: matrices lie in the last two axes, axes before them are
a batch, and the arithmetic is LAPACK's, in float32 or float64.

The derivatives are those of Giles 2008, "An extended collection of matrix derivative results for forward
and reverse mode automatic differentiation", and for the pseudo-inverse of Golub and Pereyra 1973.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import flat, tensor, tensors
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Kind, Mismatch, Shape, broadcast, floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.comparison import where
from lazygrad.ops.diagonals import tril, triu
from lazygrad.ops.movement import broadcast_to, expand_dims, moveaxis, reshape, squeeze
from lazygrad.ops.products import batches

__all__ = ["inv", "pinv", "solve", "solve_triangular"]


def lapack(kinds: tuple[Kind, ...]) -> tuple[tuple[np.dtype[Any], ...], np.dtype[Any]]:
    """The dtype rule of linear algebra: float32 or float64; whole numbers become float64."""
    operands, dtype = floating(kinds)
    if dtype not in (np.float32, np.float64):
        raise Mismatch(f"LAPACK computes in float32 and float64, not in {dtype}: cast with .astype('float32').")
    return operands, dtype


def as_floats(x: TensorLike) -> Tensor:
    """``x`` as a tensor in a dtype of :func:`lapack`."""
    x = tensor(x)
    try:
        _, dtype = lapack((x.dtype,))
    except Mismatch as reason:
        raise SpecError(report(f"cannot use {x.spec} here", at=here(), cure=str(reason))) from None
    return x.astype(dtype)


def of_matrices(a: Shape) -> Shape:
    """The batch of a shape of matrices; a shape rule's first line."""
    if len(a) < 2:
        raise Mismatch(f"Matrices lie in the last two axes; this has {len(a)}.")
    return a[:-2]


def of_squares(a: Shape) -> Shape:
    """As :func:`of_matrices`, for square ones."""
    batch = of_matrices(a)
    if a[-2] != a[-1]:
        raise Mismatch(f"The matrices are {a[-2]} by {a[-1]}; they must be square.")
    return batch


def symmetric(x: Tensor) -> Tensor:
    """Half of ``x`` plus its transpose."""
    return 0.5 * (x + x.mT)


def of_triangle(a: Tensor, hermitian: bool) -> Tensor:
    """The symmetric matrices that the lower triangles of ``a`` stand for, if ``hermitian``; else ``a`` itself."""
    return tril(a) + tril(a, -1).mT if hermitian else a


@opaque(
    shape=lambda a: (*of_squares(a), *a[-2:]),
    vjp=lambda g, y, a: -(y.mT @ g @ y.mT),
    jvp=lambda t, y, a: -(y @ t @ y),
    dtype=lapack,
)
def inv(xp: Any, a: Array) -> Any:
    """Inverse of each square matrix.

    Raises, when it is evaluated:
        numpy.linalg.LinAlgError: a matrix is singular.
    """
    return xp.linalg.inv(a)


def _solved(a: Shape, b: Shape) -> Shape:
    of_squares(a)
    if len(b) < 2:
        raise Mismatch("The right side needs an axis.")
    if a[-1] != b[-2]:
        raise Mismatch(f"The matrix has {a[-1]} rows, the right side {b[-2]}; they must be as many.")
    return (*batches(a, b), *b[-2:])


@opaque(
    shape=_solved,
    vjp=(
        lambda g, y, a, b: -(_solve(a.mT, g) @ y.mT),
        lambda g, y, a, b: _solve(a.mT, g),
    ),
    jvp=(lambda t, y, a, b: -_solve(a, t @ y), lambda t, y, a, b: _solve(a, t)),
    dtype=lapack,
)
def _solve(xp: Any, a: Array, b: Array) -> Any:
    """a⁻¹ b."""
    return xp.linalg.solve(a, b)


# The cotangent of a triangular matrix lies in the triangle that is read.
@opaque(
    shape=lambda a, b, lower, transposed: _solved(a, b),
    vjp=(
        lambda g, y, a, b, *, lower, transposed: _half(
            _crossed(y, _solve_triangular(a, g, lower=lower, transposed=not transposed), transposed), lower
        ),
        lambda g, y, a, b, *, lower, transposed: _solve_triangular(a, g, lower=lower, transposed=not transposed),
    ),
    jvp=(
        lambda t, y, a, b, *, lower, transposed: _solve_triangular(
            a, -((_half(t, lower).mT if transposed else _half(t, lower)) @ y), lower=lower, transposed=transposed
        ),
        lambda t, y, a, b, *, lower, transposed: _solve_triangular(a, t, lower=lower, transposed=transposed),
    ),
    dtype=lapack,
)
def _solve_triangular(xp: Any, a: Array, b: Array, *, lower: bool, transposed: bool) -> Any:
    """a⁻¹ b or a⁻ᵀ b, where only one triangle of a is read."""
    return xp.solve_triangular(a, b, lower, transposed)


def _half(x: Tensor, lower: bool) -> Tensor:
    return tril(x) if lower else triu(x)


def _crossed(y: Tensor, g: Tensor, transposed: bool) -> Tensor:
    return -(y @ g.mT) if transposed else -(g @ y.mT)


def _columns(name: str, primitive: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """``primitive(a, b)`` by NumPy's rules: ``b`` is a vector if it has just one axis, else matrices.

    One matrix for a whole batch of right sides takes them all as columns, and so is factored once.
    """
    if b.ndim == 1 and a.ndim >= 2 and a.shape[-1] == a.shape[-2]:
        if a.shape[-1] != b.shape[0]:
            facts = [f"a:  {a.spec}   {a.graph.describe(a.index)}", f"b:  {b.spec}   {b.graph.describe(b.index)}"]
            cure = f"The matrix has {a.shape[-1]} rows, the vector {b.shape[0]} elements; they must be as many."
            raise SpecError(report(f"cannot {name} {a.spec} and {b.spec}", at=here(), facts=facts, cure=cure))
        return squeeze(_columns(name, primitive, a, expand_dims(b, 1)), -1)
    if a.ndim < 2 or b.ndim < 2 or not a.shape[-2] == a.shape[-1] == b.shape[-2]:
        return primitive(a, b)  # whose shape rule says what is wrong, of the shapes that the user wrote
    if a.ndim == 2 and b.ndim > 2:
        rows = moveaxis(b, -2, 0)
        y = primitive(a, reshape(rows, (rows.shape[0], b.size // builtins.max(rows.shape[0], 1))))
        return moveaxis(reshape(y, rows.shape), 0, -2)
    if a.shape[:-2] != b.shape[:-2]:
        try:
            batch = batches(a.shape, b.shape)
        except Mismatch:
            return primitive(a, b)
        a, b = broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))
    return primitive(a, b)


@function
def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """The x for which a @ x = b.

    Args:
        a: square matrices ``(..., n, n)``.
        b: a vector ``(n,)``, or matrices ``(..., n, k)``; as in NumPy 2, it is a vector only if it has just one
            axis. Axes in front broadcast.

    Raises:
        SpecError: ``a`` is not square, or the sizes do not fit.
        numpy.linalg.LinAlgError: a matrix is singular; when it is evaluated.
    """
    a, b = tensors(a, b)
    return _columns("solve", _solve, a, b)


@function
def solve_triangular(
    a: TensorLike, b: TensorLike, lower: bool = False, transposed: bool = False, unit_diagonal: bool = False
) -> Tensor:
    """The x for which a @ x = b, or aᵀ @ x = b if ``transposed``, where ``a`` is triangular.

    Only the lower triangle of ``a`` is read if ``lower``, else only the upper; the gradient is zero in the
    other one.

    Args:
        a: square matrices ``(..., n, n)``.
        b: a vector ``(n,)``, or matrices ``(..., n, k)``, as for :func:`solve`.
        lower: which triangle of ``a`` is read.
        transposed: whether to solve with the transpose of what is read.
        unit_diagonal: whether the diagonal is taken to be ones; it is not read then, and its gradient is zero.

    Raises:
        SpecError: ``a`` is not square, or the sizes do not fit.
        numpy.linalg.LinAlgError: there is a zero on the diagonal; when it is evaluated.
    """
    a, b = tensors(a, b)
    lower, transposed = bool(lower), bool(transposed)
    if unit_diagonal and a.ndim >= 2:
        a = where(np.eye(*a.shape[-2:], dtype=np.bool_), 1, a)

    def primitive(a: Tensor, b: Tensor) -> Tensor:
        return _solve_triangular(a, b, lower=lower, transposed=transposed)

    return _columns("solve_triangular", primitive, a, b)


def _pull_pinv(g: Tensor, y: Tensor, a: Tensor) -> Tensor:
    # Golub and Pereyra 1973, eq. 4.12: dP = −P dA P + P Pᵀ dAᵀ (I − A P) + (I − P A) dAᵀ Pᵀ P, transposed.
    left = g.mT @ y @ y.mT
    right = y.mT @ y @ g.mT
    return left - a @ (y @ left) + right - (right @ y) @ a - y.mT @ g @ y.mT


def _push_pinv(t: Tensor, y: Tensor, a: Tensor) -> Tensor:
    left = y @ (y.mT @ t.mT)
    right = (t.mT @ y.mT) @ y
    return left - (left @ a) @ y + right - y @ (a @ right) - y @ t @ y


@opaque(
    shape=lambda a, rtol: (*of_matrices(a), a[-1], a[-2]),
    vjp=(lambda g, y, a, rtol: _pull_pinv(g, y, a), flat),
    jvp=(lambda t, y, a, rtol: _push_pinv(t, y, a), flat),
    dtype=lapack,
)
def _pinv(xp: Any, a: Array, rtol: Array) -> Any:
    """Pseudo-inverse."""
    return xp.linalg.pinv(a, rtol)


def tolerances(what: str, a: Tensor, rtol: Any) -> Any:
    """``rtol``, one for all matrices of ``a`` or one for each; max(m, n)·ε of the dtype if it is None."""
    if rtol is None:
        return float(builtins.max(a.shape[-2:])) * float(np.finfo(a.dtype).eps)
    if isinstance(rtol, (int, float, np.integer, np.floating)):
        return float(rtol)
    rtol = tensor(rtol, a.graph, a.dtype)
    try:
        fits = broadcast([rtol.shape, a.shape[:-2]]) == a.shape[:-2]
    except Mismatch:
        fits = False
    if not fits:
        facts = [f"rtol:  {rtol.spec}   {rtol.graph.describe(rtol.index)}"]
        cure = f"There is one for all matrices, or one for each: it must broadcast to {list(a.shape[:-2])}."
        raise SpecError(report(f"cannot {what} {a.spec} with this rtol", at=here(), facts=facts, cure=cure))
    return rtol


@function
def pinv(a: TensorLike, *, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """Moore–Penrose pseudo-inverse of each matrix: ``(..., m, n)`` gives ``(..., n, m)``.

    Singular values up to ``rtol`` times the largest count as zero; ``rtol`` is max(m, n)·ε of the dtype if not
    given, as in the array API standard, else a number, or one for each matrix. The derivative is that along changes
    which keep the rank: where the rank changes, the pseudo-inverse jumps. If ``hermitian``, only the lower triangle is
    read, and the matrix is the symmetric one that it stands for.
    """
    a = of_triangle(as_floats(a), hermitian)
    return _pinv(a, tolerances("pinv", a, rtol) if a.ndim >= 2 else 0.0)
