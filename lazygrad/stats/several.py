"""Distributions of vectors, which lie along the last axis."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.errors import SpecError, report
from lazygrad.kinds import tensor, tensors
from lazygrad.nn.activations import log_softmax
from lazygrad.ops.arithmetic import add, floor, sqrt, square
from lazygrad.ops.comparison import equal, isnan, logical_and, logical_not, logical_or, not_equal, where
from lazygrad.ops.decompositions import cholesky as factor
from lazygrad.ops.elementary import log
from lazygrad.ops.elements import xlogy
from lazygrad.ops.indexing import diagonal
from lazygrad.ops.movement import astype, broadcast_to, expand_dims
from lazygrad.ops.reduction import any, sum
from lazygrad.ops.solving import solve_triangular
from lazygrad.ops.source import arange
from lazygrad.ops.special import gammaln
from lazygrad.precision import in_floats
from lazygrad.registry import here
from lazygrad.stats.family import Several, inf
from lazygrad.tensor import Tensor

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
    given = [a for a in (x, mean, cov, cholesky) if a is not None]
    x, *others = tensors(*given)
    away = x if mean is None else x - others.pop(0)
    d = away.shape[-1]
    constant = -0.5 * d * math.log(2 * math.pi)
    if not others:
        squares, lost = sum(square(away), axis=-1), tensor(0.0, x.graph, x.dtype)
    elif cholesky is None and others[0].ndim < 2:
        deviations = broadcast_to(sqrt(others[0]), (d,))
        squares, lost = sum(square(away / deviations), axis=-1), sum(log(deviations))
    else:
        lower = factor(others[0]) if cholesky is None else others[0]
        scaled = solve_triangular(lower, expand_dims(away, axis=-1), lower=True)
        squares, lost = sum(square(scaled), axis=(-2, -1)), sum(log(diagonal(lower)), axis=-1)
    return add(-0.5 * squares - lost, constant)


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
