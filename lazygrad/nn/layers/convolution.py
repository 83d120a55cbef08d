"""Layers of two-dimensional convolution."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.spec import Mismatch, Shape
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import pair, whole
from lazygrad.nn.convolution import conv2d, conv2d_transpose
from lazygrad.nn.layers.base import GLOROT, ZEROS, Fill, Layer, Owner, making

__all__ = ["Conv2d", "ConvTranspose2d"]


class _Convolution(Layer):
    """Settings and variables of both."""

    def __init__(
        self,
        env: Owner,
        n_in: int,
        n_out: int,
        size: Any,
        settings: dict[str, Any],
        use_bias: bool,
        weight: Fill,
        bias: Fill,
        name: str | None,
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.n_in, self.n_out = whole("n_in", n_in), whole("n_out", n_out)
            self.size = pair("size", size, 1)
            groups = whole("groups", settings["groups"])
            for n in (self.n_in, self.n_out):
                if n % groups:
                    raise Mismatch(f"{n} channels cannot be divided into {groups} groups.")
            for key, least in (("stride", 1), ("dilation", 1), ("output_padding", 0)):
                if key in settings:
                    settings[key] = pair(key, settings[key], least)
        self._given = settings
        self.use_bias = bool(use_bias)
        window = self.size[0] * self.size[1]
        fans = (self.n_in // groups * window, self.n_out // groups * window)
        self._variable("weight", (*self._channels(groups), *self.size), weight, fans)
        if self.use_bias:
            self._variable("bias", (self.n_out,), bias, fans)

    def _channels(self, groups: int) -> Shape:
        return (self.n_out, self.n_in // groups)

    def _operands(self, x: TensorLike) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images, filters and bias."""
        x = self._input(x)
        weight = self._value(x, "weight")
        cure = f"x has the axes (image, channel, row, column), and {self.n_in} channels."
        self._require(x.ndim == 4 and x.shape[1] == self.n_in, cure, x=x, weight=weight)
        return x, weight, self._value(x, "bias") if self.use_bias else None

    def _settings(self) -> str:
        return f"{self.n_in} → {self.n_out}, {self.size[0]} × {self.size[1]}"


class Conv2d(_Convolution):
    """:func:`lazygrad.nn.conv2d` with filters of its own.

    Variables: ``weight (n_out, n_in / groups, kh, kw)``, ``bias (n_out,)``.

    Args:
        env, name: see :class:`Layer`.
        n_in, n_out: channels before and after.
        size: rows and columns of a filter; one whole number or two.
        stride, padding, dilation, groups: as there.
        use_bias: whether a bias is added to every channel.
        weight, bias: initialisers; ``GlorotUniform()`` and ``Zeros()``, if not given. The fans count the elements
            of a window: ``n_in / groups · kh · kw`` and ``n_out / groups · kh · kw``.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(
        self,
        env: Owner,
        n_in: int,
        n_out: int,
        size: Any,
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        use_bias: bool = True,
        weight: Fill = GLOROT,
        bias: Fill = ZEROS,
        name: str | None = None,
    ) -> None:
        settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        super().__init__(env, n_in, n_out, size, settings, use_bias, weight, bias, name)

    def __call__(self, x: TensorLike) -> Tensor:
        """``(N, n_in, H, W)`` to ``(N, n_out, rows, columns)``.

        Raises:
            SpecError: ``x`` has other axes, or is smaller than a filter.
        """
        x, weight, bias = self._operands(x)
        return conv2d(x, weight, bias, **self._given)


class ConvTranspose2d(_Convolution):
    """:func:`lazygrad.nn.conv2d_transpose` with filters of its own.

    Variables: ``weight (n_in, n_out / groups, kh, kw)``, ``bias (n_out,)``.

    Args:
        env, name: see :class:`Layer`.
        n_in, n_out: channels before and after.
        size: rows and columns of a filter; one whole number or two.
        stride, padding, output_padding, dilation, groups: as there.
        use_bias: whether a bias is added to every channel.
        weight, bias: initialisers, as those of :class:`Conv2d`.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(
        self,
        env: Owner,
        n_in: int,
        n_out: int,
        size: Any,
        *,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        use_bias: bool = True,
        weight: Fill = GLOROT,
        bias: Fill = ZEROS,
        name: str | None = None,
    ) -> None:
        settings = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation,
            "groups": groups,
        }
        super().__init__(env, n_in, n_out, size, settings, use_bias, weight, bias, name)

    def __call__(self, x: TensorLike) -> Tensor:
        """``(N, n_in, H, W)`` to ``(N, n_out, rows, columns)``.

        Raises:
            SpecError: ``x`` has other axes, or the padding leaves nothing.
        """
        x, weight, bias = self._operands(x)
        return conv2d_transpose(x, weight, bias, **self._given)

    def _channels(self, groups: int) -> Shape:
        return (self.n_in, self.n_out // groups)
