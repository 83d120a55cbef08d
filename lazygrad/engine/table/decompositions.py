"""A node of linear algebra -> what is computed of which matrices by calls of LAPACK."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from lazygrad.engine.emit.lapack import Decomposition, Matrix
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.ways import Ways
from lazygrad.engine.trace.reading import Decomposed
from lazygrad.graph.spec import Shape, Spec

__all__ = ["call_of", "results_of"]


def results_of(ways: Ways, node: int) -> list[int | None]:
    """The nodes of a node's results: itself, or of each of several the item that is wanted, if it is."""
    it = ways.nodes[node]
    if isinstance(it.spec, Spec):
        return [node]
    items = ways.results.get(node, {})
    return [items.get(index) for index in range(len(it.spec))]


def call_of(ways: Ways, node: int) -> Decomposition:
    """What is computed of every matrix of the batch."""
    it = ways.nodes[node]
    what = cast(Decomposed, ways.reading[node])
    views = [cast(View, ways.view(j)) for j in it.inputs]
    specs = [it.spec] if isinstance(it.spec, Spec) else list(it.spec)
    batch: Shape = tuple(np.broadcast_shapes(*(view.shape[:-2] for view in views)))
    sizes = tuple([spec.size // int(np.prod(batch)) for spec in specs])
    needed = tuple([i is not None for i in results_of(ways, node)])
    operands = tuple([_matrix(view, batch) for view in views])
    return Decomposition(what.what, what.settings, specs[0].dtype, batch, operands, sizes, needed)


def _matrix(view: View, batch: Shape) -> Matrix:
    own = view.shape[:-2]
    steps = [0 if n == 1 else step for n, step in zip(own, view.steps[:-2], strict=True)]
    missing: tuple[Any, ...] = (0,) * (len(batch) - len(own))
    rows, columns = view.shape[-2:]
    return Matrix(rows, columns, (*missing, *steps), view.steps[-2], view.steps[-1])
