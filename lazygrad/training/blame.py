"""What made the first loss of a training not finite: the line where it came up, and what it was computed from."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lazygrad.define.kinds import tensor
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Spec
from lazygrad.ops.comparison import isfinite
from lazygrad.ops.reduction import all as all_of
from lazygrad.ops.source import placeholder, variable
from lazygrad.step.effects import needed
from lazygrad.training.steps import Step, named

__all__ = ["blamed"]

_MOST = 8  # names that are shown


def blamed(step: Step, metric: str, batch: Sequence[Any]) -> list[str]:
    """Facts about the first value that is not finite though what it is computed from is.

    The step is run again, with all that it does: what it changes is for the caller to take back.

    Args:
        step: the step.
        metric: what it returns that is not finite.
        batch: what it was given.
    """
    kept: dict[str, Any] = {}

    def look(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        result = step.function(ctx, *args, **kwargs)
        root = tensor(dict(named(result))[metric], ctx.graph)  # it may be a number of Python's
        graph = ctx.graph
        kept.update(graph=graph, root=root.index)
        looked = [i for i in sorted(needed(graph, [root.index])) if _is_floating(graph, i)]
        return {i: all_of(isfinite(graph.tensor(i))) for i in looked}, result

    with suppress(TypeError, ValueError):
        look.__signature__ = inspect.signature(step.function)  # type: ignore[attr-defined]
    args, kwargs = step.given(batch)
    finite, _ = step.env.run(look, *args, **kwargs)
    graph, index = kept["graph"], kept["root"]
    while wild := [i for i in graph.nodes[index].inputs if not finite.get(i, True)]:
        index = wild[0]
    return _facts(graph, index, step.names(len(batch)))


def _facts(graph: Graph, index: int, arguments: Sequence[str]) -> list[str]:
    sources = [graph.nodes[i] for i in sorted(needed(graph, [index]))]
    read = [repr(node.params["name"]) for node in sources if node.of(variable)]
    given = [repr(name) for node in sources if node.of(placeholder) and (name := node.params["name"]) in arguments]
    facts = []
    if graph.nodes[index].inputs:
        facts.append(f"comes from:  {graph.origins[index].text}   {graph.describe(index)}")
    for kind, names in (("variables: ", read), ("arguments: ", given)):
        listed = list(dict.fromkeys(names))
        facts += [f"{kind}  {', '.join(listed[:_MOST])}{', …' if len(listed) > _MOST else ''}"] if listed else []
    return facts


def _is_floating(graph: Graph, index: int) -> bool:
    spec = graph.nodes[index].spec
    return isinstance(spec, Spec) and spec.dtype.kind == "f"
