"""Kernels "on the device": PTX that is loaded as CuPy loads it, and run by the emulator."""

from __future__ import annotations

from typing import Any

from gpu import emulator, ptx_text

from cupy_double.array import counts, memory
from cupy_double.runtime import get_current_stream, refuse_while_capturing

__all__ = ["Module"]


class Module:
    """As ``cupy.cuda.function.Module``: PTX, which ends with a zero as the driver wants it."""

    def load(self, cubin: bytes) -> None:
        """Take over a module."""
        refuse_while_capturing()
        if cubin[-1]:
            raise ValueError("a cubin, or PTX without a zero at its end")
        self._program = ptx_text.read(cubin[:-1].decode())

    def get_function(self, name: str) -> Function:
        """A kernel by name."""
        if name not in self._program.kernels:
            raise KeyError(name)
        return Function(self._program, name)


class Function:
    """As ``cupy.cuda.function.Function``."""

    def __init__(self, program: ptx_text.Program, name: str) -> None:
        self._program, self._name = program, name

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Any, shared_mem: int = 0, stream: Any = None
    ) -> None:
        (blocks,), (threads,) = grid, block
        numbers = [int(x) for x in args]
        current = get_current_stream() if stream is None else stream
        if current.is_capturing():
            current._captured.append(lambda: self._run(blocks, threads, numbers))
            counts["launches that were captured"] += 1
            return
        self._run(blocks, threads, numbers)

    def _run(self, blocks: int, threads: int, numbers: list[int]) -> None:
        counts["launches"] += 1
        known = emulator.Memory(list(memory.values()))
        emulator.run(self._program, self._name, blocks, threads, numbers, known)
