"""Distributions of vectors, which lie along the last axis."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import log_softmax
from lazygrad.nn.checks import fitting
from lazygrad.ops.arithmetic import add, floor, sqrt, square
from lazygrad.ops.comparison import equal, isnan, logical_and, logical_not, logical_or, not_equal, where
from lazygrad.ops.decompositions import cholesky as factor
from lazygrad.ops.elementary import log
from lazygrad.ops.elements import xlogy
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.movement import astype, broadcast_to, expand_dims, matrix_transpose, reshape
from lazygrad.ops.reduction import any, sum
from lazygrad.ops.solving import solve_triangular
from lazygrad.ops.source import arange
from lazygrad.ops.special import gammaln
from lazygrad.stats.family import Several, inf

__all__ = ["categorical", "dirichlet", "multinomial", "multivariate_normal"]


@in_floats("x", "mean", "cov", "cholesky")
def _normal(x: Any, mean: Any = None, cov: Any = None, *, cholesky: Any = None) -> Tensor:
    """Args:
        x: ``(..., d)``.
        mean: ``(..., d)``; 0 if it is not given.
        cov: the matrix of covariances, ``(..., d, d)``; or variances ``(d,)``, or one number for all. 1 if not given.
        cholesky: in its place the lower triangular L with covariances L·Lᵀ, ``(..., d, d)``.

    Returns:
        The shape of x without the last axis.

    Raises:
        SpecError: shapes do not fit, or both ``cov`` and ``cholesky`` are given.
        numpy.linalg.LinAlgError: the matrix is not positive definite; when it is evaluated.
    """
    if cov is not None and cholesky is not None:
        cure = "Give the covariances, or their factor, but not both."
        raise SpecError(report("cannot ask lg.stats.multivariate_normal with cov and cholesky", at=here(), cure=cure))
    given = {"x": x, "mean": mean, "cov": cov, "cholesky": cholesky}
    given = {name: value for name, value in given.items() if value is not None}
    named = dict(zip(given, tensors(*given.values()), strict=True))
    x, spread = named["x"], named.get("cov", named.get("cholesky"))
    with fitting("take the density of", **named):
        if not x.ndim:
            raise Mismatch("x is a vector, or several of them with their numbers along the last axis.")
        d = x.shape[-1]
        allowed = ((d, d),) if cholesky is not None else ((), (1,), (d,), (d, d))
        if spread is not None and spread.shape[-2:] not in allowed:
            raise Mismatch(f"Vectors of {d} numbers have covariances of shape [{d}, {d}].")
    away = x if mean is None else x - named["mean"]
    constant = -0.5 * d * math.log(2 * math.pi)
    if spread is None:
        squares, lost = sum(square(away), axis=-1), tensor(0.0, x.graph, x.dtype)
    elif spread.ndim < 2:
        deviations = broadcast_to(sqrt(spread), (d,))
        squares, lost = sum(square(away / deviations), axis=-1), sum(log(deviations))
    else:
        lower = factor(spread) if cholesky is None else spread
        squares, lost = _squares(lower, away), sum(log(diagonal(lower)), axis=-1)
    return add(-0.5 * squares - lost, constant)


def _squares(lower: Tensor, away: Tensor) -> Any:
    """zᵀC⁻¹z for C = L·Lᵀ; one matrix for all vectors is asked once, with all of them as its columns."""
    if lower.ndim > 2:
        return sum(square(solve_triangular(lower, expand_dims(away, axis=-1), lower=True)), axis=(-2, -1))
    columns = matrix_transpose(reshape(away, (-1, away.shape[-1])))
    return reshape(sum(square(solve_triangular(lower, columns, lower=True)), axis=0), away.shape[:-1])


@in_floats("x", "alpha")
def _dirichlet(x: Any, alpha: Any) -> Tensor:
    """Args:
        x: ``(..., d)``, numbers from 0 to 1 of sum 1, which is not checked.
        alpha: positive numbers of that shape.

    Returns:
        The shape of x without the last axis.
    """
    x, alpha = tensors(x, alpha)
    total = sum(xlogy(alpha - 1, where(x < 0, 1, x)) - gammaln(alpha), axis=-1) + gammaln(sum(alpha, axis=-1))
    return where(any(x < 0, axis=-1), -inf, total)


@in_floats("x", "n", "p")
def _multinomial(x: Any, n: Any, p: Any) -> Tensor:
    """Args:
        x: how often each of d outcomes is seen, ``(..., d)``.
        n: how often one was drawn, the sum of x; else the probability is 0.
        p: the probabilities of the outcomes, ``(..., d)``.

    Returns:
        The shape of x without the last axis.
    """
    x, n, p = tensors(x, n, p)
    none = logical_or(any(_no_count(x), axis=-1), not_equal(sum(x, axis=-1), n))
    held = where(_no_count(x), 0, x)
    return where(none, -inf, gammaln(n + 1) + sum(xlogy(held, p) - gammaln(held + 1), axis=-1))


def _no_count(k: Tensor) -> Tensor:
    return logical_or(k < 0, logical_and(not_equal(floor(k), k), logical_not(isnan(k))))


def _categorical(k: Any, p: Any = None, *, logits: Any = None) -> Tensor:
    """Args:
        k: the number of the outcome, ``(...)``, from 0.
        p: the probabilities of the outcomes, ``(..., d)``.
        logits: in their place numbers of which they are the softmax.

    Returns:
        The shape that ``k`` and ``p`` without the last axis broadcast to; −∞ where there is no such outcome.

    Raises:
        SpecError: neither of ``p`` and ``logits`` is given, or both.
    """
    if (p is None) == (logits is None):
        cure = "Give the probabilities, p, or their logits."
        raise SpecError(report("cannot ask lg.stats.categorical for its probabilities", at=here(), cure=cure))
    return _picked(k, p) if logits is None else _picked(k, log_softmax(logits), logarithms=True)


@in_floats("p")
def _picked(k: Any, p: Any, logarithms: bool = False) -> Tensor:
    p = tensor(p)
    k = tensor(k, p.graph)
    chosen = equal(expand_dims(k, axis=-1), astype(arange(p.shape[-1]), k.dtype))
    logs = p if logarithms else log(where(chosen, p, 1))
    return where(any(chosen, axis=-1), sum(where(chosen, logs, 0), axis=-1), -inf)


multivariate_normal = Several(
    "multivariate_normal",
    "Normal distribution of vectors: e^(−½·zᵀC⁻¹z) / √|2πC| with z = x − mean.",
    logpdf=_normal,
)

dirichlet = Several(
    "dirichlet",
    "Dirichlet's distribution of probabilities: Γ(Σα) · Π xᵢ^(αᵢ − 1) / Γ(αᵢ).",
    logpdf=_dirichlet,
)

multinomial = Several(
    "multinomial",
    "Multinomial distribution, of the numbers of outcomes among ``n``: n! · Π pᵢ^xᵢ / xᵢ!.",
    logpmf=_multinomial,
)

categorical = Several(
    "categorical",
    "Categorical distribution, of the number of an outcome.",
    logpmf=_categorical,
)
