"""What every draw does: it has a number in the step, words of a dtype, and parameters that fit its shape."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch, Spec, broadcast, fits, sized
from lazygrad.graph.tensor import Tensor, checked_dtype
from lazygrad.ops.streams import words_of
from lazygrad.ops.variates import _bernoulli

__all__ = ["Drawer", "is_below", "is_exactly", "is_finite", "require"]


class Drawer:
    """Makes draws in a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _next(self) -> int:
        step = self._graph.outermost
        step.draws += 1
        return step.draws - 1

    def _words(self, what: str, shape: Any, dtype: Any) -> Tensor:
        """The random words of a new draw, uint32 or uint64."""
        try:
            sizes = fits(Spec(sized(shape), np.dtype(dtype))).shape
        except Mismatch as reason:
            raise SpecError(report(f"cannot make {what}", at=here(), cure=str(reason))) from None
        return words_of(self._graph, self._next(), sizes, dtype)

    def _draw(self, formula: Any, what: str, shape: Any, dtype: Any) -> Tensor:
        """Numbers that a formula makes of words of their own size."""
        found = self._dtype(dtype)
        words = self._words(what, shape, np.uint32 if found.itemsize == 4 else np.uint64)
        return cast(Tensor, formula(words, dtype=found))

    def _dtype(self, dtype: Any) -> np.dtype[Any]:
        found = checked_dtype(dtype) if dtype is not None else self._graph.dtype
        if found not in (np.float32, np.float64):
            cure = "Random numbers are drawn in float32 or float64: cast them with .astype afterwards."
            raise SpecError(report(f"cannot draw {found} numbers", at=here(), cure=cure))
        return found

    def _parameter(self, name: str, value: Any, draw: Tensor | Spec) -> Any:
        """A parameter as it goes into a formula with ``draw``, whose dtype and shape the result keeps."""
        if isinstance(value, (int, float, np.integer, np.floating)):
            cure = f"It is a finite number, and as {draw.dtype} it is not."
            require(is_finite(value, draw.dtype), name, value, cure)
            return value.item() if isinstance(value, np.number) else value
        t = tensor(value, self._graph, draw.dtype)
        try:
            fits = broadcast([t.shape, draw.shape]) == draw.shape
        except Mismatch:
            fits = False
        if not fits:
            facts = [f"{name}:  {t.spec}   {self._graph.describe(t.index)}"]
            cure = f"It must broadcast to the shape of the draw, {list(draw.shape)}."
            spec = Spec(draw.shape, draw.dtype)
            raise SpecError(report(f"cannot draw {spec} with this {name}", at=here(), facts=facts, cure=cure))
        return t

    def _happens(self, shape: Any, p: float, coarse: bool = False) -> Tensor:
        """Where something of a probability happens: that is rounded to a multiple of 2⁻³² if ``coarse``."""
        coarse = coarse or (p * 2.0**32).is_integer()
        words = self._words("bernoulli", shape, np.uint32 if coarse else np.uint64)
        return _bernoulli(words, below=round(p * 2 ** (32 if coarse else 64)), dtype=np.dtype(np.bool_))

    def _like(self, what: str, shape: Any, dtype: Any) -> Spec:
        """The spec of numbers that are drawn."""
        try:
            return fits(Spec(sized(shape), dtype))
        except Mismatch as reason:
            raise SpecError(report(f"cannot make {what}", at=here(), cure=str(reason))) from None


def is_finite(number: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a number is finite in a dtype."""
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(dtype.type(float(number))))
    except OverflowError:  # a whole number beyond all floats
        return False


def is_exactly(value: Any, number: float) -> bool:
    """Whether a parameter is this very number, so that no arithmetic is needed."""
    return type(value) in (int, float) and bool(value == number)


def is_below(a: Any, b: Any) -> bool:
    """Whether a < b, or one of them is NaN, where both are numbers; of tensors nothing is known yet."""
    known = all(isinstance(x, (int, float, np.integer, np.floating)) for x in (a, b))
    return known and not bool(a >= b)


def require(condition: bool, name: str, value: Any, cure: str) -> None:
    """Raise SpecError for a parameter, unless a condition holds."""
    if not condition:
        raise SpecError(report(f"cannot draw with {name} {value!r}", at=here(), cure=cure))
