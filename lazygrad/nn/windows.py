"""Windows that slide over the last two axes: the ground of convolution and pooling."""

# Inside, the two axes of a window stand in front, (kh, kw, ..., rows, columns): then the elements at one place of all
# windows lie side by side, and every kernel is a loop over few long rows.

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lazygrad.define import movement, opaque
from lazygrad.define.kinds import tensor
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, Shape
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.nn.checks import fitting, pair
from lazygrad.ops.comparison import equal, logical_and, where
from lazygrad.ops.movement import astype, broadcast_to, moveaxis, reshape
from lazygrad.ops.padding import pad
from lazygrad.ops.reduction import sum
from lazygrad.ops.source import ones

__all__ = ["UNPADDED", "Pair", "Pairs", "count", "extent", "fold", "padding_of", "windows"]

Pair = tuple[int, int]
Pairs = tuple[Pair, Pair]
UNPADDED: Pairs = ((0, 0), (0, 0))


def extent(size: Pair, dilation: Pair) -> Pair:
    """How many rows and columns a window covers, its gaps included."""
    return dilation[0] * (size[0] - 1) + 1, dilation[1] * (size[1] - 1) + 1


def count(shape: Shape, size: Pair, stride: Pair, dilation: Pair) -> Pair:
    """How many windows lie along each of the last two axes (Dumoulin & Visin 2016, relationship 15)."""
    if len(shape) < 2:
        raise Mismatch("Windows slide over two axes; there are fewer.")
    (high, wide), (rows, columns) = extent(size, dilation), shape[-2:]
    if high > rows or wide > columns:
        raise Mismatch(f"A window covers {high} × {wide}, the padded input {rows} × {columns}; it must fit in.")
    return (rows - high) // stride[0] + 1, (columns - wide) // stride[1] + 1


def padding_of(padding: Any, shape: Shape, size: Pair, stride: Pair, dilation: Pair) -> Pairs:
    """Zeros before and after each of the last two axes, from any form in which a user may say it."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        ends = []
        for n, covers, step in zip(shape[-2:], extent(size, dilation), stride, strict=True):
            total = max((-(-n // step) - 1) * step + covers - n, 0)
            ends.append((total // 2, total - total // 2))
        return ends[0], ends[1]
    if isinstance(padding, str):
        raise Mismatch(f"padding is numbers, 'same' or 'valid', not {padding!r}.")
    if isinstance(padding, (tuple, list)) and len(padding) == 2 and isinstance(padding[0], (tuple, list)):
        return pair("padding of the rows", padding[0], 0), pair("padding of the columns", padding[1], 0)
    rows, columns = pair("padding", padding, 0)
    return (rows, rows), (columns, columns)


def _places(shape: Shape, size: Pair, stride: Pair, dilation: Pair) -> Iterator[tuple[int, int, Any]]:
    """For every place in a window the slice that takes, from all windows at once, the elements there."""

    def along(axis: int, i: int) -> slice:
        start = i * dilation[axis]
        return slice(start, start + stride[axis] * counts[axis], stride[axis])

    counts = count(shape, size, stride, dilation)
    for i in range(size[0]):
        for j in range(size[1]):
            yield i, j, (Ellipsis, along(0, i), along(1, j))


def _last(x: Tensor) -> Pair:
    return x.shape[-2], x.shape[-1]


def _viewed(x: Shape, size: Pair, stride: Pair, dilation: Pair) -> Shape:
    return (*size, *x[:-2], *count(x, size, stride, dilation))


@movement(
    shape=_viewed,
    view="always",
    vjp=lambda g, y, x, *, size, stride, dilation: _fold(g, shape=_last(x), stride=stride, dilation=dilation),
)
def _windows(xp: Any, x: Array, *, size: Pair, stride: Pair, dilation: Pair) -> Any:
    """Every window of the last two axes: ``(kh, kw, ..., rows, columns)``, without a copy."""
    down, right = x.strides[-2:]
    steps = (
        *(dilation[0] * down, dilation[1] * right),
        *x.strides[:-2],
        *(stride[0] * down, stride[1] * right),
    )
    return xp.lib.stride_tricks.as_strided(x, shape=_viewed(x.shape, size, stride, dilation), strides=steps)


def _folded(columns: Shape, shape: Pair, stride: Pair, dilation: Pair) -> Shape:
    if len(columns) < 4:
        raise Mismatch("Windows have four axes or more: two of the window, and two of their places.")
    whole = (*columns[2:-2], *shape)
    expected = count(whole, (columns[0], columns[1]), stride, dilation)
    if columns[-2:] != expected:
        there, wanted = f"{columns[-2]} × {columns[-1]}", f"{expected[0]} × {expected[1]}"
        raise Mismatch(f"There are {there} windows, but {shape[0]} × {shape[1]} elements have {wanted}.")
    return whole


@opaque(
    shape=_folded,
    vjp=lambda g, y, columns, *, stride, dilation: _windows(
        g, size=columns.shape[:2], stride=stride, dilation=dilation
    ),
    linear=True,
    adds=True,
)
def _fold(xp: Any, columns: Array, *, shape: Pair, stride: Pair, dilation: Pair) -> Any:
    """Windows laid back where they came from; where they overlap they add up."""
    whole = (*columns.shape[2:-2], *shape)
    return xp.windows_back(columns, whole, tuple(_places(whole, columns.shape[:2], stride, dilation)))


def _pooled(x: Shape, size: Pair, stride: Pair, dilation: Pair) -> Shape:
    return (*x[:-2], *count(x, size, stride, dilation))


# NumPy's reductions are slow over short axes: a maximum over windows of 2 × 2 takes 20 times as long as
# three maxima of long rows. So sum and maximum are kernels of their own.


@opaque(
    shape=_pooled,
    vjp=lambda g, y, x, *, size, stride, dilation: _fold(
        broadcast_to(g, (*size, *g.shape)), shape=_last(x), stride=stride, dilation=dilation
    ),
    linear=True,
    adds=True,
)
def _window_sum(xp: Any, x: Array, *, size: Pair, stride: Pair, dilation: Pair) -> Any:
    """Sum of every window of the last two axes."""
    return xp.windows_folded("sum", x, tuple(_places(x.shape, size, stride, dilation)))


# Elements of a window that tie share the cotangent equally, as those of lg.max do. Padding takes no part: it is no
# element, even where all elements are −∞ like itself.
def _to_winners(g: Tensor, y: Tensor, x: Tensor, size: Pair, stride: Pair, dilation: Pair, ends: Pairs) -> Tensor:
    won = equal(_windows(x, size=size, stride=stride, dilation=dilation), y)
    if ends != UNPADDED:
        rows, columns = (n - a - b for n, (a, b) in zip(_last(x), ends, strict=True))
        inside = pad(ones((rows, columns), np.bool_), ends)
        inside = _windows(inside, size=size, stride=stride, dilation=dilation)
        won = logical_and(won, reshape(inside, (*size, *(1,) * (x.ndim - 2), *inside.shape[-2:])))
    ties = sum(astype(won, g.dtype), axis=(0, 1))
    return _fold(where(won, g / ties, 0), shape=_last(x), stride=stride, dilation=dilation)


@opaque(
    shape=lambda x, size, stride, dilation, ends: _pooled(x, size, stride, dilation),
    vjp=lambda g, y, x, *, size, stride, dilation, ends: _to_winners(g, y, x, size, stride, dilation, ends),
    adds=True,  # its ties
)
def _window_max(xp: Any, x: Array, *, size: Pair, stride: Pair, dilation: Pair, ends: Pairs = UNPADDED) -> Any:
    """Largest element of every window of the last two axes, of which ``ends`` at the borders is padding."""
    return xp.windows_folded("max", x, tuple(_places(x.shape, size, stride, dilation)))


@function
def windows(x: Any, size: Any, stride: Any = 1, dilation: Any = 1) -> Tensor:
    """Every window of the last two axes of ``x``, without a copy.

    Args:
        x: ``(..., H, W)``.
        size: rows and columns of a window; one number or two, as the others.
        stride: from a window to the next.
        dilation: from an element of a window to the next.

    Returns:
        ``(..., rows, columns, kh, kw)``, as NumPy's ``sliding_window_view``.

    Raises:
        SpecError: a window does not fit into ``x``, or a setting is not one or two positive whole numbers.
    """
    x = tensor(x)
    with fitting("take windows of", x=x):
        size, stride, dilation = pair("size", size, 1), pair("stride", stride, 1), pair("dilation", dilation, 1)
        count(x.shape, size, stride, dilation)
    return moveaxis(_windows(x, size=size, stride=stride, dilation=dilation), (0, 1), (-2, -1))


@function
def fold(columns: Any, shape: Any, stride: Any = 1, dilation: Any = 1) -> Tensor:
    """Windows laid back where :func:`windows` took them from; where they overlap they add up.

    Args:
        columns: ``(..., rows, columns, kh, kw)``.
        shape: sizes of the last two axes of the result; one number or two, as the others.
        stride, dilation: as given to :func:`windows`.

    Returns:
        ``(..., H, W)``.

    Raises:
        SpecError: a tensor of that shape has another number of windows.
    """
    columns = tensor(columns)
    with fitting("fold", columns=columns):
        shape, stride, dilation = pair("shape", shape, 0), pair("stride", stride, 1), pair("dilation", dilation, 1)
        if columns.ndim < 4:
            raise Mismatch("Windows have four axes or more: two of their places, and two of the window.")
        moved = moveaxis(columns, (-2, -1), (0, 1))
        _folded(moved.shape, shape, stride, dilation)
    return _fold(moved, shape=shape, stride=stride, dilation=dilation)
