"""Linear algebra of small matrices in the bodies of loops: native all the way, with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, random_floats

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

la = lg.linalg


def definite(m: Any) -> Any:
    """A symmetric positive definite matrix."""
    return m @ m.mT + lg.eye(m.shape[-1], dtype=m.dtype)


BODIES: dict[str, Callable[..., Any]] = {
    "solve": lambda x, m: la.solve(m, x),
    "qr": lambda x, m: la.qr(m).Q @ x + lg.tanh(la.qr(m).R @ x),
    "eigh": lambda x, m: la.eigh(definite(m)).eigenvectors @ x + lg.expand_dims(la.eigvalsh(definite(m)), -1),
    "cholesky": lambda x, m: lg.tanh(la.cholesky(definite(m)) @ x),
    "det": lambda x, m: lg.tanh(x * lg.expand_dims(la.det(m / 4), (-2, -1))),
}


@pytest.mark.parametrize("batch", [(), (5,), (40,)])
@pytest.mark.parametrize("name", BODIES)
def test_a_loop_over_small_matrices_is_native(name: str, batch: tuple[int, ...]) -> None:
    """Be a turn one matrix, which is a straight line of numbers, or a batch of them."""
    a = random_floats((12, *batch, 3, 3), "float64") + 4 * np.eye(3)

    def step(ctx: Any, a: Any, start: Any) -> Any:
        x, sums = lg.scan(lambda x, m: (BODIES[name](x, m), lg.sum(x)), start, a)
        total = lg.sum(lg.sin(x)) + lg.sum(sums)
        return total, lg.grad(total, [a, start])

    this = case(step, a, random_floats((*batch, 3, 1), "float64", seed=1))
    agree(this, units=5000)
    assert [] == this.calls


def test_a_singular_matrix_in_a_loop_is_named_with_its_turn() -> None:
    """As the step is run again on NumPy."""
    a = random_floats((40, 3, 3), "float64") + 4 * np.eye(3)
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(lambda ctx, a, x: lg.scan(lambda x, m: (la.solve(m, x), None), x, a)[0], wait=True)
    fast(a, np.ones((3, 1)))
    a[17] = 0
    with pytest.raises(np.linalg.LinAlgError) as raised:
        fast(a, np.ones((3, 1)))
    assert any("in turn 17 of the scan" in note for note in raised.value.__notes__)
