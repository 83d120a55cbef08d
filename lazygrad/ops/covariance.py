"""How variables vary together, and how far points are from each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import sqrt
from lazygrad.ops.comparison import clip
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.movement import atleast_2d, concat, expand_dims, reshape
from lazygrad.ops.norms import vector_norm
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.products import matmul
from lazygrad.ops.reduction import sum

__all__ = ["cdist", "corrcoef", "cov", "pdist"]


def _variables(x: Tensor, rowvar: bool) -> Tensor:
    """The observations with a row for each variable."""
    if x.ndim > 2:
        raise SpecError(report(f"cannot cov {x.spec}", at=here(), cure="Observations have one axis or two."))
    rows = atleast_2d(x)
    return rows if rowvar or x.ndim < 2 else rows.T


def _weights(x: Tensor, given: Any, what: str) -> Tensor | None:
    if given is None:
        return None
    weights = tensor(given, x.graph)
    if weights.shape != x.shape[1:]:
        cure = f"There is one for each of the {x.shape[1]} observations."
        raise SpecError(report(f"cannot cov {x.spec} with {what} {weights.spec}", at=here(), cure=cure))
    return weights.astype(x.dtype)


@function
@in_floats("m", "y")
def cov(
    m: TensorLike,
    y: TensorLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Tensor:
    """Covariances of the variables, which are the rows of ``m``, as NumPy's; of a single variable its variance.

    Args:
        m: ``(variables, observations)``, or the observations of one variable.
        y: more variables, observed at the same times.
        rowvar: False if the variables are the columns.
        bias: whether to divide by the number n of observations, not by n - 1.
        ddof: what is taken from n, in place of ``bias``.
        fweights: how often each observation counts, ``(observations,)``.
        aweights: how reliable each observation is, ``(observations,)``.

    Raises:
        SpecError: there are more than two axes, or the numbers of observations differ.
    """
    x = _variables(tensor(m), rowvar)
    if y is not None:
        x = concat([x, _variables(tensor(y), rowvar)], axis=0)
    repeats, trust = _weights(x, fweights, "fweights"), _weights(x, aweights, "aweights")
    less = (0 if bias else 1) if ddof is None else ddof
    weights = repeats if trust is None else trust if repeats is None else repeats * trust
    if weights is None:
        weighted, total = x, tensor(float(x.shape[1]), x.graph, x.dtype)
    else:
        weighted, total = x * weights, sum(weights)
    apart = x - expand_dims(sum(weighted, axis=1) / total, 1)
    count = total - less if trust is None else total - less * sum(weights * trust) / total
    c = matmul(apart if weights is None else apart * weights, apart.T) / clip(count, 0, None)
    return reshape(c, ()) if c.size == 1 else c


@function
@in_floats("m", "y")
def corrcoef(m: TensorLike, y: TensorLike | None = None, rowvar: bool = True) -> Tensor:
    """Correlation coefficients of the variables, from -1 to 1: :func:`cov`, each divided by both deviations."""
    c = cov(m, y, rowvar)
    if not c.ndim:
        return c / c
    deviations = sqrt(diagonal(c))
    r = c / expand_dims(deviations, 1) / deviations
    return r + stop_gradient(clip(r, -1, 1) - r)  # rounding may pass 1; the slope does not end there


@function
@in_floats("a", "b")
def cdist(a: TensorLike, b: TensorLike, *, p: float = 2.0) -> Tensor:
    """Distance of every point of ``a`` from every point of ``b``: ``(…, m, k)`` and ``(…, n, k)`` give ``(…, m, n)``.

    ``p`` is the order of the norm: 2 the straight distance, 1 the sum of differences, inf the largest of them. Where
    points are equal its gradient is 0; the square of the straight distance is smooth there, and has its own.

    Raises:
        SpecError: there are fewer than two axes, or points of different numbers of coordinates.
    """
    a, b = tensor(a), tensor(b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        facts = [f"a:  {a.spec}   {a.graph.describe(a.index)}", f"b:  {b.spec}   {b.graph.describe(b.index)}"]
        cure = "Points are the rows of both; their numbers of coordinates, the last axes, must be equal."
        raise SpecError(report(f"cannot cdist {a.spec} and {b.spec}", at=here(), facts=facts, cure=cure))
    return vector_norm(expand_dims(a, -2) - expand_dims(b, -3), axis=-1, ord=p)


@function
@in_floats("x")
def pdist(x: TensorLike, *, p: float = 2.0) -> Tensor:
    """Distance of every two points of ``x``, ``(n, k)``, each pair once: ``(n·(n − 1)/2,)``, as SciPy's.

    The pairs are (0, 1), (0, 2), …, (1, 2), …; ``p`` as for :func:`cdist`.
    """
    x = tensor(x)
    if x.ndim != 2:
        cure = "Points are the rows of a matrix."
        raise SpecError(report(f"cannot pdist {x.spec}", at=here(), cure=cure))
    i, j = np.triu_indices(x.shape[0], 1)
    return vector_norm(x[i] - x[j], axis=-1, ord=p)
