"""The derivative of a Cholesky factor, block by block; and where in a batch a matrix cannot be decomposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.ops.decompositions import _cholesky_cotangent, _cholesky_inverse, _congruent, _lower
from lazygrad.testing import check_gradient

la = lg.linalg


def sample(*shape: int, seed: int = 0) -> Any:
    """Numbers without structure."""
    return np.random.default_rng(seed).standard_normal(shape)


def positive(a: Any) -> Any:
    """Positive definite matrices from any."""
    return a @ a.mT / a.shape[-1] + 2 * lg.eye(a.shape[-1], dtype="float64")


@pytest.mark.parametrize("shape", [(9, 9), (2, 11, 11), (70, 70), (1, 3, 20, 20)], ids=str)
def test_derivatives_of_a_larger_factor(shape: tuple[int, ...]) -> None:
    """First and second, reverse and forward: of one block and of two."""
    check_gradient(lambda a: la.cholesky(positive(a)), sample(*shape))


@pytest.mark.parametrize("n", [1, 9, 64, 65, 150])
def test_blocks_give_what_the_formula_gives(n: int) -> None:
    """Murray's blocked algorithm against L⁻ᵀ Φ(Lᵀ G) L⁻¹, its symmetric part; above diagonals nothing is read."""

    def step(ctx: lg.Context, a: lg.Tensor, g: lg.Tensor) -> Any:
        factor = la.cholesky(positive(a))
        inner = _congruent(factor, _lower(factor.mT @ g), transposed=True)
        return 0.5 * (inner + inner.mT), _cholesky_cotangent(factor + lg.triu(g, 1), g)

    env = lg.VariableEnvironment(dtype="float64")
    expected, actual = env.run(step, sample(2, n, n), sample(2, n, n, seed=1))
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(3, 3), (2, 10, 10)], ids=str)
def test_derivatives_of_the_inverse_of_a_factored_matrix(shape: tuple[int, ...]) -> None:
    """First and second, reverse and forward."""
    check_gradient(lambda a: _cholesky_inverse(la.cholesky(positive(a))), sample(*shape))


SINGULAR, INDEFINITE = np.ones((2, 2)), np.diag([1.0, -1.0])


@pytest.mark.parametrize(
    ("f", "bad", "words"),
    [
        (la.inv, SINGULAR, "Singular matrix"),
        (lambda a: la.solve(a, lg.ones_like(a)), SINGULAR, "Singular matrix"),
        (lambda a: la.solve(a, lg.ones((2,), dtype="float64")), SINGULAR, "Singular matrix"),
        (la.cholesky, INDEFINITE, "Matrix is not positive definite"),
        (
            lambda a: la.solve_triangular(a, lg.ones_like(a)),
            np.diag([1.0, 0.0]),
            "singular matrix: resolution failed at diagonal 1",
        ),
        (la.svdvals, np.full((2, 2), np.nan), "SVD did not converge"),
    ],
    ids=["inv", "solve", "solve one vector", "cholesky", "solve_triangular", "svdvals"],
)
def test_an_error_names_the_matrix_of_the_batch(f: Any, bad: Any, words: str) -> None:
    """Of one matrix alone nothing more is said."""
    env = lg.VariableEnvironment(dtype="float64")
    with pytest.raises(np.linalg.LinAlgError) as raised:
        env.run(lambda ctx, a: f(a), bad)
    assert str(raised.value) == words
    batch = np.broadcast_to(np.eye(2), (3, 4, 2, 2)).copy()
    batch[1, 2] = batch[2, 0] = bad
    with pytest.raises(np.linalg.LinAlgError) as raised:
        env.run(lambda ctx, a: f(a), batch)
    assert str(raised.value) == f"{words}: the matrix at [1, 2] of the batch [3, 4]"
