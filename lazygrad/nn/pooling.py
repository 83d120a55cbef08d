"""Pooling: one number in place of every window of the last two axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting, pair
from lazygrad.nn.windows import Pair, Pairs, _window_max, _window_sum, count, extent, padding_of
from lazygrad.ops.movement import astype
from lazygrad.ops.padding import pad
from lazygrad.ops.source import ones

__all__ = ["avg_pool2d", "max_pool2d", "sum_pool2d"]


@function
def max_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """Largest element of every window; those that tie share the gradient equally.

    Args:
        x: ``(..., H, W)``.
        window: rows and columns of a window; one whole number or two, as the others.
        stride: from a window to the next; ``window``, if not given.
        padding: as that of :func:`conv2d`, at most half a window on each side. What is added is less than
            every number, so that it never wins, and has no part in the gradient.
        dilation: from an element of a window to the next.

    Returns:
        ``(..., rows, columns)``, in the dtype of ``x``.

    Raises:
        SpecError: a window is larger than the padded ``x``, or a setting is out of its range.
    """
    x, size, step, gap, ends = _settings("max_pool2d", x, window, stride, padding, dilation)
    padded = _around(x, ends, _lowest(x.dtype))
    return _window_max(padded, size=size, stride=step, dilation=gap, ends=ends)


@function
def sum_pool2d(x: Any, window: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """Sum of every window; arguments as those of :func:`max_pool2d`, but zeros are added around ``x``.

    As in :func:`lazygrad.sum`, small whole numbers and booleans are added in NumPy's default integer.
    """
    x, size, step, gap, ends = _settings("sum_pool2d", x, window, stride, padding, dilation)
    return _window_sum(_around(_wide(x), ends, 0), size=size, stride=step, dilation=gap)


@function
@in_floats("x")
def avg_pool2d(
    x: Any,
    window: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    count_include_pad: bool = True,
) -> Tensor:
    """Mean of every window; arguments as those of :func:`max_pool2d`, but zeros are added around ``x``.

    The mean of whole numbers is float64.

    Args:
        x, window, stride, padding, dilation: see there.
        count_include_pad: whether the zeros count as elements of their window; if not, the sum is divided by
            the number of the others.
    """
    x, size, step, gap, ends = _settings("avg_pool2d", x, window, stride, padding, dilation)
    total = _window_sum(_around(_wide(x), ends, 0), size=size, stride=step, dilation=gap)
    if count_include_pad or ends == ((0, 0), (0, 0)):
        return total / (size[0] * size[1])
    inside = ones(x.shape[-2:], total.dtype)
    return total / _window_sum(_around(inside, ends, 0), size=size, stride=step, dilation=gap)


def _settings(
    what: str, x: Any, window: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Tensor, Pair, Pair, Pair, Pairs]:
    x = tensor(x)
    with fitting(what, x=x):
        if x.ndim < 2:
            raise Mismatch(f"A window has rows and columns; x has {x.ndim} axes.")
        size, gap = pair("window", window, 1), pair("dilation", dilation, 1)
        step = size if stride is None else pair("stride", stride, 1)
        ends = padding_of(padding, x.shape, size, step, gap)
        covers = extent(size, gap)
        if any(2 * end > n for n, pair_of_ends in zip(covers, ends, strict=True) for end in pair_of_ends):
            raise Mismatch(f"padding is {ends}; half a window, which covers {covers[0]} × {covers[1]}, is the most.")
        padded = tuple(n + a + b for n, (a, b) in zip(x.shape[-2:], ends, strict=True))
        count(padded, size, step, gap)
    return x, size, step, gap, ends


def _wide(x: Tensor) -> Tensor:
    """``x`` in the dtype in which it is added up: pixels of uint8 would overflow."""
    return x if x.dtype.kind == "f" else astype(x, np.add.reduce(np.empty(0, x.dtype)).dtype)


def _around(x: Tensor, ends: Pairs, value: Any) -> Tensor:
    if ends == ((0, 0), (0, 0)):
        return x
    return pad(x, (*((0, 0),) * (x.ndim - 2), *ends), constant_values=value)


def _lowest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else int(np.iinfo(dtype).min)
