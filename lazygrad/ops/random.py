"""Random draws. A draw is named by its number in the graph; the run it happens in does the rest.

The numbers of a draw are those of the counter-based generator Philox (Salmon et al. 2011) under the
environment's seed, at the counter (run, draw). So they do not depend on what else is evaluated, in
which order, or on how many threads, and two draws are never merged into one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import Source, opaque, source, tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph import Array, Graph, Tensor, checked_dtype, here
from lazygrad.ops.arithmetic import add
from lazygrad.ops.comparison import less
from lazygrad.ops.elementary import exp
from lazygrad.ops.movement import broadcast_to
from lazygrad.spec import Mismatch, Shape, floating, sized

__all__ = ["Random"]


@source()
def _uniform(rng: Any, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """Numbers equally likely anywhere in [0, 1)."""
    return rng.random(shape, dtype=dtype)


@source()
def _normal(rng: Any, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """Normal numbers of mean 0 and standard deviation 1."""
    return rng.standard_normal(shape, dtype=dtype)


@source()
def _exponential(rng: Any, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """Exponential numbers of mean 1."""
    return rng.standard_exponential(shape, dtype=dtype)


@source()
def _permutation(rng: Any, *, draw: int, shape: Shape, dtype: Any) -> Any:
    """The whole numbers below n, in random order."""
    return rng.permutation(shape[0])


@opaque(shape=lambda a, draw, shape: shape, vjp=None, dtype=floating)
def _gamma(rng: Any, a: Array, *, draw: int, shape: Shape) -> Any:
    """Gamma numbers of shape a and scale 1."""
    return rng.standard_gamma(a, shape, dtype=a.dtype)


@source()
def _integers(rng: Any, *, low: int, high: int, draw: int, shape: Shape, dtype: Any) -> Any:
    """Whole numbers equally likely from low up to high."""
    return rng.integers(low, high, shape, dtype=dtype)


class Random:
    """The draws of a context, ``ctx.random``: fresh numbers at every run, reproducible from the seed.

    ``shape`` is a size or a tuple of sizes. Floating draws have the environment's dtype, or ``dtype``
    (float32 or float64). Parameters may be numbers or tensors that broadcast to ``shape``; the gradient
    passes to them wherever the draw is a formula of them.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _next(self) -> int:
        self._graph.draws += 1
        return self._graph.draws - 1

    def _draw(self, op: Source, shape: Any, dtype: Any) -> Tensor:
        dtype = checked_dtype(dtype) if dtype is not None else self._graph.dtype
        if dtype not in (np.float32, np.float64):
            cure = "Random numbers are drawn in float32 or float64: cast them with .astype afterwards."
            raise SpecError(report(f"cannot draw {dtype} numbers", at=here(), cure=cure))
        return op.write(self._graph, draw=self._next(), shape=shape, dtype=dtype)

    def uniform(self, shape: Any, low: Any = 0.0, high: Any = 1.0, dtype: Any = None) -> Tensor:
        """Equally likely anywhere from ``low`` up to ``high``."""
        unit = self._draw(_uniform, shape, dtype)
        if type(low) in (int, float) and type(high) in (int, float):
            scaled = unit if high - low == 1 else (high - low) * unit
            return scaled if low == 0 else low + scaled
        return add(low, (tensor(high, self._graph, unit.dtype) - low) * unit)

    def normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """Normal, of mean ``mean`` and standard deviation ``std``."""
        unit = self._draw(_normal, shape, dtype)
        scaled = unit if type(std) in (int, float) and std == 1 else std * unit
        return scaled if type(mean) in (int, float) and mean == 0 else mean + scaled

    def log_normal(self, shape: Any, mean: Any = 0.0, std: Any = 1.0, dtype: Any = None) -> Tensor:
        """exp of a normal number of mean ``mean`` and standard deviation ``std``."""
        return exp(self.normal(shape, mean, std, dtype))

    def exponential(self, shape: Any, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Exponential, of mean ``scale`` (the rate is its inverse)."""
        unit = self._draw(_exponential, shape, dtype)
        return unit if type(scale) in (int, float) and scale == 1 else scale * unit

    def bernoulli(self, shape: Any, p: Any = 0.5) -> Tensor:
        """True with probability ``p``. The result is bool and has no gradient."""
        return less(self._draw(_uniform, shape, None), p)

    def gamma(self, shape: Any, alpha: Any = 1.0, scale: Any = 1.0, dtype: Any = None) -> Tensor:
        """Gamma, of shape parameter ``alpha`` and scale ``scale``. There is no gradient for ``alpha``."""
        dtype = checked_dtype(dtype) if dtype is not None else self._graph.dtype
        try:
            sizes = sized(shape)
        except Mismatch as reason:
            raise SpecError(report("cannot draw gamma", at=here(), cure=str(reason))) from None
        concentration = broadcast_to(tensor(alpha, self._graph, dtype), sizes)
        unit = _gamma(concentration, draw=self._next(), shape=sizes)
        return unit if type(scale) in (int, float) and scale == 1 else scale * unit

    def integers(self, shape: Any, low: int, high: int) -> Tensor:
        """Whole numbers equally likely from ``low`` up to but not including ``high``, int64."""
        dtype = np.dtype(np.int64)
        return _integers.write(self._graph, low=low, high=high, draw=self._next(), shape=shape, dtype=dtype)

    def permutation(self, n: int) -> Tensor:
        """The whole numbers below ``n`` in random order, int64."""
        return _permutation.write(self._graph, draw=self._next(), shape=(n,), dtype=np.dtype(np.int64))
