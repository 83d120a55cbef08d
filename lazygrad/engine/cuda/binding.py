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
from lazygrad.engine.cuda.calls import DeviceCalls, Kernels, address, statics
from lazygrad.engine.cuda.entry import DeviceCode
from lazygrad.engine.cuda.turns import Turns
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.calls import Arrays
from lazygrad.engine.table.native import Instruction, Native, NumpyCall, Repeat
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
        functions = backend.functions(image, list(code.launches)) if code.launches else {}
        self.arena = self.xp.empty(max(native.nbytes, 1), np.uint8)
        self.failed = self.xp.zeros(1, np.int64)
        self.kernels = Kernels(backend, code.launches, functions, self.failed, statics(native, backend))

    def text(self) -> str:
        """Its kernels, in LLVM's language."""
        return self.code.text

    def bind(self, live: Arrays, spare: Arrays, draw: Drawing) -> DeviceBinding:
        """The code on these arrays of the environment."""
        return DeviceBinding(self, live, spare, draw)


class DeviceBinding(DeviceCalls):
    """What is run, with its addresses filled in."""

    def __init__(self, loaded: DeviceLoaded, live: Arrays, spare: Arrays, draw: Drawing) -> None:
        stream = None if loaded.native.plan.stream is None else loaded.xp.asarray(draw.stream)
        fixed = loaded.kernels.statics[loaded.native]
        super().__init__(loaded.native, loaded.backend, draw, stream, loaded.arena, fixed, live, spare)
        self.loaded = loaded
        self._table()
        self.values = self._values()

    def _table(self) -> None:
        """The addresses of all kernels in one row, which lies on the device; and what is run, in order."""
        self.block = self._row()
        self.row = self.xp.asarray(self.block)
        begin, kernels = address(self.row), self.loaded.kernels
        self.program: list[Callable[[Arrays], None]] = []
        for step in self.native.program:
            if isinstance(step, Instruction):
                self.program.append(self._launch(step, begin))
            elif isinstance(step, Repeat):
                self.program.append(Turns(step, self, kernels, self.draw).run)
            else:
                self.program.append(self._callback(step.node))
            begin += 0 if isinstance(step, NumpyCall) else 8 * len(step.arguments)

    def _launch(self, step: Instruction, begin: int) -> Callable[[Arrays], None]:
        """A kernel on its part of the row."""
        launch = self.loaded.kernels.launched(step)
        return lambda _: launch(begin)

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
        try:
            for run in self.program:
                run(arrays)
        except BaseException:
            self.loaded.failed.fill(0)  # what a kernel before it may have said is of this step
            raise
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
                where = address(arrays[key]) + start
                if self.block[place] != where:
                    self.block[place] = where
                    moved = True
        if moved:
            self.row.set(self.block)

    def quick(self, sources: Sequence[Any]) -> None:
        """There is no quicker way: a launch is what it costs."""
