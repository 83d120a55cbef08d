"""Functions that are called in long kernels rather than written out wherever they are used.

Written out, a function shares the registers of what is around it. But the time that LLVM takes for a kernel grows
faster than the kernel, above all with the number of its branches. So in a long kernel, where a call costs little beside
the rest, a long function is called: it stands once beside the kernel. Every operation of a function is rounded as it
is written (see :func:`~lazygrad.engine.lanes.functions.core.exactly`), so both ways give the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.registers import Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["LONG", "applied"]

LONG = 40  # instructions

Function = Callable[..., Register]
Kinds = tuple[tuple[np.dtype[Any], bool], ...]


class _Copy(NamedTuple):
    """A function of the module: its name, what it and all that it needs are defined as, its length and its result."""

    name: str
    definitions: dict[str, str]
    length: int
    dtype: np.dtype[Any]
    wide: bool


def applied(function: Function, operands: list[Register]) -> Register:
    """``function`` of registers: written out, or called if it is long and so is the kernel."""
    writer = operands[0].writer
    if writer.calls:
        copy = _copy(function, writer.width, tuple([(x.dtype, x.wide) for x in operands]))
        if copy.length > LONG:
            writer.definitions.update(copy.definitions)
            return writer.call(copy.name, copy.dtype, operands, copy.wide)
    return function(*operands)


@functools.cache
def _copy(function: Function, width: int, kinds: Kinds) -> _Copy:
    writer = Writer(width)
    operands = [Register(writer, f"%x{k}", dtype, wide, 0) for k, (dtype, wide) in enumerate(kinds)]
    result = function(*operands)
    suffix = "_".join(f"{dtype.name}{'_wide' if wide else ''}" for dtype, wide in kinds)
    name = f"@{function.__name__}_of_{suffix}"
    listed = ", ".join(f"{x.type} {x.name}" for x in operands)
    text = f"define internal {result.type} {name}({listed}) noinline #0 {writer.body(result)}"
    return _Copy(name, {**writer.definitions, name: text}, writer.count, result.dtype, result.wide)
