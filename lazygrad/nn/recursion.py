"""The forward recursion of connectionist temporal classification, and the two linear recursions of its derivatives.

A state s of time t is reached from the states s, s − 1 and s − 2 of the time before. In logarithms, with ``said`` the
logarithm of what is said there, and ``ways`` 0 or −∞ for the steps of 1 and 2 states that there are:

    αₜ(s) = saidₜ(s) + log Σₖ exp(αₜ₋₁(s − k) + waysₖₜ(s)),    α₋₁ = 0, −∞, −∞, ...

Its derivative is a linear recursion with the weights wₖₜ(s), the part that each state before has in the sum, and the
gradient is the transpose of that, backwards in time (Graves et al. 2006, §4.1). Each of the two is the other's
derivative, so there are derivatives of any order. Arrays are (N, T, L); ``ways`` and ``weights`` have one for each k.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import flat
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.comparison import equal, where
from lazygrad.ops.elementary import exp, logaddexp
from lazygrad.ops.movement import concat, stack
from lazygrad.ops.padding import pad
from lazygrad.ops.source import full_like

__all__ = ["combined", "likelier", "part"]


def _shifted(xp: Any, x: Array, count: int, fill: float) -> Any:
    """x(s − count), for all s of the last axis."""
    moved = xp.full_like(x, fill)
    moved[..., count:] = x[..., : x.shape[-1] - count] if count else x
    return moved


def part(xp: Any, weights: Array, x: Array) -> Any:
    """w·x, which is 0 where x is, whatever the weight: what a mask leaves out says nothing, and may be NaN."""
    return xp.where(xp.equal(x, 0), 0, weights * x)


# What one time makes of the time before, of which the states s, s − 1 and s − 2 are given.


def likelier(xp: Any, before: Sequence[Array], ways: Sequence[Array], said: Array) -> Any:
    """said(s) + log Σₖ exp(α(s − k) + waysₖ(s))."""
    total = before[0]
    for moved, way in zip(before[1:], ways, strict=True):
        total = xp.logaddexp(total, moved + way)
    return total + said


def combined(xp: Any, before: Sequence[Array], weights: Sequence[Array], u: Array) -> Any:
    """u(s) + Σₖ wₖ(s)·μ(s − k)."""
    stay, one, two = (part(xp, w, moved) for w, moved in zip(weights, before, strict=True))
    return u + (stay + one + two)


@opaque(shape=lambda said, ways: said, vjp=(lambda g, y, said, ways: _backward(g, _weights(y, ways)), flat))
def _recursion(xp: Any, said: Array, ways: Array) -> Any:
    """αₜ(s), the logarithm of the probability of all that ends in a state s at a time t."""
    found = xp.empty_like(said)
    last = xp.full_like(said[:, 0], -np.inf)
    last[:, 0] = 0
    for time in range(said.shape[1]):
        before = [_shifted(xp, last, k, -np.inf) for k in range(3)]
        last = found[:, time] = likelier(xp, before, ways[:, :, time], said[:, time])
    return found


@opaque(
    shape=lambda u, weights: u,
    vjp=(lambda g, y, u, w: _backward(g, w), lambda g, y, u, w: _paired(_backward(g, w), y)),
)
def _forward(xp: Any, u: Array, weights: Array) -> Any:
    """μₜ(s) = uₜ(s) + Σₖ wₖₜ(s)·μₜ₋₁(s − k)."""
    found = xp.empty_like(u)
    last = xp.zeros_like(u[:, 0])
    for time in range(u.shape[1]):
        before = [_shifted(xp, last, k, 0) for k in range(3)]
        last = found[:, time] = combined(xp, before, weights[:, :, time], u[:, time])
    return found


@opaque(
    shape=lambda g, weights: g,
    vjp=(lambda c, y, g, w: _forward(c, w), lambda c, y, g, w: _paired(y, _forward(c, w))),
)
def _backward(xp: Any, g: Array, weights: Array) -> Any:
    """λₜ(s) = gₜ(s) + Σₖ wₖₜ₊₁(s + k)·λₜ₊₁(s + k), the transpose of :func:`_forward`."""
    found = xp.empty_like(g)
    found[:, -1] = last = g[:, -1]
    for time in range(g.shape[1] - 2, -1, -1):
        here = g[:, time].copy()
        for k in range(3):
            here[:, : here.shape[1] - k] += part(xp, weights[k, :, time + 1], last)[:, k:]
        last = found[:, time] = here
    return found


def _moved(x: Tensor, fill: float) -> list[Tensor]:
    """x(s − k) for the three k."""
    width = x.shape[2]
    return [x, *(pad(x[..., : max(width - k, 0)], [(0, 0), (0, 0), (min(k, width), 0)], fill) for k in (1, 2))]


def _paired(later: Tensor, x: Tensor) -> Tensor:
    """λₜ(s)·μₜ₋₁(s − k): how a product of both depends on the weights."""
    earlier = concat([full_like(x[:, :1], 0), x[:, :-1]], axis=1)
    return stack([later * moved for moved in _moved(earlier, 0)], axis=0)


def _weights(forward: Tensor, ways: Tensor) -> Tensor:
    """The part that each of three states has in the sum for the next one; 0 where that is of nothing."""
    first = where(np.arange(forward.shape[2]) == 0, 0.0, full_like(forward[:, :1], -np.inf))
    parts = _moved(concat([first, forward[:, :-1]], axis=1), -np.inf)
    parts = [parts[0], parts[1] + ways[0], parts[2] + ways[1]]
    total = logaddexp(logaddexp(parts[0], parts[1]), parts[2])
    nothing = equal(total, -np.inf)
    finite = where(nothing, 0.0, total)
    return stack([where(nothing, 0.0, exp(part - finite)) for part in parts], axis=0)
