"""What the functions of ``lazygrad.nn`` share: bringing operands together, and saying that they do not fit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import index
from types import TracebackType
from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor

__all__ = ["fitting", "number", "pair", "takes_train", "whole"]


class fitting:  # noqa: N801 - read as a word of the with statement
    """While it lasts, a :class:`Mismatch` becomes an error at the user's line that names the operands there are."""

    def __init__(self, what: str, **operands: Tensor | None) -> None:
        self.what = what
        self.operands = {name: x for name, x in operands.items() if x is not None}

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, reason: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(reason, Mismatch):
            what = f"cannot {self.what} " + " and ".join(str(x.spec) for x in self.operands.values())
            wide = max(map(len, self.operands), default=0) + 1
            deep = max((len(str(x.spec)) for x in self.operands.values()), default=0)
            facts = [
                f"{name + ':':<{wide}}  {x.spec!s:<{deep}}   {x.graph.describe(x.index)}"
                for name, x in self.operands.items()
            ]
            raise SpecError(report(what.rstrip(), at=here(), facts=facts, cure=str(reason))) from None


def number(name: str, value: Any, low: float, high: float, open_end: bool = False) -> float:
    """A setting that is a Python number from ``low`` to ``high``."""
    many = isinstance(value, np.ndarray) and (value.ndim or value.dtype.kind not in "biuf")
    if isinstance(value, (Tensor, str, np.complexfloating)) or not hasattr(value, "__float__") or many:
        raise Mismatch(f"{name} is a number, not {value!r:.60}.")
    inside = low <= value and (value < high if open_end else value <= high)
    if not inside:
        raise Mismatch(f"{name} is {value}; it must be {low} or more, and {'below' if open_end else 'at most'} {high}.")
    return float(value)


def pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """A setting given as one whole number for both axes, or as two."""
    parts = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    found = [_index(part) for part in parts]
    if len(parts) != 2 or any(part is None or part < least for part in found):
        raise Mismatch(f"{name} is a whole number or two of them, each {least} or more, not {value!r:.60}.")
    return found[0] or 0, found[1] or 0


def whole(name: str, value: Any, least: int = 1) -> int:
    """A setting that is a whole number; raises Mismatch if it is not."""
    found = _index(value)
    if found is None or found < least:
        raise Mismatch(f"{name} is a whole number, {least} or more, not {value!r:.60}.")
    return found


def _index(value: Any) -> int | None:
    """A whole number of Python or of NumPy; None of anything else, a truth value too."""
    try:
        return None if isinstance(value, (bool, Tensor)) else index(value)
    except TypeError:
        return None


def takes_train(function: Callable[..., Any]) -> bool:
    """Whether a layer, a network or a step is told if it is trained: whether it has an argument ``train``."""
    try:
        return "train" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function that Python does not know the arguments of
        return False
