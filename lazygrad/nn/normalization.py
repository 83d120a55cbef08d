"""Normalisation: numbers shifted and scaled to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Axes, Mismatch, Shape, normalize_axes
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting
from lazygrad.ops.arithmetic import rsqrt, square
from lazygrad.ops.movement import reshape
from lazygrad.ops.reduction import mean as average

__all__ = ["batch_norm", "group_norm", "layer_norm", "normalize", "rms_norm"]


@function
@in_floats("x")
def normalize(x: Any, axis: Axes = -1, eps: float = 1e-5) -> Tensor:
    """(x − mean) / √(variance + ``eps``), both taken over ``axis``; the variance is divided by n.

    Raises:
        SpecError: ``x`` has no such axis.
    """
    x = tensor(x)
    with fitting("normalize", x=x):
        axes = normalize_axes(axis, x.ndim)
    return _normalized(x, axes, eps)


def _normalized(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    centered = x - average(x, axis=axes, keepdims=True)
    return centered * rsqrt(average(square(centered), axis=axes, keepdims=True) + eps)


@function
@in_floats("x", beside=["scale", "shift"])
def layer_norm(x: Any, scale: Any = None, shift: Any = None, axis: Axes = -1, eps: float = 1e-5) -> Tensor:
    """:func:`normalize` over the features of each example, then scaled and shifted (Ba et al. 2016).

    Args:
        x: a tensor.
        scale, shift: of the sizes of ``axis``, or left out.
        axis: over which mean and variance are taken; one or several.
        eps: added to the variance.

    Raises:
        SpecError: ``x`` has no such axis, or ``scale`` or ``shift`` another shape.
    """
    x, affine = _operands(x, scale=scale, shift=shift)
    with fitting("layer_norm", x=x, **affine):
        axes = normalize_axes(axis, x.ndim)
        laid = {name: _laid(name, p, x.shape, axes) for name, p in affine.items()}
    return _affine(_normalized(x, axes, eps), **laid)


@function
@in_floats("x", beside=["scale"])
def rms_norm(x: Any, scale: Any = None, axis: Axes = -1, eps: float = 1e-5) -> Tensor:
    """x / √(mean of x² over ``axis`` + ``eps``), then scaled (Zhang & Sennrich 2019); see :func:`layer_norm`."""
    x, affine = _operands(x, scale=scale)
    with fitting("rms_norm", x=x, **affine):
        axes = normalize_axes(axis, x.ndim)
        laid = {name: _laid(name, p, x.shape, axes) for name, p in affine.items()}
    return _affine(x * rsqrt(average(square(x), axis=axes, keepdims=True) + eps), **laid)


@function
@in_floats("x", beside=["scale", "shift"])
def group_norm(x: Any, groups: int, scale: Any = None, shift: Any = None, eps: float = 1e-5) -> Tensor:
    """:func:`normalize` over each of ``groups`` groups of channels and all places (Wu & He 2018).

    Args:
        x: ``(N, C, ...)``.
        groups: how many; with ``C`` of them each channel of each example is normalised by itself.
        scale, shift: ``(C,)``, or left out.
        eps: added to the variance.

    Raises:
        SpecError: the channels cannot be divided so, or ``scale`` or ``shift`` has another shape.
    """
    x, affine = _operands(x, scale=scale, shift=shift)
    with fitting("group_norm", x=x, **affine):
        if x.ndim < 2:
            raise Mismatch(f"x has the axes (example, channel, ...); this one has {x.ndim}.")
        if isinstance(groups, bool) or not hasattr(groups, "__index__") or groups < 1 or x.shape[1] % groups:
            raise Mismatch(f"{x.shape[1]} channels cannot be divided into {groups!r:.60} groups.")
        laid = {name: _laid(name, p, x.shape, (1,)) for name, p in affine.items()}
    n, channels, *places = x.shape
    apart = reshape(x, (n, int(groups), channels // groups * math.prod(places)))
    return _affine(reshape(_normalized(apart, (2,), eps), x.shape), **laid)


@function
@in_floats("x", beside=["scale", "shift", "mean", "variance"])
def batch_norm(
    x: Any,
    scale: Any = None,
    shift: Any = None,
    mean: Any = None,
    variance: Any = None,
    axis: Axes = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each feature normalised over the examples, then scaled and shifted (Ioffe & Szegedy 2015, Algorithm 1).

    In training leave ``mean`` and ``variance`` out: they are taken from the batch. In use give the running
    ones, ``(x − mean) / √(variance + eps)``.

    Args:
        x: ``(N, C)`` or ``(N, C, ...)``.
        scale, shift: ``(C,)``, or left out.
        mean, variance: ``(C,)``; both or neither.
        axis: over which mean and variance are taken; every axis but the second, if not given. The sizes of the
            others are the shape of the parameters.
        eps: added to the variance.

    Raises:
        SpecError: one of mean and variance is missing, or a parameter has another shape.
    """
    x, given = _operands(x, scale=scale, shift=shift, mean=mean, variance=variance)
    with fitting("batch_norm", x=x, **given):
        if axis is None and x.ndim < 2:
            raise Mismatch(f"x has the axes (example, feature, ...); this one has {x.ndim}.")
        axes = tuple(i for i in range(x.ndim) if i != 1) if axis is None else normalize_axes(axis, x.ndim)
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        laid = {name: _laid(name, p, x.shape, kept) for name, p in given.items()}
        center, spread = laid.pop("mean", None), laid.pop("variance", None)
        if (center is None) != (spread is None):
            raise Mismatch("Give both mean and variance, or neither.")
    if center is None or spread is None:
        return _affine(_normalized(x, axes, eps), **laid)
    return _affine((x - center) * rsqrt(spread + eps), **laid)


def _operands(x: Any, **parameters: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """``x`` and those parameters that were given, by name."""
    names = [name for name, p in parameters.items() if p is not None]
    x, *given = tensors(x, *[parameters[name] for name in names])
    return x, dict(zip(names, given, strict=True))


def _laid(name: str, p: Tensor, x: Shape, axes: tuple[int, ...]) -> Tensor:
    """A parameter of the sizes of ``axes`` of ``x``, with its axes there."""
    sizes = tuple(x[a] for a in axes)
    laid = tuple(n if i in axes else 1 for i, n in enumerate(x))
    if p.shape not in (sizes, laid, ()):
        raise Mismatch(f"{name} must have the shape {list(sizes)}, one number for each that is normalised alike.")
    return p if p.shape in (laid, ()) else reshape(p, laid)


def _affine(x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
    if scale is not None:
        x = x * scale
    return x if shift is None else x + shift
