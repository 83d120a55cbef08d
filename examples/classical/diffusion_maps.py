"""Diffusion maps (Coifman and Lafon 2006) of two nested rings and of handwritten digits, on a sparse Gaussian kernel.

Each point knows its 15 nearest neighbours: W_ij = exp(−‖xᵢ − xⱼ‖² / ε), made symmetric, with row sums dᵢ. A walk that
goes from i to j with the probability W_ij / dᵢ has the eigenvectors ψ = D^(−1/2) u with D^(−1/2) W D^(−1/2) u = λu.
After one step of it, point i lies at (λ₁ψ₁ᵢ, λ₂ψ₂ᵢ); ψ₀ is constant. SciPy's LOBPCG asks for nothing but products with
the sparse matrix, a compiled gather and sum by rows. scikit-learn's spectral embedding asks ARPACK.

    python examples/classical/diffusion_maps.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.linalg import lobpcg
from sklearn.datasets import load_digits, make_circles
from sklearn.manifold import spectral_embedding
from sklearn.neighbors import kneighbors_graph

import lazygrad as lg
from beside import Beside, host, start, unit


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Map both in both ways; the numbers that were found."""
    run = Beside("diffusion_maps", __doc__, argv)
    n = 400 if run.quick else 1797
    rings, ring = make_circles(n, noise=0.09, factor=0.5, random_state=run.seed)
    digits, digit = (array[:n] for array in load_digits(return_X_y=True))
    digits = digits + run.rng.uniform(-0.5, 0.5, digits.shape)  # whole numbers have neighbours of equal distance
    first = run.rng.normal(size=(n, 7))

    @run.step
    def neighbours(ctx: lg.Context, x: lg.Tensor) -> Any:
        squares = lg.sum(lg.square(x), axis=1)
        closeness, index = lg.top_k(2 * x @ x.T - squares - squares[:, None], 16)
        return -closeness[:, 1:], index[:, 1:]  # without the point itself

    @run.step
    def product(ctx: lg.Context, w: lg.Tensor, row: lg.Tensor, column: lg.Tensor, u: lg.Tensor) -> lg.Tensor:
        return lg.segment_sum(w[:, None] * lg.take(u, column, axis=0), row, n)

    def kernel(squared: Any, row: Any, column: Any) -> Any:
        one_way = coo_array((np.exp(-squared / np.median(squared)), (row, column)), (n, n)).tocsr()
        return ((one_way + one_way.T) / 2).tocoo()

    def ours() -> list[Any]:
        maps = []
        for x in (rings, digits):
            squared, index = map(host, neighbours(x))
            w = kernel(squared.ravel(), np.repeat(np.arange(n), 15), index.ravel())
            root = np.sqrt(w.sum(axis=1))
            given = w.data / root[w.row] / root[w.col], w.row.astype(np.int64), w.col.astype(np.int64)
            begin = np.column_stack([root, first])
            values, u = lobpcg(lambda u, given=given: host(product(*given, u)), begin, tol=1e-8, maxiter=500)
            maps.append((values[1:3], (u / root[:, None])[:, 1:3]))
        return maps

    def theirs() -> list[Any]:
        graphs = [kneighbors_graph(x, 15, mode="distance").tocoo() for x in (rings, digits)]
        kernels = [kernel(graph.data**2, graph.row, graph.col) for graph in graphs]
        return [spectral_embedding(w.tocsr(), n_components=2, eigen_solver="arpack", random_state=0) for w in kernels]

    maps, others = run.race(ours, theirs, repeats=3)
    figure = run.figure("maps", "Two rings, their diffusion map, and the map of the digits.", (10, 3.4))
    left, *rest = figure.subplots(1, 3)
    left.scatter(*rings.T, c=ring, s=4, cmap="tab10")
    for axes, name, colours, (values, vectors), other in zip(rest, ("rings", "digits"), (ring, digit), maps, others):
        run.agree(f"eigenvectors, {name}", unit(vectors), unit(other), 1e-5)
        run.number(f"first eigenvalue below 1, {name}", values[0])
        axes.scatter(*(values * vectors).T, c=colours, s=4, cmap="tab10")
        axes.set(title=f"Diffusion map of the {name}", xticks=[], yticks=[])
    return run.write()


if __name__ == "__main__":
    start(main)
