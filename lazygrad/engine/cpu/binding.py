"""Native code on the arrays of an environment: the table with its addresses filled in, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.numpy import NumpyBackend
from lazygrad.engine.cpu import driver
from lazygrad.engine.cpu.addresses import addresses
from lazygrad.engine.cpu.cache import code, object_code
from lazygrad.engine.cpu.stretches import describe, row, statics
from lazygrad.engine.emit.lapack import PREFIX
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.memory import aligned
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.arguments import expected
from lazygrad.engine.table.calls import Arrays, CallsBack
from lazygrad.engine.table.native import Module, Native, NumpyCall
from lazygrad.store.draws import Drawing

__all__ = ["Binding", "Loaded"]


def _symbols(text: str) -> dict[str, int]:
    """The addresses of the functions of LAPACK that a module calls."""
    if PREFIX not in text:
        return {}
    return {name: address for name, address in addresses().items() if f"@{name}(" in text}


class Loaded:
    """A plan's native code in memory, the arena it works in, and arrays that are the same in every run.

    Args:
        native: the code.
        xp: NumPy's namespace, with which calls back are made.
        compiled: its modules with their object code, if they are compiled already.

    Attributes:
        is_late: whether nobody waits to see if a run has failed; on a CPU it is known by then.
    """

    is_late = False

    def __init__(self, native: Native, xp: Any, compiled: Sequence[tuple[Module, bytes]] | None = None) -> None:
        self.native = native
        self.xp = xp
        if compiled is None:
            compiled = [(module, object_code(module.text)) for module in native.modules()]
        self.codes = [code(module.text, module.names, _symbols(module.text), made=made) for module, made in compiled]
        self.addresses = {name: address for one in self.codes for name, address in one.addresses.items()}
        self.is_shared = native.is_shared
        self.arena = aligned(native.nbytes)
        self.all_statics = statics(native, xp)
        self.statics = self.all_statics[native]

    def text(self) -> str:
        """Its kernels, in LLVM's language."""
        return self.native.text()

    def bind(self, live: Arrays, spare: Arrays, draw: Drawing) -> Binding:
        """The code on these arrays of the environment."""
        if self.is_shared:
            driver.hire()
        return Binding(self, live, spare, draw)


class Binding(CallsBack):
    """The table with its addresses filled in.

    Attributes:
        quick: runs the step on arrays that need no conversion, or is None if calls back are needed.
    """

    def __init__(self, loaded: Loaded, live: Arrays, spare: Arrays, draw: Drawing) -> None:
        native = loaded.native
        stream = None if native.plan.stream is None else draw.stream
        super().__init__(native, NumpyBackend(), draw, stream, loaded.arena, loaded.statics, live, spare)
        self.loaded = loaded
        self._table()
        self.values = self._values()

    def _table(self) -> None:
        """The rows of the table, in stretches between calls back."""
        native = self.native
        addresses = {key: array.ctypes.data for key, array in self.arrays.items() if isinstance(array, np.ndarray)}
        moving, codes = native.moving, self.loaded.addresses
        self.kept = describe(native.program, addresses, codes, self.loaded.all_statics)
        self.block = np.array([start + addresses.get(key, 0) for key, start in native.block] or [0], np.int64)
        missing = [key for key, _ in native.block if key not in addresses and key not in moving]
        assert not missing, missing
        begin = int(self.block.ctypes.data)
        stretches: list[list[list[int]] | NumpyCall] = [[]]
        if "take" in native.functions:
            self.row = np.array([*[0] * len(moving), *expected(list(moving.values()))], np.int64)
            self.taken = np.array([self.row.ctypes.data, begin], np.int64)
            stretches = [[[codes["take"], self.taken.ctypes.data, 1, 0]]]
        for step in native.program:
            if isinstance(step, NumpyCall):
                stretches.append(step)
                continue
            if isinstance(stretches[-1], NumpyCall):
                stretches.append([])
            rows = stretches[-1]
            assert isinstance(rows, list)
            rows.append(row(step, codes, begin))
            begin += 8 * len(step.arguments)
        self.tables = [np.array(s, np.int64) if s else None for s in stretches if not isinstance(s, NumpyCall)]
        tables = iter(self.tables)
        self.program: list[tuple[Callable[[], int] | None, Any]] = []
        for stretch in stretches:
            if isinstance(stretch, NumpyCall):
                self.program.append((None, self._callback(stretch.node)))
            elif (table := next(tables)) is not None:
                self.program.append((driver.caller(table, self.block, self.loaded, self), None))

    def told(self, inputs: Sequence[Any]) -> Arrays:
        """The arrays of a run, those given and new ones for what is returned, with their places told to the kernels."""
        native = self.native
        arrays = self._given(inputs)
        if native.layout is None:
            for key, array in native.moving.items():
                address = arrays[key].ctypes.data
                for place, start in array.places:
                    self.block[place] = address + start
        else:
            for number, (key, array) in enumerate(native.moving.items()):
                if arrays[key].dtype is not array.spec.dtype:  # equal, but not the same object
                    arrays[key] = arrays[key].view(array.spec.dtype)
                self.row[number] = id(arrays[key])
        return arrays

    def step(self, *inputs: Any) -> list[Any]:
        """Run the step on arrays of the right specs; values are new arrays.

        Raises:
            Refused: a kernel found that the step fails.
        """
        self.at = -1
        self.done.clear()
        arrays = self.told(inputs)
        for run, call in self.program:
            if run is None:
                call(arrays)
            elif run():
                raise Refused
        self._assign_foreign(arrays)
        return [value(arrays) for value in self.values]

    def quick(self, sources: Sequence[Any]) -> Callable[[Sequence[Any]], list[Any] | None] | None:
        """A function of the arguments of a call that runs the step at once, or returns None if they do not fit.

        Args:
            sources: for each input the number of the argument, or an array.
        """
        native = self.native
        if len(self.program) != 1 or native.layout is None or native.outputs or native.foreign:
            return None
        if any(native.key(i) in native.moving for i in native.plan.values):
            return None
        run, _ = self.program[0]
        if run is None:  # a call back to NumPy, and nothing else
            return None
        row = self.row if native.moving else np.zeros(1, np.int64)
        kept = []
        order: list[tuple[int, int]] = []
        for number, source in enumerate(sources):
            if isinstance(source, int):
                order.append((number, source))
            else:
                kept.append(source)
                row[number] = id(source)
        cells = memoryview(row.data).cast("B").cast("q")
        copies = [self.arrays[native.key(i)].copy for i in native.plan.values if native.ways.way[i] is not Way.NUMBER]
        if len(copies) != len(self.values):
            return None

        def quickly(arguments: Sequence[Any], _: Any = kept) -> list[Any] | None:
            for place, number in order:
                cells[place] = id(arguments[number])
            if run():
                return None
            return [copy() for copy in copies]

        return quickly
