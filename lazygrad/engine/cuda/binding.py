"""Code for a GPU on the arrays of an environment: kernels are launched, the rest is called, one after the other.

Nothing here waits for the device but the reading of one word, ``failed``, which kernels set where a step fails; and
only where there is a kernel that may. What is called back are kernels of ops with CuPy, as a plan without code runs
them.

A step that is not to wait for that word either is *late*: its kernels do nothing once the word is set, to the number of
the run that failed, and what writes to variables beside them looks at it on the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.base import Device
from lazygrad.engine.cuda.calls import DeviceCalls, Kernels, address, launches, statics
from lazygrad.engine.cuda.entry import DeviceCode
from lazygrad.engine.cuda.graphs import Captured
from lazygrad.engine.cuda.staging import Staging
from lazygrad.engine.cuda.turns import Turns
from lazygrad.engine.lower.kernels import Spare
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.calls import Arrays
from lazygrad.engine.table.native import Bundle, Instruction, Native, Repeat
from lazygrad.store.draws import Drawing

__all__ = ["DeviceBinding", "DeviceLoaded"]


class DeviceLoaded:
    """A plan's code on a GPU, the arena it works in, and arrays that are the same in every run.

    Args:
        native: what is run.
        code: how its kernels are launched.
        image: them, as the driver takes them; nothing if there are none.
        backend: CuPy's.
        is_late: whether nobody waits to see if a run has failed; the code is guarded then.
    """

    def __init__(self, native: Native, code: DeviceCode, image: bytes, backend: Device, is_late: bool = False) -> None:
        self.native, self.code, self.backend, self.xp = native, code, backend, backend.xp
        functions = backend.functions(image, list(code.launches)) if code.launches else {}
        self.arena = self.xp.empty(max(native.nbytes, 1), np.uint8)
        self.words = self.xp.asarray(np.array([0, 1]))  # that a run failed, which one; and which one it is
        self.failed, self.is_late = self.words[:1], is_late
        if is_late:
            self._told = backend.pinned(1, np.int64)
            self._told[0] = 0
            self._number, self._numbers = 0, Staging(backend, np.zeros(1, np.int64))
        self.kernels = Kernels(backend, code.launches, functions, self.failed, statics(native, backend))

    def text(self) -> str:
        """Its kernels, in LLVM's language."""
        return self.code.text

    def begin(self, number: int) -> None:
        """Say which run it is, from 1 on, since it was last known that none had failed."""
        if number == 1:
            self.failed.fill(0)  # an interrupt may have left it
            self._told[0] = 0
        self._number = number
        self._numbers.send(self.words[1:], number)

    def tell(self) -> None:
        """Have the host told, some time, whether a run has failed."""
        self.failed.get(out=self._told, blocking=False)

    def failure(self, wait: bool) -> int:
        """The number of the first run that failed; 0: none has, or, without waiting, none of which it is known."""
        return int(self.failed[0] if wait else self._told[0])

    def leave(self) -> None:
        """Take back what a run has said that is given up."""
        if not self.is_late or self.failure(wait=True) == self._number:
            self.failed.fill(0)

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
        self._stream = None if stream is None else Staging(loaded.backend, draw.stream)
        self._table()
        self.values = self._values()

    def _table(self) -> None:
        """The addresses of all kernels in one row, which lies on the device; and what is run, in order."""
        self.block = self._row()
        self.row, self._rows = self.xp.asarray(self.block), Staging(self.loaded.backend, self.block)
        begin, kernels = address(self.row), self.loaded.kernels
        self.program: list[Callable[[Arrays], None]] = []
        together: list[Callable[[], None]] = []  # launches that follow one another
        for step, place in launches(self.native):
            if isinstance(step, (Instruction, Bundle)):
                together.append(functools.partial(kernels.launched(step), begin + 8 * place))
                continue
            self._add_launches(together)
            together = []
            if isinstance(step, Repeat):
                self.program.append(Turns(step, self, kernels, self.draw).run)
            else:
                self.program.append(self._callback(step.node))
        self._add_launches(together)

    def _add_launches(self, together: list[Callable[[], None]]) -> None:
        if together:
            captured = Captured(self.loaded.backend, together)
            self.program.append(lambda _: captured.run())

    def step(self, *inputs: Any) -> list[Any]:
        """Run the step on arrays of the right specs; values are new arrays.

        Raises:
            Refused: a kernel found that the step fails.
        """
        native = self.native
        self.loaded.backend.check()
        self.at = -1
        self.done.clear()
        arrays = self._given(inputs)
        self._move(arrays)
        if self._stream is not None:  # 16 bytes, which kernels read there
            self._stream.send(self.arrays[native.plan.stream], self.draw.stream)
        try:
            for run in self.program:
                run(arrays)
        except BaseException:
            self.loaded.leave()  # what a kernel before it may have said is of this step
            raise
        if self.loaded.is_late:
            self.loaded.tell()
        elif self.loaded.code.may_fail and int(self.loaded.failed[0]):
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
            self._rows.send(self.row, self.block)

    def _multiply(self, node: int, operands: Sequence[Any], arrays: Arrays) -> None:
        """A product; the new value of a variable is written only if no run has failed, where that is not known."""
        if self.loaded.is_late and isinstance(self.native.key(node), Spare):
            self._put_unless_failed(self._array(node, arrays), self.xp.matmul(*operands))
        else:
            super()._multiply(node, operands, arrays)

    def _assign_foreign(self, arrays: Arrays) -> None:
        if not self.loaded.is_late:
            super()._assign_foreign(arrays)
            return
        for name, i in self.native.foreign:
            self._put_unless_failed(self.arrays[Spare(name)], self._array(i, arrays))

    def _put_unless_failed(self, target: Any, numbers: Any) -> None:
        self._put(target, numbers, where=self.xp.broadcast_to(self.loaded.failed == 0, target.shape))

    def quick(self, sources: Sequence[Any]) -> None:
        """There is no quicker way: a launch is what it costs."""
