"""The functions over arrays: each compiled as a loop of its own, for tests and measurements."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.cpu.llvm import Code, compiled, load, machine
from lazygrad.engine.lanes.functions import FUNCTIONS, OPERANDS
from lazygrad.engine.lanes.functions.calls import applied
from lazygrad.engine.lanes.writer import Register, Writer

__all__ = ["Loop", "Loops", "loops"]

ATTRIBUTES = '\nattributes #0 = {{ nounwind "prefer-vector-width"="{0}" "min-legal-vector-width"="{0}" }}\n!0 = !{{}}\n'


class Loop(NamedTuple):
    """What a loop computes."""

    name: str
    dtype: np.dtype[Any]
    wide: bool
    called: bool = False  # whether it is called where it is long, as in long kernels, or written out


def _symbol(loop: Loop) -> str:
    return f"{loop.name}_{loop.dtype.name}_{'wide' if loop.wide else 'narrow'}{'_called' * loop.called}"


def text(loop: Loop, width: int) -> tuple[str, dict[str, str]]:
    """The loop in LLVM's language, and what must stand beside it."""
    writer = Writer(width)
    writer.calls = loop.called
    count = OPERANDS[loop.name]
    addresses = [writer.argument(k) for k in range(count + 1)]

    def compute(index: Register, mask: Register | None = None) -> None:
        xs = [writer.load(address, index, loop.dtype, wide=loop.wide, mask=mask) for address in addresses[:-1]]
        writer.store(applied(FUNCTIONS[loop.name], xs), addresses[-1], index, mask=mask)

    # Full registers, then what is left, masked.
    step = width if loop.wide else 1
    left = (writer.end - writer.begin) & (step - 1)
    full = writer.end - left
    with writer.when(full > writer.begin), writer.loop(writer.begin, full, step) as index:
        compute(index)
    if loop.wide:
        with writer.when(left > 0):
            compute(full, writer.widened(left) > writer.lanes())
    return writer.function(_symbol(loop)), writer.definitions


class Loops:
    """Compiled loops, called with arrays."""

    def __init__(self, code: Code, found: Iterable[Loop]) -> None:
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        self._code = code
        self._calls = {loop: kind(code.addresses[_symbol(loop)]) for loop in found}

    def __call__(self, name: str, *xs: np.ndarray[Any, Any], wide: bool = True, called: bool = False) -> Any:
        """``name`` of arrays of one shape and dtype."""
        y = np.empty_like(xs[0])
        if y.size:
            self.prepared(name, *xs, out=y, wide=wide, called=called)()
        return y

    def prepared(
        self, name: str, *xs: np.ndarray[Any, Any], out: np.ndarray[Any, Any], wide: bool = True, called: bool = False
    ) -> Any:
        """The call of ``name`` with these arrays, to be made as often as one likes; ``out`` takes the result."""
        arguments = np.array([array.ctypes.data for array in (*xs, out)], np.intp)
        call, address = self._calls[Loop(name, xs[0].dtype, wide, called)], arguments.ctypes.data

        def again(arrays: Any = (arguments, xs, out)) -> None:  # the arrays live as long as the call
            call(address, 0, out.size)

        return again


def loops(wanted: Iterable[Loop]) -> Loops:
    """The loops, in one module."""
    wanted = list(wanted)
    width = machine().width
    lines, beside = [], {}
    for loop in wanted:
        function, definitions = text(loop, width)
        lines.append(function)
        beside.update(definitions)
    module = "\n".join([*lines, *beside.values()]) + ATTRIBUTES.format(32 * width)
    return Loops(load(compiled(module), [_symbol(loop) for loop in wanted], {}), wanted)
