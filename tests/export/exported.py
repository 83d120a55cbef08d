"""Exported steps in this process: their code is loaded, and called as C would call it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.cpu.llvm import compiled, load
from lazygrad.export.code import coded
from lazygrad.export.signature import Signature
from lazygrad.export.targets import machine_of
from lazygrad.step.compiled import Compiled

__all__ = ["Called", "bits", "called", "listed"]


class Called(NamedTuple):
    """An exported function, and how it is called."""

    signature: Signature
    function: Callable[..., int]
    word: int
    kept: Any

    def __call__(self, *arrays: Any, run: int = 0, workspace: int = 0xFF) -> list[Any]:
        """What it fills, from a workspace full of a byte; it must say that it went well."""
        made = [np.empty(one.spec.shape, one.spec.dtype) for one in self.signature.outputs]
        given = [*(np.require(a, None, ["C", "A"]) for a in arrays), *made]
        if self.signature.draws:
            given.append(np.array([self.word, run], np.uint64))
        given.append(np.full(self.signature.workspace, workspace, np.uint8))
        assert self.function(*[a.ctypes.data for a in given]) == 0
        return made


def called(step: Compiled, *arrays: Any, lapack: bool = False, symbols: dict[str, int] | None = None) -> Called:
    """A step, exported for this machine."""
    source = step._source(arrays)
    code = coded(source, machine_of("host"), "exported", lapack=lapack)
    kept = load(code.object_code(compiled), ["exported"], symbols or {})
    kind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * len(code.signature.pointers))
    return Called(code.signature, kind(kept.addresses["exported"]), source.word, kept)


def listed(result: Any) -> list[Any]:
    """The arrays that a step returned."""
    if isinstance(result, dict):
        return [one for value in result.values() for one in listed(value)]
    return [one for value in result for one in listed(value)] if isinstance(result, (tuple, list)) else [result]


def bits(arrays: Any) -> list[Any]:
    """Arrays so that they compare bit for bit."""
    return [(np.asarray(a).shape, str(np.asarray(a).dtype), np.asarray(a).tobytes()) for a in arrays]
