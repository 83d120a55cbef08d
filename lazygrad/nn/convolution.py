"""Two-dimensional convolution and its transpose, as products of matrices (Chellapilla et al. 2006)."""

from __future__ import annotations

from typing import Any

from lazygrad.define.kinds import tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, Shape
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting, pair
from lazygrad.nn.windows import Pair, Pairs, _fold, _windows, count, extent, padding_of
from lazygrad.ops.movement import matrix_transpose, moveaxis, permute_dims, reshape
from lazygrad.ops.padding import pad
from lazygrad.ops.products import matmul

__all__ = ["conv2d", "conv2d_transpose"]

# A product for every image leaves the batch in front, and copies nothing to get it there. But the gradient
# of the filters is then made for every image before these are added, and a small product is not spread over
# threads. On two cores, forward and backward: 64 × 800 filters 28 ms, as one product of the whole batch
# 20 ms; 64 × 288 filters 38 and 35 ms; 4 × 25 filters 0.7 and 1.1 ms.
LARGE = 16_384


@function
@in_floats("x", "w", beside=["bias"], whole=False)
def conv2d(
    x: Any, w: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Two-dimensional convolution; as everywhere in neural networks the filters are not turned over.

    Args:
        x: images ``(N, C, H, W)``.
        w: filters ``(O, C / groups, kh, kw)``, of any size.
        bias: ``(O,)``, added to every channel.
        stride: from a window to the next; one whole number, or two for rows and columns.
        padding: zeros around the image: a number, two for rows and columns, ``((top, bottom), (left, right))``,
            ``"valid"`` for none, or ``"same"`` for as many as give ``ceil(size / stride)`` windows, the odd one
            at the end.
        dilation: from an element of a window to the next.
        groups: the channels are divided into as many groups, each with its own filters.

    Returns:
        ``(N, O, rows, columns)``, with ``(size + padding - dilation·(k - 1) - 1) // stride + 1`` of them
        (Dumoulin & Visin 2016, "A guide to convolution arithmetic", relationship 15).

    Raises:
        SpecError: the operands have not four axes, channels and groups do not match, or a filter is larger
            than the padded image.
    """
    x, w, *rest = tensors(x, w) if bias is None else tensors(x, w, bias)
    with fitting("conv2d", x=x, w=w, **dict(zip(["bias"], rest, strict=False))):
        _check_ranks(x, w)
        out, depth, *_ = w.shape
        groups = _check_groups(groups, x=x.shape[1], w=out)
        if x.shape[1] != depth * groups:
            seen = f"{depth} channels" if groups == 1 else f"{depth} channels of each of {groups} groups"
            raise Mismatch(f"The filters look at {seen}, but x has {x.shape[1]} channels.")
        _check_bias(rest, out)
        size, step, gap = (w.shape[2], w.shape[3]), pair("stride", stride, 1), pair("dilation", dilation, 1)
        ends = padding_of(padding, x.shape, size, step, gap)
        count(_padded(x.shape, ends), size, step, gap)
    x = _grouped(x if ends == ((0, 0), (0, 0)) else pad(x, ((0, 0), (0, 0), *ends)), groups)
    columns = permute_dims(_windows(x, size=size, stride=step, dilation=gap), (2, 3, 4, 0, 1, 5, 6))
    filters = reshape(w, (groups, out // groups, depth * size[0] * size[1]))
    return _biased(_filtered(filters, columns, (out // groups,)), rest)


@function
@in_floats("x", "w", beside=["bias"], whole=False)
def conv2d_transpose(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The transpose of :func:`conv2d`, which maps what that makes back to images of the size it came from.

    Args:
        x: images ``(N, C, H, W)``.
        w: filters ``(C, O / groups, kh, kw)``, such as one would give to the convolution that this is the
            transpose of.
        bias: ``(O,)``, added to every channel.
        stride, dilation, groups: those of the convolution.
        padding: that of the convolution, in the same forms but ``"same"``; so much is cut off.
        output_padding: rows and columns added at the end, for the images that the convolution maps to the
            same size, as strides leave a rest; less than stride or dilation.

    Returns:
        ``(N, O, rows, columns)``, with ``(size - 1)·stride - padding + dilation·(k - 1) + output_padding + 1``
        of them (Dumoulin & Visin 2016, relationship 14).

    Raises:
        SpecError: as :func:`conv2d`, or nothing is left when the padding is cut off.
    """
    x, w, *rest = tensors(x, w) if bias is None else tensors(x, w, bias)
    with fitting("conv2d_transpose", x=x, w=w, **dict(zip(["bias"], rest, strict=False))):
        _check_ranks(x, w)
        channels, depth, *_ = w.shape
        groups = _check_groups(groups, x=x.shape[1], w=channels)
        if x.shape[1] != channels:
            raise Mismatch(f"There are filters for {channels} channels, but x has {x.shape[1]}.")
        _check_bias(rest, depth * groups)
        size, step, gap = (w.shape[2], w.shape[3]), pair("stride", stride, 1), pair("dilation", dilation, 1)
        extra = pair("output_padding", output_padding, 0)
        if any(e >= max(s, d) for e, s, d in zip(extra, step, gap, strict=True)):
            raise Mismatch(f"output_padding is {extra}; it must be less than stride {step} or dilation {gap}.")
        if padding == "same":
            raise Mismatch("padding='same' is not known here, as several sizes would do: give numbers.")
        ends = padding_of(padding, x.shape, size, step, gap)
        whole = _whole(x.shape, size, step, gap)
        kept = [slice(a, n + e - b) for n, e, (a, b) in zip(whole, extra, ends, strict=True)]
        if any(part.start >= part.stop for part in kept):
            raise Mismatch(f"The result is {whole[0]} × {whole[1]}, of which padding {ends} leaves nothing.")
    filters = matrix_transpose(reshape(w, (groups, channels // groups, depth * size[0] * size[1])))
    columns = _filtered(filters, _grouped(x, groups), (depth, *size))
    y = _fold(moveaxis(columns, (2, 3), (0, 1)), shape=whole, stride=step, dilation=gap)
    if any(extra):
        y = pad(y, ((0, 0), (0, 0), (0, extra[0]), (0, extra[1])))
    return _biased(y if y.shape[2:] == tuple(k.stop - k.start for k in kept) else y[:, :, kept[0], kept[1]], rest)


def _grouped(x: Tensor, groups: int) -> Tensor:
    n, channels, *sizes = x.shape
    return reshape(x, (n, groups, channels // groups, *sizes))


def _filtered(filters: Tensor, columns: Tensor, rows: Shape) -> Tensor:
    """``filters`` (group, row, column) times ``columns`` (image, group, ..., and two axes of places).

    The rows of a group are laid out as ``rows``; the result is (image, channel, ..., and two axes of places).
    """
    n, groups, *inner, high, wide = columns.shape
    _, m, k = filters.shape
    channels = (groups * rows[0], *rows[1:])
    if n == 1 or m * k < LARGE:
        y = matmul(filters, reshape(columns, (n, groups, k, high * wide)))
        return reshape(y, (n, *channels, high, wide))
    y = matmul(filters, reshape(moveaxis(columns, 0, len(inner) + 1), (groups, k, n * high * wide)))
    return moveaxis(reshape(y, (*channels, n, high, wide)), -3, 0)


def _biased(y: Tensor, bias: list[Tensor]) -> Tensor:
    return y + reshape(bias[0], (-1, 1, 1)) if bias else y


def _padded(shape: Shape, ends: Pairs) -> Shape:
    return tuple(n + a + b for n, (a, b) in zip(shape[-2:], ends, strict=True))


def _whole(shape: Shape, size: Pair, stride: Pair, dilation: Pair) -> Pair:
    """The size that the windows of an image cover together."""
    high, wide = extent(size, dilation)
    return (shape[-2] - 1) * stride[0] + high, (shape[-1] - 1) * stride[1] + wide


def _check_ranks(x: Tensor, w: Tensor) -> None:
    if x.ndim != 4 or w.ndim != 4:
        raise Mismatch(
            "x has the axes (image, channel, row, column), w has two of channels and then row and column; "
            f"x has {x.ndim} axes, w has {w.ndim}."
        )
    if 0 in (*x.shape[1:], *w.shape):
        raise Mismatch("Only the number of images may be 0.")


def _check_groups(groups: Any, **channels: int) -> int:
    if isinstance(groups, bool) or not hasattr(groups, "__index__") or groups < 1:
        raise Mismatch(f"groups is a whole number, 1 or more, not {groups!r:.60}.")
    for name, n in channels.items():
        if n % groups:
            raise Mismatch(f"{n} channels of {name} cannot be divided into {groups} groups.")
    return int(groups)


def _check_bias(bias: list[Tensor], channels: int) -> None:
    if bias and bias[0].shape != (channels,):
        raise Mismatch(f"The result has {channels} channels, so bias must have the shape [{channels}].")
