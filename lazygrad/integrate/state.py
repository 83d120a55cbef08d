"""The state of an equation as a list of tensors, and the function that gives its slope."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import DefinitionError, SpecError, report
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import shown
from lazygrad.ops.movement import astype
from lazygrad.trees import leaves, rebuilt, structure

__all__ = ["Equation", "moved", "posed"]

Parts = list[Tensor]


class Equation(NamedTuple):
    """dy/dt = f(t, y), with y as a list of its leaves.

    Attributes:
        what: the function that the user called, for messages.
        f: the user's function of the time and the state.
        tree: a state, for its nesting.
        paths: what each leaf is called.
        first: the state at the beginning.
        times: where the state is wanted, of shape (T,).
    """

    what: str
    f: Callable[[Any, Any], Any]
    tree: Any
    paths: list[str]
    first: Parts
    times: Tensor

    def slope(self, t: Tensor, y: Parts) -> Parts:
        """f(t, y), a tensor for each of y, of its shape and dtype.

        Raises:
            SpecError: the function gives another nesting, another shape, or wider numbers.
        """
        found = self.f(t, rebuilt(self.tree, y))
        if structure(found) != structure(self.tree):
            facts = [f"state:  {shown(self.tree)}", f"slope:  {shown(found)}"]
            cure = "f(t, y) gives dy/dt, nested as y is."
            raise SpecError(
                report(f"cannot {self.what}: f gives another structure than y", at=here(), facts=facts, cure=cure)
            )
        return [
            self._fitting(path, one, tensor(leaf, y[0].graph if not isinstance(leaf, Tensor) else None))
            for path, one, (_, leaf) in zip(self.paths, y, leaves(found), strict=True)
        ]

    def _fitting(self, path: str, y: Tensor, slope: Tensor) -> Tensor:
        if slope.shape != y.shape or not np.can_cast(slope.dtype, y.dtype, "same_kind"):
            facts = [f"y{path}:      {y.spec}", f"dy/dt{path}:  {slope.spec}"]
            cure = "f(t, y) gives dy/dt, of the shape of y, in floating numbers."
            raise SpecError(
                report(f"cannot {self.what}: the slope does not fit y{path}", at=here(), facts=facts, cure=cure)
            )
        return astype(slope, y.dtype)

    def nested(self, new: Sequence[Any]) -> Any:
        """Others in the nesting of the state."""
        return rebuilt(self.tree, new)


def posed(what: str, f: Callable[[Any, Any], Any], y0: Any, t: Any) -> Equation:
    """What was given, checked.

    Raises:
        DefinitionError: ``f`` is not a function.
        SpecError: the state is not of floating numbers; the times are no vector, or do not go in one direction.
    """
    if not callable(f):
        cure = f"Give {what}(f, y0, t): f(t, y) gives dy/dt."
        raise DefinitionError(report(f"cannot {what} {f!r:.60}: it is not a function", at=here(), cure=cure))
    graph = current_graph(what)
    named = leaves(y0)
    if not named:
        raise SpecError(report(f"cannot {what} from {y0!r:.60}: there is no state", at=here(), cure="Give a tensor."))
    first = [_floating(what, graph, path, leaf) for path, leaf in named]
    return Equation(what, f, y0, [path for path, _ in named], first, _times(what, graph, t))


def _floating(what: str, graph: Graph, path: str, leaf: Any) -> Tensor:
    y = tensor(leaf, None if isinstance(leaf, Tensor) else graph)
    if y.dtype.kind == "f":
        return y
    if y.dtype.kind in "iu" and not isinstance(leaf, Tensor):  # a whole number that was written down, such as 1
        return astype(y, graph.dtype)
    cure = "It changes by small steps: give floating numbers, such as lg.astype(y0, 'float64')."
    raise SpecError(report(f"cannot {what} from y0{path}, {y.spec}", at=here(), cure=cure))


def _times(what: str, graph: Graph, t: Any) -> Tensor:
    if not isinstance(t, Tensor):
        steps = np.diff(np.asarray(t, dtype=np.float64).ravel())
        if not ((steps > 0).all() or (steps < 0).all()):
            facts = [f"t:  {np.array2string(np.asarray(t), threshold=6)}"]
            cure = "Give times that rise from the first to the last, or fall."
            raise SpecError(
                report(f"cannot {what}: the times do not go in one direction", at=here(), facts=facts, cure=cure)
            )
    times = tensor(t, None if isinstance(t, Tensor) else graph)
    if times.ndim != 1 or not times.size or times.dtype.kind not in "fiu":
        cure = "t is a vector: the time of y0, then the times at which the state is wanted."
        raise SpecError(report(f"cannot {what} at {times.spec}", at=here(), cure=cure))
    return times if times.dtype.kind == "f" else astype(times, graph.dtype)


def moved(y: Parts, h: Tensor, weights: Sequence[float], slopes: Sequence[Parts]) -> Parts:
    """y + h·Σᵢ wᵢ·kᵢ."""
    return [one + astype(h, one.dtype) * summed(weights, [k[i] for k in slopes]) for i, one in enumerate(y)]


def summed(weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    """Σᵢ wᵢ·xᵢ, without those whose weight is 0."""
    products = [w * x for w, x in zip(weights, terms, strict=True) if w]
    total = products[0]
    for product in products[1:]:
        total = total + product
    return total
