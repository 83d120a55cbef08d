"""Linear algebra of matrices that are too large to be written out: loops over columns, and Jacobi's rotations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_open
import onnx_run
import pytest

import lazygrad as lg

la = lg.linalg


def regular(rng: Any, *shape: int) -> Any:
    """Matrices whose condition is some ten."""
    return rng.standard_normal(shape) + 2 * np.sqrt(shape[-1]) * np.eye(*shape[-2:])


def symmetric(rng: Any, *shape: int) -> Any:
    """Positive definite matrices."""
    a = regular(rng, *shape)
    return a @ np.swapaxes(a, -1, -2) / shape[-1]


def lower(a: Any) -> Any:
    """Only a triangle is to be read: the other one is NaN."""
    return np.where(np.tri(a.shape[-1], dtype=bool), a, np.nan)


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[[Any, int], tuple[Any, ...]]]] = {
    "solve": (la.solve, lambda rng, n: (regular(rng, n, 6, 6), rng.standard_normal((n, 6, 2)))),
    "solve small ones for many": (la.solve, lambda rng, n: (regular(rng, n, 3, 3), rng.standard_normal((n, 3, 9)))),
    "inv": (la.inv, lambda rng, n: (regular(rng, n, 7, 7),)),
    "det and slogdet": (lambda a: (la.det(a), la.slogdet(a)), lambda rng, n: (-regular(rng, n, 5, 5),)),
    "cholesky": (la.cholesky, lambda rng, n: (lower(symmetric(rng, n, 6, 6)),)),
    "cholesky and its gradient": (
        lambda a: lg.grad(lg.sum(lg.sin(la.cholesky(a))), a), lambda rng, n: (symmetric(rng, n, 9, 9),)),
    "lower triangles": (
        lambda a, b: [la.solve_triangular(a, b, lower=True, transposed=t) for t in (False, True)],
        lambda rng, n: (lower(regular(rng, n, 6, 6)), rng.standard_normal((n, 6, 2)))),
    "upper triangles": (
        lambda a, b: [la.solve_triangular(a, b, transposed=t) for t in (False, True)],
        lambda rng, n: (np.swapaxes(lower(regular(rng, n, 6, 6)), 1, 2), rng.standard_normal((n, 6, 2)))),
    "qr": (lambda a: (la.qr(a), la.qr(a.mT)), lambda rng, n: (rng.standard_normal((n, 7, 5)),)),
    "qr, complete": (lambda a: la.qr(a, mode="complete"), lambda rng, n: (rng.standard_normal((n, 7, 5)),)),
    "lu": (la.lu, lambda rng, n: (rng.standard_normal((n, 7, 5)),)),
    "eigh": (la.eigh, lambda rng, n: (lower(symmetric(rng, n, 6, 6)),)),
    "eigvalsh of an odd number": (la.eigvalsh, lambda rng, n: (symmetric(rng, n, 7, 7),)),
    "svd": (lambda a: la.svd(a, full_matrices=False), lambda rng, n: (rng.standard_normal((n, 7, 5)),)),
    "svd of wide ones": (lambda a: la.svd(a, full_matrices=False), lambda rng, n: (rng.standard_normal((n, 4, 6)),)),
    "pinv": (la.pinv, lambda rng, n: (rng.standard_normal((n, 7, 5)),)),
    "expm": (la.expm, lambda rng, n: (3 * rng.standard_normal((n, 5, 5)),)),
    "expm of small ones": (la.expm, lambda rng, n: (0.1 * rng.standard_normal((n, 2, 2)),)),
}  # fmt: skip


@pytest.mark.thinned(6)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_matrices_gives_the_same_for_any_number_of_them(name: str, dtype: str, tmp_path: Path) -> None:
    """The batch is open; the loops run over rows and columns."""
    function, arrays = FUNCTIONS[name]
    step = lg.VariableEnvironment().compile(lambda ctx, *xs: function(*xs))
    onnx_open.compare(step, tmp_path, lambda rng, n: tuple(a.astype(dtype) for a in arrays(rng, n)), step)


def test_singular_values_of_0_and_equal_ones_come_out_as_such() -> None:
    """Vectors of theirs are no function of the matrix, but what is computed of all is."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((6, 2)) @ rng.standard_normal((2, 5))
    step = lg.VariableEnvironment().compile(
        lambda ctx, a: (
            la.svdvals(a),
            la.pinv(a),
            la.matrix_rank(a),
            (lambda u: u.mT @ u)(la.svd(a, full_matrices=False)[0]),
        )
    )
    q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    for given in (a, np.zeros((6, 5)), q[:, :5], np.outer(np.arange(6), np.arange(5)) * 1e200):
        expected, found = onnx_run.listed(step(given)), onnx_run.run(step, given)
        assert onnx_run.apart(expected[2:], found[2:]) == []
        scale = max(float(np.abs(expected[0]).max()), 1e-300)
        np.testing.assert_allclose(found[0] / scale, expected[0] / scale, atol=1e-14)
        np.testing.assert_allclose(found[1] * scale, expected[1] * scale, atol=1e-12)
    values = lg.VariableEnvironment().compile(lambda ctx, s: (la.eigh(s)[0], (lambda v: v @ v.mT)(la.eigh(s)[1])))
    for given in (np.eye(6), q @ np.diag([1.0, 1, 1, 2, 2, 5]) @ q.T, np.ones((6, 6)), np.zeros((6, 6))):
        for one, other in zip(values(given), onnx_run.run(values, given), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        (la.cholesky, -np.eye(6)),
        (lambda a: la.solve(a, a[0]), np.zeros((6, 6))),
        (la.inv, np.diag([1.0, 2, 0, 1, 1, 1])),
        (lambda a: la.solve_triangular(a, a[0]), np.diag([1.0, 2, 0, 1, 1, 1])),
        (la.eigvalsh, np.full((6, 6), np.nan)),
        (la.svdvals, np.full((6, 6), np.nan)),
    ],
    ids=["cholesky", "solve", "inv", "solve_triangular", "eigvalsh", "svdvals"],
)
def test_what_has_no_factors_fails_there_too(function: Any, wrong: Any) -> None:
    """Where LAPACK refuses a matrix, a run of the model fails."""
    step = lg.VariableEnvironment().compile(lambda ctx, a: function(a))
    good = np.eye(6) + 0.1
    model = onnx_run.examined(onnx_run.model_of(step._source((good,))), "a step")
    assert onnx_run.apart([step(good)], onnx_run.run_model(model, good)) == []
    with pytest.raises(np.linalg.LinAlgError):
        step(wrong)
    with pytest.raises(Exception, match=r"(?i)out of|bounds|range"):
        onnx_run.run_model(model, wrong)


def test_determinants_of_singular_matrices_and_beside_nan() -> None:
    """0 and −∞, or NaN; where a product would overflow, the logarithm does not."""
    step = lg.VariableEnvironment().compile(lambda ctx, a: (la.det(a), la.slogdet(a)))
    odd = np.eye(6)[[1, 0, 2, 3, 4, 5]]
    nan = np.where(np.eye(6) > 0, np.nan, 1.0)
    for given in (np.ones((6, 6)), odd, 1e60 * odd, 1e-60 * odd, np.zeros((6, 6))):
        assert onnx_run.apart(onnx_run.listed(step(given)), onnx_run.run(step, given)) == []
    assert all(np.isnan(one) for one in onnx_run.run(step, nan))


def test_matrices_that_there_are_not_have_results_that_there_are_not() -> None:
    """A batch of none, and matrices of no rows."""
    step = lg.VariableEnvironment().compile(
        lambda ctx, a: (la.inv(a), la.lu(a), la.qr(a), la.cholesky(a), la.eigh(a), la.svdvals(a), la.expm(a))
    )
    for shape in ((0, 6, 6), (0, 2, 2), (0, 0), (3, 0, 0)):
        a = np.zeros(shape)
        assert onnx_run.apart(onnx_run.listed(step(a)), onnx_run.run(step, a)) == []
