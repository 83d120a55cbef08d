"""Kernels and calls back on the arrays of a plan, or of the body of a loop, that lie on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazygrad.backends.base import Device
from lazygrad.engine.cuda.entry import Launch
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.calls import Arrays, CallsBack
from lazygrad.engine.table.native import NUMBER, Bundle, Instruction, Native, NumpyCall, Repeat, Step
from lazygrad.graph.spec import Spec

__all__ = ["DeviceCalls", "Kernels", "address", "launches", "statics"]


class Kernels(NamedTuple):
    """The kernels of a plan on a GPU.

    Attributes:
        backend: CuPy's.
        launches, functions: by name how each is launched, and what launches it.
        failed: the word that they set where the step fails.
        statics: of the plan and of every body in it the arrays that are the same in every run.
    """

    backend: Device
    launches: Mapping[str, Launch]
    functions: Mapping[str, Any]
    failed: Any
    statics: Mapping[Native, Arrays]

    def launched(self, step: Instruction | Bundle) -> Callable[[int], None]:
        """What launches a kernel, by the address of its arguments, or kernels, by that of their table."""
        launch, function = self.launches[step.name], self.functions[step.name]
        grid, block = (launch.blocks(step.chunks),), (launch.threads,)
        many = np.int64(step.size if isinstance(step, Bundle) else step.chunks)
        failed = np.int64(address(self.failed))
        return lambda begin: function(grid, block, (np.int64(begin), many, failed))


def launches(native: Native) -> Iterator[tuple[Step | Bundle, int]]:
    """What is run in order, each with the place of its arguments, or of its table."""
    bundles = {bundle.first: bundle for bundle in native.bundles}
    place, end = 0, 0
    for k, step in enumerate(native.program):
        if k in bundles:
            yield bundles[k], bundles[k].place
            end = k + bundles[k].size
        elif k >= end:
            yield step, place
        place += 0 if isinstance(step, NumpyCall) else len(step.arguments)


def address(array: Any) -> int:
    """Where an array begins."""
    return int(array.data.ptr)


def statics(native: Native, backend: Device) -> dict[Native, Arrays]:
    """What no input changes, of a plan and of every body in it, computed once; numbers are written into kernels."""
    found = {native: _statics(native, backend)}
    for step in native.program:
        for use in step.uses if isinstance(step, Repeat) else ():
            found |= statics(use.native, backend)
    return found


def _statics(native: Native, backend: Device) -> Arrays:
    plan, xp, made = native.plan, backend.xp, Arrays()
    for i, node in enumerate(plan.graph.nodes):
        if plan.static[i] and i not in plan.constants:
            result = node.op.kernel(xp, *[made[j] for j in node.inputs], **node.params)
            if isinstance(node.spec, Spec):
                result = xp.ascontiguousarray(backend.asarray(result))
                result = result.reshape(node.spec.shape)  # one that has no axes is given one
                plan.check(i, [result])
            made[i] = result
    return made


class DeviceCalls(CallsBack):
    """Arrays on a GPU, and the calls on them: a product goes straight into its place."""

    def _row(self) -> NDArray[np.int64]:
        """The addresses of all that kernels work on, in one row; 0 for what is another array at every call."""
        native = self.native
        known: dict[Any, int] = {NUMBER: 0, **dict.fromkeys(native.moving, 0)}
        known |= {key: address(x) for key, x in self.arrays.items() if hasattr(x, "data")}
        # What describes a repeat is for a driver in native code.
        known |= {step.arguments[0]: 0 for step in native.program if isinstance(step, Repeat)}
        missing = [key for key, _ in native.block if key not in known]
        assert not missing, missing
        return np.array([start + known[key] for key, start in native.block] or [0], np.int64)

    def _callback(self, node: int) -> Callable[[Arrays], None]:
        """As anywhere; but a product goes straight into its place."""
        if self.native.ways.way[node] is not Way.PRODUCT:
            return super()._callback(node)
        operands = [self._operand(j) for j in self.native.ways.nodes[node].inputs]
        return lambda arrays: self._multiply(node, [operand(arrays) for operand in operands], arrays)

    def _multiply(self, node: int, operands: Sequence[Any], arrays: Arrays) -> None:
        """A product, straight into its place; rows of no elements are zeros."""
        multiplied = self.xp.matmul_of_halves if node in self.native.plan.of_halves else self.xp.matmul
        multiplied(*operands, out=self._array(node, arrays))
