"""Gaussian-process regression; its hyperparameters maximise the marginal likelihood (Rasmussen, Williams 2006, § 5.4).

    K = v exp(−½ Σ_d (x_d − x′_d)² / ℓ_d²) + s I = LLᵀ,     log p = −½ yᵀK⁻¹y − Σᵢ log Lᵢᵢ − n/2 log 2π.

L-BFGS-B follows the gradient of log p for h = (log v, all log ℓ, log s), through the Cholesky decomposition. A new y at
x* has the mean k*ᵀK⁻¹y and the variance v + s − k*ᵀK⁻¹k*. scikit-learn starts from the same numbers.

    python examples/classical/gaussian_process.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.preprocessing import scale

import lazygrad as lg
from beside import Beside, host, start

INPUTS = ["bmi", "bp", "s5"]


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("gaussian_process", __doc__, argv)
    data, d = load_diabetes(as_frame=True).frame[:: 6 if run.quick else 1], len(INPUTS)
    x, y = scale(data[INPUTS].to_numpy()), scale(data["target"].to_numpy())

    def kernel(left: lg.Tensor, right: lg.Tensor, h: lg.Tensor) -> lg.Tensor:
        return lg.exp(h[0] - 0.5 * lg.sum(lg.square((left[:, None] - right) / lg.exp(h[1:-1])), axis=-1))

    def factor(x: lg.Tensor, y: lg.Tensor, h: lg.Tensor) -> Any:
        lower = lg.linalg.cholesky(kernel(x, x, h) + lg.exp(h[-1]) * lg.eye(len(y), dtype="float64"))
        return lower, lg.linalg.solve_triangular(lower, y, lower=True)

    @run.step
    def likelihood(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, h: lg.Tensor) -> Any:
        lower, white = factor(x, y, h)
        minus = lg.sum(0.5 * lg.square(white) + lg.log(lg.linalg.diagonal(lower)) + 0.5 * np.log(2 * np.pi))
        return minus, lg.grad(minus, h)

    @run.step
    def predict(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, h: lg.Tensor, new: lg.Tensor) -> Any:
        lower, white = factor(x, y, h)
        across = lg.linalg.solve_triangular(lower, kernel(x, new, h), lower=True)
        variance = lg.exp(h[0]) + lg.exp(h[-1]) - lg.sum(lg.square(across), axis=0)
        return lg.stack([white @ across, lg.sqrt(variance)])

    def ours() -> Any:
        bounds = [np.log([1e-5, 1e5])] * (d + 2)  # as scikit-learn's; with bounds, the method is L-BFGS-B
        return minimize(lambda h: [*map(host, likelihood(x, y, h))], np.zeros(d + 2), jac=True, bounds=bounds)

    def theirs() -> Any:
        return GaussianProcessRegressor(ConstantKernel() * RBF(np.ones(d)) + WhiteKernel(), alpha=0).fit(x, y)

    fit, other = run.race(ours, theirs, repeats=3)
    run.agree("log marginal likelihood", -fit.fun, other.log_marginal_likelihood_value_, 1e-8)
    run.agree("logarithms of the hyperparameters", fit.x, other.kernel_.theta, 1e-4)
    grid = np.linspace(x[:, 0].min(), x[:, 0].max() + 1, 100)
    new = grid[:, None] * np.eye(d)[0]
    mean, deviation = predicted = host(predict(x, y, fit.x, new))
    run.agree("predicted means and deviations", predicted, np.stack(other.predict(new, return_std=True)), 1e-4)
    for name, value in zip(["log likelihood", "variance", *INPUTS, "noise"], [-fit.fun, *np.exp(fit.x)], strict=True):
        run.number(f"length of {name}" if name in INPUTS else name, value)
    figure = run.figure("bmi", "Mean and two standard deviations of a new patient, by body mass index.")
    axes = figure.add_subplot(xlabel="body mass index, standardised", ylabel="diabetes progression, standardised")
    axes.plot(x[:, 0], y, "o", color="0.6", markersize=3)
    axes.plot(grid, mean, color="tab:red")
    axes.fill_between(grid, mean - 2 * deviation, mean + 2 * deviation, color="tab:red", alpha=0.2, linewidth=0)
    return run.write()


if __name__ == "__main__":
    start(main)
