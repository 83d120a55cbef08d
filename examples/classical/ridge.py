"""Ridge regression (Hoerl and Kennard 1970) for 60 penalties at once, and the best of them by leaving one out.

For a penalty a the weights of the centred columns are

    w(a) = (XᵀX + a I)⁻¹ Xᵀy,

and what the fit to all other rows would miss row i by is known without fitting it (Allen 1974):

    eᵢ(a) = (yᵢ − xᵢᵀw) / (1 − hᵢ),     hᵢ = 1/n + xᵢᵀ (XᵀX + a I)⁻¹ xᵢ.

The grid of penalties is an axis of the arrays. From the best on the grid, Newton's method moves log a to where the
derivative of the mean of eᵢ² is zero, through the inverse; scikit-learn stays on the grid.

    python examples/classical/ridge.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, RidgeCV

import lazygrad as lg
from beside import Beside, host, start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("ridge", __doc__, argv)
    data = load_diabetes()
    x, y = data.data / data.data.std(axis=0), data.target
    x, n = x - x.mean(axis=0), len(y)
    penalties = np.logspace(-2, 5, 60)

    def fits(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, penalty: lg.Tensor) -> Any:
        inverse = lg.linalg.inv(x.T @ x + penalty[..., None, None] * lg.eye(x.shape[1], dtype="float64"))
        weights = inverse @ (x.T @ (y - lg.mean(y)))
        leverage = 1 / n + lg.sum((x @ inverse) * x, axis=-1)
        missed = (y - lg.mean(y) - weights @ x.T) / (1 - leverage)
        return weights, lg.mean(lg.square(missed), axis=-1)

    def newton(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, logarithm: lg.Tensor) -> Any:
        _, error = fits(ctx, x, y, lg.exp(logarithm))
        return logarithm - lg.grad(error, logarithm) / lg.hessian(error, logarithm), error

    on_grid, refine = run.step(fits), run.step(newton)

    def theirs() -> tuple[Any, Any]:
        chosen = RidgeCV(penalties, store_cv_results=True).fit(x, y)
        return chosen, np.stack([Ridge(penalty).fit(x, y).coef_ for penalty in penalties])

    (weights, errors), (chosen, coefficients) = run.race(lambda: on_grid(x, y, penalties), theirs)
    weights, errors = host(weights), host(errors)
    run.agree("weights for every penalty", weights, coefficients, 1e-9)
    run.agree("leave-one-out errors", errors, chosen.cv_results_.mean(axis=0), 1e-9)
    run.agree("best penalty of the grid", penalties[errors.argmin()], chosen.alpha_, 0)

    logarithm = np.log(penalties[errors.argmin()])
    for _ in range(6):
        logarithm, best = refine(x, y, logarithm)
    run.number("best penalty of the grid", penalties[errors.argmin()])
    run.number("best penalty", np.exp(host(logarithm)))
    run.number("leave-one-out error at it", best)

    figure = run.figure("path", "Weights, and the error of leaving one out, for each penalty.", size=(9, 3.6))
    left, right = figure.subplots(1, 2, subplot_kw={"xlabel": "penalty", "xscale": "log"})
    left.plot(penalties, weights, label=data.feature_names)
    left.set(ylabel="weight", title="Ridge path on diabetes progression")
    left.legend(ncols=2, frameon=False, fontsize="small")
    right.plot(penalties, errors, color="tab:blue")
    right.plot(np.exp(host(logarithm)), host(best), "o", color="tab:red")
    right.set(ylabel="mean squared error", title="Leaving one out")
    return run.write()


if __name__ == "__main__":
    start(main)
