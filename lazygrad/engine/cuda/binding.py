"""Code for a GPU on the arrays of an environment: kernels are launched, the rest is called, one after the other.

Nothing here waits for the device but the reading of one word, ``failed``, which kernels set where a step fails; and
only where there is a kernel that may. What is called back are kernels of ops with CuPy, as a plan without code runs
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.base import Device
from lazygrad.engine.cuda.entry import DeviceCode
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.calls import Arrays, CallsBack
from lazygrad.engine.table.native import Instruction, Native
from lazygrad.graph.spec import Spec
from lazygrad.store.draws import Drawing

__all__ = ["DeviceBinding", "DeviceLoaded"]


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


class DeviceBinding(CallsBack):
    """What is run, with its addresses filled in."""

    def __init__(self, loaded: DeviceLoaded, live: Arrays, spare: Arrays, draw: Drawing) -> None:
        stream = None if loaded.native.plan.stream is None else loaded.xp.asarray(draw.stream)
        super().__init__(loaded.native, loaded.backend, draw, stream, loaded.arena, loaded.statics, live, spare)
        self.loaded = loaded
        self._row()
        self.values = self._values()

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
        """As anywhere; but a product goes straight into its place."""
        if self.native.ways.way[node] is not Way.PRODUCT:
            return super()._callback(node)
        operands = [self._operand(j) for j in self.native.ways.nodes[node].inputs]
        return lambda arrays: self._multiply(node, [operand(arrays) for operand in operands], arrays)

    def _multiply(self, node: int, operands: Sequence[Any], arrays: Arrays) -> None:
        """A product, straight into its place; rows of no elements are zeros."""
        self.xp.matmul(*operands, out=self._array(node, arrays))

    def step(self, *inputs: Any) -> list[Any]:
        """Run the step on arrays of the right specs; values are new arrays.

        Raises:
            Refused: a kernel found that the step fails.
        """
        native = self.native
        self.at = -1
        self.done.clear()
        arrays = self._given(inputs)
        self._move(arrays)
        if native.plan.stream is not None:  # 16 bytes, which kernels read there
            self.arrays[native.plan.stream].set(self.draw.stream)
        for run in self.program:
            run(arrays)
        if self.loaded.code.may_fail and int(self.loaded.failed[0]):
            self.loaded.failed.fill(0)
            raise Refused
        self._assign_foreign(arrays)
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
