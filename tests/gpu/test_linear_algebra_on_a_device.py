"""Linear algebra of matrices too large to be written out, in compiled steps on CuPy's double."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.table.native import Instruction, NumpyCall

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

RNG = np.random.default_rng(0)
B = RNG.normal(size=(2, 3, 12, 12))
A = B @ np.swapaxes(B, -1, -2) + 12 * np.eye(12)
V = RNG.normal(size=(12, 4))

OPS: dict[str, Callable[[Any], Any]] = {
    "solve": lambda a: lg.linalg.solve(a, lg.asarray(V)),
    "cholesky": lg.linalg.cholesky,
    "inv": lg.linalg.inv,
    "det": lambda a: lg.linalg.det(a / 12),
    "slogdet": lambda a: lg.linalg.slogdet(a),
    "qr": lambda a: lg.linalg.qr(a),
    "eigh": lambda a: lg.linalg.eigh(a)[0],
    "svd": lambda a: lg.linalg.svd(a, full_matrices=False)[1],
    "solve_triangular": lambda a: lg.linalg.solve_triangular(lg.tril(a), lg.asarray(V), lower=True),
}


@pytest.fixture(autouse=True)
def device(double: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The double in place of CuPy."""
    monkeypatch.delenv("LAZYGRAD_NATIVE", raising=False)


def flat(results: Any) -> list[Any]:
    """All arrays of a result."""
    return [y for x in results for y in flat(x)] if isinstance(results, (tuple, list)) else [results]


def step_of(op: Callable[[Any], Any]) -> Callable[..., Any]:
    """A step that computes, differentiates, and changes a variable."""

    def step(ctx: Any, a: Any) -> Any:
        w = ctx.variable("w")
        results = flat(op(a * w))
        loss = sum(lg.sum(y * y) for y in results)
        return results, lg.grad(loss, a), ctx.assign("w", w * 1.5)

    return step


def compiled(backend: str, op: Callable[[Any], Any]) -> tuple[lg.VariableEnvironment, Any]:
    """It on a backend, native from its first call."""
    env = lg.VariableEnvironment(backend=backend, dtype="float64")
    env.name("w").set(np.array(1.0))
    return env, env.compile(step_of(op), wait=True)


@pytest.mark.parametrize("name", OPS)
def test_a_batch_is_computed_between_kernels(name: str) -> None:
    """Values and derivatives as on NumPy; the library is called for the whole batch, and the rest is kernels."""
    (here, expected), (there, found) = compiled("numpy", OPS[name]), compiled("cupy", OPS[name])
    for _ in range(2):
        for a, b in zip(flat(found(A)), flat(expected(A)), strict=True):
            if a is not None:
                np.testing.assert_allclose(there._store.backend.to_numpy(a), np.asarray(b), rtol=1e-7, atol=1e-9)
    kinds = {type(one) for one in found.plan.native().native.program}
    assert {Instruction, NumpyCall} == kinds
    assert here["w"] == there._store.backend.to_numpy(there["w"])


BAD = {
    "cholesky": -np.eye(12),
    "inv": np.zeros((12, 12)),
    "solve": np.zeros((12, 12)),
    "solve_triangular": np.zeros((12, 12)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_matrix_that_cannot_be_taken_ends_the_step_and_nothing_is_lost(name: str) -> None:
    """The error is NumPy's, and says which matrix of the batch it is where that does; the next step is right."""
    bad = A.copy()
    bad[1, 2] = BAD[name]
    said = []
    for backend in ("numpy", "cupy"):
        env, step = compiled(backend, OPS[name])
        before = [np.asarray(env._store.backend.to_numpy(y)) for y in flat(step(A))[:1]]
        with pytest.raises(np.linalg.LinAlgError) as caught:
            step(bad)
        said.append(str(caught.value))
        assert 1.5 == env._store.backend.to_numpy(env["w"])
        env["w"] = np.array(1.0)
        after = [np.asarray(env._store.backend.to_numpy(y)) for y in flat(step(A))[:1]]
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a, b)
    assert said[0] == said[1]
