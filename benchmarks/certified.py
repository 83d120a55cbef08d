"""Problems from outside, solved whole: ``python -m benchmarks.certified``; it fails if one is not.

The 27 nonlinear regressions of NIST from both starts by ``curve_fit`` as it is called without settings, to at least six
digits of the certified parameters; the functions of Moré, Garbow and Hillstrom by ``least_squares``, to the paper's
minima; Rosenbrock's function of 1,000 numbers by ``minimize`` and by ``least_squares`` with a sparse Jacobian.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import lazygrad as lg
from benchmarks.mgh import FUNCTIONS, is_minimum, rosenbrock, solved
from benchmarks.nist import CURVES, dataset, digits

DIGITS = 6.0


def main() -> int:
    """Whether one has not been solved."""
    failed = nist() + mgh() + large()
    print(f"\n{failed} not solved" if failed else "\nall solved")
    return int(failed > 0)


def nist() -> int:
    """How many regressions of NIST are not found."""
    print("NIST StRD: digits of the parameters and of their standard deviations, from start 1 and start 2")
    failed = 0
    for name in CURVES:
        row = [fitted(name, which) for which in (0, 1)]
        shown = "   ".join(f"{p:5.1f} {s:5.1f} {nfev:5d} evaluations" for p, s, nfev in row)
        wrong = any(p < DIGITS for p, _, _ in row)
        failed += wrong
        print(f"  {name:10} {shown}{'   WRONG' * wrong}")
    return failed


def fitted(name: str, start: int) -> tuple[float, float, int]:
    """The digits of the parameters and of their standard deviations, and how many evaluations it took."""
    d = dataset(name)
    fit = lg.optimize.curve_fit(d.f, d.x, d.y, d.starts[start])
    errors = np.sqrt(np.diag(fit.covariance))
    return digits(fit.x, d.certified), digits(errors, d.deviations), int(fit.result.nfev)


def mgh() -> int:
    """How many functions of Moré, Garbow and Hillstrom end elsewhere than in a known minimum."""
    print("\nMoré, Garbow, Hillstrom: the sum of squares found, and the known minima")
    failed = 0
    for name, f in FUNCTIONS.items():
        for method in ("trf", "lm"):
            found, result = solved(f, method=method)
            wrong = not is_minimum(f, found)
            failed += wrong
            known = ", ".join(f"{m:g}" for m in f.minima)
            print(
                f"  {f.number:2d} {name:26} {method:4} {found:12.6g} of {known}   {result.nfev} evaluations"
                f"{'   WRONG' * wrong}"
            )
    return failed


def large() -> int:
    """How often the minimum of Rosenbrock's function of 1,000 numbers is not found."""
    print("\nRosenbrock's function of 1,000 numbers: the largest error of a number")
    env = lg.VariableEnvironment(dtype="float64")
    x = env.name("x").set(np.zeros(1000))
    residuals = env.compile(lambda ctx: rosenbrock(ctx.variable("x")))
    loss = env.compile(lambda ctx: lg.sum(lg.square(rosenbrock(ctx.variable("x")))))
    pairs = np.kron(np.eye(500), np.ones((1, 2)))
    ways: dict[str, Any] = {
        "minimize, L-BFGS-B": lambda: lg.optimize.minimize(loss, tol=1e-14),
        "minimize, Newton-CG": lambda: lg.optimize.minimize(loss, method="Newton-CG", tol=1e-12),
        "minimize, trust-krylov": lambda: lg.optimize.minimize(loss, method="trust-krylov", tol=1e-9),
        "least_squares, sparse": lambda: lg.optimize.least_squares(residuals, jac_sparsity=np.vstack([pairs, pairs])),
        "least_squares, products": lambda: lg.optimize.least_squares(residuals, tr_solver="lsmr"),
    }
    failed = 0
    for name, way in ways.items():
        env["x"] = np.tile([-1.2, 1.0], 500)
        result = way()
        apart = float(np.abs(x.value - 1).max())
        failed += apart > 1e-6
        print(f"  {name:24} {apart:8.1e}   {result.nfev} evaluations{'   WRONG' * (apart > 1e-6)}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
