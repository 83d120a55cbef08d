"""What the rows of the table of ops are made of: :class:`Case`, and the domains that samples are drawn from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import lazygrad as lg

Sampler = Callable[[np.random.Generator, tuple[int, ...], Any], Any]

ALL = ("float64", "float32", "int64", "int32", "bool")
NUMBERS = ("float64", "float32", "int64", "int32")
FLOATS = ("float64", "float32")
BITS = ("int64", "int32", "bool", "float64")  # the last is refused


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        name: of the public function, with its module below ``lazygrad`` (``linalg.inv``).
        call: on tensors.
        reference: on arrays.
        domains: for each operand, where its samples come from.
        shapes: of the operands.
        order: of the derivatives that are checked; 0 where there are none.
        ulps: how far values may be from the reference, in roundings of the largest element. 0, bit for bit, where
            the kernel calls the same function; more for compositions, which round in another order.
        dtypes: of the operands, in turn.
        label: tells several rows of one op apart.
        kind: ``"elementwise"`` and ``"reduction"`` rows get the checks of their kind beside those of all.
        axes: what a reduction takes as ``axis``: ``"any"``, or only ``"one"``.
        keepdims: whether a reduction takes it.
    """

    name: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    domains: tuple[Sampler, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    order: int = 2
    ulps: float = 0
    dtypes: tuple[str, ...] = FLOATS
    label: str = ""
    kind: str = "other"
    axes: str = "any"
    keepdims: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.label}" if self.label else self.name

    def sample(self, dtype: Any = "float64", shapes: Any = None, seed: int = 0) -> list[Any]:
        """Operands from the domains."""
        rng = np.random.default_rng(seed)
        chosen = self.shapes if shapes is None else shapes
        return [draw(rng, shape, np.dtype(dtype)) for draw, shape in zip(self.domains, chosen, strict=True)]


# Domains.


def real(low: float = -2.0, high: float = 2.0) -> Sampler:
    """Numbers from an interval."""
    return lambda rng, shape, dtype: np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def away(low: float = 0.2, high: float = 2.0) -> Sampler:
    """Numbers of both signs, not near 0."""

    def draw(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
        return np.asarray(rng.uniform(low, high, shape) * rng.choice([-1.0, 1.0], shape)).astype(dtype)

    return draw


def grid(offset: float = 0.0, low: int = -3, high: int = 3) -> Sampler:
    """Whole numbers plus ``offset``: operands with other offsets never come near each other."""
    return lambda rng, shape, dtype: np.asarray(rng.integers(low, high, shape) + offset).astype(dtype)


def between(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Numbers not near a whole one."""
    return np.asarray(rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.4, shape)).astype(dtype)


def apart(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Numbers of which no two come near each other."""
    size = math.prod(shape)
    return np.asarray((rng.permutation(size) - size // 2) / 4 + 0.1).reshape(shape).astype(dtype)


def whole(low: int, high: int) -> Sampler:
    """Whole numbers, whatever the dtype of the other operands: indices, counts."""
    return lambda rng, shape, dtype: np.asarray(rng.integers(low, high, shape))


def mask(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Booleans, whatever the dtype of the other operands."""
    return np.asarray(rng.integers(0, 2, shape).astype(bool))


# The makers of rows.


def elementwise(name: str, reference: Any, *domains: Sampler, call: Any = None, **settings: Any) -> Case:
    """A row for an elementwise op, or a composition that broadcasts like one."""
    shapes = ((3, 4),) * len(domains)
    call = call or getattr(lg, name)
    settings = {"dtypes": ALL, **settings}
    return Case(name, call, reference, domains, shapes, kind="elementwise", **settings)


def reducing(name: str, reference: Any, domain: Sampler, call: Any = None, **settings: Any) -> Case:
    """A row for a reduction, or a composition that takes the same arguments."""
    settings = {"dtypes": ALL, **settings}
    return Case(name, call or getattr(lg, name), reference, (domain,), ((2, 3, 4),), kind="reduction", **settings)


def row(
    name: str, call: Any, reference: Any, *operands: tuple[Sampler, tuple[int, ...]], label: str = "", **settings: Any
) -> Case:
    """A row for an op with operands ``(domain, shape)``."""
    domains, shapes = tuple(d for d, _ in operands), tuple(s for _, s in operands)
    settings = settings if operands else {"order": 0, **settings}
    return Case(name, call, reference, domains, shapes, label=label, **settings)


X = (real(), (3, 4))
CUBE = (real(), (2, 3, 4))
VECTOR = (real(), (5,))
SQUARE = (real(), (4, 4))
ROWS = np.array([2, 0, -1])
PICK = np.array([True, False, True])
MATRIX = (real(), (4, 2))
