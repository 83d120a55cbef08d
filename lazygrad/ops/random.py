"""Random draws. A draw is named by its number in the graph; the run it happens in does the rest.

The numbers of a draw are those of the counter-based generator Philox (Salmon et al. 2011) under the
environment's seed, at the counter (run, draw). So they do not depend on what else is evaluated, in
which order, or on how many threads, and two draws are never merged into one.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch, Shape, Spec, broadcast, fits, floating, sized
from lazygrad.graph.tensor import Array, Tensor, checked_dtype
from lazygrad.ops.arithmetic import maximum, minimum, nextafter, subtract
from lazygrad.ops.comparison import isfinite, less, where
from lazygrad.ops.elementary import exp
from lazygrad.ops.sorting import argsort
from lazygrad.ops.streams import words_of
from lazygrad.ops.variates import _exponential, _happens, _normal, _unit, _whole, _whole_of_many

__all__ = ["Random"]


@opaque(shape=lambda alpha, draw, shape: shape, vjp=None, dtype=floating)
def _gamma(rng: Any, alpha: Array, *, draw: int, shape: Shape) -> Any:
    """Gamma numbers of shape parameter alpha and scale 1."""
    return rng.standard_gamma(alpha, shape, dtype=alpha.dtype)


class Random:
    """The draws of a context, ``ctx.random``: fresh numbers at every run, reproducible from the seed.

    ``shape`` is a size or a tuple of sizes. Floating draws have the environment's dtype, or ``dtype``
    (float32 or float64). Parameters may be numbers or tensors that broadcast to ``shape``; the gradient
    passes to them wherever the draw is a formula of them.

    Every draw raises SpecError where its shape, its dtype, or a parameter that is a number cannot be right.
    """

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
            _require(_fits(value, draw.dtype), name, value, cure)
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

    def uniform(self, shape: Any, low: Any = 0.0, high: Any = 1.0, dtype: Any = None) -> Tensor:
        """Equally likely anywhere from ``low`` up to but not including ``high``, whatever is rounded.

        The bounds, and ``high - low``, are finite in the dtype: numbers that are not are refused, and where tensors
        are not the result is NaN.
        """
        unit = self._draw(_unit, "uniform", shape, dtype)
        low, high = self._parameter("low", low, unit), self._parameter("high", high, unit)
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            return _within(low, high, unit)
        width = float(high) - float(low)
        cure = f"The range between them, {width:g}, is more than a {unit.dtype} can hold."
        _require(_fits(width, unit.dtype), "low and high", (low, high), cure)
        scaled = unit if width == 1 else (high - low) * unit
        scaled = scaled if _is(low, 0) else low + scaled
        last = _last(low, high, unit.dtype)
        return scaled if last is None else (minimum if low <= high else maximum)(scaled, last)

    def normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """Normal, of mean ``mean`` and standard deviation ``std``."""
        _require(not _below(std, 0), "std", std, "A standard deviation is not negative.")
        unit = self._draw(_normal, "normal", shape, dtype)
        mean, std = self._parameter("mean", mean, unit), self._parameter("std", std, unit)
        scaled = unit if _is(std, 1) else std * unit
        return scaled if _is(mean, 0) else mean + scaled

    def log_normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """exp of a normal number of mean ``mean`` and standard deviation ``std``."""
        return exp(self.normal(shape, mean, std, dtype))

    def exponential(self, shape: Any, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Exponential, of mean ``scale`` (the rate is its inverse)."""
        _require(not _below(scale, 0), "scale", scale, "A scale is not negative.")
        unit = self._draw(_exponential, "exponential", shape, dtype)
        scale = self._parameter("scale", scale, unit)
        return unit if _is(scale, 1) else scale * unit

    def bernoulli(self, shape: Any, p: Any = 0.5) -> Tensor:
        """True with probability ``p``, exact to 2⁻⁵³. The result is bool and has no gradient.

        Where ``p`` is a tensor, what is above 1 counts as 1, and what is below 0, or NaN, as 0.
        """
        _require(not (_below(p, 0) or _below(1, p)), "p", p, "A probability is a number from 0 to 1.")
        if isinstance(p, Tensor) or np.ndim(p) > 0:
            unit = self._draw(_unit, "bernoulli", shape, np.float64)
            return less(unit, self._parameter("p", p, unit))
        return self._happens(shape, float(p))

    def _happens(self, shape: Any, p: float, coarse: bool = False) -> Tensor:
        """Where something of a probability happens: that is rounded to a multiple of 2⁻³² if ``coarse``."""
        coarse = coarse or (p * 2.0**32).is_integer()
        words = self._words("bernoulli", shape, np.uint32 if coarse else np.uint64)
        return _happens(words, below=round(p * 2 ** (32 if coarse else 64)), dtype=np.dtype(np.bool_))

    def gamma(self, shape: Any, alpha: Any = 1.0, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Gamma, of shape parameter ``alpha`` and scale ``scale``. There is no gradient for ``alpha``."""
        _require(not _below(alpha, 0), "alpha", alpha, "A shape parameter is not negative.")
        _require(not _below(scale, 0), "scale", scale, "A scale is not negative.")
        try:
            like = Spec(sized(shape), self._dtype(dtype))
        except Mismatch as reason:
            raise SpecError(report("cannot make gamma", at=here(), cure=str(reason))) from None
        alpha = tensor(self._parameter("alpha", alpha, like), self._graph, like.dtype)
        unit = _gamma(alpha, draw=self._next(), shape=like.shape)
        scale = self._parameter("scale", scale, like)
        return unit if _is(scale, 1) else scale * unit

    def integers(self, shape: Any, low: int, high: int) -> Tensor:
        """Whole numbers equally likely from ``low`` up to but not including ``high``, int64."""
        for name, bound in (("low", low), ("high", high)):
            _require(isinstance(bound, (int, np.integer)), name, bound, "A bound is a whole number.")
        _require(low < high, "low and high", (low, high), "There is no whole number between them: low is below high.")
        low, high = int(low), int(high)
        inside = low >= -(2**63) and high <= 2**63
        _require(inside, "low and high", (low, high), "Whole numbers are drawn as int64, from -2**63 below 2**63.")
        words, count = self._words("integers", shape, np.uint64), high - low
        if count <= 2**32:
            return _whole(words, low=low, count=count, dtype=np.dtype(np.int64))
        more = self._words("integers", shape, np.uint64)
        return _whole_of_many(words, more, low=low, count=count, dtype=np.dtype(np.int64))

    def permutation(self, n: int) -> Tensor:
        """The whole numbers below ``n`` in random order, int64."""
        return argsort(self._words("permutation", (n,), np.uint64))


def _fits(number: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a number is finite in a dtype."""
    try:
        with np.errstate(over="ignore"):
            return bool(np.isfinite(dtype.type(float(number))))
    except OverflowError:  # a whole number beyond all floats
        return False


def _last(low: float, high: float, dtype: np.dtype[Any]) -> float | None:
    """The number before ``high`` if what is drawn from ``low`` up to it could be rounded to it, else None."""
    first, end, width = (dtype.type(x) for x in (low, high, high - low))
    top = np.nextafter(dtype.type(1), dtype.type(0))
    wide = np.longdouble
    # Rounded twice, as NumPy does, or once, as where a product and a sum are one instruction.
    for drawn in (first + width * top, dtype.type(wide(width) * wide(top) + wide(first))):
        if (drawn >= end) if first <= end else (drawn <= end):
            return float(np.nextafter(end, first))
    return None


def _within(low: Any, high: Any, unit: Tensor) -> Tensor:
    """Numbers from ``low`` up to ``high``, of which one is a tensor; NaN where the range is not finite."""
    width = subtract(high, low)
    scaled = low + width * unit
    inside = where(less(high, low), scaled > high, scaled < high)
    return where(isfinite(width), where(inside, scaled, nextafter(high, low)), math.nan)


def _is(value: Any, number: float) -> bool:
    """Whether a parameter is this very number, so that no arithmetic is needed."""
    return type(value) in (int, float) and bool(value == number)


def _below(a: Any, b: Any) -> bool:
    """Whether a < b, or one of them is NaN, where both are numbers; of tensors nothing is known yet."""
    known = all(isinstance(x, (int, float, np.integer, np.floating)) for x in (a, b))
    return known and not bool(a >= b)


def _require(condition: bool, name: str, value: Any, cure: str) -> None:
    if not condition:
        raise SpecError(report(f"cannot draw with {name} {value!r}", at=here(), cure=cure))
