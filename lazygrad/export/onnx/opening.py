"""One model for all sizes, made of models that were written for some: where their numbers differ it computes them.

The models are compared node by node. They have the same nodes; a number in which they differ has a form in the sizes
of the inputs (:mod:`~lazygrad.export.onnx.forms`), which the model then looks up when it runs. So no rule that writes
nodes need know that a size is open, and none can forget it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.export.onnx.forms import Form, Point, Power, Whole, fitted, whole
from lazygrad.export.onnx.reading import writer_of
from lazygrad.export.onnx.writer import Value, Writer

__all__ = ["Axis", "Fixed", "Unlike", "lighten", "opened"]

LARGE = 4096  # bytes of an array of which there is one copy
MOST = 256  # numbers of one array that are computed one by one


class Fixed(Exception):
    """Why a size is not open, and the lines where it matters."""

    def __init__(self, why: str, at: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.at = at


class Unlike(Fixed):
    """The models have other nodes."""


@dataclass(frozen=True)
class Axis:
    """An open size: its name, and an input's name with the number of the axis that is so long."""

    name: str
    input: str
    number: int


def opened(models: Sequence[Any], at: Sequence[Point], axes: Sequence[Axis]) -> Any:
    """The first model, with what depends on sizes computed when it runs.

    Args:
        models: written for the sizes ``at``; the first is changed.
        at: sizes of the axes, see :func:`~lazygrad.export.onnx.forms.points`.
        axes: those that are open.

    Raises:
        Fixed: the models differ in more than numbers, or a number has no form.
    """
    from onnx import numpy_helper

    graph, writer = models[0].graph, writer_of(models[0].opset_import[0].version, "size")
    for name in sorted(set(_names(graph))):
        writer.fresh(name)
    _Opening(at, axes, writer).compare([model.graph for model in models])
    nodes = [*writer.nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in writer.constants.items())
    return models[0]


def lighten(models: Sequence[Any]) -> None:
    """Let the last model forget large arrays that it has in common with the first: of weights there is one copy."""
    if len(models) == 1:
        return
    known = {tensor.name: tensor for tensor in models[0].graph.initializer}
    for tensor in models[-1].graph.initializer:
        if len(tensor.raw_data) > LARGE and tensor == known.get(tensor.name):
            tensor.ClearField("raw_data")


def _same(tensor: Any, first: Any) -> bool:
    """Whether an array has the same numbers, perhaps as it was seen before they were forgotten."""
    forgotten = len(first.raw_data) > LARGE and not tensor.raw_data and tensor.dims == first.dims
    return forgotten or bool(tensor == first)


class _Opening:
    """The comparison, which writes nodes."""

    def __init__(self, at: Sequence[Point], axes: Sequence[Axis], writer: Writer) -> None:
        self.at, self.axes, self.writer = at, axes, writer
        self.names = [axis.name for axis in axes]
        self.known: dict[Any, Value] = {}  # what has been computed, by what it is
        self.readers: dict[str, str] = {}  # for every name the line of the first node that reads it

    def compare(self, graphs: Sequence[Any]) -> None:
        """Compare graphs, which may be bodies, and open the first."""
        first = graphs[0]
        for node in first.node:
            for name in node.input:
                self.readers.setdefault(name, node.doc_string)
        for nodes in zip(*[graph.node for graph in graphs], strict=False):
            self._same_node(nodes)
        if len({len(graph.node) for graph in graphs}) > 1:
            raise Unlike("the step does other things for other sizes")
        listed = [[tensor.name for tensor in graph.initializer] for graph in graphs]
        if any(names != listed[0] for names in listed):
            raise Unlike("the step reads other arrays for other sizes")
        computed = [
            k
            for k, tensors in enumerate(zip(*[graph.initializer for graph in graphs], strict=True))
            if self._computed(tensors)
        ]
        for k in reversed(computed):
            del first.initializer[k]
        for field in ("input", "output", "value_info"):
            for infos in zip(*[getattr(graph, field) for graph in graphs], strict=True):
                self._shaped(infos)

    def _same_node(self, nodes: Sequence[Any]) -> None:
        first = nodes[0]
        for other in nodes[1:]:
            alike = (first.op_type, first.domain, first.input, first.output)
            if alike != (other.op_type, other.domain, other.input, other.output):
                raise Unlike("the step does other things for other sizes", first.doc_string)
            if [a.name for a in first.attribute] != [a.name for a in other.attribute]:
                raise Unlike(f"{first.op_type} has other settings for other sizes", first.doc_string)
        for attributes in zip(*[node.attribute for node in nodes], strict=True):
            if attributes[0].HasField("g"):
                self.compare([attribute.g for attribute in attributes])
            elif any(attribute != attributes[0] for attribute in attributes[1:]):
                why = f"{attributes[0].name} of {first.op_type} depends on a size, and cannot be computed"
                raise Fixed(why, first.doc_string)

    def _shaped(self, infos: Sequence[Any]) -> None:
        """Let an input, or a result, have the sizes that it has for all: names, or products and sums of names."""
        kinds = {(info.name, info.type.tensor_type.elem_type, len(_dims(info))) for info in infos}
        if len(kinds) > 1:
            raise Fixed(f"{infos[0].name} has another dtype, or other axes, for other sizes")
        for dims in zip(*map(_dims, infos), strict=True):
            sizes = [dim.dim_value for dim in dims]
            if len(set(sizes)) > 1:
                form = whole(sizes, self.at)
                if form is None:
                    raise Fixed(f"a size of {infos[0].name} is no sum of products of open sizes")
                dims[0].dim_param = form.said(self.names)

    def _computed(self, tensors: Sequence[Any]) -> bool:
        """Whether the numbers of an initializer differ; then nodes compute it."""
        from onnx import numpy_helper

        first = tensors[0]
        if all(_same(tensor, first) for tensor in tensors[1:]):
            return False
        line = self.readers.get(first.name, "")
        if any(tensor.dims != first.dims or tensor.data_type != first.data_type for tensor in tensors):
            raise Fixed(f"the array {first.name} has another shape for other sizes", line)
        arrays = [numpy_helper.to_array(tensor) for tensor in tensors]
        forms = fitted(arrays, self.at) if arrays[0].size <= MOST else None
        if forms is None:
            listed = ", ".join(str(array.ravel()[0] if array.size == 1 else array.tolist())[:40] for array in arrays)
            tried = ", ".join(" and ".join(map(str, point)) for point in self.at)
            raise Fixed(f"a number is no simple function of the sizes: it is {listed} for {tried}", line)
        self._write(first.name, forms, arrays[0])
        return True

    # The nodes that compute.

    def _write(self, name: str, forms: Sequence[Form], like: np.ndarray[Any, Any]) -> None:
        """Nodes that give the name to an array of these numbers, of the dtype and the shape of another one."""
        xp = self.writer.xp
        if len(set(forms)) > 1:
            found = xp.concatenate([self._number(form, like.dtype) for form in forms], 0)
        else:
            found = self._number(forms[0], like.dtype)
        found = xp.reshape(found, like.shape) if found.size == like.size else xp.broadcast_to(found, like.shape)
        if any(found is number for number in self.known.values()):  # others may read it
            self.writer.node("Identity", [found.name], [name])
        else:
            self.writer.nodes[-1].output[0] = name

    def _number(self, form: Form, dtype: np.dtype[Any]) -> Value:
        """An array of one number; computed once."""
        key = form, dtype.str
        if key not in self.known:
            found = self._whole(form) if isinstance(form, Whole) else self._power(form)
            self.known[key] = found.astype(dtype)
        return self.known[key]

    def _whole(self, form: Whole) -> Value:
        terms = [self._product([self._size(i) for i in which], factor) for which, factor in form.terms]
        return functools.reduce(operator.add, terms or [self._constant(0)])

    def _power(self, form: Power) -> Value:
        factors = []
        for axis, power in enumerate(form.powers):
            if power:
                size = self._number(Whole((((axis,), 1), *([((), -form.less)] if form.less else []))), _DOUBLE)
                factors.append(size if power == 1 else size ** self._constant(power))
        return self._product(factors, form.factor)

    def _size(self, axis: int) -> Value:
        """The length of an open axis."""
        if axis not in self.known:
            of = self.axes[axis]
            settings = {"start": of.number, "end": of.number + 1}
            self.known[axis] = self.writer.made("Shape", of.input, shape=(1,), dtype=np.int64, **settings)
        return self.known[axis]

    def _product(self, factors: Sequence[Value], last: float) -> Value:
        rest = [self._constant(last)] if last != 1 or not factors else []
        return functools.reduce(operator.mul, [*factors, *rest])

    def _constant(self, number: float) -> Value:
        return self.writer.array([number])


_DOUBLE = np.dtype(np.float64)


def _dims(info: Any) -> Any:
    return info.type.tensor_type.shape.dim


def _names(graph: Any) -> Iterator[str]:
    """All names in a graph, and in the bodies in it."""
    for listed in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (item.name for item in listed)
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _names(attribute.g)
