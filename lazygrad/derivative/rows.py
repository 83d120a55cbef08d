"""Jacobians of each row of a batch: passes for one element of all rows at once, as rows do not depend on each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lazygrad.derivative.gradient import grad, jvp
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.movement import broadcast_to, reshape, stack
from lazygrad.ops.source import eye, zeros

__all__ = ["check_rows", "jacobians_of_rows"]


def check_rows(what: str, ys: Sequence[Tensor], xs: Sequence[Tensor]) -> None:
    """Raise SpecError unless all have as many rows."""
    counts = {t.shape[0] if t.ndim else None for t in (*ys, *xs)}
    if len(counts) == 1 and None not in counts:
        return
    listed = [("y", t) for t in ys] + [("x", t) for t in xs]
    facts = [f"{name}:  {t.spec}   {t.graph.describe(t.index)}" for name, t in listed]
    cure = "With batched=True the first axis of every y and x is that of the examples, as many of each."
    raise SpecError(report(f"cannot take {what} of each row", at=here(), facts=facts, cure=cure))


def jacobians_of_rows(y: Tensor, xs: list[Tensor]) -> list[Tensor]:
    """For each x the Jacobians of the rows of ``y``; passes backwards are shared by all of them."""
    if y.size and 0 < sum(_of_row(x) for x in xs) < _of_row(y):
        return [_forward(y, x) for x in xs]
    if not y.size:
        return [_empty(y, x) for x in xs]
    rows = [grad(y, xs, seed) for seed in _seeds(y)]
    return [
        reshape(stack([row[k] for row in rows], axis=1), y.shape + x.shape[1:]) if x.size else _empty(y, x)
        for k, x in enumerate(xs)
    ]


def _forward(y: Tensor, x: Tensor) -> Tensor:
    """The Jacobian of each row, column by column."""
    if not x.size:
        return _empty(y, x)
    return reshape(stack([jvp(y, x, seed) for seed in _seeds(x)], axis=-1), y.shape + x.shape[1:])


def _seeds(t: Tensor) -> list[Tensor]:
    """For each element of a row a tensor like ``t`` that is one there, in every row."""
    units = eye(_of_row(t), dtype=t.dtype)
    return [broadcast_to(reshape(units[i], (1, *t.shape[1:])), t.shape) for i in range(_of_row(t))]


def _of_row(t: Tensor) -> int:
    """How many elements a row has."""
    return math.prod(t.shape[1:])


def _empty(y: Tensor, x: Tensor) -> Tensor:
    return zeros(y.shape + x.shape[1:], y.dtype)
