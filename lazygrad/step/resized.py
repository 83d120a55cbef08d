"""A step written again for arrays of other sizes, to see what depends on them; nothing is computed or compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.export.source import Outline
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Spec
from lazygrad.step.called import is_array
from lazygrad.step.context import Context
from lazygrad.step.traced import Traced
from lazygrad.trees import leaves, rebuilt

if TYPE_CHECKING:
    from lazygrad.step.compiled import Compiled

__all__ = ["resized"]


def resized(
    step: Compiled, args: tuple[Any, ...], specs: Sequence[Spec], keep: bool = False
) -> tuple[Traced, Outline, list[Any]]:
    """The step as it is traced for arguments like these of other specs, what it wrote, and arrays that it was given.

    Args:
        step: a compiled step, whose own traces stay as they are.
        args: its arguments.
        specs: one for each array among them, in order.
        keep: whether variables that it registers stay.

    Raises:
        Exception: whatever the step raises for arrays of these specs.
    """
    env, rest = step._env, iter(specs)
    arrays: list[Any] = []

    def placed(leaf: Any) -> Any:
        if not is_array(leaf):
            return leaf
        spec = next(rest)
        arrays.append(np.zeros(spec.shape, spec.dtype))
        return arrays[-1]

    given = tuple([rebuilt(tree, [placed(leaf) for _, leaf in leaves(tree)]) for tree in args])
    graph = Graph(env.dtype)
    context = Context(env, graph, {}, True, step._precision)

    with env._store.lock:
        entry = env._write(graph, lambda: step._traced(context, given, {}, shared=False), keep)
    return entry, Outline.of(graph), arrays
