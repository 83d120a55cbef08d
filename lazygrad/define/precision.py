"""The dtype that compositions of ops compute in: law 8 of the contract, said once.

Whole numbers and booleans become float64 *before* they are subtracted, squared or scaled: the difference of two
uint8 has no sign, and the sum of many int64 wraps. Halves are computed with in float32, and the result is rounded
to them once: their sums end at 65504, and a sum of ones stops at 2048.

Primitives that add up do the same by themselves, see ``adds`` in :mod:`lazygrad.define.kinds`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from lazygrad.define.kinds import graph_of, kind_of, tensor
from lazygrad.errors import SpecError
from lazygrad.graph.casting import working
from lazygrad.graph.spec import Mismatch, floating
from lazygrad.graph.tensor import Tensor

__all__ = ["in_floats"]

F = TypeVar("F", bound=Callable[..., Any])


def in_floats(*names: str, beside: Sequence[str] = (), whole: bool = True) -> Callable[[F], F]:
    """A composition of ops whose operands ``names`` arrive as floats that are wide enough to compute with.

    It stands below ``@function``::

        @function
        @in_floats("x")
        def var(x, *, axis=None): ...

    They arrive as tensors of one dtype, to which they are promoted: whole numbers and booleans as float64, halves as
    float32. One that is ``None`` stays so. What is computed in float32 because of halves is cast back to float16.

    Args:
        names: parameters that are tensors, or what a tensor is made of.
        beside: others that the result's dtype depends on, if they are floats. Halves arrive as float32, others as
            they are.
        whole: whether whole numbers become floats. If not, only halves are cast: products of whole numbers are
            whole numbers, which wrap as NumPy's do.
    """

    def decorate(f: F) -> F:
        places = {name: i for i, name in enumerate(inspect.signature(f).parameters)}

        @functools.wraps(f)
        def wide(*args: Any, **kwargs: Any) -> Any:
            def given(name: str) -> Any:
                place = places[name]
                return args[place] if place < len(args) else kwargs.get(name)

            xs = {name: x for name in names if (x := given(name)) is not None}
            others = {name: x for name in beside if (x := given(name)) is not None}
            if not whole and not any(map(_is_half, xs.values())):
                return f(*args, **kwargs)
            if _is_settled(list(xs.values())) and not any(map(_is_half, others.values())):
                return f(*args, **kwargs)
            try:
                graph = graph_of(f.__name__, [*xs.values(), *others.values()])
                dtype = _dtype(graph.dtype, list(xs.values()), list(others.values()))
            except Mismatch:  # no array of numbers: whoever makes a tensor of it says so
                return f(*args, **kwargs)
            within = working(dtype)
            wider = {name: tensor(x, graph, within) for name, x in xs.items()}
            wider |= {name: tensor(x, graph, working(x.dtype)) for name, x in others.items() if _is_half(x)}
            listed = [wider.get(name, x) for name, x in zip(places, args, strict=False)]
            named = {name: wider.get(name, x) for name, x in kwargs.items()}
            try:
                y = f(*listed, *args[len(listed) :], **named)
            except SpecError:
                f(*args, **kwargs)  # the same mistake, told of what the user gave
                raise
            return tensor(y, graph, dtype) if y.dtype == within else y

        return cast(F, wide)

    return decorate


def _dtype(default: np.dtype[Any], xs: Sequence[Any], others: Sequence[Any]) -> np.dtype[Any]:
    """The dtype of the result: the operands' promoted, float64 for whole numbers."""
    kinds = [kind_of(x, default) for x in xs]
    kinds += [kind for x in others if isinstance(kind := kind_of(x, default), np.dtype) and kind.kind == "f"]
    if all(isinstance(kind, type) for kind in kinds):
        return default
    _, dtype = floating(tuple(kinds))
    return dtype


def _is_settled(xs: Sequence[Any]) -> bool:
    """Whether operands are tensors of one dtype that is wide enough."""
    dtype = getattr(xs[0], "dtype", None) if xs else None
    return all(isinstance(x, Tensor) and x.dtype == dtype == working(x.dtype) for x in xs)


def _is_half(x: Any) -> bool:
    return getattr(x, "dtype", None) == np.float16
