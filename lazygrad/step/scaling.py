"""The scale of a loss in half precision: gradients are taken of the scaled loss, and steps where they overflow skipped.

float16 has no numbers between 0 and 6·10⁻⁸ and none beyond 65504. Cotangents are often smaller than that, so they
are computed of the loss times a scale, and gradients divided by it (Micikevicius et al. 2018, "Mixed precision
training", section 3.2). The scale is halved when a gradient is not finite, and doubled after many that are. All of it
is nodes of the graph and two variables: no number is looked at on the way, so nothing waits, and files have it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lazygrad.errors import SpecError, VariableError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import maximum, minimum
from lazygrad.ops.comparison import equal, isfinite, logical_and, where
from lazygrad.ops.movement import broadcast_to
from lazygrad.ops.reduction import all
from lazygrad.ops.source import assign
from lazygrad.ops.workers import total
from lazygrad.step.effects import needed

if TYPE_CHECKING:
    from lazygrad.step.context import Context

__all__ = ["NAMESPACE", "PRECISIONS", "LossScaling", "checked_precision"]

# To which dtype the operands of products are rounded. bfloat16 has the range of float32, and needs no scale.
PRECISIONS = {"mixed": "float16", "mixed-bfloat16": "bfloat16"}
NAMESPACE = "mixed_precision"
FIRST = 2.0**15  # the scale at first
PATIENCE = 2000  # finite steps after which it is doubled
LEAST, MOST = 1.0, 2.0**24  # where it stays


def checked_precision(precision: Any, dtype: np.dtype[Any]) -> str:
    """``precision``, if a step of an environment of ``dtype`` can be computed with it.

    Raises:
        SpecError: there is none of this name, or the environment is not one of float32.
    """
    if precision not in PRECISIONS:
        cure = nearest(str(precision), PRECISIONS) + f" Without it a step computes in {dtype}, as its environment does."
        raise SpecError(report(f"there is no precision {precision!r:.60}", at=here(), cure=cure))
    if dtype != np.float32:
        facts = [f"precision:    {precision!r}, products of {PRECISIONS[precision]} summed in float32"]
        facts += [f"environment:  {dtype}"]
        cure = "Leave precision out, or make the environment lg.VariableEnvironment(dtype='float32')."
        what = f"cannot compute with precision={precision!r} in an environment of {dtype}"
        raise SpecError(report(what, at=here(), facts=facts, cure=cure))
    return str(precision)


class _Gradients(NamedTuple):
    """Gradients that have been taken in a step: their nodes, and whether all are finite."""

    grads: frozenset[int]
    finite: Tensor


class LossScaling:
    """What is scaled in one call of a step."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._taken: list[_Gradients] = []

    def seeds(self, ys: Sequence[Tensor], seeds: Sequence[Tensor] | None) -> list[Tensor]:
        """The cotangents to start from, times the scale."""
        scale = self._read("scale", np.float32(FIRST))
        if seeds is None:
            return [broadcast_to(scale.astype(y.dtype), y.shape) for y in ys]
        return [g * scale.astype(g.dtype) for g in seeds]

    def unscaled(self, grads: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the scaled loss, divided by the scale. Whether they are finite is remembered."""
        scale = self._read("scale", np.float32(FIRST))
        finite: Any = None
        for g in grads:
            one = all(isfinite(g))
            finite = one if finite is None else logical_and(finite, one)
        self._taken.append(_Gradients(frozenset(g.index for g in grads), finite))
        # The scale is a power of two, unless the user sets another: then this divides as exactly as it multiplied.
        return [g / scale.astype(g.dtype) for g in grads]

    def guarded(self, roots: Sequence[int]) -> tuple[int, ...]:
        """The roots of a run, with assignments that are made only if all gradients that it takes are finite.

        The scale changes with them. Where nothing is assigned, or no gradient taken, all stays as it is.
        """
        graph = self._context.graph
        nodes = graph.nodes
        if not any(nodes[i].of(assign) for i in roots):
            return tuple(roots)
        along = needed(graph, roots)
        flags = [taken.finite for taken in self._taken if not along.isdisjoint(taken.grads)]
        if not flags:
            return tuple(roots)
        before, made = graph.origin, list[int]()
        try:
            finite = flags[0]
            for flag in flags[1:]:
                finite = logical_and(finite, flag)
            if self._context.among.size > 1:  # what one worker skips, all skip
                finite = equal(total(where(finite, np.float32(0), np.float32(1))), 0)
            for i in roots:
                graph.origin = graph.origins[i]
                made.append(self._assigned(i, finite) if nodes[i].of(assign) else i)
            return (*made, *self._adjusted(finite))
        finally:
            graph.origin = before

    def _assigned(self, index: int, finite: Tensor) -> int:
        """An assignment of the new value, or of the one that there is."""
        graph = self._context.graph
        node = graph.nodes[index]
        name = node.params["name"]
        new = graph.tensor(node.inputs[0])
        return assign(where(finite, new, self._context._before(name)), name=name).index

    def _adjusted(self, finite: Tensor) -> list[int]:
        """Assignments of the scale that the next step has, and of the number of finite steps with it."""
        scale = self._read("scale", np.float32(FIRST))
        good = where(finite, self._read("good", np.int64(0)) + 1, 0)
        patient = good >= PATIENCE
        larger = where(patient, minimum(scale * 2, MOST), scale)
        changed = where(finite, larger, maximum(scale / 2, LEAST))
        assigned = {"scale": changed, "good": where(patient, 0, good)}
        return [assign(value, name=f"{NAMESPACE}/{name}").index for name, value in assigned.items()]

    def _read(self, name: str, first: np.generic) -> Tensor:
        """A variable of the scaling, registered where there is none yet."""
        env, path = self._context.env, f"{NAMESPACE}/{name}"
        if path not in env._store.variables:
            env._register(path, np.asarray(first), trainable=False)
        found, wanted = env._store.find(path), Spec((), first.dtype)
        if found.spec != wanted or found.trainable:
            facts = [f"wanted:      {wanted}, not trainable", f"registered:  {found!r}"]
            cure = f"In the namespace {NAMESPACE!r} lies the scale of the loss: name your variable otherwise."
            raise VariableError(report(f"cannot use variable {path!r}", at=here(), facts=facts, cure=cure))
        return self._context._before(path)
