"""Random draws. A draw is named by its number in the graph; the run it happens in does the rest.

The numbers of a draw are those of the counter-based generator Philox (Salmon et al. 2011) under the
environment's seed, at the counter (run, draw). So they do not depend on what else is evaluated, in
which order, or on how many threads, and two draws are never merged into one.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.graph.spec import Spec, sized
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import maximum, minimum, nextafter, subtract
from lazygrad.ops.comparison import isfinite, less, less_equal, where
from lazygrad.ops.cumulative import cumulative_sum
from lazygrad.ops.drawing import Drawer, is_below, is_exactly, is_finite, require
from lazygrad.ops.elementary import exp, sigmoid
from lazygrad.ops.indexing import take
from lazygrad.ops.movement import expand_dims, reshape
from lazygrad.ops.reduction import max
from lazygrad.ops.rejection import LARGEST_RATE, _gamma, _poisson
from lazygrad.ops.sorting import argsort
from lazygrad.ops.standard import sum
from lazygrad.ops.variates import _exponential, _integers, _many_integers, _normal, _uniform

__all__ = ["Random"]

POSITIVE = "A shape parameter is more than 0."


class Random(Drawer):
    """The draws of a context, ``ctx.random``: fresh numbers at every run, reproducible from the seed.

    ``shape`` is a size or a tuple of sizes. Floating draws have the environment's dtype, or ``dtype``
    (float32 or float64). Parameters may be numbers or tensors that broadcast to ``shape``; the gradient
    passes to them wherever the draw is a formula of them.

    Every draw raises SpecError where its shape, its dtype, or a parameter that is a number cannot be right.
    """

    def uniform(self, shape: Any, low: Any = 0.0, high: Any = 1.0, dtype: Any = None) -> Tensor:
        """Equally likely anywhere from ``low`` up to but not including ``high``, whatever is rounded.

        The bounds, and ``high - low``, are finite in the dtype: numbers that are not are refused, and where tensors
        are not the result is NaN.
        """
        unit = self._draw(_uniform, "uniform", shape, dtype)
        low, high = self._parameter("low", low, unit), self._parameter("high", high, unit)
        if isinstance(low, Tensor) or isinstance(high, Tensor):
            return _within(low, high, unit)
        width = float(high) - float(low)
        cure = f"The range between them, {width:g}, is more than a {unit.dtype} can hold."
        require(is_finite(width, unit.dtype), "low and high", (low, high), cure)
        scaled = unit if width == 1 else (high - low) * unit
        scaled = scaled if is_exactly(low, 0) else low + scaled
        last = _last(low, high, unit.dtype)
        return scaled if last is None else (minimum if low <= high else maximum)(scaled, last)

    def normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """Normal, of mean ``mean`` and standard deviation ``std``."""
        require(not is_below(std, 0), "std", std, "A standard deviation is not negative.")
        unit = self._draw(_normal, "normal", shape, dtype)
        mean, std = self._parameter("mean", mean, unit), self._parameter("std", std, unit)
        scaled = unit if is_exactly(std, 1) else std * unit
        return scaled if is_exactly(mean, 0) else mean + scaled

    def log_normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """exp of a normal number of mean ``mean`` and standard deviation ``std``."""
        return exp(self.normal(shape, mean, std, dtype))

    def exponential(self, shape: Any, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Exponential, of mean ``scale`` (the rate is its inverse)."""
        require(not is_below(scale, 0), "scale", scale, "A scale is not negative.")
        unit = self._draw(_exponential, "exponential", shape, dtype)
        scale = self._parameter("scale", scale, unit)
        return unit if is_exactly(scale, 1) else scale * unit

    def bernoulli(self, shape: Any, p: Any = 0.5) -> Tensor:
        """True with probability ``p``, exact to 2⁻⁵³. The result is bool and has no gradient.

        Where ``p`` is a tensor, what is above 1 counts as 1, and what is below 0, or NaN, as 0.
        """
        require(not (is_below(p, 0) or is_below(1, p)), "p", p, "A probability is a number from 0 to 1.")
        if isinstance(p, Tensor) or np.ndim(p) > 0:
            unit = self._draw(_uniform, "bernoulli", shape, np.float64)
            return less(unit, self._parameter("p", p, unit))
        return self._happens(shape, float(p))

    def gamma(self, shape: Any, alpha: Any = 1.0, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Gamma, of shape parameter ``alpha`` and scale ``scale``; both have a gradient."""
        require(not is_below(alpha, 0), "alpha", alpha, "A shape parameter is not negative.")
        require(not is_below(scale, 0), "scale", scale, "A scale is not negative.")
        like = self._like("gamma", shape, self._dtype(dtype))
        unit = self._gamma("alpha", alpha, like)
        scale = self._parameter("scale", scale, like)
        return unit if is_exactly(scale, 1) else scale * unit

    def _gamma(self, name: str, alpha: Any, like: Spec, log_of_it: bool = False) -> Tensor:
        """Gamma numbers of scale 1, or their logarithms, of a shape parameter with this name."""
        alpha = tensor(self._parameter(name, alpha, like), self._graph, like.dtype)
        w, v = self._streams("gamma", like)
        return cast(Tensor, _gamma(alpha, w, v, log_of_it=log_of_it))

    def _streams(self, what: str, like: Spec) -> tuple[Tensor, Tensor]:
        """Two words for each element, of which it makes what it draws."""
        return self._words(what, like.shape, np.uint64), self._words(what, like.shape, np.uint64)

    def beta(self, shape: Any, a: Any, b: Any, dtype: Any = None) -> Tensor:
        """Beta, of shape parameters ``a`` and ``b``, which have a gradient; also where numbers are near 0 or 1."""
        for name, value in (("a", a), ("b", b)):
            require(not is_below(value, 0) and not is_exactly(value, 0), name, value, POSITIVE)
        like = self._like("beta", shape, self._dtype(dtype))
        one, other = (self._gamma(name, value, like, log_of_it=True) for name, value in (("a", a), ("b", b)))
        return sigmoid(one - other)

    def dirichlet(self, shape: Any, alpha: Any, dtype: Any = None) -> Tensor:
        """Dirichlet: along a last axis, added to ``shape``, numbers in (0, 1) whose sum is 1.

        Args:
            shape: of what is drawn at once.
            alpha: shape parameters: its last axis is that of the result, the others broadcast to ``shape``. They have a
                gradient.
            dtype: of the result.
        """
        found = self._dtype(dtype)
        alpha = self._weights("alpha", alpha, found)
        like = self._like("dirichlet", (*sized(shape), alpha.shape[-1]), found)
        logarithms = self._gamma("alpha", alpha, like, log_of_it=True)
        parts = exp(logarithms - max(logarithms, axis=-1, keepdims=True))
        return parts / sum(parts, axis=-1, keepdims=True)

    def poisson(self, shape: Any, rate: Any = 1.0) -> Tensor:
        """Poisson, of mean ``rate``, int64. There is no gradient for the rate.

        Where ``rate`` is a tensor, what is below 0, or NaN, counts as 0, and what is above 2⁶² as 2⁶².
        """
        cure = "A rate is a number from 0 to 2**62."
        require(not (is_below(rate, 0) or is_below(LARGEST_RATE, rate)), "rate", rate, cure)
        like = self._like("poisson", shape, np.dtype(np.float64))
        rate = tensor(self._parameter("rate", rate, like), self._graph, like.dtype)
        w, v = self._streams("poisson", like)
        return cast(Tensor, _poisson(rate, w, v, dtype=np.dtype(np.int64)))

    def categorical(self, shape: Any, p: Any = None, logits: Any = None) -> Tensor:
        """Which of several things happens, int64. The result has no gradient.

        Args:
            shape: of the result.
            p: how likely each is, along the last axis, up to a factor; the other axes broadcast to ``shape``.
            logits: their logarithms, in place of ``p``.
        """
        require((p is None) != (logits is None), "p and logits", (p, logits), "Give one of them.")
        name, given = ("p", p) if logits is None else ("logits", logits)
        weights = self._weights(name, given, np.dtype(np.float64))
        if logits is not None:
            weights = exp(weights - max(weights, axis=-1, keepdims=True))
        upto = cumulative_sum(weights, axis=-1)
        like = self._like("categorical", shape, np.dtype(np.float64))
        last = self._parameter(name, upto[..., -1], like)
        at = self._draw(_uniform, "categorical", like.shape, np.float64) * last
        return sum(less_equal(upto[..., :-1], expand_dims(at, axis=-1)), axis=-1, dtype=np.int64)

    def _weights(self, name: str, given: Any, dtype: np.dtype[Any]) -> Tensor:
        """Numbers along a last axis, as a tensor; those that are known are finite and not negative."""
        if not isinstance(given, Tensor):
            known = np.asarray(given, np.float64)
            fine = name == "logits" or bool(np.all(known >= 0) and np.all(known.sum(axis=-1) > 0))
            fine = fine and known.ndim > 0 and known.size > 0 and not np.isnan(known).any()
            cure = "They stand along a last axis, none is negative or NaN, and one is more than 0."
            require(fine and (name == "logits" or bool(np.isfinite(known).all())), name, given, cure)
        t = tensor(given, self._graph, dtype)
        require(t.ndim > 0 and t.shape[-1] > 0, name, given, "They stand along a last axis.")
        return t

    def choice(self, shape: Any, a: Any, replace: bool = True, p: Any = None) -> Tensor:
        """Things of a row, chosen at random.

        Args:
            shape: of what is chosen.
            a: what is chosen from, along its first axis; or how many whole numbers from 0 on.
            replace: whether one may be chosen again.
            p: how likely each is, in a row, up to a factor; without it all are equally likely. Without replacement, as
                likely among those that are left.

        Returns:
            Numbers of dtype int64, or elements of ``a``; in random order.
        """
        count = a if isinstance(a, (int, np.integer)) and not isinstance(a, bool) else None
        things = None if count is not None else tensor(a, self._graph)
        require(things is None or things.ndim > 0, "a", a, "There are things along its first axis.")
        n = int(count) if count is not None else cast(Tensor, things).shape[0]
        like = self._like("choice", shape, np.dtype(np.int64))
        require(n > 0, "a", a, "There is at least one thing.")
        chosen = self._chosen(like, n, replace, p)
        return chosen if things is None else take(things, chosen, axis=0)

    def _chosen(self, like: Spec, n: int, replace: bool, p: Any) -> Tensor:
        weights = None if p is None else self._weights("p", p, np.dtype(np.float64))
        if weights is not None:
            require(weights.shape == (n,), "p", p, f"There is one for each of {n} things.")
        if replace:
            return self.integers(like.shape, 0, n) if weights is None else self.categorical(like.shape, weights)
        size = like.size
        least = n if p is None or isinstance(p, Tensor) else int(np.count_nonzero(p))
        cure = f"Without replacement there are {least} to choose from."
        require(size <= least, "shape", list(like.shape), cure)
        if weights is None:
            order = self.permutation(n)
        else:  # whoever comes first of exponential numbers of these rates: the same as one choice after the other
            unit = self._draw(_exponential, "choice", (n,), np.float64)
            order = argsort(where(weights > 0, unit / weights, math.inf))
        return reshape(order[:size], like.shape)

    def integers(self, shape: Any, low: int, high: int) -> Tensor:
        """Whole numbers equally likely from ``low`` up to but not including ``high``, int64."""
        for name, bound in (("low", low), ("high", high)):
            require(isinstance(bound, (int, np.integer)), name, bound, "A bound is a whole number.")
        require(low < high, "low and high", (low, high), "There is no whole number between them: low is below high.")
        low, high = int(low), int(high)
        inside = low >= -(2**63) and high <= 2**63
        require(inside, "low and high", (low, high), "Whole numbers are drawn as int64, from -2**63 below 2**63.")
        words, count = self._words("integers", shape, np.uint64), high - low
        if count <= 2**32:
            return _integers(words, low=low, count=count, dtype=np.dtype(np.int64))
        more = self._words("integers", shape, np.uint64)
        return _many_integers(words, more, low=low, count=count, dtype=np.dtype(np.int64))

    def permutation(self, n: int) -> Tensor:
        """The whole numbers below ``n`` in random order, int64."""
        return argsort(self._words("permutation", (n,), np.uint64))


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
