"""Special functions in ONNX over wide domains: each result within 1e-10 of its own size of what SciPy says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_run
import pytest

import lazygrad as lg
from lazygrad.ops import incomplete

COUNT = 400
Domain = Callable[[Any], Any]


def logarithmic(low: float, high: float) -> Domain:
    """Numbers of all sizes from 10^low to 10^high."""
    return lambda rng: 10 ** rng.uniform(low, high, COUNT)


def uniform(low: float, high: float) -> Domain:
    """Numbers from low to high."""
    return lambda rng: rng.uniform(low, high, COUNT)


UNIT, WIDE, WIDER = uniform(0, 1), logarithmic(-2, 3), logarithmic(-3, 4)
ROWS: dict[str, tuple[Callable[..., Any], tuple[Domain, ...]]] = {
    "gamma": (lg.gamma, (uniform(-60, 170),)),
    "gamma near 0": (lg.gamma, (logarithmic(-300, 1),)),
    "factorial": (lg.factorial, (uniform(-20, 160),)),
    "beta": (lg.beta, (WIDE, WIDE)),
    "binom": (lg.binom, (uniform(0, 300), uniform(-3, 300))),
    "zeta": (lg.zeta, (lambda rng: 1 + 10 ** rng.uniform(-3, 2, COUNT), WIDE)),
    "trigamma": (lambda x: lg.polygamma(1, x), (uniform(-4, 30),)),
    "pentagamma": (lambda x: lg.polygamma(3, x), (WIDE,)),
    "i0": (lg.i0, (uniform(-700, 700),)),
    "i1 near 0": (lg.i1, (uniform(-30, 30),)),
    "i0e": (lg.i0e, (uniform(-40, 40),)),
    "i1e": (lg.i1e, (uniform(-700, 700),)),
    "ndtri": (lg.ndtri, (UNIT,)),
    "ndtri of the tail": (lg.ndtri, (logarithmic(-300, 0),)),
    "erfcinv": (lg.erfcinv, (uniform(0, 2),)),
    "gammainc": (lg.gammainc, (WIDER, WIDER)),
    "gammaincc": (lg.gammaincc, (WIDER, WIDER)),
    "its derivative": (incomplete._gammainc_slope, (WIDER, WIDER)),
    "betainc": (lg.betainc, (WIDE, WIDE, UNIT)),
    "betaincc": (lg.betaincc, (WIDE, WIDE, UNIT)),
    "stdtr": (lg.stdtr, (logarithmic(-1, 3), uniform(-15, 15))),
    "gammaincinv": (lg.gammaincinv, (logarithmic(-1, 3), logarithmic(-20, 0))),
    "gammainccinv": (lg.gammainccinv, (logarithmic(-1, 3), UNIT)),
    "betaincinv": (lg.betaincinv, (logarithmic(-1, 3), logarithmic(-1, 3), UNIT)),
    "betainccinv": (lg.betainccinv, (logarithmic(-1, 3), logarithmic(-1, 3), UNIT)),
    "stdtrit": (lg.stdtrit, (logarithmic(0, 3), UNIT)),
    "gammainc of large shapes": (
        lambda a, z: lg.gammainc(a, a + lg.sqrt(a) * z), (logarithmic(5, 9), uniform(-3, 3))),
}  # fmt: skip


@pytest.mark.thinned(6)
@pytest.mark.parametrize("name", ROWS)
def test_a_special_function_has_ten_digits(name: str) -> None:
    """Where SciPy's result is no denormal number. For float32 it is the same, rounded."""
    function, domains = ROWS[name]
    rng = np.random.default_rng(0)
    arrays = [domain(rng) for domain in domains]
    step = lg.VariableEnvironment().compile(lambda ctx, *xs: function(*xs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.asarray(step(*arrays))
        (found,) = onnx_run.run(step, *arrays)
    whole = np.isfinite(expected) & (np.abs(expected) > 1e-280)
    assert whole.sum() > COUNT / 4
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_allclose(found[whole], expected[whole], rtol=1e-10)
