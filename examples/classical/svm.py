"""Support vector machines (Cortes and Vapnik 1995), linear and with a Gaussian kernel, for classes and for numbers.

    hinge:           minimise ½ ‖w‖² + C Σ max(0, 1 − yᵢ f(xᵢ)),   y = ±1,     f(x) = w·φ(x) + b,
    tube:            minimise ½ ‖w‖² + C Σ max(0, |yᵢ − f(xᵢ)| − ε).

With φ(xᵢ) the rows of Φ, both duals ask for the β of w = Φᵀβ that minimises ½ ‖Φᵀβ‖² − yᵀβ + ε ‖β‖₁ under Σβ = 0 and
−C ≤ βᵢ ≤ C; for the hinge ε = 0 and 0 ≤ yᵢ βᵢ ≤ C. Of Σβ = 0 b is the multiplier: b Σβ + r/2 (Σβ)² is added, and b
grows by r Σβ (Hestenes 1969) after 20 iterations of FISTA (Beck and Teboulle 2009): down the gradient, then clipped.

    python examples/classical/svm.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import scale
from sklearn.svm import SVC, SVR

import lazygrad as lg
from beside import Beside, host, start


def features(ctx: lg.Context, x: Any, kernel: str) -> Any:
    """Φ with the products x·x′ or exp(−‖x − x′‖² / columns) of its rows, and a bound of the eigenvalues of ΦᵀΦ."""
    if kernel == "linear":
        return x, lg.linalg.eigvalsh(x.T @ x)[-1]
    k = lg.exp(-lg.sum(lg.square(x[:, None] - x), axis=-1) / x.shape[1])
    return lg.linalg.cholesky(k), lg.max(lg.sum(k, axis=1))


def iterations(ctx: lg.Context, phi: Any, y: Any, norm: Any, c: float, epsilon: float, state: Any) -> Any:
    """Twenty iterations of β, the point ahead of it, its momentum, and b; how far from done they are."""
    (beta, ahead, age, b), r, t = state, norm / len(y), 1 / (2 * norm)
    low, high = (-c, c) if epsilon else (lg.minimum(c * y, 0.0), lg.maximum(c * y, 0.0))
    for _ in range(20):
        smooth = 0.5 * lg.sum(lg.square(phi.T @ ahead)) + lg.sum((b - y) * ahead) + 0.5 * r * lg.square(lg.sum(ahead))
        u = ahead - t * lg.grad(smooth, ahead)
        moved = lg.clip(lg.sign(u) * lg.maximum(lg.abs(u) - t * epsilon, 0.0), low, high)
        age = lg.where(lg.sum((ahead - moved) * (moved - beta)) > 0, 0.0, age + 1.0)  # anew where it goes uphill
        ahead, change, beta = moved + age / (age + 3) * (moved - beta), lg.max(lg.abs(moved - beta)), moved
    state, missing = (beta, ahead, age, b + r * lg.sum(beta)), lg.maximum(change, lg.abs(lg.sum(beta))) / c
    return state, missing, phi @ (phi.T @ beta) + b


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit all four in both ways; the numbers that were found."""
    run = Beside("svm", __doc__, argv)
    prepare, step, every, tasks = run.step(features), run.step(iterations), 7 if run.quick else 1, {}
    for name, load, c, epsilon in [("hinge", load_breast_cancer, 0.1, 0.0), ("tube", load_diabetes, 10.0, 10.0)]:
        x, y = (array[::every] for array in load(return_X_y=True))
        given = scale(x), y if epsilon else 2.0 * y - 1, c, epsilon
        tasks |= {f"{name}, linear": ("linear", *given), f"{name}, Gaussian": ("rbf", *given)}

    def ours(kernel: str, x: Any, y: Any, c: float, epsilon: float) -> Any:
        (phi, norm), state, missing = prepare(x, kernel), (0 * y, 0 * y, 0 * y[0], 0 * y[0]), 1.0
        while missing > 1e-7:
            state, missing, values = step(phi, y, norm, c, epsilon, state)
        return host(values)

    def theirs(kernel: str, x: Any, y: Any, c: float, epsilon: float) -> Any:
        model = SVR(kernel=kernel, C=c, epsilon=epsilon, tol=1e-8) if epsilon else SVC(kernel=kernel, C=c, tol=1e-8)
        return model.fit(x, y).predict(x) if epsilon else model.fit(x, y).decision_function(x)

    found, others = run.race(*(lambda fit=fit: [fit(*task) for task in tasks.values()] for fit in (ours, theirs)))
    figure = run.figure("values", "f(x) and y; what is red costs something.", (9, 6))
    for (name, (_, _, y, _, e)), f, other, axes in zip(tasks.items(), found, others, figure.subplots(2, 2).flat):
        loss = np.maximum(np.abs(y - f) - e if e else 1 - y * f, 0)
        run.agree(f"values of f, {name}", f, other, 1e-4)
        run.number(f"mean loss, {name}", loss.mean())
        axes.scatter(f, y + (not e) * run.rng.uniform(-0.4, 0.4, len(y)), s=4, c=loss > 1e-3, cmap="coolwarm")
        axes.set(title=name, xlabel="f(x)", ylabel="diabetes progression" if e else "malignant / benign")
    return run.write()


if __name__ == "__main__":
    start(main)
