"""What a table does not run itself: kernels of ops that are called back, and where a plan's arrays are found.

A binding on any backend is such calls with what launches the table; the namespace of the backend is all that differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from lazygrad.backends.base import Backend
from lazygrad.define.kinds import Declared, item
from lazygrad.define.region import Region
from lazygrad.engine.lower.kernels import Spare
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.machine import Hosted, owned, region_kernel
from lazygrad.engine.table.native import Native
from lazygrad.graph.spec import Spec
from lazygrad.store.draws import Drawing

__all__ = ["Arrays", "CallsBack"]

Arrays = dict[Any, Any]


class CallsBack:
    """The arrays of a plan by key, and the calls back on them.

    Args:
        native: the plan's table.
        backend: with whose namespace calls back are made.
        draw: what random numbers are drawn from.
        stream: the array that kernels read the stream of random numbers in, if there is one.
        arena: in which the table works, as bytes.
        statics: arrays that are the same in every run.
        live, spare: the arrays of variables by name: in which their values lie, and their next ones shall.

    Attributes:
        at: the node of the call back that is under way.
        done: what hooks gave in this run, by node.
        machine: the kind of what runs the bodies of a loop that is called back.
    """

    machine: type[Hosted] = Hosted

    def __init__(
        self,
        native: Native,
        backend: Backend,
        draw: Drawing,
        stream: Any,
        arena: Any,
        statics: Mapping[Any, Any],
        live: Mapping[str, Any],
        spare: Mapping[str, Any],
    ) -> None:
        self.native, self.backend, self.draw, self.xp = native, backend, draw, backend.xp
        self._put = backend.xp.copyto
        self.at, self.done = -1, dict[int, Any]()
        self.arrays: Arrays = dict(statics)
        self.arrays.update({i: live[name] for name, i in native.plan.variables.items()})
        self.arrays.update({Spare(name): array for name, array in spare.items()})
        if native.plan.stream is not None:
            self.arrays[native.plan.stream] = stream
        for key, buffer in native.buffers.items():
            block = arena[buffer.offset : buffer.offset + buffer.spec.nbytes]
            self.arrays[key] = block.view(buffer.spec.dtype).reshape(buffer.spec.shape)
        for i, node in enumerate(native.plan.graph.nodes):
            if isinstance(node.op, Declared) and node.op.memory and backend.name == "numpy" and i in native.buffers:
                self.arrays[i] = node.op.memory(**node.params)

    def _values(self) -> list[Callable[[Arrays], Any]]:
        """How to find what is returned, in order."""
        values = self.native.plan.values
        return [self._value(i, again=i in values[:k]) for k, i in enumerate(values)]

    def _callback(self, node: int) -> Callable[[Arrays], None]:
        """A call of a node's kernel on arrays, whose result is written where it belongs."""
        it = self.native.ways.nodes[node]
        op, params = it.op, it.params
        if op is item:
            (source,) = it.inputs
            return lambda arrays: self._put(self._array(node, arrays), arrays["results", source][params["index"]])
        operands = [self._operand(j) for j in it.inputs]
        several, backend = not isinstance(it.spec, Spec), self.backend

        def called(arrays: Arrays) -> None:
            self.at = node
            values = [operand(arrays) for operand in operands]
            if isinstance(op, Declared) and op.random:
                result = op.kernel(self.draw(params["draw"]), *map(backend.to_numpy, values), **params)
            elif isinstance(op, Region):
                result = region_kernel(self.native.plan, node, backend, self.draw, kind=self.machine)(*values)
            else:
                result = op.kernel(self.xp, *values, **params)
            if several:
                self.native.plan.check(node, result)
                result = arrays["results", node] = owned(result, values)
                for k, j in self.native.ways.results.get(node, {}).items():
                    self._put(self._array(j, arrays), result[k])
            else:
                result = backend.asarray(result)
                self.native.plan.check(node, [result])
                place = self._array(node, arrays)
                if result is not place:
                    self._put(place, result)
            if not op.pure:
                stays = isinstance(op, Declared) and op.memory is not None
                self.done[node] = tuple(one.copy() for one in result) if several else result if stays else result.copy()
            self.at = -1

        return called

    def _operand(self, j: int) -> Callable[[Arrays], Any]:
        """How to find a node's array for a call back."""
        ways = self.native.ways
        spec = ways.nodes[j].spec
        if not isinstance(spec, Spec):
            return lambda arrays: arrays["results", j]
        if ways.way[j] is Way.NUMBER:
            full = self.xp.full(spec.shape, ways.nodes[j].params["value"], spec.dtype)
            return lambda arrays: full
        view = ways.view(j)
        assert view is not None
        steps = tuple(step * spec.dtype.itemsize for step in view.steps)

        def looked(array: Any) -> Any:
            if view.is_contiguous and array.size == math.prod(view.shape):
                return array.reshape(view.shape)
            return self.xp.lib.stride_tricks.as_strided(array.reshape(-1)[view.start :], view.shape, steps)

        key = self.native.key(view.buffer)
        if key in self.native.moving:
            return lambda arrays: looked(arrays[key])
        fixed = looked(self.arrays[key])
        return lambda arrays: fixed

    def _array(self, node: int, arrays: Arrays) -> Any:
        key = self.native.key(node)
        return arrays[key] if key in self.native.moving else self.arrays[key]

    def _value(self, i: int, again: bool) -> Callable[[Arrays], Any]:
        """How to find what is returned for a node, as an array of the caller's own, also if it is returned again."""
        ways = self.native.ways
        if i in self.native.outputs:
            return (lambda arrays: arrays[i].copy()) if again else (lambda arrays: arrays[i])
        if ways.way[i] is Way.NUMBER:
            spec = ways.spec(i)
            return lambda arrays: self.xp.full(spec.shape, ways.nodes[i].params["value"], spec.dtype)
        key = self.native.key(i)
        if key in self.native.moving:
            return lambda arrays: arrays[key].copy()
        array = self.arrays[key]
        return lambda arrays: array.copy()

    def _given(self, inputs: Any) -> Arrays:
        """The arrays of a call by key: those that are given, and new ones for what is returned."""
        arrays: Arrays = dict(zip(self.native.inputs, inputs, strict=True))
        for i in self.native.outputs:
            arrays[i] = self.xp.empty(*self.native.ways.spec(i))
        return arrays

    def _assign_foreign(self, arrays: Arrays) -> None:
        """Give variables that have no native dtype their copies."""
        for name, i in self.native.foreign:
            self._put(self.arrays[Spare(name)], self._array(i, arrays))
