"""What made a value not finite: the line where it came up, and the variables that it was computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, Origin, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.comparison import isfinite
from lazygrad.ops.reduction import all as all_of
from lazygrad.ops.source import variable
from lazygrad.optimize.flat import called
from lazygrad.optimize.problem import Problem, Vector
from lazygrad.step.context import Context
from lazygrad.step.effects import needed

__all__ = ["not_finite"]


def not_finite(
    problem: Problem,
    arrays: Sequence[Any],
    x: Vector,
    what: str,
    value: Any,
    root_of: Callable[[Any], Tensor],
    at: Origin,
) -> DataError:
    """The error for a start at which what a step returns is not finite.

    Args:
        problem: the step and its variables.
        arrays: the arrays among its arguments.
        x: where it starts, which is where the variables are.
        what: what is not finite.
        value: the numbers that it is there.
        root_of: finds the tensor in what the step returned.
        at: where the user asked for it.
    """
    bad = np.asarray(value)[~np.isfinite(value)]
    named = problem.named(x)
    wild = [path for path, array in named.items() if not np.isfinite(array).all()]
    others: list[str] = []
    step = ""
    if not wild:
        wild, others, at, step = _traced_back(problem, arrays, x, root_of, at)
    listed = ", ".join(repr(path) for path in wild[:8])
    facts = [f"{what + ':':<13}{_shown(bad)}" + (f" of {np.size(value)}" if np.size(value) > 1 else "")]
    facts += [f"comes from:  {step}"] if step else []
    facts += [f"variables:   {listed}"] if wild else []
    facts += [f"arguments:   {', '.join(map(repr, others))}"] if others else []
    facts += [f"             {path!r} is {_brief(named[path])}" for path in wild[:4] if path in named]
    cure = "Start where it is finite: set the variables, env[name] = array, or write what is defined there."
    cure = cure if wild else "Leave out what is not finite in the data."
    return DataError(report(f"the {what} of {problem.name} is not finite at the start", at=at, facts=facts, cure=cure))


def _shown(bad: Vector) -> str:
    return str(bad[0]) if bad.size == 1 else f"{bad[0]} and {bad.size - 1} more"


def _brief(array: Any) -> str:
    return f"{array!s:.60}" if array.size <= 6 else f"from {np.min(array):g} to {np.max(array):g}"


def _traced_back(
    problem: Problem, arrays: Sequence[Any], x: Vector, root_of: Callable[[Any], Tensor], at: Origin
) -> tuple[list[str], list[str], Origin, str]:
    """Variables, arguments, place and op of the first node that is not finite though its operands are."""
    kept: dict[str, Any] = {}

    def look(ctx: Context, x: Tensor, *given: Tensor) -> Any:
        parts = problem.shape.cut(x)
        for v, part in zip(problem.variables, parts, strict=True):
            ctx._let(v, part)
        root = root_of(called(problem.step, ctx, problem.args, given))
        graph: Graph = root.graph
        looked = [i for i in sorted(needed(graph, [root.index])) if _is_floating(graph, i)]
        kept.update(graph=graph, root=root.index, parts=[t.index for t in parts], given=[t.index for t in given])
        return {i: all_of(isfinite(graph.tensor(i))) for i in looked}

    finite = problem.env.run(look, problem.env._store.backend.asarray(x), *arrays)
    graph, index = kept["graph"], kept["root"]
    while True:
        wild = [j for j in graph.nodes[index].inputs if not finite.get(j, True)]
        if not wild:
            break
        index = wild[0]
    nodes = graph.nodes
    sources = sorted(needed(graph, [index]))
    variables = [v.path for i, v in zip(kept["parts"], problem.variables, strict=True) if i in sources]
    variables += dict.fromkeys(nodes[i].params["name"] for i in sources if nodes[i].of(variable))
    others = [name for i, name in zip(kept["given"], problem.names, strict=True) if i in sources]
    if not nodes[index].inputs:  # an argument, where nothing is computed
        return variables, others, at, ""
    return variables, [] if variables else others, graph.origins[index], nodes[index].op.name


def _is_floating(graph: Graph, index: int) -> bool:
    spec = graph.nodes[index].spec
    return isinstance(spec, Spec) and spec.dtype.kind == "f"
