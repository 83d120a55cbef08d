"""The k-dimensional plane of best fit to points in n dimensions, and how well it finds what is there.

The plane μ + span(V) with the least sum of squared distances to the points goes through their mean μ, and the columns
of V are the first k right singular vectors of the centred points (Pearson 1901). Three trials: noisy points of a known
plane, with the angle between it and the one found; scikit-learn's digits, beside its PCA; and the same plane found by
gradient descent on the squared distances, which needs no theorem.

    python examples/plane_of_best_fit.py
    python examples/plane_of_best_fit.py --quick --mode compile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import lazygrad as lg
from common import Results, options, progress, runner, start

NOISES = [0.01, 0.03, 0.1, 0.3, 1.0]
DIMENSIONS = [3, 5, 10]
POINTS = 200
SIZES = [1, 2, 5, 10, 20, 40, 64]  # k for the digits


def plane_of_best_fit(points: Any, k: int) -> tuple[Any, Any]:
    """The mean μ ``(..., n)`` and an orthonormal basis V ``(..., n, k)`` of the plane nearest to ``(..., m, n)``."""
    mean = lg.mean(points, axis=-2)
    vh = lg.linalg.svd(points - mean[..., None, :], full_matrices=False).Vh
    return mean, vh[..., :k, :].mT


def residuals(points: Any, mean: Any, basis: Any) -> Any:
    """The vectors from the plane to the points."""
    centred = points - mean[..., None, :]
    return centred - centred @ basis @ basis.mT


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit planes to points of known planes, to digits, and by gradient descent; the numbers."""
    given = options(__doc__).parse_args(argv)
    results = Results("plane_of_best_fit", given)
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    rng = np.random.default_rng(given.seed)

    known_planes(results, rng, env, given)
    digits(results, env, given)
    by_descent(results, rng, env, given)
    return results.write()


def known_planes(results: Results, rng: Any, env: lg.VariableEnvironment, given: Any) -> None:
    """Noisy points of random planes: the largest angle between the plane and the one found."""
    trials = 10 if given.quick else 200
    step = runner(env, lambda ctx, points: plane_of_best_fit(points, 2), given.mode)
    figure = results.figure("angles", "The angle grows with the noise, and a little with the dimension of the space.")
    axes = figure.add_subplot(
        xscale="log",
        yscale="log",
        xlabel="standard deviation of the noise (that of the points in the plane is 1)",
        ylabel="angle between planes (degrees)",
        title=f"Planes of best fit to {POINTS} noisy points of a plane",
    )
    rows = []
    for n, colour in zip(DIMENSIONS, ["tab:blue", "tab:orange", "tab:green"], strict=True):
        true = np.linalg.qr(rng.normal(size=(trials, n, 2)))[0]
        angles = np.empty((len(NOISES), trials))
        for i, noise in enumerate(NOISES):
            points = rng.normal(size=(trials, POINTS, 2)) @ true.mT + noise * rng.normal(size=(trials, POINTS, n))
            _, found = step(points + rng.normal(size=(trials, 1, n)))  # the planes do not go through 0
            angles[i] = [np.rad2deg(subspace_angles(a, b)[0]) for a, b in zip(true, found, strict=True)]
        low, middle, high = np.quantile(angles, [0.1, 0.5, 0.9], axis=1)
        axes.fill_between(NOISES, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(NOISES, middle, "o-", color=colour, label=f"a plane in {n} dimensions")
        rows.append([f"{n}", *middle])
    axes.legend(frameon=False, title="median, and from 10 % to 90 %")
    header = ["dimensions", *(f"noise {noise:g}" for noise in NOISES)]
    results.table(f"Median angle to the true plane, in degrees, of {trials} trials", header, rows)
    results.number("angle in 10 dimensions at noise 0.1 (degrees)", rows[-1][1 + NOISES.index(0.1)])


def digits(results: Results, env: lg.VariableEnvironment, given: Any) -> None:
    """1,797 digits of 64 pixels: the share of their variance that lies in the plane, here and in scikit-learn."""
    x = load_digits().data / 16
    sizes = [1, 10] if given.quick else SIZES

    def fit(ctx, points):
        planes = [plane_of_best_fit(points, k) for k in sizes]  # equal decompositions are made once
        total = lg.sum(lg.square(points - planes[0][0]))
        return [lg.sum(lg.square(residuals(points, *plane))) / total for plane in planes]

    missing = runner(env, fit, given.mode)(x)
    theirs = [PCA(k, svd_solver="full").fit(x).explained_variance_ratio_.sum() for k in sizes]
    shares = [1 - float(share) for share in missing]
    rows = [[f"{k}", f"{100 * a:.4f} %", f"{100 * b:.4f} %"] for k, a, b in zip(sizes, shares, theirs, strict=True)]
    results.table("Share of the variance of the digits in the plane", ["k", "lazygrad", "scikit-learn"], rows)
    results.number("share of the variance at k = 10", shares[sizes.index(10)])
    results.number("difference from scikit-learn below 1e-12", np.max(np.abs(np.subtract(shares, theirs))) < 1e-12)


def by_descent(results: Results, rng: Any, env: lg.VariableEnvironment, given: Any) -> None:
    """The plane of two dimensions for the digits by descent: QR in the graph makes the basis orthonormal."""
    x = load_digits().data[: 300 if given.quick else None] / 16
    steps = 200 if given.quick else 600
    mean = env.name("mean").set(np.zeros(64))
    free = env.name("free").set(np.linalg.qr(rng.normal(size=(64, 2)))[0])
    sgd = lg.optim.SGD(env, learning_rate=0.5)  # across the plane the second derivative of the loss is 2

    def descend(ctx, points):
        basis = lg.linalg.qr(ctx.variable(free)).Q
        loss = lg.sum(lg.square(residuals(points, ctx.variable(mean), basis))) / points.shape[0]
        return loss, sgd.minimize(loss)

    def angle(ctx, points):
        found, best = lg.linalg.qr(ctx.variable(free)).Q, plane_of_best_fit(points, 2)[1]
        return lg.linalg.svdvals(found - best @ (best.mT @ found))[0]  # the sine of the largest angle between them

    step: Callable[..., Any] = runner(env, descend, given.mode)
    losses = [float(step(x)[0]) for _ in progress(steps)]
    least = float(env.run(lambda ctx, points: lg.sum(lg.square(residuals(points, *plane_of_best_fit(points, 2)))), x))
    results.number("squared distance by the decomposition", least / len(x))
    results.number("squared distance by descent", losses[-1])
    results.number("angle between the two (degrees)", np.rad2deg(np.arcsin(float(env.run(angle, x)))))

    figure = results.figure("descent", "Gradient descent comes to the plane that the decomposition gives at once.")
    axes = figure.add_subplot(
        yscale="log",
        xlabel="steps of gradient descent",
        ylabel="excess over the least mean squared distance",
        title="The plane of best fit to the digits, found by gradient descent",
    )
    axes.plot(np.maximum(np.array(losses) - least / len(x), 1e-16), color="tab:blue")


if __name__ == "__main__":
    start(main)
