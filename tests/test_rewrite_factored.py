"""The derivative of a log likelihood through a Cholesky factor is an inverse and products of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient

la = lg.linalg
N = 12
RULE = "of_determinant_and_vectors"


def covariance(*batch: int) -> Any:
    """Positive definite matrices."""
    a = np.random.default_rng(0).standard_normal((*batch, N, N))
    return a @ np.swapaxes(a, -1, -2) / N + np.eye(N)


def vectors(*shape: int) -> Any:
    """What was observed."""
    return np.random.default_rng(1).standard_normal(shape)


def determinant(factor: lg.Tensor) -> Any:
    """Half the logarithms of the determinants."""
    return lg.sum(lg.log(la.diagonal(factor)), axis=-1)


def by_half(k: lg.Tensor, y: lg.Tensor) -> Any:
    """The square of L⁻¹ y."""
    factor = la.cholesky(k)
    half = la.solve_triangular(factor, y, lower=True)
    return -0.5 * lg.sum(half * half) - lg.sum(determinant(factor))


def by_both(k: lg.Tensor, y: lg.Tensor) -> Any:
    """y·L⁻ᵀ L⁻¹ y, the whole divided by a number and a sum that is not constant."""
    factor = la.cholesky(k)
    half = la.solve_triangular(factor, y, lower=True)
    whole = la.solve_triangular(factor, half, lower=True, transposed=True)
    return -(0.5 * lg.sum(y * whole) + lg.sum(determinant(factor))) * lg.sum(y) / 7


def of_mean(k: lg.Tensor, y: lg.Tensor) -> Any:
    """Only the quadratic form, about a mean that a vector gives."""
    half = la.solve_triangular(la.cholesky(k), y - lg.mean(y), lower=True)
    return lg.sum(half**2)


def of_determinant(k: lg.Tensor, y: lg.Tensor) -> Any:
    """Only the determinant."""
    return 3 * lg.sum(determinant(la.cholesky(k))) + lg.sum(y)


LIKELIHOODS = {"by half": by_half, "by both": by_both, "of mean": of_mean, "of determinant": of_determinant}


def planned(f: Any, *arrays: Any) -> Any:
    """The compiled gradient, after two runs."""
    step = lg.VariableEnvironment(dtype="float64").compile(lambda ctx, *xs: lg.grad(f(*xs), list(xs)))
    step(*arrays)
    return step, step(*arrays)


@pytest.mark.parametrize("f", LIKELIHOODS.values(), ids=LIKELIHOODS)
@pytest.mark.parametrize(
    ("k", "y"),
    [(covariance(), vectors(N)), (covariance(), vectors(N, 2)), (covariance(2), vectors(2, N, 1))],
    ids=["one", "several columns", "batch"],
)
def test_a_likelihood_is_known(f: Any, k: Any, y: Any) -> None:
    """However it is written; and its derivatives are those of central differences, to the second order."""
    step, _ = planned(f, k, y)
    assert step.plan.graph.rewrites[RULE] == 1
    assert not any(node.op.name == "cholesky_cotangent" for node in step.plan.graph.nodes)
    check_gradient(lambda k, y: f(0.5 * (k + k.mT), y), k, y)


def test_it_is_the_closed_form() -> None:
    """½ (α αᵀ − K⁻¹) with α = K⁻¹ y: Rasmussen and Williams 2006, eq. 5.9."""
    k, y = covariance(), vectors(N)
    _, (found, _) = planned(by_half, k, y)
    inverse = np.linalg.inv(k)
    alpha = inverse @ y
    np.testing.assert_allclose(found, 0.5 * (np.outer(alpha, alpha) - inverse), rtol=1e-10, atol=1e-10)


def of_other_elements(k: lg.Tensor, y: lg.Tensor) -> Any:
    """The factor itself counts too."""
    factor = la.cholesky(k)
    half = la.solve_triangular(factor, y, lower=True)
    return lg.sum(factor**3) + lg.sum(half * half)


UNKNOWN = {
    "other elements of the factor": of_other_elements,
    "another function of the vector": lambda k, y: lg.sum(lg.exp(la.solve_triangular(la.cholesky(k), y, lower=True))),
    "the squares of the diagonal": lambda k, y: lg.sum(la.diagonal(la.cholesky(k)) ** 2) + lg.sum(y),
    "weighted logarithms": lambda k, y: lg.sum(y * lg.log(la.diagonal(la.cholesky(k)))),
    "another diagonal": lambda k, y: lg.sum(la.diagonal(la.cholesky(k), offset=-1)) + lg.sum(y),
}


@pytest.mark.parametrize("f", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_likelihood_keeps_the_general_derivative(f: Any) -> None:
    """The sum of terms of which one is another is not taken apart."""
    k, y = covariance(), vectors(N)
    step, _ = planned(f, k, y)
    assert RULE not in step.plan.graph.rewrites
    check_gradient(lambda k, y: f(0.5 * (k + k.mT), y), k, y)
