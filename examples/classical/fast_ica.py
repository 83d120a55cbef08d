"""Independent component analysis by FastICA (Hyvärinen 1999): two photographs, mixed, are told apart again.

The whitened mixtures z, with a unit covariance, are turned by an orthogonal W so that the rows of s = Wz are as far
from Gaussian as can be, measured by G(s) = log cosh s. With its derivatives g and g′, all rows move at once:

    W ← E[g(s) zᵀ] − diag(E[g′(s)]) W,     then  W ← (WWᵀ)^(−1/2) W,

until W turns no more. Both derivatives are taken of G as it is written. Components have no order and no sign.

    python examples/classical/fast_ica.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import FastICA

import lazygrad as lg
from beside import Beside, host, start


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("fast_ica", __doc__, argv)
    every = 6 if run.quick else 1
    pictures = np.stack([image[::every, ::every].mean(axis=-1) for image in load_sample_images().images])
    sources = pictures.reshape(2, -1)
    mixed = np.array([[0.6, 0.4], [0.35, 0.65]]) @ sources
    first = np.linalg.qr(run.rng.normal(size=(2, 2)))[0]

    @run.step
    def whiten(ctx: lg.Context, mixed: lg.Tensor) -> lg.Tensor:
        centred = mixed - lg.mean(mixed, axis=1, keepdims=True)
        values, vectors = lg.linalg.eigh(centred @ centred.T / mixed.shape[1])
        vectors = lg.flip(vectors * lg.sign(vectors[0]) / lg.sqrt(values), axis=1)  # in scikit-learn's order and sign
        return vectors.T @ centred

    @run.step
    def iteration(ctx: lg.Context, z: lg.Tensor, w: lg.Tensor) -> Any:
        s = w @ z
        g = lg.grad(lg.sum(lg.logaddexp(s, -s)), s)  # log cosh s, but for a constant
        curvature = lg.mean(lg.grad(g, s), axis=1, keepdims=True)
        moved = g @ z.T / z.shape[1] - curvature * w
        values, vectors = lg.linalg.eigh(moved @ moved.T)
        turned = (vectors / lg.sqrt(values)) @ vectors.T @ moved
        return turned, lg.max(lg.abs(lg.abs(lg.sum(turned * w, axis=1)) - 1))

    def ours() -> Any:
        z, w, turn, iterations = whiten(mixed), first, 1.0, 0
        while turn > 1e-8:
            (w, turn), iterations = iteration(z, w), iterations + 1
        return host(w @ z), iterations

    def theirs() -> Any:
        other = FastICA(whiten="unit-variance", w_init=first, tol=1e-8, fun="logcosh")
        return other.fit_transform(mixed.T).T, other.n_iter_

    (found, iterations), (others, their_iterations) = run.race(ours, theirs)
    run.agree("components", found, others, 1e-6)
    run.agree("iterations", iterations, their_iterations, 0)
    correlation = np.corrcoef(np.vstack([sources, found]))[:2, 2:]
    match = np.abs(correlation).argmax(axis=1)  # which component is which photograph
    for name, row in zip(("temple", "flower"), correlation, strict=True):
        run.number(f"correlation of the {name} with its component", np.abs(row).max())
    figure = run.figure("photographs", "Two photographs, two mixtures of them, and what is found in these.", (8, 4.1))
    signs = np.sign(correlation[[0, 1], match])[:, None]
    rows = {"photograph": sources, "mixture": mixed, "component": found[match] * signs}
    for column, (name, images) in zip(figure.subplots(2, 3).T, rows.items(), strict=True):
        for axes, image in zip(column, images, strict=True):
            axes.imshow(image.reshape(pictures.shape[1:]), cmap="gray")
            axes.set(xticks=[], yticks=[], title=name)
    return run.write()


if __name__ == "__main__":
    start(main)
