"""Layers of pooling, which have no variables."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import pair
from lazygrad.nn.layers.base import Layer, Owner, making
from lazygrad.nn.pooling import avg_pool2d, max_pool2d, sum_pool2d

__all__ = ["AvgPool2d", "MaxPool2d", "SumPool2d"]


class _Pool(Layer):
    """Settings of all."""

    def __init__(
        self, env: Owner, size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, *, name: str | None = None
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.size, self.dilation = pair("size", size, 1), pair("dilation", dilation, 1)
            self.stride = self.size if stride is None else pair("stride", stride, 1)
        self.padding = padding

    def _settings(self) -> str:
        return f"{self.size[0]} × {self.size[1]}"


class MaxPool2d(_Pool):
    """Largest element of every window, see :func:`lazygrad.nn.max_pool2d`.

    Args:
        env, name: see :class:`Layer`.
        size: rows and columns of a window; one whole number or two.
        stride: from a window to the next; ``size``, if not given.
        padding, dilation: as there.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __call__(self, x: TensorLike) -> Tensor:
        """``(..., H, W)`` to ``(..., rows, columns)``."""
        return max_pool2d(self._input(x), self.size, self.stride, self.padding, self.dilation)


class SumPool2d(_Pool):
    """Sum of every window, see :func:`lazygrad.nn.sum_pool2d`; arguments as those of :class:`MaxPool2d`."""

    def __call__(self, x: TensorLike) -> Tensor:
        """``(..., H, W)`` to ``(..., rows, columns)``."""
        return sum_pool2d(self._input(x), self.size, self.stride, self.padding, self.dilation)


class AvgPool2d(_Pool):
    """Mean of every window, see :func:`lazygrad.nn.avg_pool2d`; arguments as those of :class:`MaxPool2d`.

    Args:
        env, size, stride, padding, dilation, name: see there.
        count_include_pad: whether the zeros around count as elements of their window.
    """

    def __init__(
        self,
        env: Owner,
        size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        *,
        count_include_pad: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(env, size, stride, padding, dilation, name=name)
        self.count_include_pad = bool(count_include_pad)

    def __call__(self, x: TensorLike) -> Tensor:
        """``(..., H, W)`` to ``(..., rows, columns)``."""
        x = self._input(x)
        return avg_pool2d(x, self.size, self.stride, self.padding, self.dilation, self.count_include_pad)
