"""Diagonals and triangles: matrices made of a vector, and the indices of their parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.comparison import greater_equal, less_equal, where
from lazygrad.ops.cumulative import cumulative_prod
from lazygrad.ops.indexing import At, _on_diagonal, diagonal
from lazygrad.ops.movement import broadcast_to, concat, expand_dims, flatten, flip
from lazygrad.ops.source import arange, asarray, ones, ones_like

__all__ = [
    "diag",
    "diag_indices",
    "diagflat",
    "fill_diagonal",
    "tri",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "vander",
]


@function
def diag(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with the vector ``x`` on its ``k``-th diagonal and zeros elsewhere; of a matrix, that diagonal.

    Raises:
        SpecError: ``x`` has neither one nor two axes; of batches :func:`diagonal` takes the diagonals.
    """
    x = tensor(x)
    if x.ndim == 2:
        return diagonal(x, offset=k)
    if x.ndim != 1:
        cure = "It has one axis, the diagonal of the result, or two. lg.diagonal takes diagonals of batches."
        raise SpecError(report(f"cannot diag {x.spec}", at=here(), cure=cure))
    size = x.size + abs(int(k))
    return _on_diagonal(x, offset=int(k), size=(size, size))


@function
def diagflat(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with all elements of ``x`` on its ``k``-th diagonal and zeros elsewhere."""
    return diag(flatten(x), k)


@function
def fill_diagonal(x: TensorLike, value: TensorLike) -> Tensor:
    """``x`` with ``value`` on the diagonal of its last two axes, where it broadcasts; ``x`` itself does not change."""
    x = tensor(x)
    if x.ndim < 2:
        raise SpecError(report(f"cannot fill_diagonal {x.spec}", at=here(), cure="It needs two axes."))
    place = np.arange(min(x.shape[-2:]))
    return At(x)[..., place, place].set(value)


@function
def tri(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on and below the ``k``-th diagonal of a matrix, zeros above; ``dtype`` is the environment's by default."""
    return tril(ones((n_rows, n_rows if n_cols is None else n_cols), dtype), k)


@function
def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows and columns of the elements on and below the ``k``-th diagonal of an ``(n, m)`` matrix, for ``x[…]``."""
    return _indices(*np.tril_indices(n, k, m))


@function
def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows and columns of the elements on and above the ``k``-th diagonal of an ``(n, m)`` matrix, for ``x[…]``."""
    return _indices(*np.triu_indices(n, k, m))


@function
def diag_indices(n: int, ndim: int = 2) -> tuple[Tensor, ...]:
    """Indices of the diagonal of an array with ``ndim`` axes of size ``n``, one tensor an axis, for ``x[…]``."""
    return _indices(*np.diag_indices(n, ndim))


def _indices(*arrays: Any) -> tuple[Any, ...]:
    return tuple(asarray(a) for a in arrays)


@function
def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the vector ``x`` as columns, the highest first: ``x**(N-1)``, …, ``x``, 1; there are ``N``.

    ``N`` is the size of ``x`` if not given. The derivatives at 0 are right, as nothing is divided.
    """
    x = tensor(x)
    count = x.size if N is None else int(N)
    if x.ndim != 1 or count < 0:
        cure = "It has one axis, and N, the number of powers, is not negative."
        raise SpecError(report(f"cannot vander {x.spec}", at=here(), cure=cure))
    column = expand_dims(x, 1)
    powers = cumulative_prod(concat([ones_like(column), broadcast_to(column, (x.size, max(count - 1, 0)))], axis=1))
    powers = powers[:, :count]
    return powers if increasing else flip(powers, 1)


@function
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The elements on and below the ``k``-th diagonal of the last two axes; zeros above."""
    return _triangle(tensor(x), k, greater_equal)


@function
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The elements on and above the ``k``-th diagonal of the last two axes; zeros below."""
    return _triangle(tensor(x), k, less_equal)


def _triangle(x: Tensor, k: int, compare: Callable[[Any, Any], Tensor]) -> Tensor:
    if x.ndim < 2:
        raise SpecError(report(f"cannot take a triangle of {x.spec}", at=here(), cure="It needs two axes."))
    rows = arange(x.shape[-2])
    columns = arange(x.shape[-1])
    keep = compare(expand_dims(rows, 1) + k, columns)
    return where(keep, x, tensor(0, x.graph, x.dtype))
