"""Lynx and hare in Canada, by the equations of Lotka and Volterra, whose parameters are learned with bands.

Hares multiply and are eaten, lynxes eat hares and die: h' = (α − β·l)·h, l' = (δ·h − γ)·l (Lotka 1925; Volterra 1926).
From 1900 to 1920 the Hudson's Bay Company counted the pelts that it took. Their logarithms are fitted to the solution
by least squares, with `lg.odeint` in the residuals: the Jacobian goes through the integrator. Its covariance gives the
standard errors of the parameters and the bands of the curves. Carpenter (2018) has the posterior of the same model.

    python examples/lotka_volterra.py
    python examples/lotka_volterra.py --quick --mode run
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, runner, start

# Thousands of pelts, of the Hudson's Bay Company; tabulated by P. Howard (2009), Modeling Basics, and used by
# B. Carpenter (2018), Predator-Prey Population Dynamics: the Lotka-Volterra model in Stan.
YEARS = np.arange(1900, 1921)
HARE = np.array(
    [
        30,
        47.2,
        70.2,
        77.4,
        36.3,
        20.6,
        18.1,
        21.4,
        22,
        25.4,
        27.1,
        40.3,
        57,
        76.6,
        52.3,
        19.5,
        11.2,
        7.6,
        14.6,
        16.2,
        24.7,
    ]
)
LYNX = np.array(
    [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
)
NAMES = (
    "growth of hares",
    "hares eaten by a lynx",
    "death of lynxes",
    "lynxes fed by a hare",
    "hares in 1900",
    "lynxes in 1900",
)
GUESS = np.array([0.5, 0.02, 0.8, 0.02, 30.0, 4.0])  # α, β, γ, δ, and the numbers at the beginning, in thousands
PUBLISHED = np.array([0.545, 0.028, 0.803, 0.024, 34.0, 5.9])  # means of the posterior, Carpenter (2018)
WIDE = 1.96  # standard errors of a band of 95%


def populations(logarithms: Any, years: Any) -> Any:
    """Hares and lynxes at each time, (T, 2), in thousands; of the logarithms of all six parameters."""
    growth, eaten, death, fed, hare, lynx = lg.unstack(lg.exp(logarithms))

    def slope(t, state):
        h, l = state[0], state[1]  # noqa: E741 - the letters of the equations
        return lg.stack([(growth - eaten * l) * h, (fed * h - death) * l])

    return lg.odeint(slope, lg.stack([hare, lynx]), years, rtol=1e-7, max_steps=120)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit, and say how sure the parameters and the curves are."""
    given = options(__doc__, mode="compile").parse_args(argv)
    results = Results("lotka_volterra", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    logarithms = env.name("logarithms").set(np.log(GUESS))
    pelts = np.stack([HARE, LYNX], axis=1)

    @env.compile
    def residuals(ctx, pelts):
        return lg.log(populations(ctx.variable(logarithms), YEARS)) - lg.log(pelts)

    found = lg.optimize.least_squares(residuals, pelts, x_scale="jac", max_nfev=5 if given.quick else None)

    fine = np.linspace(YEARS[0], YEARS[-1], 41 if given.quick else 401)

    def curves(ctx, x, years):
        y = lg.log(populations(x, years))
        return y, lg.jacobian(y, x)

    evaluate = runner(env, curves, given.mode)
    at, jacobian = evaluate(env["logarithms"], YEARS)
    rest = (at - np.log(pelts)) ** 2
    noise = np.sqrt(rest.sum() / (rest.size - len(NAMES)))
    flat = jacobian.reshape(-1, len(NAMES))
    covariance = noise**2 * np.linalg.inv(flat.T @ flat)
    values = np.exp(lg.to_numpy(env["logarithms"]))
    relative = np.sqrt(np.diag(covariance))
    rows = [
        [name, value, value * np.exp(-WIDE * error), value * np.exp(WIDE * error), published]
        for name, value, error, published in zip(NAMES, values, relative, PUBLISHED, strict=True)
    ]
    results.table("Parameters", ["", "learned", "95% from", "to", "Carpenter"], rows)
    results.number("error of a logarithm", noise)
    results.number(
        "largest deviation from Carpenter (standard errors)", np.max(np.abs(np.log(values / PUBLISHED)) / relative)
    )
    results.number("period (years)", period(fine, evaluate(env["logarithms"], fine)[0][:, 0]))
    results.number("cost", found.cost)

    middle, slopes = evaluate(env["logarithms"], fine)
    width = WIDE * np.sqrt(np.einsum("tki,ij,tkj->tk", slopes, covariance, slopes))
    figure = results.figure("curves", "Pelts, and the populations that were learned, with 95% bands.", (9, 4))
    axes = figure.add_subplot()
    axes.set(xlabel="year", ylabel="thousands", xticks=YEARS[::4])
    for k, (name, colour) in enumerate([("hares", "tab:blue"), ("lynxes", "tab:red")]):
        axes.scatter(YEARS, pelts[:, k], s=18, color=colour, linewidths=0, label=f"{name}: pelts")
        axes.plot(fine, np.exp(middle[:, k]), color=colour, label=name)
        low, high = np.exp(middle[:, k] - width[:, k]), np.exp(middle[:, k] + width[:, k])
        axes.fill_between(fine, low, high, color=colour, alpha=0.2, linewidth=0)
    figure.legend(*axes.get_legend_handles_labels(), ncols=4, loc="outside lower center", frameon=False)
    return results.write()


def period(t: Any, y: Any) -> float:
    """The time between the first two peaks; NaN if there are fewer."""
    peaks = t[1:-1][(y[1:-1] > y[:-2]) & (y[1:-1] >= y[2:])]
    return float(peaks[1] - peaks[0]) if len(peaks) > 1 else float("nan")


if __name__ == "__main__":
    start(main)
