"""Kernels "on the device": PTX that is loaded as CuPy loads it, and run by the emulator."""

from __future__ import annotations

from typing import Any

from gpu import emulator, ptx_text

from cupy_double.array import counts, memory

__all__ = ["Module"]


class Module:
    """As ``cupy.cuda.function.Module``: PTX, which ends with a zero as the driver wants it."""

    def load(self, cubin: bytes) -> None:
        """Take over a module."""
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
        counts["launches"] += 1
        known = emulator.Memory(list(memory.values()))
        (blocks,), (threads,) = grid, block
        emulator.run(self._program, self._name, blocks, threads, [int(x) for x in args], known)
