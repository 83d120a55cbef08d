"""Poisson regression, a generalised linear model (Nelder and Wedderburn 1972), by Newton's method.

A count y has the mean m = exp(xᵀw), so that m is positive and each measurement multiplies it. The weights minimise

    f(w) = 1/n Σᵢ (mᵢ − yᵢ log mᵢ) + a/2 ‖w‖²        (the intercept is not penalised),
    w ← w − (∇²f)⁻¹ ∇f,

with both derivatives taken of f as it is written. The counts are scores of diabetes one year on, from 25 to 346.

    python examples/classical/poisson.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import PoissonRegressor

import lazygrad as lg
from beside import Beside, host, start

PENALTY = 0.1


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("poisson", __doc__, argv)
    data = load_diabetes()
    y = data.target
    x = np.column_stack([data.data / data.data.std(axis=0), np.ones(len(y))])
    first = np.append(np.zeros(x.shape[1] - 1), np.log(y.mean()))

    def newton(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, w: lg.Tensor) -> Any:
        logarithm = x @ w
        loss = lg.mean(lg.exp(logarithm) - y * logarithm) + 0.5 * PENALTY * lg.sum(lg.square(w[:-1]))
        gradient = lg.grad(loss, w)
        return w - lg.linalg.solve(lg.hessian(loss, w), gradient), lg.max(lg.abs(gradient)), loss

    step = run.step(newton)

    def ours() -> Any:
        w, slope, iterations = first, np.inf, 0
        while slope > 1e-6:
            w, slope, loss = step(x, y, w)
            iterations += 1
        return host(w), loss, iterations

    def theirs() -> PoissonRegressor:
        return PoissonRegressor(alpha=PENALTY, solver="newton-cholesky", tol=1e-10).fit(x[:, :-1], y)

    (w, loss, iterations), other = run.race(ours, theirs)
    mean = np.exp(x @ w)
    deviance, null = (2 * np.sum(y * np.log(y / m) - y + m) for m in (mean, y.mean()))
    run.agree("weights", w[:-1], other.coef_, 1e-8)
    run.agree("intercept", w[-1], other.intercept_, 1e-8)
    run.agree("D²", 1 - deviance / null, other.score(x[:, :-1], y), 1e-8)
    run.number("loss", loss)
    run.number("Newton steps", iterations)
    run.number("D², the part of the deviance that is explained", 1 - deviance / null)
    rows = [(name, weight, np.exp(weight)) for name, weight in zip(data.feature_names, w, strict=False)]
    run.table(
        "Weights, and the factor of the mean for one standard deviation", ["measurement", "weight", "factor"], rows
    )

    figure = run.figure("means", "What was counted, beside the fitted mean with two standard deviations around it.")
    axes = figure.add_subplot(xlabel="fitted mean", ylabel="count", title="Poisson regression on diabetes progression")
    grid = np.linspace(mean.min(), mean.max(), 200)
    band = {"color": "tab:red", "alpha": 0.2, "linewidth": 0, "label": "mean ± 2 √mean"}
    axes.fill_between(grid, grid - 2 * np.sqrt(grid), grid + 2 * np.sqrt(grid), **band)
    axes.plot(grid, grid, color="tab:red")
    axes.plot(mean, y, "o", color="0.45", markersize=3, label="counts: they spread wider than Poisson's do")
    axes.legend(frameon=False)
    return run.write()


if __name__ == "__main__":
    start(main)
