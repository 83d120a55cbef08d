"""A function of one example as a function of many, computed together."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.region import BodyGraph
from lazygrad.derivative.batch_rules import Each, whole
from lazygrad.derivative.examples import of_each, scanned_body
from lazygrad.derivative.gradient import grad
from lazygrad.errors import GraphError, SpecError
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.spec import Mismatch, Spec, normalize_axis
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import fail, is_leaf, sealed, shown, write
from lazygrad.ops.movement import moveaxis
from lazygrad.ops.source import arange, assign
from lazygrad.ops.update import Update
from lazygrad.trees import leaves, rebuilt

__all__ = ["grad_per_example", "vmap"]


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """``f``, a function of one example, as a function of many: all are computed together.

    ``f`` is called once, to write what is done with one example. Every op of it then becomes that op of all of them: a
    matrix times a vector becomes a product of matrices. An op that has no such form is computed example by example,
    in a scan, and so is a ``while_loop``, or a ``cond`` whose predicate differs. ``f`` may use tensors from outside and
    variables, which are the same for all examples; draws, of which each example has its own; loops; ``lg.grad``, which
    is then the gradient of each example; and ``lg.vmap``. The result may be differentiated.

    Args:
        f: a function of tensors, arrays and numbers in tuples, lists and dicts, in any nesting. It returns such.
        in_axes: along which axis of each argument the examples lie; None: it is the same for all examples. One for all
            arguments, or a tuple of one for each, and in place of one that for each part of an argument, nested as it
            is. Negative ones count from the end. Arguments that are given by name have the examples along the first.
        out_axes: along which axis of each result they shall lie, likewise; None: it is the same for all examples, and
            has no such axis.

    Returns:
        A function that takes and returns what ``f`` does, with an axis more. A result that is the same for all
        examples is repeated.

    Raises:
        SpecError: when it is called: an argument has no such axis, or another number of examples than the others; none
            has examples; or axes are not nested as what they are of.
        GraphError: ``f`` assigns a variable, or returns something else than tensors; or the result is to be the same
            for all examples, and is not.
    """

    @functools.wraps(f, updated=())
    def of_many(*args: Any, **kwargs: Any) -> Any:
        return _called(f, args, kwargs, in_axes, out_axes)

    return of_many


def grad_per_example(loss: Callable[..., Any], variables: Any, in_axes: Any = 0) -> Callable[..., Any]:
    """The gradient of the loss of each example, as a function of many: ``lg.vmap`` of ``lg.grad``.

    Args:
        loss: of one example, given as the arguments of the function: a tensor, as :func:`lazygrad.grad` takes it.
        variables: variables or tensors from outside, in tuples, lists and dicts, in any nesting.
        in_axes: along which axis of each argument the examples lie, as for :func:`vmap`.

    Returns:
        A function of the arguments of ``loss``, with an axis more. It returns for each variable a tensor of its shape
        with the examples along a first axis, nested as ``variables`` are.

    Raises:
        GradientError, GraphError, SpecError: when it is called, as :func:`lazygrad.grad` and :func:`vmap`.
    """

    @functools.wraps(loss, updated=())
    def of_one(*args: Any, **kwargs: Any) -> Any:
        return grad(loss(*args, **kwargs), variables)

    return vmap(of_one, in_axes)


def _called(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any, out_axes: Any) -> Any:
    """What ``f`` gives for all examples."""
    name, graph = getattr(f, "__name__", type(f).__name__), current_graph("vmap")
    parts = _parts(f, name, args, kwargs, in_axes, graph)
    size = _size(name, parts)
    begun = [moveaxis(part.value, part.axis, 0) if part.axis else part.value for part in parts if part.is_batched]

    def call(inner: BodyGraph, given: list[Tensor]) -> tuple[list[Tensor], Any, list[Tensor]]:
        rest = iter(given)
        new = [next(rest) if part.is_batched else part.value for part in parts]
        positional, named = rebuilt((args, kwargs), new)
        returned = f(*positional, **named)
        return given, returned, _returned(name, inner, returned)

    specs = [Spec(t.shape[1:], t.dtype) for t in begun]
    inner, (given, returned, found) = write(f"{name}, a function of each example", graph, specs, call, repeats=True)
    values = _computed(graph, inner, begun, given, found, size)
    return _laid_out(name, returned, values, out_axes, size)


class _Mapped(NamedTuple):
    """A leaf of an argument.

    Attributes:
        name: what messages call it.
        value: a tensor, if every example has its own; else whatever was given.
        axis: of the examples, counted from the front; None if all examples have the same.
    """

    name: str
    value: Any
    axis: int | None

    @property
    def is_batched(self) -> bool:
        """Whether every example has its own."""
        return self.axis is not None


def _parts(
    f: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any, graph: Graph
) -> list[_Mapped]:
    """The leaves of all arguments, in the order of ``leaves((args, kwargs))``."""
    axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    if len(axes) != len(args):
        cure = "Give one axis for all arguments, or a tuple of one for each; None for what all examples share."
        what = f"cannot vmap {name}: in_axes has {len(axes)} entries for {len(args)} arguments"
        fail(SpecError, what, [f"in_axes:  {in_axes!r:.60}"], cure)
    found = []
    for called, value, axis in zip(_names(f, len(args)), args, axes, strict=True):
        listed = _spread(name, "in_axes", called, value, axis)
        found += [_part(name, called + path, x, a, graph) for (path, x), a in zip(leaves(value), listed, strict=True)]
    for called, value in kwargs.items():
        found += [_part(name, called + path, x, 0, graph) for path, x in leaves(value)]
    return found


def _part(name: str, called: str, value: Any, axis: int | None, graph: Graph) -> _Mapped:
    """A leaf, as a tensor that has the axis; None stays what it is.

    Raises:
        SpecError: it is no array, or has no such axis.
    """
    if axis is None or value is None:
        return _Mapped(called, value, None)
    if not is_leaf(value):
        cure = "What is no array is the same for all examples: give None for it in in_axes."
        fail(SpecError, f"cannot vmap {name}: {called} is {value!r:.40}, not an array", cure=cure)
    t = graph.lifted(tensor(value, graph))
    try:
        return _Mapped(called, t, normalize_axis(axis, t.ndim))
    except Mismatch as reason:
        facts = [f"{called}:  {t.spec}   {t.graph.describe(t.index)}", f"in_axes:  {axis}"]
        cure = f"{reason} Give None for what is the same for all examples."
        fail(SpecError, f"cannot vmap {name}: {called} has no axis {axis}", facts, cure)


def _names(f: Any, count: int) -> list[str]:
    """What the arguments are called."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    return names + [f"argument {k}" for k in range(len(names), count)]


def _spread(name: str, setting: str, called: str, tree: Any, axes: Any) -> list[int | None]:
    """An axis for each leaf of ``tree``, of those that are nested as it is, or stand for all that is below."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return [None if axes is None else int(axes)] * len(leaves(tree))
    if isinstance(axes, dict) and isinstance(tree, dict) and axes.keys() == tree.keys():
        pairs = [(f"{called}[{key!r}]", part, axes[key]) for key, part in tree.items()]
    elif isinstance(axes, (tuple, list)) and isinstance(tree, (tuple, list)) and len(axes) == len(tree):
        pairs = [(f"{called}[{k}]", part, axis) for k, (part, axis) in enumerate(zip(tree, axes, strict=True))]
    else:
        facts = [f"{called}:  {shown(tree)}", f"{setting}:  {axes!r:.60}"]
        cure = "An axis is a whole number or None; axes are nested as what they are of, or one stands for all of it."
        fail(SpecError, f"cannot vmap {name}: {setting} does not fit {called}", facts, cure)
    return [axis for where, part, own in pairs for axis in _spread(name, setting, where, part, own)]


def _size(name: str, parts: Sequence[_Mapped]) -> int:
    """How many examples there are."""
    sizes: list[int] = []
    facts: list[str] = []
    for part in parts:
        if part.axis is not None:
            sizes.append(part.value.shape[part.axis])
            said = f"{part.value.spec}   {sizes[-1]} along axis {part.axis}"
            facts.append(f"{part.name}:  {said}   {part.value.graph.describe(part.value.index)}")
    if not sizes:
        facts = [f"{part.name}:  {shown(part.value)}" for part in parts]
        cure = "At least one argument has an axis of the examples: give its number in in_axes."
        fail(SpecError, f"cannot vmap {name}: no argument has examples", facts, cure)
    if len(set(sizes)) > 1:
        cure = "All have as many examples: look which axes in_axes names; None is for what all examples share."
        fail(SpecError, f"cannot vmap {name} over {' and '.join(map(str, sizes))} examples", facts, cure)
    return sizes[0]


def _returned(name: str, inner: BodyGraph, returned: Any) -> list[Tensor]:
    """What was written for one example, as tensors of the body.

    Raises:
        GraphError: a variable is assigned, or something is no tensor.
    """
    for i in inner.impure:
        if inner.nodes[i].of(assign):
            facts = [f"update:  of {inner.nodes[i].params['name']!r}, {inner.origins[i].place}"]
            cure = (
                "Every example would give it another value: return the value, and assign it outside, such as its mean."
            )
            fail(GraphError, f"cannot vmap {name}: it assigns a variable", facts, cure)
    found = []
    for path, leaf in leaves(returned):
        if leaf is not None:
            if not is_leaf(leaf) or isinstance(leaf, Update):
                cure = "It returns tensors, arrays and numbers, nested in tuples, lists and dicts."
                fail(GraphError, f"cannot vmap {name}: it returned {leaf!r:.40}{path and ' at ' + path}", cure=cure)
            found.append(inner.lifted(tensor(leaf, inner)))
    return found


def _computed(
    graph: Graph, inner: BodyGraph, begun: Sequence[Tensor], given: Sequence[Tensor], found: Sequence[Tensor], size: int
) -> list[Each]:
    """What was written for one example, of all examples."""
    own, examples = list(given), list(begun)
    if inner.turn is not None:  # it draws: the examples are numbered
        own.append(inner.turn)
        examples.append(arange(size, dtype=inner.turn.dtype))
    captured = [(graph.tensor(i), k) for i, k in inner.captures.items()]
    if inner.rules:  # the user's own derivatives are of one example
        inputs = [*[t.index for t in own], *[k for _, k in captured]]
        body = sealed(inner, inputs, [t.index for t in found])
        operands = [*examples, *[t for t, _ in captured]]
        made = scanned_body(graph, body, operands, len(examples), size)
        return [Each(t, True) for t in made[: len(found)]]
    begins = {t.index: Each(x, True) for t, x in zip(own, examples, strict=True)}
    begins.update({k: Each(t, False) for t, k in captured})
    now = of_each(graph, inner, begins, size)
    inner.close()
    return [now[t.index] for t in found]


def _laid_out(name: str, returned: Any, values: Sequence[Each], out_axes: Any, size: int) -> Any:
    """What ``f`` returned, nested as it was, with the examples along the axes that are wished."""
    axes = _spread(name, "out_axes", "the result", returned, out_axes)
    rest = iter(values)
    new: list[Any] = []
    for (path, leaf), axis in zip(leaves(returned), axes, strict=True):
        if leaf is None:
            new.append(None)
            continue
        x = next(rest)
        if axis is None:
            if x.batched:
                facts = [f"result{path}:  {x.spec}   {x.tensor.graph.describe(x.tensor.index)}"]
                cure = "It differs from example to example: give the axis along which they shall lie."
                fail(GraphError, f"cannot vmap {name}: a result is not the same for all examples", facts, cure)
            new.append(x.tensor)
            continue
        t = whole(x, size)
        try:
            place = normalize_axis(axis, t.ndim)
        except Mismatch as reason:
            facts = [f"result{path}:  {x.spec}   of one example", f"out_axes:  {axis}"]
            fail(SpecError, f"cannot vmap {name}: a result has no axis {axis}", facts, str(reason))
        new.append(moveaxis(t, 0, place) if place else t)
    return rebuilt(returned, new)
