"""What kernels are written for: the lanes, caches and workers of a machine, in one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.writer import Writer

__all__ = ["Target", "cpu"]


@dataclass(frozen=True)
class Target:
    """A kind of machine. All numbers that say how work is cut are here, and none depends on how many cores there are.

    Attributes:
        lanes: numbers of float32 in a wide register.
        writer: makes a writer of a function, whose lanes are those of the target.
        chunks: parts that the work of one kernel is cut into at most; workers take them in turns.
        totals: the same of a kernel that totals over rows, as what chunks have found is to be combined afterwards. Of
            totals with fewer elements than there are lanes there may be four times as many.
        instructions: on single elements, that a chunk of a kernel has at least.
        cycles: of a chunk of a product for which another worker is worth waking, about 30 µs.
        room: bytes that a row may need of memory of its own, so that it stays in the nearest cache.
        near: bytes of the nearest cache that a panel of a product's operand may take.
        panel: bytes of such a panel that is packed.
        far: bytes of an operand from which on it is read from memory.
        page: bytes of memory that lie together.
        small: elements; kernels that do no more in all may be one, with a single row.
        rows: a kernel of much work is not made to have fewer, as rows are what workers share.
        registers: words of 4 bytes that a loop of one kernel may keep; if it needs more, its turns are kernels.
        longest: instructions of a kernel, unless one statement has more; LLVM takes over-long for longer ones.
        batches: parts that a worker takes the chunks of a kernel in, so that one that is late can be helped.
        calls: whether long functions of long kernels are called rather than written out.
        lapack: whether the functions of LAPACK can be called.
        hosted: whether the host goes through its table, kernel by kernel. Then a library is called for products, and
            the bodies of loops may call back.
        windows: whether windows are folded, and laid back, by kernels in which lanes are what comes out; else by NumPy.
        bundles: whether kernels that do not wait for each other are launched as one.
        entry: instructions that take as long as a kernel needs to begin.
        endless: turns after which a kernel leaves a loop to the interpreter though nothing forbids more: it may run for
            ever, and Ctrl-C, which a kernel does not hear, is heard there. It takes seconds to come so far.
        narrows: whether registers may have fewer lanes, as many as suit a kernel.
    """

    lanes: int
    writer: Callable[[], Arithmetic]
    chunks: int = 64
    totals: int = 64
    instructions: int = 200_000
    cycles: int = 100_000
    room: int = 1 << 15
    near: int = 20_000
    panel: int = 1 << 19
    far: int = 1 << 20
    page: int = 4096
    small: int = 2048
    rows: int = 64
    registers: int = 1 << 30
    longest: int = 4000
    batches: int = 8
    calls: bool = True
    lapack: bool = False
    hosted: bool = False
    windows: bool = False
    bundles: bool = False
    # Measured with bodies of 4 products and sums on 1 to 256 numbers, 8 lanes of float64: of 16 a turn takes 20 ns as a
    # repeat and in registers, and a turn of hardly anything 17 ns as a repeat, 12 ns in registers.
    entry: int = 100
    endless: int = 1 << 31
    narrows: bool = True


@functools.cache
def cpu(lanes: int, lapack: bool = False) -> Target:
    """Cores of a CPU whose vector registers hold so many numbers of float32, with LAPACK beside them or without."""
    return Target(lanes, functools.partial(Writer, lanes), lapack=lapack)
