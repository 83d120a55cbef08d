"""Layers that shift and scale numbers to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.spec import Mismatch
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.nn.checks import number, whole
from lazygrad.nn.initializers import Ones, Zeros
from lazygrad.nn.layers.base import Layer, Owner, making
from lazygrad.nn.normalization import batch_norm, group_norm, layer_norm
from lazygrad.ops.arithmetic import square
from lazygrad.ops.movement import astype, reshape
from lazygrad.ops.reduction import mean as average

__all__ = ["BatchNorm", "GroupNorm", "LayerNorm"]

EPS = (0.0, float("inf"))


class BatchNorm(Layer):
    """Each feature normalised over the examples (Ioffe & Szegedy 2015), with running statistics for use.

    Variables: ``scale``, ``shift``, and, not trainable, ``mean`` and ``variance``; all ``(n,)``. A call with
    ``train=True`` normalises by the batch and moves the running statistics, new = (1 − momentum)·old +
    momentum·batch, the variance of the batch divided by its size less one: both as in PyTorch. The moves are
    updates that the step must return::

        return loss, adam.minimize(loss), ctx.updates()

    A step that returns other updates but not these is refused. Called several times in one step, each call starts
    from the statistics that the one before it made, also one with ``train=False``.

    Args:
        env, name: see :class:`Layer`.
        n: number of features, the size of the second axis.
        momentum: how far the statistics move at each step, from 0 to 1.
        eps: added to the variance.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(
        self, env: Owner, n: int, *, momentum: float = 0.1, eps: float = 1e-5, name: str | None = None
    ) -> None:
        super().__init__(env, name)
        with making(self):
            self.n = whole("n", n)
            self.momentum, self.eps = number("momentum", momentum, 0, 1), number("eps", eps, *EPS)
        self._variable("scale", (self.n,), Ones())
        self._variable("shift", (self.n,), Zeros())
        self._variable("mean", (self.n,), Zeros(), trainable=False)
        self._variable("variance", (self.n,), Ones(), trainable=False)

    def __call__(self, x: TensorLike, train: bool = False) -> Tensor:
        """``(N, n)`` or ``(N, n, ...)`` to the same shape.

        Raises:
            SpecError: the second axis has another size, or there is but one number a feature to learn from.
        """
        x = self._input(x)
        scale, shift = self._value(x, "scale"), self._value(x, "shift")
        fits = x.ndim >= 2 and x.shape[1] == self.n
        self._require(fits, f"x has the axes (example, feature, ...), and {self.n} features.", x=x, scale=scale)
        context = x.graph.context
        center, spread = (context._statistic(self._own[name]) for name in ("mean", "variance"))
        if train:
            count = x.spec.size // self.n
            self._require(count > 1, "One number a feature has no variance: train with two examples or more.", x=x)
            axes = tuple(i for i in range(x.ndim) if i != 1)
            mean = average(x, axis=axes, keepdims=True)
            variance = average(square(x - mean), axis=axes, keepdims=True)
            self._move("mean", center, mean)
            self._move("variance", spread, variance * (count / (count - 1)))
            center, spread = mean, variance
        return batch_norm(x, scale, shift, center, spread, eps=self.eps)

    def _move(self, name: str, old: Tensor, batch: Tensor) -> None:
        batch = astype(reshape(batch, (self.n,)), old.dtype)
        new = (1 - self.momentum) * old + self.momentum * batch
        old.graph.context._keep_statistic(self.path, self._own[name], new)

    def _settings(self) -> str:
        return f"{self.n}"


class LayerNorm(Layer):
    """The last axes of each example normalised, see :func:`lazygrad.nn.layer_norm`.

    Variables: ``scale`` and ``shift``, of the sizes of these axes.

    Args:
        env, name: see :class:`Layer`.
        shape: sizes of the last axes; one whole number or several.
        eps: added to the variance.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(self, env: Owner, shape: Any, *, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(env, name)
        with making(self):
            sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
            self.shape = tuple(whole("each size of shape", n) for n in sizes)
            if not sizes:
                raise Mismatch("shape has one size or more.")
            self.eps = number("eps", eps, *EPS)
        self._variable("scale", self.shape, Ones())
        self._variable("shift", self.shape, Zeros())

    def __call__(self, x: TensorLike) -> Tensor:
        """``(..., *shape)`` to the same shape.

        Raises:
            SpecError: the last axes have other sizes.
        """
        x = self._input(x)
        scale, count = self._value(x, "scale"), len(self.shape)
        fits = x.shape[-count:] == self.shape
        self._require(fits, f"The last axes of x must have the sizes {list(self.shape)}.", x=x, scale=scale)
        return layer_norm(x, scale, self._value(x, "shift"), axis=tuple(range(-count, 0)), eps=self.eps)

    def _settings(self) -> str:
        return " × ".join(map(str, self.shape))


class GroupNorm(Layer):
    """Each of ``groups`` groups of channels normalised over all places, see :func:`lazygrad.nn.group_norm`.

    Variables: ``scale`` and ``shift``, ``(channels,)``.

    Args:
        env, name: see :class:`Layer`.
        channels: size of the second axis. PyTorch takes ``groups`` first.
        groups: how many; it must divide ``channels``.
        eps: added to the variance.

    Raises:
        SpecError: a setting is out of its range.
    """

    def __init__(self, env: Owner, channels: int, groups: int, *, eps: float = 1e-5, name: str | None = None) -> None:
        super().__init__(env, name)
        with making(self):
            self.channels, self.groups = whole("channels", channels), whole("groups", groups)
            if self.channels % self.groups:
                raise Mismatch(f"{self.channels} channels cannot be divided into {self.groups} groups.")
            self.eps = number("eps", eps, *EPS)
        self._variable("scale", (self.channels,), Ones())
        self._variable("shift", (self.channels,), Zeros())

    def __call__(self, x: TensorLike) -> Tensor:
        """``(N, channels, ...)`` to the same shape.

        Raises:
            SpecError: the second axis has another size.
        """
        x = self._input(x)
        scale = self._value(x, "scale")
        fits = x.ndim >= 2 and x.shape[1] == self.channels
        self._require(fits, f"x has the axes (example, channel, ...), and {self.channels} channels.", x=x, scale=scale)
        return group_norm(x, self.groups, scale, self._value(x, "shift"), eps=self.eps)

    def _settings(self) -> str:
        return f"{self.channels}, {self.groups} groups"
