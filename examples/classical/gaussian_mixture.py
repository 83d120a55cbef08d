"""A mixture of three Gaussian distributions of iris flowers, by expectation maximisation (Dempster et al. 1977).

    ℓ = Σᵢ log Σₖ exp zᵢₖ,     zᵢₖ = log πₖ + log N(xᵢ; μₖ, Σₖ),     rᵢₖ = ∂ℓ/∂zᵢₖ,     nₖ = Σᵢ rᵢₖ,
    πₖ ← nₖ/n,   μₖ ← Σᵢ rᵢₖ xᵢ / nₖ,   Σₖ ← Σᵢ rᵢₖ (xᵢ − μₖ)(xᵢ − μₖ)ᵀ / nₖ + 1e-6 I.

ℓ is the logarithm of the likelihood; its gradient r is the expectation: how probably flower i comes from component k.
Both begin with the weights, means and covariances of the clusters that k-means finds. Neither sees the species.

    python examples/classical/gaussian_mixture.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

import lazygrad as lg
from beside import Beside, host, start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("gaussian_mixture", __doc__, argv)
    x, species = load_iris(return_X_y=True)
    found, tolerance = KMeans(3, n_init=10, random_state=run.seed).fit_predict(x), 1e-7
    moments = [(len(c) / len(x), c.mean(axis=0), np.cov(c.T)) for c in (x[found == k] for k in range(3))]
    first = [np.stack(arrays) for arrays in zip(*moments, strict=True)]

    @run.step
    def step(ctx: lg.Context, x: lg.Tensor, pi: lg.Tensor, mu: lg.Tensor, sigma: lg.Tensor) -> Any:
        factor = lg.linalg.cholesky(sigma)
        scaled = lg.linalg.solve_triangular(factor, lg.matrix_transpose(x - mu[:, None]), lower=True)
        norm = lg.sum(lg.log(lg.linalg.diagonal(factor)), axis=-1) + x.shape[1] / 2 * np.log(2 * np.pi)
        z = (lg.log(pi) - norm)[:, None] - 0.5 * lg.sum(lg.square(scaled), axis=1)
        likelihood = lg.sum(lg.logsumexp(z, axis=0))
        r = lg.grad(likelihood, z)
        n = lg.sum(r, axis=1)
        mu = r @ x / n[:, None]
        away = x - mu[:, None]
        sigma = lg.matrix_transpose(r[..., None] * away) @ away / n[:, None, None] + 1e-6 * np.eye(x.shape[1])
        return (n / len(x), mu, sigma), likelihood / len(x), lg.argmax(r, axis=0)

    def ours() -> Any:
        state, likelihoods = first, [-np.inf]
        while len(likelihoods) < 3 or abs(likelihoods[-1] - likelihoods[-2]) >= tolerance:
            state, likelihood, _ = step(x, *state)
            likelihoods.append(float(likelihood))
        return [*map(host, state)], len(likelihoods) - 1, *map(host, step(x, *state)[1:])

    def theirs() -> GaussianMixture:
        begin = {"weights_init": first[0], "means_init": first[1], "precisions_init": np.linalg.inv(first[2])}
        return GaussianMixture(3, tol=tolerance, max_iter=1000, **begin).fit(x)

    (state, iterations, likelihood, labels), other = run.race(ours, theirs)
    run.agree("log-likelihood of a flower", likelihood, other.score(x), 1e-8)
    run.agree("iterations", iterations, other.n_iter_, 0)
    run.agree("components of the flowers", labels, other.predict(x), 0)
    for name, array in zip(("weights", "means", "covariances"), state, strict=True):
        run.agree(name, array, getattr(other, f"{name}_"), 1e-6)
    run.number("log-likelihood of a flower", likelihood)
    run.number("iterations", iterations)
    run.number("adjusted Rand index with the species", adjusted_rand_score(species, labels))
    figure = run.figure("flowers", "Flowers by species, with two standard deviations around each mean.")
    axes = figure.add_subplot(xlabel="sepal width, cm", ylabel="petal length, cm", title="Iris as three Gaussians")
    axes.scatter(x[:, 1], x[:, 2], c=species, cmap="Set2", s=16)
    circle = 2 * np.stack([np.cos(np.linspace(0, 2 * np.pi, 100)), np.sin(np.linspace(0, 2 * np.pi, 100))])
    for mu, sigma in zip(*state[1:], strict=True):
        axes.plot(*(mu[1:3, None] + np.linalg.cholesky(sigma[1:3, 1:3]) @ circle), color="0.3")
    return run.write()


if __name__ == "__main__":
    start(main)
