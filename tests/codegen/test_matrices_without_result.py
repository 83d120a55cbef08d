"""Small matrices in native code that have no result, or that hold numbers at the ends of their range."""

from __future__ import annotations

import numpy as np
import pytest
from native_steps import agree, case
from test_matrices import OPS, definite

import lazygrad as lg

BAD = {
    "inv": (lambda ctx, a: lg.linalg.inv(a), lambda a: a * 0),
    "solve": (lambda ctx, a: lg.linalg.solve(a, a), lambda a: a * 0 + 1),
    "cholesky": (lambda ctx, a: lg.linalg.cholesky(a), lambda a: -a),
    "lower": (lambda ctx, a: lg.linalg.solve_triangular(a, a, lower=True), lambda a: a * 0),
    "eigh": (lambda ctx, a: lg.linalg.eigh(a).eigenvectors, lambda a: a * np.nan),
}


@pytest.mark.parametrize("name", [name for name in BAD if name != "eigh"])
def test_a_matrix_that_has_no_result_ends_the_step(name: str) -> None:
    """As on NumPy: the error names its place, and variables and what else was computed are as before."""
    f, spoil = BAD[name]
    a = definite((23,), 3)
    bad = a.copy()
    bad[17] = spoil(a[17])
    env = lg.VariableEnvironment(seed=0)
    env.name("count").set(np.zeros(()))

    step = env.compile(lambda ctx, a: (f(ctx, a), ctx.assign("count", ctx.variable("count") + 1)), wait=True)
    step(a)
    step(a)
    with pytest.raises(np.linalg.LinAlgError) as raised:
        step(bad)
    assert "17" in "".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert 2 == env["count"]
    step(a)
    assert 3 == env["count"]


@pytest.mark.parametrize("name", ["inv", "solve", "det", "slogdet", "qr", "lower", "eigh", "eigvalsh"])
def test_nan_and_zeros_come_out_as_from_numpy(name: str) -> None:
    """NaN in one matrix leaves the others alone; the determinant of a singular one is 0."""
    step, made = OPS[name]
    a = made((9,), 3)
    a[4, 1, 0] = np.nan
    if name.endswith("det"):
        a[2, :, 1] = 0
        a[3] = 0
    try:
        this = case(step, a)
    except np.linalg.LinAlgError:  # what NumPy says of NaN differs between versions of LAPACK
        assert name.startswith("eig")
        return
    agree(this, units=100)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "qr", "eigh"])
def test_large_and_small_numbers_come_out_as_from_numpy(name: str, scale: float) -> None:
    """Nothing overflows on the way that does not in the result."""
    step, made = OPS[name]
    this = case(step, made((9,), 3) * scale)
    for found, expected in zip(this.found, this.expected, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13 * float(np.max(np.abs(expected))))
