"""Gradients made smaller, or of a fixed length, before an optimizer gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.graph import Tensor
from lazygrad.ops.arithmetic import add_n, minimum, sqrt, square
from lazygrad.ops.comparison import clip, equal, where
from lazygrad.ops.reduction import sum

__all__ = ["clip_by_global_norm", "clip_by_value", "global_norm", "normalize_gradient"]


def global_norm(grads: Sequence[Tensor]) -> Tensor:
    """Euclidean length of all gradients taken as one vector."""
    return sqrt(add_n([sum(square(g)) for g in grads]))


def _scaled(grads: Sequence[Tensor], factor: Tensor) -> list[Tensor]:
    return [g * factor.astype(g.dtype) for g in grads]


def clip_by_global_norm(grads: Sequence[Tensor], norm: Any) -> list[Tensor]:
    """The gradients, scaled down together if their length is above ``norm`` (Pascanu et al. 2013, Algorithm 1).

    ``norm`` is a number or a 0-d tensor, such as a variable that changes from step to step.
    """
    length = global_norm(grads)
    # A length of 0 is not divided by: such gradients are zeros, whatever they are scaled by.
    return _scaled(grads, minimum(norm / where(equal(length, 0), 1, length), 1.0))


def clip_by_value(grads: Sequence[Tensor], low: Any, high: Any) -> list[Tensor]:
    """The gradients with every element held between ``low`` and ``high``."""
    return [clip(g, low, high) for g in grads]


def normalize_gradient(grads: Sequence[Tensor], length: Any, over: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The gradients, scaled together so that their length is ``length``; zeros stay zeros.

    With it the learning rate is the length of a step, which ML Kit calls a normalised derivative.

    Args:
        grads: gradients.
        length: the wanted length.
        over: the gradients whose length is made ``length``; all of ``grads``, if not given. The others are
            scaled by the same factor.
    """
    before = global_norm(grads if over is None else over)
    return _scaled(grads, length / where(equal(before, 0), 1, before))
