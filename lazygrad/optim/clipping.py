"""Gradients made smaller, or of a fixed length, before an optimizer gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.comparison import clip, equal, less_equal, where
from lazygrad.ops.corners import length_of_all
from lazygrad.ops.movement import astype

__all__ = ["clip_by_global_norm", "clip_by_value", "global_norm", "normalize_gradient"]


def global_norm(grads: Sequence[Tensor]) -> Tensor:
    """Euclidean length of all gradients taken as one vector, without overflow or underflow on the way.

    Raises:
        SpecError: ``grads`` is not a list, or empty.
    """
    grads = _listed(grads)
    if not grads:
        raise SpecError(report("cannot take the length of no gradients", at=here(), cure="Give at least one."))
    return length_of_all([g if g.dtype.kind == "f" else g.astype("float64") for g in grads])


def _listed(grads: Any) -> list[Tensor]:
    if isinstance(grads, Tensor):
        cure = "Write [g] for one: the lengths of several are taken together."
        raise SpecError(report("cannot scale gradients: they are one tensor, not a list", at=here(), cure=cure))
    return list(grads)


def _is_known(number: Any) -> bool:
    """Whether it is a number, of Python or of NumPy, and so can be checked before anything is computed."""
    known = isinstance(number, (int, float, np.integer, np.floating))
    return known or (isinstance(number, np.ndarray) and number.ndim == 0)


def _positive(what: str, number: Any) -> None:
    if _is_known(number) and not number >= 0:
        raise SpecError(report(f"cannot use {number!r} as {what}", at=here(), cure="A length is not negative."))


def _scaled(g: Tensor, before: Tensor, after: Any) -> Tensor:
    """``g`` times after / before; divided first, as that quotient may be out of range where the result is not."""
    return astype((g / before) * after, g.dtype)


def clip_by_global_norm(grads: Sequence[Tensor], norm: Any) -> list[Tensor]:
    """The gradients, scaled down together if their length is above ``norm`` (Pascanu et al. 2013, Algorithm 1).

    ``norm`` is a number or a 0-d tensor, such as a variable that changes from step to step.

    Raises:
        SpecError: ``grads`` is not a list, or ``norm`` is negative.
    """
    _positive("norm", norm)
    grads = _listed(grads)
    if not grads:
        return []
    length = global_norm(grads)
    short = less_equal(length, norm)  # a length that is NaN is not, and makes NaN of all
    divisor = where(short, 1, length)
    return [where(short, g, _scaled(g, divisor, norm)) for g in grads]


def clip_by_value(grads: Sequence[Tensor], low: Any, high: Any) -> list[Tensor]:
    """The gradients with every element held between ``low`` and ``high``.

    Raises:
        SpecError: ``grads`` is not a list, or ``low`` is above ``high``.
    """
    if _is_known(low) and _is_known(high) and not low <= high:
        cure = "The lower bound comes first."
        raise SpecError(report(f"cannot clip between {low!r} and {high!r}", at=here(), cure=cure))
    return [clip(g, low, high) for g in _listed(grads)]


def normalize_gradient(grads: Sequence[Tensor], length: Any, over: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The gradients, scaled together so that their length is ``length``; zeros stay zeros, with a derivative of 0.

    With it the learning rate is the length of a step, which ML Kit calls a normalised derivative.

    Args:
        grads: gradients.
        length: the wanted length.
        over: the gradients whose length is made ``length``; all of ``grads``, if not given. The others are
            scaled by the same factor.

    Raises:
        SpecError: ``grads`` is not a list, or ``length`` is negative.
    """
    _positive("length", length)
    grads = _listed(grads)
    if not grads:
        return []
    measured = grads if over is None else _listed(over)
    before = global_norm(measured)
    zero = equal(before, 0)
    divisor = where(zero, 1, before)
    scaled = [_scaled(g, divisor, length) for g in grads]
    corners = {g.index for g in measured}  # they are zeros where the length is: no direction is better than another
    return [where(zero, 0, y) if g.index in corners else y for g, y in zip(grads, scaled, strict=True)]
