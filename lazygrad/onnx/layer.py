"""A model in the form ONNX as a layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import FeedError, SpecError, nearest, report
from lazygrad.graph.graph import current_graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.layers.base import Layer, Owner
from lazygrad.onnx.described import Body, Input, Model, cleaned
from lazygrad.onnx.hoisting import hoisted, with_constants
from lazygrad.onnx.ops import table
from lazygrad.onnx.walk import walk

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["OnnxModel"]


class OnnxModel(Layer):
    """A model in the form ONNX; :func:`lazygrad.import_onnx` makes it.

    Attributes:
        opset: the version of the ops that it is written in.
    """

    def __init__(self, env: Owner, model: Model, *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__(env, name)
        body = _with_weights(model.body)
        self.opset, self._model = model.opset, model
        self._inputs = [each for each in body.inputs if each.name not in body.arrays]
        self._names: dict[str, str] = {}  # by the names in the file those of the variables
        learned, kept = _weights(body)
        taken: set[str] = set()
        for weight in [*learned, *kept]:
            self._names[weight] = _unique(_path(weight), taken)
        for weight, ours in self._names.items():
            array = body.arrays[weight]
            fill = _Given(array)
            self._variable(ours, array.shape, fill, trainable=weight in learned, dtype=array.dtype)
        constants = {name: array for name, array in body.arrays.items() if name not in self._names}
        self._model = model._replace(body=body._replace(arrays=constants))
        if not trainable:
            self.trainable = False

    @property
    def env(self) -> VariableEnvironment:
        """The environment that its variables are in."""
        return self._env

    @property
    def inputs(self) -> list[str]:
        """The names of what it takes, in order."""
        return [each.name for each in self._inputs]

    @property
    def outputs(self) -> list[str]:
        """The names of what it gives, in order."""
        return [each.name for each in self._model.body.outputs]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives for its inputs, by position or by name: a tensor, or a tuple of them.

        Arrays of NumPy are known while the step is written, as what decides about shapes must be; arguments of the
        step are not.

        Raises:
            FeedError: an input is missing, or there is no such input.
            SpecError: one has another shape or kind of numbers than the model takes, or they do not fit together.
            ExportError: an op needs to know what the step computes, or has a setting that has no form here.
        """
        given = self._given(args, kwargs)
        graph = next((x.graph for x in given.values() if isinstance(x, Tensor)), None) or current_graph("call a model")
        context = graph.outermost.context
        self._check_environment(context)
        values = {weight: context.variable(self._own[ours]) for weight, ours in self._names.items()}
        found = walk(self._model.body, {**values, **given}, context, self.path)
        found = tuple(tensor(y, graph) if isinstance(y, (np.ndarray, np.generic)) else y for y in found)
        return found[0] if len(found) == 1 else found

    def _check_environment(self, context: Any) -> None:
        if context is None or not context.has(self._env):
            self._input(tensor(0))

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names, body = self.inputs, self._model.body
        every = [each.name for each in body.inputs]
        if len(args) > len(names):
            cure = f"It takes {len(names)}: {', '.join(names)}."
            raise FeedError(report(f"cannot call {self!r} with {len(args)} inputs", at=here(), cure=cure))
        given = dict(zip(names, args, strict=False))
        for name in kwargs:
            if name in given or name not in every:
                cure = f"{name!r} is given by position already." if name in given else nearest(name, every)
                raise FeedError(report(f"cannot call {self!r} with {name!r}", at=here(), cure=cure))
        given |= kwargs
        for name in names:
            if name not in given:
                cure = f"It takes {', '.join(map(str, self._inputs))}."
                raise FeedError(report(f"cannot call {self!r} without {name!r}", at=here(), cure=cure))
        return {each.name: self._fitting(each, given[each.name]) for each in body.inputs if each.name in given}

    def _fitting(self, wanted: Input, value: Any) -> Any:
        """An input as the model takes it: of its dtype, where the kind of numbers is the same."""
        if wanted.dtype is None:
            return list(value) if isinstance(value, (list, tuple)) else value
        array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic, list, tuple, int, float)) else None
        x: Any = self._input(value) if array is None else array
        kinds = {"i": "iu", "u": "iu"}.get(wanted.dtype.kind, wanted.dtype.kind)
        if not isinstance(value, (Tensor, np.ndarray, np.generic)) and wanted.dtype.kind == "f":
            kinds = "iuf"  # Python's numbers have no dtype of their own
        if x.dtype.kind not in kinds:
            self._refuse(wanted, value, f"It is of {x.dtype}: cast it to {wanted.dtype}.")
        if wanted.shape is not None and not _fits(x.shape, wanted.shape):
            self._refuse(
                wanted, value, f"It has the shape {list(x.shape)}; the sizes in the file that are numbers hold."
            )
        return tensor(x, dtype=wanted.dtype) if array is None else array.astype(wanted.dtype)

    def _refuse(self, wanted: Input, value: Any, cure: str) -> None:
        facts = [f"input:  {wanted}"]
        if isinstance(value, Tensor):
            facts.append(f"given:  {value.spec}   {value.graph.describe(value.index)}")
        raise SpecError(
            report(f"cannot call {self!r}: {wanted.name!r} does not fit", at=here(), facts=facts, cure=cure)
        )

    def _settings(self) -> str:
        return f"of {Path(self._model.file).name!r}"

    def __str__(self) -> str:
        counts: dict[str, int] = {}
        for node in self._model.body.nodes:
            counts[node.op] = counts.get(node.op, 0) + 1
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"{count} {op}" for op, count in most[:8]) + (", …" if len(most) > 8 else "")
        total = sum(variable.spec.size for variable in self.variables)
        rows = [
            repr(self),
            f"inputs:     {', '.join(map(str, self._inputs))}",
            f"outputs:    {', '.join(map(str, self._model.body.outputs))}",
            f"variables:  {len(self.variables)}, with {total:,} numbers",
            f"nodes:      {len(self._model.body.nodes)}: {shown}",
            f"opset:      {self.opset}{', written by ' + self._model.producer if self._model.producer else ''}",
        ]
        return "\n".join(rows)


def _fits(shape: tuple[int, ...], wanted: tuple[int | str | None, ...]) -> bool:
    """Whether a shape has the axes, and the sizes that are fixed."""
    if len(shape) != len(wanted):
        return False
    return all(not isinstance(n, int) or n == m for n, m in zip(wanted, shape, strict=True))


class _Given:
    """An array as what fills a variable."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __call__(self, rng: Any, shape: Any, fans: Any) -> Any:
        """The array."""
        return self.array


def _weights(body: Body) -> tuple[list[str], list[str]]:
    """Which arrays are weights, and which are what a model keeps beside them: those of statistics.

    Whole numbers, single numbers and what must be known while a step is written are constants.
    """
    constants = {name for name, array in body.arrays.items() if array.dtype.kind != "f" or not array.ndim}
    kept: dict[str, None] = dict.fromkeys(name for name in body.arrays if name in body.buffers)
    for node in _nodes(body):
        form = table.ops().get((node.domain, node.op))
        if form is None:
            continue
        constants |= {name for place, name in enumerate(node.inputs) if place in form.known | form.fixed}
        kept |= dict.fromkeys(node.inputs[place] for place in sorted(form.kept) if place < len(node.inputs))
    learned = [name for name in body.arrays if name not in constants and name not in kept]
    return learned, [name for name in kept if name in body.arrays and name not in constants]


def _with_weights(body: Body) -> Body:
    """The body with its weights among its arrays, also where they are in ``Constant`` nodes.

    Most exporters put weights into initializers, and masks, axes and limits into nodes. Some (paddle2onnx, spox) put
    all into nodes: their files have no initializers to learn, and a node where a product, say, has its weight.
    """
    plain = hoisted(body)
    if _weights(plain)[0]:
        return plain
    full = hoisted(with_constants(body))
    places = ((node, table.ops().get((node.domain, node.op))) for node in _nodes(full))
    used = {name for node, form in places if form for k, name in enumerate(node.inputs) if k in form.weights}
    return full if used & full.arrays.keys() else plain


def _nodes(body: Body) -> Iterator[Any]:
    """All nodes, those of bodies within too."""
    for node in body.nodes:
        yield node
        for inner in node.bodies:
            yield from _nodes(inner)


def _path(name: str) -> str:
    """A name as that of a variable."""
    return "/".join(filter(None, map(cleaned, name.split("/")))) or "weight"


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found
