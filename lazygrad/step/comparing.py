"""Whether the gradient of the loss that a step returns is right: beside differences, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazygrad.errors import GradientError, TraceError, VariableError, nearest, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import variable
from lazygrad.plan import Plan
from lazygrad.step.context import Context
from lazygrad.step.effects import needed
from lazygrad.step.looking import drawing_of, given_of, written
from lazygrad.trees import leaves

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["compare"]


def compare(
    env: VariableEnvironment,
    step: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    feeds: dict[str, Any] | None,
    path: str | None,
) -> None:
    """Compare the gradient of the loss that a step returns with differences, with respect to one variable.

    Both are computed in float64, also of a step in mixed precision.

    Args:
        env, step, args, kwargs, feeds: what is run.
        path: of the variable; the first one that is trainable and that the loss depends on, if it is None.

    Raises:
        GradientError: they differ; or there is no such loss, or no such variable.
    """
    from lazygrad.derivative.gradient import grad
    from lazygrad.searching.differences import compared

    def write(context: Context, result: Any) -> tuple[Plan, Tensor, str]:
        loss, chosen = _loss(env, context.graph, result, path)
        slope = grad(loss, context.variable(chosen))
        return Plan(context.graph, (loss.index, slope.index), shared=False), loss, chosen

    def look(context: Context, made: tuple[Plan, Tensor, str]) -> None:
        plan, loss, chosen = made
        given = given_of(context, plan, env._store.state.parity)
        if given is None or chosen not in plan.variables:
            return
        draw = drawing_of(env._store, env._store.state.runs)
        found = compared(plan, given, draw, plan.variables[chosen])
        if found.agree:
            return
        if not found.is_finite:
            facts = [f"loss:  {found.loss:.9g}", f"gradient along a random direction:  {found.gradient:.9g}"]
            cure = 'check="finite" says where what is not finite begins.'
            what = f"the gradient with respect to variable {chosen!r} cannot be compared: it is not finite"
            raise GradientError(report(what, at=loss.origin, facts=facts, cure=cure))
        facts = [f"along a random direction:  gradient {found.gradient:.9g}, differences {found.differences:.9g}"]
        if found.elements is not None:
            index, own, other = found.elements
            where = f"[{', '.join(map(str, index))}]" if index else ""
            facts.append(f"{chosen}{where}:  gradient {own:.9g}, differences {other:.9g}")
        cure = "Look at derivatives of your own (vjp=, lg.custom_gradient, lg.stop_gradient)."
        what = f"the gradient with respect to variable {chosen!r} is not that of the loss"
        raise GradientError(report(what, at=loss.origin, facts=facts, cure=cure))

    try:
        written(env, step, args, kwargs, feeds, write, look, None)
    except TraceError as reason:
        reason.add_note('check="gradient" looks at the loss that a step returns.')
        raise


def _loss(env: VariableEnvironment, graph: Graph, result: Any, path: str | None) -> tuple[Tensor, str]:
    """The loss in what a step returned, and the path of the variable whose gradient is checked.

    It is what is called so, else the first number that depends on that variable, or on one that is trainable.
    """
    if path is not None and path not in env._store.variables:
        cure = nearest(path, env._store.variables)
        raise VariableError(report(f"there is no variable {path!r}", at=here(), cure=cure))
    numbers = {
        name: leaf
        for name, leaf in leaves(result)
        if isinstance(leaf, Tensor) and not leaf.ndim and leaf.dtype.kind == "f"
    }
    if not numbers:
        cure = "Return the loss, a number, before anything else that is one."
        raise GradientError(report("there is no loss whose gradient could be checked", at=here(), cure=cure))
    wanted = [v.path for v in env._select(None, True) if v.dtype.kind == "f"] if path is None else [path]
    read: set[str] = set()
    for loss in [numbers["['loss']"]] if "['loss']" in numbers else numbers.values():
        nodes = [graph.nodes[i] for i in needed(graph, [loss.index])]
        own = {str(node.params["name"]) for node in nodes if node.of(variable)}
        chosen = next((name for name in wanted if name in own), None)
        if chosen is not None:
            return loss, chosen
        read |= own
    if path is None:
        cure = 'Name one: check=("gradient", path).'
        raise GradientError(report("the loss depends on no trainable variable", at=here(), cure=cure))
    raise GradientError(report(f"the loss does not depend on variable {path!r}", at=here(), cure=nearest(path, read)))
