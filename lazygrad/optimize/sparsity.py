"""A sparse Jacobian from few products: columns that share no row are computed together.

A. R. Curtis, M. J. D. Powell, J. K. Reid, "On the estimation of sparse Jacobian matrices", 1974.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.optimize.problem import Vector

__all__ = ["sparse_jacobian"]


def sparse_jacobian(
    sparsity: Any, count: int, size: int, along: Callable[[Vector, Vector], Vector]
) -> Callable[[Vector], Any]:
    """The Jacobian as a sparse matrix, as a function of the vector.

    Args:
        sparsity: an array or a sparse matrix that is not zero where the Jacobian may not be, of shape [count, size].
        count: how many residuals there are.
        size: the length of the vector.
        along: the Jacobian times a vector.

    Raises:
        SpecError: it has another shape.
    """
    from scipy.sparse import csr_matrix

    places = csr_matrix(sparsity) if getattr(sparsity, "ndim", 2) == 2 else None
    if places is None or places.shape != (count, size):
        shape = list(getattr(sparsity, "shape", np.shape(sparsity)))
        facts = [f"jac_sparsity:  {shape}", f"Jacobian:      {[count, size]}, a row a residual, a column a number"]
        cure = "Give a matrix of zeros, and of ones where a residual depends on a number."
        raise SpecError(report("jac_sparsity has another shape than the Jacobian", at=here(), facts=facts, cure=cure))
    places.eliminate_zeros()
    places.sort_indices()
    group = _groups(places)
    together = np.zeros((int(group.max(initial=-1)) + 1, size))
    together[group, np.arange(size)] = 1.0
    rows = np.repeat(np.arange(count), np.diff(places.indptr))
    columns = places.indices

    def jacobian(x: Vector) -> Any:
        products = np.stack([along(x, v) for v in together])
        return csr_matrix((products[group[columns], rows], columns, places.indptr), shape=(count, size))

    return jacobian


def _groups(places: Any) -> Any:
    """For each column the number of its group, each the first in which no column shares a row with it."""
    columns = places.tocsc()
    taken: list[Any] = []  # for each group the rows that it has
    found = np.empty(places.shape[1], dtype=np.intp)
    for k in range(places.shape[1]):
        rows = columns.indices[columns.indptr[k] : columns.indptr[k + 1]]
        number = next((g for g, occupied in enumerate(taken) if not occupied[rows].any()), len(taken))
        if number == len(taken):
            taken.append(np.zeros(places.shape[0], dtype=bool))
        taken[number][rows] = True
        found[k] = number
    return found
