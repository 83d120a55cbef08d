"""Code for a GPU on the arrays of an environment: kernels are launched, the rest is called, one after the other.

Nothing here waits for the device but the reading of one word, ``failed``, which kernels set where a step fails; and
only where there is a kernel that may. What is called back are kernels of ops with CuPy, as a plan without code runs
them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.base import Device
from lazygrad.define.kinds import Declared, item
from lazygrad.define.region import Region
from lazygrad.engine.cuda.entry import DeviceCode
from lazygrad.engine.lower.kernels import Spare
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.machine import owned, region_kernel
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.native import Instruction, Native
from lazygrad.graph.spec import Spec
from lazygrad.store.draws import Drawing

__all__ = ["DeviceBinding", "DeviceLoaded"]

Arrays = dict[Any, Any]


class DeviceLoaded:
    """A plan's code on a GPU, the arena it works in, and arrays that are the same in every run.

    Args:
        native: what is run.
        code: how its kernels are launched.
        image: them, as the driver takes them; nothing if there are none.
        backend: CuPy's.
    """

    def __init__(self, native: Native, code: DeviceCode, image: bytes, backend: Device) -> None:
        self.native, self.code, self.backend, self.xp = native, code, backend, backend.xp
        self.functions = backend.functions(image, list(code.launches)) if code.launches else {}
        self.arena = self.xp.empty(max(native.nbytes, 1), np.uint8)
        self.failed = self.xp.zeros(1, np.int64)
        self.statics = self._statics()

    def _statics(self) -> Arrays:
        """What no input changes, computed once; numbers are written into kernels."""
        plan, made = self.native.plan, Arrays()
        for i, node in enumerate(plan.graph.nodes):
            if plan.static[i] and i not in plan.constants:
                result = node.op.kernel(self.xp, *[made[j] for j in node.inputs], **node.params)
                if isinstance(node.spec, Spec):
                    result = self.xp.ascontiguousarray(self.backend.asarray(result))
                    result = result.reshape(node.spec.shape)  # one that has no axes is given one
                    plan.check(i, [result])
                made[i] = result
        return made

    def text(self) -> str:
        """Its kernels, in LLVM's language."""
        return self.code.text

    def bind(self, live: Arrays, spare: Arrays, draw: Drawing) -> DeviceBinding:
        """The code on these arrays of the environment."""
        return DeviceBinding(self, live, spare, draw)


class DeviceBinding:
    """What is run, with its addresses filled in.

    Attributes:
        at: the node of the call back that is under way.
        done: what hooks gave in this run, by node.
    """

    def __init__(self, loaded: DeviceLoaded, live: Arrays, spare: Arrays, draw: Drawing) -> None:
        self.loaded, self.native, self.draw, self.xp = loaded, loaded.native, draw, loaded.xp
        self.at, self.done = -1, dict[int, Any]()
        native = self.native
        self.arrays: Arrays = dict(loaded.statics)
        self.arrays.update({i: live[name] for name, i in native.plan.variables.items()})
        self.arrays.update({Spare(name): array for name, array in spare.items()})
        if native.plan.stream is not None:
            self.arrays[native.plan.stream] = self.xp.asarray(draw.stream)
        for key, buffer in native.buffers.items():
            block = loaded.arena[buffer.offset : buffer.offset + buffer.spec.nbytes]
            self.arrays[key] = block.view(buffer.spec.dtype).reshape(buffer.spec.shape)
        self._row()
        values = native.plan.values
        self.values = [self._value(i, again=i in values[:k]) for k, i in enumerate(values)]

    def _row(self) -> None:
        """The addresses of all kernels in one row, which lies on the device; and what is run, in order."""
        native, moving = self.native, self.native.moving
        addresses = {key: _address(x) for key, x in self.arrays.items() if hasattr(x, "data")}
        missing = [key for key, _ in native.block if key not in addresses and key not in moving]
        assert not missing, missing
        self.block = np.array([start + addresses.get(key, 0) for key, start in native.block] or [0], np.int64)
        self.row = self.xp.asarray(self.block)
        begin, failed = _address(self.row), _address(self.loaded.failed)
        self.program: list[Callable[[Arrays], None]] = []
        for step in native.program:
            if isinstance(step, Instruction):
                self.program.append(self._launch(step, begin, failed))
                begin += 8 * len(step.arguments)
            else:
                self.program.append(self._callback(step.node))

    def _launch(self, step: Instruction, begin: int, failed: int) -> Callable[[Arrays], None]:
        """A kernel on its part of the row."""
        launch, function = self.loaded.code.launches[step.name], self.loaded.functions[step.name]
        grid, block = (launch.blocks(step.chunks),), (launch.threads,)
        arguments = tuple(np.int64(x) for x in (begin, step.chunks, failed))
        return lambda _: function(grid, block, arguments)

    def _callback(self, node: int) -> Callable[[Arrays], None]:
        """A call of a node's kernel, whose result is written where it belongs."""
        it = self.native.ways.nodes[node]
        op, params = it.op, it.params
        if op is item:
            (source,) = it.inputs
            return lambda arrays: self._write(node, arrays["results", source][params["index"]], arrays)
        operands = [self._operand(j) for j in it.inputs]
        if self.native.ways.way[node] is Way.PRODUCT:
            return lambda arrays: self._multiply(node, [operand(arrays) for operand in operands], arrays)
        several = not isinstance(it.spec, Spec)

        def called(arrays: Arrays) -> None:
            self.at = node
            values = [operand(arrays) for operand in operands]
            if isinstance(op, Declared) and op.random:
                result = op.kernel(self.draw(params["draw"]), *map(self.loaded.backend.to_numpy, values), **params)
                result = self.loaded.backend.asarray(result)
            elif isinstance(op, Region):
                result = region_kernel(self.native.plan, node, self.loaded.backend, self.draw)(*values)
            else:
                result = op.kernel(self.xp, *values, **params)
            if several:
                self.native.plan.check(node, result)
                result = arrays["results", node] = owned(result, values)
                for k, j in self.native.ways.results.get(node, {}).items():
                    self._write(j, result[k], arrays)
            else:
                result = self.loaded.backend.asarray(result)
                self.native.plan.check(node, [result])
                self._write(node, result, arrays)
            if not op.pure:
                self.done[node] = tuple(one.copy() for one in result) if several else result.copy()
            self.at = -1

        return called

    def _multiply(self, node: int, operands: Sequence[Any], arrays: Arrays) -> None:
        """A product, straight into its place; rows of no elements are zeros."""
        self.xp.matmul(*operands, out=self._array(node, arrays))

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

    def _write(self, node: int, result: Any, arrays: Arrays) -> None:
        self._array(node, arrays)[...] = result

    def _value(self, i: int, again: bool) -> Callable[[Arrays], Any]:
        """How to find what is returned for a node, as an array of the caller's own, also if it is returned again."""
        ways = self.native.ways
        if i in self.native.outputs:
            return (lambda arrays: arrays[i].copy()) if again else (lambda arrays: arrays[i])
        if ways.way[i] is Way.NUMBER:
            spec = ways.spec(i)
            return lambda arrays: self.xp.full(spec.shape, ways.nodes[i].params["value"], spec.dtype)
        return lambda arrays: self._array(i, arrays).copy()

    def step(self, *inputs: Any) -> list[Any]:
        """Run the step on arrays of the right specs; values are new arrays.

        Raises:
            Refused: a kernel found that the step fails.
        """
        native = self.native
        self.at = -1
        self.done.clear()
        arrays: Arrays = dict(zip(native.inputs, inputs, strict=True))
        for i in native.outputs:
            arrays[i] = self.xp.empty(*native.ways.spec(i))
        self._move(arrays)
        if native.plan.stream is not None:  # 16 bytes, which kernels read there
            self.arrays[native.plan.stream].set(self.draw.stream)
        for run in self.program:
            run(arrays)
        if self.loaded.code.may_fail and int(self.loaded.failed[0]):
            self.loaded.failed.fill(0)
            raise Refused
        for name, i in native.foreign:
            self.arrays[Spare(name)][...] = self._array(i, arrays)
        return [value(arrays) for value in self.values]

    def _move(self, arrays: Arrays) -> None:
        """Enter the addresses of arrays that are given or made at a call; they are sent if they are others."""
        moved = False
        for key, moving in self.native.moving.items():
            for place, start in moving.places:
                address = _address(arrays[key]) + start
                if self.block[place] != address:
                    self.block[place] = address
                    moved = True
        if moved:
            self.row.set(self.block)

    def quick(self, sources: Sequence[Any]) -> None:
        """There is no quicker way: a launch is what it costs."""


def _address(array: Any) -> int:
    return int(array.data.ptr)
