"""Linear algebra of small matrices in native code: against NumPy, and by what each result must satisfy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import Case, agree, case, random_floats

import lazygrad as lg
from lazygrad.engine.lanes import matrices
from lazygrad.engine.lower.ways import Way

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

SIZES = range(1, 9)
DTYPES = ("float32", "float64")
Step = Callable[..., Any]


def regular(batch: Any, n: int, dtype: str = "float64", seed: int = 0) -> Any:
    """Matrices that are well conditioned, and need pivots."""
    rng = np.random.default_rng(seed)
    return (rng.permuted(np.eye(n) * 3, axis=0) + 0.5 * rng.uniform(-1, 1, (*batch, n, n))).astype(dtype)


def definite(batch: Any, n: int, dtype: str = "float64", seed: int = 0) -> Any:
    """Symmetric positive definite matrices."""
    a = np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n))
    return (a @ np.swapaxes(a, -1, -2) + np.eye(n)).astype(dtype)


def all_small(this: Case) -> None:
    """Check that nothing is called back, and some of it is written out."""
    assert [] == this.calls
    assert Way.SMALL in this.native.ways.way


# The formulas, with arrays for lanes.


class Arrays:
    """NumPy as what computes the elements of matrices: an element is an array, one number a matrix."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def checked(self, x: Any, wrong: Any) -> Any:
        """``x``, unless something is wrong."""
        if np.any(wrong):
            raise np.linalg.LinAlgError
        return x

    def repeated(self, most: int, state: Any, turn: Any) -> Any:
        """Turns of a loop, until no lane asks for another."""
        for _ in range(most):
            state, again = turn(state)
            if not np.any(again):
                break
        return state, again


def rows_of(a: Any) -> Any:
    """A batch of matrices as rows of elements."""
    return [[a[:, i, j] for j in range(a.shape[2])] for i in range(a.shape[1])]


def array_of(rows: Any) -> Any:
    """Rows of elements as a batch of matrices."""
    shape = np.broadcast_shapes(*[np.shape(x) for row in rows for x in row])
    return np.stack([np.stack([np.broadcast_to(x, shape) for x in row], -1) for row in rows], -2)


@pytest.mark.parametrize("n", SIZES)
def test_systems_are_solved_as_precisely_as_by_lapack(n: int) -> None:
    """The residual, over the sizes of what is multiplied, is a few roundings; partial pivoting bounds it so."""
    a, b = random_floats((500, n, n), "float64"), random_floats((500, n, 2), "float64", seed=1)
    with np.errstate(all="ignore"):
        x = array_of(matrices.solve(Arrays(), rows_of(a), rows_of(b)))
    residual = np.abs(a @ x - b).max((1, 2)) / (np.abs(a).sum((1, 2)) * np.abs(x).max((1, 2)))
    assert residual.max() <= 3 * np.finfo("float64").eps


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_eigenvalues_are_as_precise_as_those_of_lapack(n: int, scale: float) -> None:
    """A·V = V·Λ and Vᵀ·V = 1 to a few roundings of the size of A, for equal values and for zeros too."""
    v = np.linalg.qr(random_floats((300, n, n), "float64"))[0]
    values = np.random.default_rng(1).integers(-2, 3, (300, 1, n)) * 1.0
    a = (v * values) @ np.swapaxes(v, 1, 2)
    a = scale * (a + np.swapaxes(a, 1, 2))
    with np.errstate(all="ignore"):
        w, x = matrices.eigh(Arrays(), rows_of(a))
    w, x = np.stack(w, -1), array_of(x)
    size, eps = np.abs(a).sum((1, 2)).max(), float(np.finfo("float64").eps)
    assert np.abs(a @ x - x * w[:, None]).max() <= 10 * eps * size
    assert np.abs(np.swapaxes(x, 1, 2) @ x - np.eye(n)).max() <= 16 * eps
    assert np.abs(w - np.linalg.eigvalsh(a)).max() <= 10 * eps * size
    assert (np.diff(w, axis=1) >= 0).all()


# In a step.

OPS: dict[str, tuple[Step, Callable[..., Any]]] = {
    "inv": (lambda ctx, a: lg.linalg.inv(a), regular),
    "solve": (lambda ctx, a: lg.linalg.solve(a, a[..., :1] + 1), regular),
    "solve of an identity": (lambda ctx, a: lg.linalg.solve(a, lg.broadcast_to(lg.eye(a.shape[-1]), a.shape)), regular),
    "det": (lambda ctx, a: lg.linalg.det(a), regular),
    "slogdet": (lambda ctx, a: tuple(lg.linalg.slogdet(a)), regular),
    "cholesky": (lambda ctx, a: lg.linalg.cholesky(a), definite),
    "upper cholesky": (lambda ctx, a: lg.linalg.cholesky(a, upper=True), definite),
    "lower": (lambda ctx, a: lg.linalg.solve_triangular(a, a + 1, lower=True), definite),
    "upper transposed": (lambda ctx, a: lg.linalg.solve_triangular(a, a + 1, transposed=True), definite),
    "qr": (lambda ctx, a: tuple(lg.linalg.qr(a)), regular),
    "qr of tall ones": (lambda ctx, a: tuple(lg.linalg.qr(a[..., : max(1, a.shape[-1] - 1)])), regular),
    "complete qr": (lambda ctx, a: tuple(lg.linalg.qr(a[..., :1], mode="complete")), regular),
    "eigvalsh": (lambda ctx, a: lg.linalg.eigvalsh(a), definite),
    "eigh": (lambda ctx, a: tuple(lg.linalg.eigh(a)), definite),
    "product": (lambda ctx, a: a @ a.mT + a[..., ::-1] @ a, regular),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, *[pytest.param(n, marks=pytest.mark.thinned(4)) for n in (4, 5, 6, 7, 8)]])
def test_an_op_of_small_matrices_agrees_with_numpy(name: str, dtype: str, n: int) -> None:
    """All of a batch of 37, without calls back."""
    step, made = OPS[name]
    this = case(step, made((37,), n, dtype))
    all_small(this)
    agree(this, units=200)
