"""Initialisers: the first numbers of a variable, drawn by its layer.

An initialiser is called ``(rng, shape, fans)`` and returns an array of float64, which the layer casts. ``fans`` are
how many numbers a unit takes in, and to how many each number goes. Any function of this form will do in its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Shape
from lazygrad.names import publish as _publish

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "Normal",
    "Ones",
    "Orthogonal",
    "SignedUniform",
    "Uniform",
    "Zeros",
]

Fans = tuple[int, int]


class Initializer:
    """First numbers as a function of a random generator, a shape, and the fans.

    A subclass is a frozen dataclass of numbers, so that equal initialisers are equal.
    """

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers, as an array of float64.

        Args:
            rng: draws them.
            shape: of the array.
            fans: fan-in and fan-out; worked out from the shape, if not given: see :func:`fans_of`.
        """
        raise NotImplementedError

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if field.type == "float":
                real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
                self._require(real and bool(np.isfinite(value)), f"{field.name} must be a finite number.")

    def _require(self, condition: bool, what: str) -> None:
        if not condition:
            raise SpecError(report(f"cannot make {self}", at=here(), cure=what))


def fans_of(shape: Shape) -> Fans:
    """Fan-in and fan-out of a weight of this shape.

    A matrix is ``(in, out)``, as in x @ W. Of more axes the first two are ``(out, in)`` and the others those of a
    window, as filters of a convolution are.

    Raises:
        SpecError: there are fewer than two axes.
    """
    if len(shape) < 2:
        cure = "Give fans=(fan_in, fan_out), or an initialiser that needs none, such as Normal(std=0.1)."
        raise SpecError(report(f"cannot tell the fans of the shape {list(shape)}", at=here(), cure=cure))
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere."""

    value: float

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class Zeros(Initializer):
    """0 everywhere."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return np.ones(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform from ``low`` to ``high``."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.low <= self.high, "low must not be above high.")

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class SignedUniform(Initializer):
    """Uniform from −``limit`` to ``limit``."""

    limit: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.limit >= 0, "limit must not be negative.")

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return rng.uniform(-self.limit, self.limit, shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal, of this mean and standard deviation."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.std >= 0, "std must not be negative.")

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform of the variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, eq. 16)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        limit = math.sqrt(6 / sum(fans or fans_of(shape)))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal of the variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, eq. 12)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return rng.normal(0, math.sqrt(2 / sum(fans or fans_of(shape))), shape)


@dataclass(frozen=True)
class _He(Initializer):
    """The fan that a subclass divides by."""

    mode: str = "in"

    def __post_init__(self) -> None:
        super().__post_init__()
        cure = "mode is 'in', to keep the variance on the way forward, or 'out', on the way back."
        self._require(self.mode in ("in", "out"), cure)

    def _variance(self, shape: Shape, fans: Fans | None) -> float:
        fan_in, fan_out = fans or fans_of(shape)
        return 2 / (fan_in if self.mode == "in" else fan_out)


@dataclass(frozen=True)
class HeUniform(_He):
    """Uniform of the variance 2 / fan-in, or 2 / fan-out with ``mode="out"`` (He et al. 2015, eqs. 10 and 14)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        limit = math.sqrt(3 * self._variance(shape, fans))
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class HeNormal(_He):
    """Normal of the variance 2 / fan-in, or 2 / fan-out with ``mode="out"`` (He et al. 2015, eqs. 10 and 14)."""

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        return rng.normal(0, math.sqrt(self._variance(shape, fans)), shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2013).

    The first axis counts the rows, all others together the columns. Every such matrix is as likely as every
    other, as the signs of the triangular factor are divided out (Mezzadri 2007, §5).
    """

    gain: float = 1.0

    def __call__(self, rng: np.random.Generator, shape: Shape, fans: Fans | None = None) -> np.ndarray[Any, Any]:
        """The numbers."""
        if len(shape) < 2:
            cure = "It fills matrices, of two axes or more."
            raise SpecError(report(f"cannot fill the shape {list(shape)} with {self}", at=here(), cure=cure))
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return (self.gain * (q if rows >= columns else q.T)).reshape(shape)


_publish(__name__, "lg.nn.initializers")
