"""Kernels on whole arrays: what is written of one, and how items, such as matrices or rows, are shared by threads."""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Register

__all__ = ["ROOM", "SOME", "WholeKernel", "share"]

ROOM = 1 << 24  # bytes of scratch memory that all chunks together may need, unless there are only SOME
SOME = 8


class WholeKernel(NamedTuple):
    """The body of a kernel, what it calls, parts that may run at once, and bytes of scratch memory in all."""

    body: str
    definitions: dict[str, str]
    chunks: int = 1
    scratch: int = 0


def share(w: Arithmetic, count: int, chunks: int) -> tuple[Register, Register]:
    """The first and the end of what the chunks of a call are to do, of so many items."""
    if chunks == 1:
        return w.constant(0, I64), w.constant(count, I64)
    each, rest = divmod(count, chunks)
    if rest == 0:
        return w.begin * each, w.end * each
    parts = w.constant(chunks, I64)
    return w.binary("div", w.begin * count, parts), w.binary("div", w.end * count, parts)
