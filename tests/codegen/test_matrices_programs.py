"""Random programs of small matrices: native code and NumPy compute the same, with gradients."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

la = lg.linalg
BATCHES = [(), (1,), (3,), (8,), (17,), (40,), (2, 5), (6, 1), (300,)]
ANY = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 10 else [], id=str(seed)) for seed in range(100)]


def regular(m: Any) -> Any:
    """A matrix near a multiple of the identity."""
    return lg.tanh(m) + (m.shape[-1] + 1) * lg.eye(m.shape[-1], dtype=m.dtype)


def definite(m: Any) -> Any:
    """A symmetric matrix whose eigenvalues are above 0, and apart."""
    n, m = m.shape[-1], lg.tanh(m)
    return m @ m.mT + lg.diag(lg.arange(1.0, 3.0 * n + 1, 3.0, dtype=m.dtype))


def backwards(m: Any) -> Any:
    """Its columns, the first one last."""
    return lg.concat([m[..., 1:], m[..., :1]], axis=-1)


# Of two matrices and a column, all of one batch: another matrix, column or number each.
MATRICES: list[Callable[..., Any]] = [
    lambda m, other, v: la.inv(regular(m)),
    lambda m, other, v: la.cholesky(definite(m)),
    lambda m, other, v: lg.tanh(m) @ lg.tanh(other),
    lambda m, other, v: m.mT * 0.5 + other,
    lambda m, other, v: la.qr(regular(m)).Q,
    lambda m, other, v: la.qr(regular(m)).R,
    lambda m, other, v: la.eigh(definite(m)).eigenvectors,
    lambda m, other, v: backwards(m),
    lambda m, other, v: lg.where(m > 0, m, other),
    lambda m, other, v: m - lg.mean(m, axis=0),
    lambda m, other, v: m[..., ::-1, :],
    lambda m, other, v: lg.exp(-lg.square(v)) * v.mT,
]
COLUMNS: list[Callable[..., Any]] = [
    lambda m, other, v: la.solve(regular(m), v),
    lambda m, other, v: lg.tanh(m @ v),
    lambda m, other, v: la.solve_triangular(regular(m), v, lower=True),
    lambda m, other, v: la.solve_triangular(regular(m), v, transposed=True),
    lambda m, other, v: lg.sum(m, axis=-1, keepdims=True),
    lambda m, other, v: lg.expand_dims(lg.max(lg.abs(m), axis=-2), -1),
    lambda m, other, v: lg.expand_dims(la.eigvalsh(definite(m)), -1),
]
NUMBERS: list[Callable[..., Any]] = [
    lambda m, other, v: la.det(regular(m) / (m.shape[-1] + 1)),
    lambda m, other, v: la.slogdet(regular(m)).logabsdet,
    lambda m, other, v: lg.sum(v * v, axis=(-1, -2)),
    lambda m, other, v: la.trace(m),
]


def program(seed: int) -> Callable[..., Any]:
    """A step of a matrix and a column: some of what it computed, a number of all, and its gradients."""

    def step(ctx: Any, a: Any, b: Any) -> Any:
        rng = random.Random(seed)
        matrices, columns, numbers = [a, lg.tanh(b @ b.mT)], [b], [lg.sum(b, axis=(-1, -2))]
        for _ in range(rng.randint(3, 9)):
            made, kind = rng.choice([(matrices, MATRICES), (columns, COLUMNS), (numbers, NUMBERS)])
            made.append(rng.choice(kind)(rng.choice(matrices), rng.choice(matrices), rng.choice(columns)))
        kept = [rng.choice(matrices), rng.choice(columns), numbers[-1]]
        total = lg.add_n([lg.sum(lg.tanh(x)) for x in (matrices[-1], columns[-1], numbers[-1])])
        return kept, total, lg.grad(total, [a, b])

    return step


@pytest.mark.parametrize("seed", ANY)
def test_a_program_of_small_matrices_computes_the_same(seed: int) -> None:
    """For registers of any width; how far rounding is magnified is bounded by how the programs are made."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    n, batch, dtype = rng.randint(1, 6), rng.choice(BATCHES), rng.choice(["float64", "float64", "float32"])
    a, b = (numbers.standard_normal((*batch, n, k)).astype(dtype) for k in (n, 1))
    this = case(program(seed), a, b, width=rng.choice([4, 8, 16]))
    agree(this, units=2000)  # 263 was the most
