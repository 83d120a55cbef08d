"""What ``lg.optimize`` costs: ``python -m benchmarks.optimize``; ratios of times taken in turns, each the least.

- ``minimize`` of two parameters beside ``scipy.optimize.minimize`` with a gradient written by hand in NumPy;
- ``curve_fit`` of two parameters beside ``scipy.optimize.curve_fit`` with a Jacobian written by hand;
- a logistic regression of 10,000 parameters by L-BFGS-B beside scikit-learn's ``lbfgs``, to the same tolerance.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize

import lazygrad as lg
from benchmarks.process import keep, quiet

SMALL, LARGE = 1.3, 1.0  # aims: times SciPy with derivatives by hand, and scikit-learn


def main() -> None:
    """Print the ratios, and keep them in a file if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimize", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the numbers in this file")
    asked = parser.parse_args()
    busy, rows = quiet(), []
    for name, (ours, theirs) in {"minimize": two_parameters(), "curve_fit": two_of_a_curve()}.items():
        a, b = in_turns(ours, theirs, 500, 5)
        print(f"{name}, 2 parameters:  {a * 1e6:8.0f} µs   SciPy with NumPy by hand {b * 1e6:8.0f} µs   {a / b:.2f} ×")
        rows.append(row(f"`{name}` of 2 parameters", a, "SciPy, derivatives by hand", b, SMALL))
    for classes in (2, 10):
        what = f"logistic regression of 10,000 parameters, {classes} classes"
        a, b = logistic(classes)
        rows.append(row(what, a, "scikit-learn, `lbfgs`", b, LARGE))
    keep(asked.json, "optimize", {"rows": rows, "load": busy})


def row(what: str, ours: float, peer: str, theirs: float, aim: float) -> dict[str, Any]:
    """A line of the page."""
    return {"what": what, "ours_s": ours, "peer": peer, "theirs_s": theirs, "aim": aim}


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, calls: int) -> tuple[float, float]:
    """The least time of a call of each, measured in turns."""
    least = [np.inf, np.inf]
    for _ in range(rounds):
        for k, call in enumerate((ours, theirs)):
            start = time.perf_counter()
            for _ in range(calls):
                call()
            least[k] = min(least[k], (time.perf_counter() - start) / calls)
    return least[0], least[1]


def two_parameters() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A line through 100 points, from the same start in every call."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    y = 2.5 * x - 1 + rng.normal(size=100)
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.zeros(2))

    def loss(ctx, x, y):
        w = ctx.variable("w")
        return lg.mean(lg.square(w[0] * x + w[1] - y))

    loss = env.compile(loss, wait=True)

    def by_hand(w, x, y):
        r = w[0] * x + w[1] - y
        return np.mean(r * r), np.array([2 * np.mean(r * x), 2 * np.mean(r)])

    def ours():
        env["w"] = [0.0, 0.0]
        return lg.optimize.minimize(loss, x, y)

    def theirs():
        return scipy.optimize.minimize(by_hand, np.zeros(2), (x, y), jac=True, method="L-BFGS-B")

    np.testing.assert_allclose(ours().x, theirs().x, rtol=1e-6)
    return ours, theirs


def two_of_a_curve() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A decaying exponential through 100 points."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 100)
    y = 2.5 * np.exp(-1.3 * x) + 0.05 * rng.normal(size=100)

    def curve(x, a, b):
        return a * lg.exp(-b * x)

    def by_hand(x, a, b):
        return a * np.exp(-b * x)

    def jacobian(x, a, b):
        e = np.exp(-b * x)
        return np.stack([e, -a * x * e], axis=1)

    tight = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}

    def ours():
        return lg.optimize.curve_fit(curve, x, y)

    def theirs():
        return scipy.optimize.curve_fit(by_hand, x, y, jac=jacobian, method="lm", **tight)

    settled(ours)
    np.testing.assert_allclose(ours().x, theirs()[0], rtol=1e-8)
    return ours, theirs


def settled(call: Callable[[], Any]) -> None:
    """Call it until native code has taken over."""
    end = time.perf_counter() + 10
    while time.perf_counter() < end:
        call()


def logistic(classes: int, rows: int = 2000) -> tuple[float, float]:
    """Print the times of a logistic regression with an L2 penalty, and give them."""
    from sklearn.linear_model import LogisticRegression

    columns = 10_000 if classes == 2 else 10_000 // classes
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns))
    labels = np.argmax(
        X @ rng.normal(size=(columns, classes)) / columns**0.5 + rng.gumbel(size=(rows, classes)), axis=1
    )
    y = labels.astype(float)
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.zeros((columns,) if classes == 2 else (columns, classes)))

    @env.compile
    def binary(ctx, X, y):
        w = ctx.variable("w")
        return lg.mean(lg.nn.binary_cross_entropy_with_logits(X @ w, y)) + lg.sum(w * w) / (2 * rows)

    @env.compile
    def multinomial(ctx, X, y):
        w = ctx.variable("w")
        return lg.mean(lg.nn.cross_entropy(X @ w, y)) + lg.sum(w * w) / (2 * rows)

    options = {"maxiter": 1000, "gtol": 1e-6, "ftol": 64 * np.finfo(float).eps, "maxls": 50}  # as scikit-learn's

    def ours():
        env["w"] = np.zeros(env["w"].shape)
        step, target = (binary, y) if classes == 2 else (multinomial, labels)
        return lg.optimize.minimize(step, X, target, options=options)

    model = LogisticRegression(solver="lbfgs", tol=1e-6, C=1.0, max_iter=1000, fit_intercept=False)

    def theirs():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X, labels)

    for _ in range(3):
        result = ours()
    a, b = in_turns(ours, theirs, 5, 1)
    result = ours()
    w = model.coef_.T
    found = w[:, 0] if classes == 2 else w
    apart = np.abs(env["w"] - found).max() / np.abs(found).max()
    print(
        f"logistic regression, {env['w'].size} parameters, {classes} classes:  {a:6.2f} s ({result.nit} iterations)   "
        f"scikit-learn {b:6.2f} s ({model.n_iter_[0]} iterations)   {a / b:.2f} ×   coefficients apart {apart:.0e}"
    )
    return a, b


if __name__ == "__main__":
    main()
