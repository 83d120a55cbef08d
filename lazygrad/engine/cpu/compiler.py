"""Text -> object code, in a process beside this one, so that LLVM can be left at any moment.

A thread cannot be stopped inside LLVM, a fork copies its locks as they are, and a fault of it ends the process. A
process can be left: who cancels, forks or ends closes the connection, and it ends by itself. Where no process can be
started, LLVM works in this one, some kernels at a time (``docs/decisions/0014-compiling-beside.md``).
"""

from __future__ import annotations

from lazygrad.engine.cpu import llvm, llvm_process
from lazygrad.engine.cpu.llvm_process import Gone, Stopped, stop

__all__ = ["Stopped", "compiled", "stop"]


def compiled(text: str, level: int = 1) -> bytes:
    """A module as object code.

    Level 1 is for text whose loops are vectorised and free of invariant code, as a ``Writer`` makes it: variables
    become registers, and nothing else is looked for. Level 2 runs all of LLVM's passes but the vectorisers. Measured on
    fused loops, reductions and register tiles, its code is as fast and takes 1.5 to 3 times as long to make.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text, or ended while it worked.
        Stopped: it was given up, see :func:`stop`.
    """
    llvm.machine()
    if llvm_process.usable():
        try:
            return llvm_process.asked(text, level)
        except Gone:
            pass
    return llvm.compiled(text, level)
