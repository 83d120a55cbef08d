"""Ops with the keywords of the array API standard that their primitives have not: ``dtype=`` and ``copy=``."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.registry import function
from lazygrad.graph.spec import Axes, Shape
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops import movement, reduction
from lazygrad.ops.movement import astype

__all__ = ["prod", "reshape", "sum"]


@function
def sum(x: TensorLike, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis``, or over every axis.

    Small whole numbers and booleans are added in the default integer, as NumPy does, halves in float32. ``dtype`` is
    that of the result, to which ``x`` is cast before.
    """
    if dtype is None:
        return reduction.sum(x, axis=axis, keepdims=keepdims)
    return astype(reduction.sum(astype(x, dtype), axis=axis, keepdims=keepdims), dtype)


@function
def prod(x: TensorLike, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Tensor:
    """Product over ``axis``, or over every axis; ``dtype`` as for :func:`sum`."""
    if dtype is None:
        return reduction.prod(x, axis=axis, keepdims=keepdims)
    return astype(reduction.prod(astype(x, dtype), axis=axis, keepdims=keepdims), dtype)


@function
def reshape(x: TensorLike, shape: int | Shape, *, copy: bool | None = None) -> Tensor:
    """The same elements, in row-major order, in another shape, a number or several. One size may be -1.

    ``copy`` is taken, and says nothing: a tensor never changes, so nobody can tell a copy from the tensor itself.
    """
    return movement.reshape(x, shape)  # type: ignore[arg-type]
