"""Derivatives of any order: reverse mode from a result to what it depends on, forward mode the other way."""

# Reverse mode walks the list of nodes from the end to the front and asks each op for the cotangents of its operands;
# forward mode walks to the end with tangents. Neither recurses, so a graph may be of any depth. This is the only
# place that knows that an elementwise op broadcasts: a cotangent is summed to its operand's shape here.

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise, flat, item, tensor
from lazygrad.define.region import Region
from lazygrad.derivative import regions
from lazygrad.derivative.around import forward_around, reverse_around
from lazygrad.derivative.joint import Passes
from lazygrad.derivative.missing import no_derivative
from lazygrad.derivative.sides import sides_of
from lazygrad.errors import GradientError, SpecError, report
from lazygrad.graph.graph import Graph, Node, current_graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import add
from lazygrad.ops.movement import broadcast_to
from lazygrad.ops.reduction import sum, sum_to
from lazygrad.ops.source import full_like, source_of, workers_of, zeros_like
from lazygrad.ops.strong import cotangent, plain, strong_multiply
from lazygrad.store.variables import Variable
from lazygrad.trees import aligned, leaves, rebuilt

__all__ = ["Section", "differentiable", "gathered", "grad", "jvp", "tensors_of"]


def gathered(xs: Any) -> Any:
    """``xs`` as tuples, lists and dicts of what is in them, in any nesting; an iterator becomes a list."""
    if isinstance(xs, (Tensor, Variable, str, tuple, list, dict, np.ndarray, np.generic)):
        return xs
    if not isinstance(xs, Iterable):
        return xs
    return list(xs)


def tensors_of(what: str, xs: Any, ys: Sequence[Tensor] = ()) -> list[Tensor]:
    """The tensors in what :func:`gathered` gave, in a list; raises GradientError if there is anything else.

    A variable is read in the graph of ``ys``, or else in the one being written.
    """
    read = [_read(x, ys) if isinstance(x, Variable) else x for _, x in leaves(xs)]
    found = [source_of(x) if isinstance(x, Tensor) else x for x in read]
    for x in found:
        if not isinstance(x, Tensor):
            raise GradientError(
                report(
                    f"cannot differentiate: {what} is {x!r:.60}, not a tensor",
                    at=here(),
                    cure="Give a tensor of this step, such as ctx.variable(name), or a list of them.",
                )
            )
    return found


def _read(v: Variable, ys: Sequence[Tensor]) -> Tensor:
    """The tensor of a variable."""
    graph = (ys[0].graph if ys else current_graph("differentiate")).outermost
    graph.check_open("differentiate")
    if not graph.context.has(v._env):
        cure = "Give variables of the environment in which the step is run."
        raise GradientError(report(f"cannot differentiate: {v!r} is of another environment", at=here(), cure=cure))
    found: Tensor = graph.context.variable(v)
    return found


def _same_graph(tensors: Sequence[Tensor]) -> Graph:
    graph = tensors[0].graph.innermost()
    graph.check_open("differentiate")
    for t in tensors:
        graph.lifted(t)
    return graph


def differentiable(what: str, xs: Sequence[Tensor]) -> None:
    """Raise GradientError for a tensor of whole numbers or booleans."""
    for x in xs:
        if x.spec.dtype.kind != "f":
            facts = [f"tensor:  {x.spec}   {x.graph.describe(x.index)}"]
            cure = "Whole numbers and booleans have no derivative: cast with .astype('float32') first."
            raise GradientError(report(f"cannot differentiate {what} {x.spec}", at=here(), facts=facts, cure=cure))


@overload
def grad(ys: Any, xs: Tensor, grad_ys: Any = None) -> Tensor: ...
@overload
def grad(ys: Any, xs: Variable, grad_ys: Any = None) -> Tensor: ...
@overload
def grad(ys: Any, xs: list[Any], grad_ys: Any = None) -> list[Any]: ...
@overload
def grad(ys: Any, xs: Any, grad_ys: Any = None) -> Any: ...
def grad(ys: Any, xs: Any, grad_ys: Any = None) -> Any:
    """Gradient of the sum of ``ys`` with respect to each of ``xs``, by reverse mode.

    Args:
        ys: a tensor or a list of them, of any shape. The gradient of an array is that of the sum of
            its elements.
        xs: a tensor or a variable, or several in tuples, lists and dicts, in any nesting, such as
            ``network.variables``.
        grad_ys: cotangents to start from, one a y, in place of ones: the result is then the
            vector-Jacobian product.

    Returns:
        For each x a tensor of its shape and dtype, nested as ``xs`` are. An x that no y depends on gets zeros.

    Raises:
        GradientError: a y or an x is not a floating tensor, or the path leads through an op, or an
            operand of one, that has no derivative.
        SpecError: a cotangent has another shape than its y.
    """
    ys, xs = gathered(ys), gathered(xs)
    y_list = tensors_of("y", ys)
    x_list = tensors_of("x", xs, y_list)
    seeds = None if grad_ys is None else aligned(ys, grad_ys)
    if seeds is not None and len(seeds) != len(y_list):
        cure = "Give one cotangent for each y, in the same order."
        raise SpecError(
            report(f"cannot start from {len(seeds)} cotangents for {len(y_list)} values", at=here(), cure=cure)
        )
    if not y_list or not x_list:
        return rebuilt(xs, [zeros_like(x) for x in x_list])
    graph = _same_graph([*y_list, *x_list])
    differentiable("the value", y_list)
    differentiable("with respect to", x_list)
    if seeds is not None:
        seeds = [_seed(y, g) for y, g in zip(y_list, seeds, strict=True)]
    # Whether a gradient in a body is finite could not be told outside of it: it is not scaled.
    scaling = None if graph.what else getattr(graph.context, "scaling", None)
    if scaling is None:
        return rebuilt(xs, _differentiated("grad", graph, y_list, x_list, seeds))
    with Section(graph, "gradient"):
        scaled = _differentiated("grad", graph, y_list, x_list, scaling.seeds(y_list, seeds))
        return rebuilt(xs, scaling.unscaled(scaled))


def _differentiated(name: str, graph: Graph, ys: list[Tensor], xs: list[Tensor], seeds: Any) -> list[Tensor]:
    """What a walk writes, or wrote when this step was written before."""
    used, last = [graph.lifted(t) for t in [*ys, *xs, *(seeds or [])]], len(ys) + len(xs)
    walk: Any = _reverse if name == "grad" else _forward
    if graph.what:  # it is a body in the graph of the step
        walk = functools.partial(reverse_around if name == "grad" else forward_around, passes=_PASSES)
    write = functools.partial(walk, graph, used[: len(ys)], xs, None if seeds is None else used[last:])
    with Section(graph, "gradient"):
        return graph.replay((name, len(ys), len(xs)), tuple([t.index for t in used]), write)


def _seed(y: Tensor, g: TensorLike) -> Tensor:
    g = tensor(g, y.graph, y.dtype)
    if g.shape != y.shape:
        cure = f"A cotangent has the shape of its y, {list(y.shape)}."
        raise SpecError(report(f"cannot start from {g.spec} for {y.spec}", at=here(), cure=cure))
    return g


class Section:
    """While it lasts, nodes are marked as belonging to a part of the step, at the user's line."""

    def __init__(self, graph: Graph, part: str) -> None:
        self.graph = graph
        self.before = graph.origin
        self.part = self.before.part if self.before is not None and self.before.part == "update" else part
        self.origin = (self.before or here())._replace(part=self.part)

    def __enter__(self) -> Section:
        self.graph.origin = self.origin
        return self

    def at(self, index: int) -> None:
        """Put what follows at the line of node ``index``, which is being differentiated."""
        self.graph.origin = self.graph.origins[index]._replace(part=self.part)

    def back(self) -> None:
        """Put what follows at the user's line again."""
        self.graph.origin = self.origin

    def __exit__(self, *_: object) -> None:
        self.graph.origin = self.before


def _path(graph: Graph, start: Iterable[int], ends: Iterable[int]) -> tuple[set[int], list[int]]:
    """The nodes that change with ``start``, those included; and in order those that ``ends`` are computed from.

    Only what ``ends`` are computed from is looked at: a gradient costs what it differentiates, not the graph.
    """
    nodes = graph.nodes
    path = set(start)
    first = min(path)
    seen = {i for i in ends if i >= first}
    stack = list(seen)
    while stack:
        for j in nodes[stack.pop()].inputs:
            if j >= first and j not in seen:
                seen.add(j)
                stack.append(j)
    order = sorted(seen)
    for i in order:
        if i not in path and _varies(graph, i, path):
            path.add(i)
    return path, [i for i in order if i in path]


def _varies(graph: Graph, index: int, path: set[int]) -> bool:
    """Whether a node changes, to first order, with an operand that is on the path."""
    node = graph.nodes[index]
    if path.isdisjoint(node.inputs) or (isinstance(node.spec, Spec) and node.spec.dtype.kind != "f"):
        return False
    rules = graph.rules.get(index, getattr(node.op, "vjp", None))
    if isinstance(rules, tuple):
        return any(j in path and rule is not flat for j, rule in zip(node.inputs, rules, strict=True))
    return rules is not flat


def _reverse(graph: Graph, ys: list[Tensor], xs: list[Tensor], seeds: list[Tensor] | None) -> list[Tensor]:
    depends, order = _path(graph, [x.index for x in xs], [y.index for y in ys])
    part = Section(graph, "gradient")
    sides = sides_of(graph, order, ys) if workers_of(graph) > 1 else None
    cotangents: dict[int, Any] = {}
    for k, y in enumerate(ys):
        if y.index in depends:
            seed = full_like(y, 1) if seeds is None else seeds[k]
            _accumulate(cotangents, y.index, seed if sides is None else sides.seed(y, seed))
    wanted = {x.index for x in xs}
    kept_cotangents: dict[int, Tensor] = {}
    with part:
        for i in reversed(order):
            g = cotangents.pop(i, None)
            if g is None:
                continue
            if i in wanted:
                kept_cotangents[i] = g if sides is None else sides.last(graph.tensor(i), g)
            node = graph.nodes[i]
            if node.inputs:
                part.at(i)
                rule = functools.partial(_pull, graph, i, node, g, depends)
                for j, cotangent in rule() if sides is None else sides.pull(i, g, rule):
                    _accumulate(cotangents, j, cotangent)
        part.back()
        return [kept_cotangents[x.index] if x.index in kept_cotangents else zeros_like(x) for x in xs]


_PASSES = Passes(_reverse, lambda *given: _forward(*given), _path)


def _accumulate(cotangents: dict[int, Any], index: int, g: Any) -> None:
    """Add to what has arrived; the cotangent of a node with several results is a dict, one entry a result."""
    before = cotangents.get(index)
    if before is None:
        cotangents[index] = g
    elif isinstance(g, dict):
        for k, part in g.items():
            before[k] = part if k not in before else add(before[k], part)
    else:
        cotangents[index] = add(before, g)


def _pull(graph: Graph, index: int, node: Node, g: Any, depends: set[int]) -> Iterable[tuple[int, Any]]:
    """The cotangents of the operands of one node, from that of its result."""
    if node.of(item):
        yield node.inputs[0], {node.params["index"]: g}
        return
    if isinstance(node.op, Region):
        yield from regions.pull(graph, index, node, g, depends, _PASSES)
        return
    op = node.op
    assert isinstance(op, Declared)
    xs = [graph.tensor(j) for j in node.inputs]
    y: Any = graph.tensor(index)
    if not isinstance(node.spec, Spec):
        y = tuple(item(graph.tensor(index), index=k) for k in range(len(node.spec)))
        g = tuple(cotangent(g[k] if k in g else zeros_like(y[k])) for k in range(len(y)))
    else:
        g = cotangent(g)  # a zero of it gives zeros, whatever the partial derivatives are
    rules: Any = graph.rules.get(index, op.vjp)
    if rules is flat:
        return
    if callable(rules):
        pulled = rules(g, y, *xs, **node.params)
        for k, x in enumerate(xs):
            if x.index in depends and pulled[k] is not None:
                yield x.index, _fitted(op, pulled[k], x)
        return
    for k, x in [(k, x) for k, x in enumerate(xs) if x.index in depends]:
        rule = None if rules is None else rules[k]
        if rule is None:
            raise GradientError(no_derivative(graph, index, node, k))
        if rule is not flat:
            yield x.index, _fitted(op, rule(g, y, *xs, **node.params), x)


def _fitted(op: Declared, g: Any, x: Tensor) -> Tensor:
    """The cotangent in its operand's shape and dtype."""
    g = tensor(plain(g), x.graph, x.dtype)
    return sum_to(g, x.shape) if g.shape != x.shape else g


def jvp(ys: Any, xs: Any, tangents: Any) -> Any:
    """Directional derivative of each of ``ys`` when ``xs`` move along ``tangents``, by forward mode.

    Args:
        ys: a tensor, or several in tuples, lists and dicts, in any nesting.
        xs: a tensor or a variable, or several likewise.
        tangents: for each x a direction of its shape, nested as ``xs`` are.

    Returns:
        For each y a tensor of its shape and dtype, nested as ``ys`` are.

    Raises:
        GradientError, SpecError: as :func:`grad`.
    """
    ys, xs = gathered(ys), gathered(xs)
    y_list = tensors_of("y", ys)
    x_list = tensors_of("x", xs, y_list)
    moved = aligned(xs, tangents)
    if len(moved) != len(x_list):
        cure = "Give one tangent for each x, in the same order."
        raise SpecError(report(f"cannot move {len(x_list)} tensors along {len(moved)} tangents", at=here(), cure=cure))
    if not y_list or not x_list:
        return rebuilt(ys, [zeros_like(y) for y in y_list])
    graph = _same_graph([*y_list, *x_list])
    differentiable("the value", y_list)
    differentiable("with respect to", x_list)
    seeds = [_seed(x, t) for x, t in zip(x_list, moved, strict=True)]
    return rebuilt(ys, _differentiated("jvp", graph, y_list, x_list, seeds))


def _forward(graph: Graph, ys: list[Tensor], xs: list[Tensor], seeds: list[Tensor]) -> list[Tensor]:
    _, order = _path(graph, [x.index for x in xs], [y.index for y in ys])
    tangents: dict[int, Any] = {}
    part = Section(graph, "gradient")
    with part:
        for x, t in zip(xs, seeds, strict=True):
            tangents[x.index] = t if x.index not in tangents else add(tangents[x.index], t)
        for i in order:
            node = graph.nodes[i]
            if any(j in tangents for j in node.inputs):
                part.at(i)
                pushed = _push(graph, i, node, tangents)
                if pushed is not None:
                    tangents[i] = pushed if i not in tangents else add(tangents[i], pushed)
        part.back()
        return [tangents[y.index] if y.index in tangents else zeros_like(y) for y in ys]


def _push(graph: Graph, index: int, node: Node, tangents: dict[int, Any]) -> Any:
    """The tangent of the result of one node, from those of its operands."""
    if node.of(item):
        return tangents[node.inputs[0]].get(node.params["index"])
    if isinstance(node.op, Region):
        return regions.push(graph, index, node, tangents, _PASSES)
    op = node.op
    assert isinstance(op, Declared)
    xs = [graph.tensor(j) for j in node.inputs]
    y = graph.tensor(index)
    rules = op.jvp if op.jvp is not None else op.vjp
    if rules is flat:
        return None
    if op.linear and index not in graph.rules:
        moved = [tangents.get(x.index) for x in xs]
        return op(*[zeros_like(x) if t is None else t for x, t in zip(xs, moved, strict=True)], **node.params)
    if isinstance(rules, tuple) and (op.jvp is not None or isinstance(op, Elementwise)):
        # The Jacobian of an elementwise op is diagonal, and so its own transpose.
        total = None
        for k, x in enumerate(xs):
            if x.index in tangents and rules[k] is not flat:
                if rules[k] is None:
                    raise GradientError(no_derivative(graph, index, node, k))
                t = tensor(plain(rules[k](cotangent(tangents[x.index]), y, *xs, **node.params)), graph, y.dtype)
                total = t if total is None else add(total, t)
        return None if total is None else broadcast_to(total, y.shape) if total.shape != y.shape else total
    return _transposed(graph, index, node, xs, tangents)


def _transposed(graph: Graph, index: int, node: Node, xs: list[Tensor], tangents: dict[int, Any]) -> Any:
    """Forward from reverse: x̄ = vjp(ȳ) is linear in ȳ, so the gradient of ⟨x̄, ẋ⟩ for ȳ is ẏ, at any ȳ."""
    results = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
    single = isinstance(node.spec, Spec)
    like = [graph.tensor(index)] if single else [item(graph.tensor(index), index=k) for k in range(len(results))]
    seeds = [full_like(y, 1) for y in like]
    depends = {j for j in node.inputs if j in tangents}
    g: Any = seeds[0] if single else dict(enumerate(seeds))
    total = None
    for j, pulled in _pull(graph, index, node, g, depends):
        t = sum(strong_multiply(tangents[j], pulled))
        total = t if total is None else add(total, t)
    if total is None:
        return None
    pushed = _reverse(graph, [total], seeds, None)
    return pushed[0] if single else dict(enumerate(pushed))
