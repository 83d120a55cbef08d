"""Ordinary least squares (Legendre 1805, Gauss 1809): how far diabetes progressed in a year, from ten measurements.

The weights and the intercept, w, minimise a quadratic function, so that one step of Newton's method finds them:

    f(w) = ½ ‖Xw − y‖²,     w = −(∇²f)⁻¹ ∇f(0).

The gradient and the Hessian are taken of f as it is written; X has a column of ones for the intercept. The same Hessian
gives the weights' standard errors, the square roots of the diagonal of s² (∇²f)⁻¹ with s² = ‖Xw − y‖² / (n − p).

    python examples/classical/least_squares.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

import lazygrad as lg
from beside import Beside, host, start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("least_squares", __doc__, argv)
    data = load_diabetes()
    y = data.target
    x = np.column_stack([data.data / data.data.std(axis=0), np.ones(len(y))])
    n, p = x.shape

    def fit(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> Any:
        w = lg.zeros((p,), dtype="float64")
        loss = 0.5 * lg.sum(lg.square(x @ w - y))
        inverse = lg.linalg.inv(lg.hessian(loss, w))
        w = -(inverse @ lg.grad(loss, w))
        squares = lg.sum(lg.square(x @ w - y))
        errors = lg.sqrt(lg.diagonal(inverse) * squares / (n - p))
        return w, errors, 1 - squares / lg.sum(lg.square(y - lg.mean(y)))

    step = run.step(fit)
    (w, errors, determination), other = run.race(lambda: step(x, y), lambda: LinearRegression().fit(x[:, :-1], y))
    w, errors, determination = host(w), host(errors), float(determination)

    run.agree("weights", w[:-1], other.coef_, 1e-9)
    run.agree("intercept", w[-1], other.intercept_, 1e-9)
    run.agree("R²", determination, other.score(x[:, :-1], y), 1e-9)
    run.number("R²", determination)
    run.number("intercept", w[-1])
    names = data.feature_names
    run.table(
        "Weights", ["measurement", "weight", "standard error"], list(zip(names, w[:-1], errors[:-1], strict=True))
    )

    figure = run.figure("weights", "Weights of the standardised measurements, with two standard errors.", size=(7, 3.5))
    axes = figure.add_subplot(ylabel="weight", title=f"Least squares on diabetes progression, R² = {determination:.3f}")
    axes.axhline(0, color="0.7", linewidth=1)
    axes.errorbar(names, w[:-1], 2 * errors[:-1], fmt="o", color="tab:blue", capsize=3)
    return run.write()


if __name__ == "__main__":
    start(main)
