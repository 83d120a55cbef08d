"""Native code with a clock between the rows of its table: what each entry takes, on arrays of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from lazygrad.engine.cpu import driver
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Kernel
from lazygrad.engine.machine import Silent
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.native import NumpyCall
from lazygrad.ops.passing import speaks
from lazygrad.store.draws import Drawing

__all__ = ["Clocked"]

EMPTY = 200  # calls of an empty table, of which the quickest is what a clock and a call cost


class Clocked:
    """The table of a plan, run row by row.

    What a row takes is measured around a call of the driver with that row alone; what the call of an empty table takes
    is subtracted. Nothing that the program runs is touched: it works on its own binding, and its own spare arrays. What
    shows a value or calls a hook hands it on.

    Args:
        loaded: the native code.
        live, spare: arrays for variables by name, that nobody else has.
        draw: what random numbers are drawn from.
    """

    def __init__(self, loaded: Loaded, live: dict[str, Any], spare: dict[str, Any], draw: Drawing) -> None:
        self.native = native = loaded.native
        self.binding = binding = loaded.bind(live, spare, draw)
        binding.machine = Silent
        self._rows: list[tuple[int, Callable[[], int] | None, Callable[[Any], None] | None]] = []
        rows = [table[k : k + 1] for table in binding.tables if table is not None for k in range(len(table))]
        calls = [call for run, call in binding.program if run is None]
        if len(rows) > sum(not isinstance(step, NumpyCall) for step in native.program):  # the first takes the arguments
            self._rows.append((-1, self._caller(rows.pop(0)), None))
        for step in native.program:
            if isinstance(step, NumpyCall):
                self._rows.append((step.entry, None, self._called(step.node, calls.pop(0))))
            else:
                self._rows.append((step.entry, self._caller(rows.pop(0)), None))
        self._empty = self._cost_of_nothing()

    def _caller(self, row: Any) -> Callable[[], int]:
        return driver.caller(row, self.binding.block, self.binding.loaded, self.binding)

    def _called(self, node: int, call: Callable[[Any], None]) -> Callable[[Any], None]:
        """A call back; of what shows a value only that the value is handed on."""
        binding, it = self.binding, self.native.ways.nodes[node]
        if not speaks(it):
            return call
        given = binding._operand(it.inputs[0])
        return lambda arrays: np.copyto(binding._array(node, arrays), given(arrays))

    def _cost_of_nothing(self) -> int:
        nothing, clock = driver.caller(np.zeros((0, driver.COLUMNS), np.int64)), time.perf_counter_ns
        taken = []
        for _ in range(EMPTY):
            began = clock()
            nothing()
            taken.append(clock() - began)
        return min(taken)

    def run(self, inputs: Sequence[Any]) -> list[int]:
        """One run: for every entry of the native code the nanoseconds that it took, and last those of the rest.

        Raises:
            Refused: a kernel found that the step fails.
        """
        binding, clock = self.binding, time.perf_counter_ns
        binding.done.clear()
        began = clock()
        arrays = binding.told(inputs)
        taken = [0] * (len(self.native.entries) + 1)
        taken[-1] = clock() - began
        for entry, run, call in self._rows:
            began = clock()
            if run is None:
                assert call is not None
                call(arrays)
                taken[entry] += clock() - began
            else:
                failed = run()
                taken[entry] += max(0, clock() - began - self._empty)
                if failed:
                    raise Refused
        return taken

    def watched(self, inputs: Sequence[Any], seen: Callable[[int, Any], None]) -> list[Any]:
        """What one run returns; ``seen`` is told every node that lies in memory with its array, as soon as it is made.

        Raises:
            Refused: a kernel found that the step fails.
        """
        binding = self.binding
        binding.done.clear()
        arrays = binding.told(inputs)
        for number, (entry, run, call) in enumerate(self._rows):
            if call is not None:
                call(arrays)
            elif run is not None and run():
                raise Refused
            if entry < 0 or any(other == entry for other, _, _ in self._rows[number + 1 :]):
                continue  # it is made in parts
            made = self.native.entries[entry]
            for i in (
                sorted(made.stored) if isinstance(made, Kernel) else [made.node] if isinstance(made, Entry) else []
            ):
                with suppress(KeyError):  # some of several results are not kept
                    seen(i, binding._array(i, arrays))
        return [value(arrays) for value in binding.values]

    def whole(self, inputs: Sequence[Any]) -> int:
        """One run as the program makes it, without clocks between: its nanoseconds."""
        binding = self.binding
        began = time.perf_counter_ns()
        arrays = binding.told(inputs)
        calls = iter([call for _, run, call in self._rows if run is None])
        for run, _ in binding.program:
            if run is None:
                call = next(calls)
                assert call is not None
                call(arrays)
            elif run():
                raise Refused
        [value(arrays) for value in binding.values]
        return time.perf_counter_ns() - began
