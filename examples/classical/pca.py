"""Principal component analysis (Pearson 1901, Hotelling 1933) of 1,797 handwritten digits of 8 × 8 pixels.

The centred images X = U S Vᵀ (singular value decomposition) vary most along the first columns of V:

    vₖ = argmax ‖Xv‖² over unit vectors v ⟂ v₁, …, vₖ₋₁,     variance along vₖ = Sₖ² / (n − 1).

Coordinates of an image are its row of U S. With the first ten, an image is drawn again from ten numbers in place of 64.

    python examples/classical/pca.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import lazygrad as lg
from beside import Beside, host, start

KEPT = 10


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Fit both; the numbers that were found."""
    run = Beside("pca", __doc__, argv)
    x, labels = load_digits(return_X_y=True)
    n = len(x)

    def fit(ctx: lg.Context, x: lg.Tensor) -> Any:
        mean = lg.mean(x, axis=0)
        _, s, vt = lg.linalg.svd(x - mean, full_matrices=False)
        # A component has no sign of its own; as in scikit-learn, its largest number is positive.
        sign = lg.sign(lg.take_along_axis(vt, lg.argmax(lg.abs(vt), axis=1)[:, None], axis=1))
        components = (sign * vt)[:KEPT]
        coordinates = (x - mean) @ components.T
        again = mean + coordinates @ components
        return components, lg.square(s) / (n - 1), coordinates, again

    step = run.step(fit)

    def theirs() -> Any:
        other = PCA(KEPT, svd_solver="full")
        return other, other.fit_transform(x)

    (components, variances, coordinates, again), (other, others) = run.race(lambda: step(x), theirs)
    components, variances, coordinates, again = map(host, (components, variances, coordinates, again))
    run.agree("components", components, other.components_, 1e-8)
    run.agree("variances", variances[:KEPT], other.explained_variance_, 1e-8)
    run.agree("coordinates", coordinates, others, 1e-8)
    run.agree("images from ten numbers", again, other.inverse_transform(others), 1e-8)
    parts = variances / variances.sum()
    run.number("part of the variance along two components", parts[:2].sum())
    run.number("part of the variance along ten components", parts[:KEPT].sum())

    figure = run.figure(
        "digits", "The digits along two components; the first ten; four digits from ten numbers each.", (9, 4)
    )
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.1])
    axes = left.add_subplot(xlabel="first component", ylabel="second component")
    points = axes.scatter(*coordinates[:, :2].T, c=labels, cmap="tab10", s=5, linewidths=0)
    axes.legend(
        *points.legend_elements(), fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False
    )
    pictures = [*components, *np.stack([x[:5], again[:5]]).reshape(10, -1)]
    rows = ["components 1 to 5", "6 to 10", "images", "from ten numbers"]
    for number, (axes, pixels) in enumerate(zip(right.subplots(4, 5).flat, pictures, strict=True)):
        axes.imshow(pixels.reshape(8, 8), cmap="RdBu_r" if number < KEPT else "gray_r")
        axes.set(xticks=[], yticks=[])
        if number % 5 == 2:
            axes.set_title(rows[number // 5], fontsize="small")
    return run.write()


if __name__ == "__main__":
    start(main)
