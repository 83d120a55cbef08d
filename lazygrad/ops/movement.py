"""Elements moved or repeated: other shapes, other orders, arrays joined and cut."""

# Seven are primitives; everything else here is said with them, and computes nothing.

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define import elementwise, fills, movement
from lazygrad.define.kinds import Movement, flat, tensor, tensors
from lazygrad.errors import PlaceError, SpecError, report
from lazygrad.graph.casting import saturates
from lazygrad.graph.graph import current_graph
from lazygrad.graph.registry import function, functions, here
from lazygrad.graph.spec import Axes, Mismatch, Shape, broadcast, kept, normalize_axis, sized
from lazygrad.graph.tensor import Array, Tensor, TensorLike, checked_dtype

__all__ = [
    "astype",
    "atleast_1d",
    "atleast_2d",
    "broadcast_arrays",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flatten",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "reshape",
    "roll",
    "rot90",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unstack",
    "whole_index",
]


def _reshaped(x: Shape, shape: Shape) -> Shape:
    sizes = tuple(int(size) for size in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise Mismatch("One size of a shape may be -1, which stands for what is left; no other is negative.")
    total = math.prod(x)
    if -1 in sizes:
        rest = math.prod(size for size in sizes if size != -1)
        if rest == 0 or total % rest:
            raise Mismatch(f"{total} elements cannot be laid out in rows of {rest}.")
        return tuple(total // rest if size == -1 else size for size in sizes)
    if math.prod(sizes) != total:
        raise Mismatch(f"{list(x)} has {total} elements, {list(sizes)} has {math.prod(sizes)}.")
    return sizes


@movement(shape=_reshaped, view="contiguous", vjp=lambda g, y, x: reshape(g, x.shape))
def reshape(xp: Any, x: Array, shape: Shape) -> Any:
    """The same elements, in row-major order, in another shape, a number or several. One size may be -1."""
    return xp.reshape(x, shape)


def _permuted(x: Shape, axes: tuple[int, ...]) -> Shape:
    order = [normalize_axis(axis, len(x)) for axis in axes]
    if sorted(order) != list(range(len(x))):
        raise Mismatch(f"axes={axes} is not an order of the {len(x)} axes.")
    return tuple(x[axis] for axis in order)


@movement(shape=_permuted, view="always", vjp=lambda g, y, x, *, axes: permute_dims(g, _inverse(axes)))
def permute_dims(xp: Any, x: Array, axes: tuple[int, ...]) -> Any:
    """Axis ``axes[i]`` of ``x`` becomes axis ``i``."""
    return xp.transpose(x, axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    order = [axis % len(axes) for axis in axes]
    return tuple(order.index(i) for i in range(len(order)))


def _expanded(x: Shape, shape: Shape) -> Shape:
    shape = sized(shape)
    fits = len(x) <= len(shape) and all(a in (1, b) for a, b in zip(x[::-1], shape[::-1], strict=False))
    if not fits:
        raise Mismatch(f"Only axes of size 1, and new axes in front, can become others to make {list(shape)}.")
    return shape


@movement(shape=_expanded, view="always", vjp=lambda g, y, x: functions["sum_to"](g, x.shape))
def broadcast_to(xp: Any, x: Array, shape: Shape) -> Any:
    """The elements repeated along axes of size 1 and along new axes in front, without a copy."""
    return xp.broadcast_to(x, shape)


def _padded(x: Shape, before: Shape, after: Shape) -> Shape:
    return tuple(b + size + a for b, size, a in zip(before, x, after, strict=True))


@fills(lambda result, x, *, before, after: [result[_inside(x, before)]])
@movement(shape=_padded, vjp=lambda g, y, x, *, before, after: g[_inside(x.shape, before)])
def _pad(xp: Any, x: Array, *, before: Shape, after: Shape) -> Any:
    """Zeros around ``x``."""
    out = xp.zeros(_padded(x.shape, before, after), x.dtype)
    out[_inside(x.shape, before)] = x
    return out


def _inside(shape: Shape, before: Shape) -> tuple[slice, ...]:
    return tuple(slice(b, b + size) for b, size in zip(before, shape, strict=True))


def _joined(*shapes: Shape, axis: int) -> Shape:
    if not shapes:
        raise Mismatch("There must be at least one tensor.")
    first = shapes[0]
    for shape in shapes:
        if len(shape) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(shape, first, strict=True)) if i != axis
        ):
            raise Mismatch(f"All sizes but those along axis {axis} must be equal.")
    return tuple(sum(s[i] for s in shapes) if i == axis else size for i, size in enumerate(first))


def _joints(result: Any, *shapes: Shape, axis: int) -> list[Any]:
    """The parts of a result in which the operands lie one after another."""
    ends = list(itertools.accumulate(shape[axis] for shape in shapes))
    front = (slice(None),) * axis
    return [result[(*front, slice(end - shape[axis], end))] for end, shape in zip(ends, shapes, strict=True)]


@fills(_joints)
@movement(shape=_joined, vjp=lambda g, y, *xs, axis: _parts(g, [x.shape[axis] for x in xs], axis))
def _concat(xp: Any, *xs: Array, axis: int) -> Any:
    """One after another along an axis."""
    return xp.concatenate(xs, axis=axis)


def _parts(x: Tensor, sizes: Sequence[int], axis: int) -> tuple[Tensor, ...]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    front = (slice(None),) * axis
    return tuple(x[(*front, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True))


# Where the array API asks for a device: the environment has one, so it can but be named.
DEVICES = {"numpy": ("cpu", "numpy"), "cupy": ("gpu", "cuda", "cupy")}


def check_device(device: Any, graph: Any = None) -> None:
    """Raise SpecError for a device that is not the environment's; None is."""
    if device is None:
        return
    graph = graph or current_graph("name a device")
    backend = "numpy" if graph.context is None else graph.context.env._store.backend.name
    if str(device).split(":")[0] not in DEVICES[backend]:
        facts = [f"device:  {backend}   of the environment"]
        cure = "Arrays lie where the environment computes: lg.VariableEnvironment(backend='numpy') or 'cupy'."
        raise SpecError(report(f"cannot use device={device!r}", at=here(), facts=facts, cure=cure))


@elementwise(vjp=lambda g, y, x: astype(g, x.dtype), dtype=kept)
def _astype(xp: Any, x: Array, *, dtype: Any) -> Any:
    """The elements cast to ``dtype``."""
    return xp.cast(x, dtype) if saturates(x.dtype, np.dtype(dtype)) else x.astype(dtype)


@function
def astype(x: TensorLike, dtype: Any, *, copy: bool = True, device: Any = None) -> Tensor:
    """``x`` cast to ``dtype``; the gradient is cast back.

    Floats become whole numbers by rounding towards zero. One that is out of range becomes the nearest number of
    ``dtype``, and NaN its least number, which is 0 where there are no negative ones; as a bool NaN is true. Whole
    numbers that are out of range lose their leading bits, as in NumPy. An index or a label that is cast from NaN or an
    infinity raises IndexError all the same. ``copy`` says nothing, as a tensor never changes; ``device`` is the
    environment's, ``"cpu"`` or ``"gpu"``.
    """
    x, dtype = tensor(x), checked_dtype(dtype)
    check_device(device, x.graph)
    return x if x.dtype == dtype else _astype(x, dtype=dtype)


@elementwise(vjp=flat, dtype=kept)
def _finite_index(xp: Any, index: Array, floats: Array) -> Any:
    """Whole numbers that were cast from floats, none of which is NaN or infinite."""
    xp.checked(floats, xp.logical_not(xp.isfinite(floats)), _no_index)
    return index


def _no_index(wrong: Any) -> IndexError:
    cure = "An index or a label is a whole number: look where this one was computed."
    return IndexError(report(f"index {float(wrong)} names nothing", cure=cure))


def whole_index(index: Tensor) -> Tensor:
    """An index or a label; where it was cast from floats, NaN and infinities raise IndexError when it is evaluated.

    Without that they would be whole numbers like others, and name what may exist.
    """
    floats = _cast_from(index)
    return index if floats is None else _finite_index(index, floats)


def _cast_from(x: Tensor) -> Tensor | None:
    """The floats that ``x`` was cast from, moved as it was moved since; None if it is no such cast."""
    node = x.graph.nodes[x.index]
    cast = node.of(_astype)
    if len(node.inputs) != 1 or not (cast or isinstance(node.op, Movement)):
        return None
    source = x.graph.tensor(node.inputs[0])
    if cast and source.dtype.kind == "f":
        return source
    found = _cast_from(source)
    return found if found is None or cast else x.graph.apply(node.op, (found.index,), node.params, node.key)


def _axis(what: str, x: Tensor, axis: Any, extra: int = 0, kind: type[SpecError] = SpecError) -> int:
    """``axis`` of ``x`` counted from the front, or an error at the user's line."""
    try:
        return normalize_axis(axis, x.ndim + extra)
    except Mismatch as reason:
        facts = [f"x:  {x.spec}   {x.graph.describe(x.index)}"]
        message = report(f"cannot {what} {x.spec}", at=here(), facts=facts, cure=str(reason))
        raise kind(message) from None


@function
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` with its axes in reverse order, or in the order ``axes``."""
    x = tensor(x)
    return permute_dims(x, tuple(axes) if axes is not None else tuple(range(x.ndim))[::-1])


@function
def matrix_transpose(x: TensorLike) -> Tensor:
    """``x`` with its last two axes exchanged."""
    x = tensor(x)
    return swapaxes(x, -1, -2)


@function
def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """``x`` with two axes exchanged."""
    x = tensor(x)
    order = list(range(x.ndim))
    a, b = _axis("swapaxes", x, axis1), _axis("swapaxes", x, axis2)
    order[a], order[b] = b, a
    return permute_dims(x, tuple(order))


@function
def moveaxis(x: TensorLike, source: Any, destination: Any) -> Tensor:
    """``x`` with axis ``source`` moved to ``destination``; both may be sequences."""
    x = tensor(x)
    many = isinstance(source, (tuple, list))
    sources = [_axis("moveaxis", x, a) for a in (source if many else [source])]
    targets = [_axis("moveaxis", x, a) for a in (destination if many else [destination])]
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return permute_dims(x, tuple(order))


@function
def flatten(x: TensorLike) -> Tensor:
    """``x`` with one axis."""
    return reshape(x, (-1,))


@function
def expand_dims(x: TensorLike, axis: Axes = 0) -> Tensor:
    """``x`` with axes of size 1 put in, so that they stand at ``axis`` of the result.

    Raises:
        PlaceError, an IndexError: the result has no such axis.
        SpecError: an axis is named twice.
    """
    x = tensor(x)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    places = {_axis("expand_dims", x, a, len(axes), PlaceError) for a in axes}
    if len(places) < len(axes):
        cure = f"An axis is named twice in {axis!r}."
        raise SpecError(report(f"cannot expand_dims {x.spec}", at=here(), cure=cure))
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(x.ndim + len(axes))))


@function
def squeeze(x: TensorLike, axis: Axes = None) -> Tensor:
    """``x`` without the axes ``axis``, which must have size 1; without all such axes, if not given."""
    x = tensor(x)
    axes = [i for i, n in enumerate(x.shape) if n == 1] if axis is None else axis
    places = [_axis("squeeze", x, a) for a in (axes if isinstance(axes, (tuple, list)) else [axes])]
    for place in places:
        if x.shape[place] != 1:
            cure = f"Axis {place} has size {x.shape[place]}; only axes of size 1 can be left out."
            raise SpecError(report(f"cannot squeeze {x.spec}", at=here(), cure=cure))
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in places))


@function
def broadcast_arrays(*arrays: Any) -> list[Tensor]:
    """The tensors, each broadcast to the shape they have in common."""
    given = tensors(*arrays)
    try:
        shape = broadcast([t.shape for t in given])
    except Mismatch as reason:
        specs = " and ".join(str(t.spec) for t in given)
        raise SpecError(report(f"cannot broadcast {specs}", at=here(), cure=str(reason))) from None
    return [broadcast_to(t, shape) for t in given]


@function
def concat(arrays: Sequence[Any], axis: int | None = 0) -> Tensor:
    """The tensors one after another along ``axis``; ``None`` flattens them first."""
    if not len(arrays):
        raise SpecError(report("cannot concat nothing", at=here(), cure="Give at least one tensor."))
    given = tensors(*arrays)
    if axis is None:
        given, axis = [flatten(t) for t in given], 0
    return _concat(*given, axis=_axis("concat", given[0], axis))


@function
def stack(arrays: Sequence[Any], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, side by side along a new axis."""
    if not len(arrays):
        raise SpecError(report("cannot stack nothing", at=here(), cure="Give at least one tensor."))
    given = tensors(*arrays)
    place = _axis("stack", given[0], axis, 1)
    return _concat(*[expand_dims(t, place) for t in given], axis=place)


@function
def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The pieces of ``x`` along ``axis``, without that axis."""
    x = tensor(x)
    front = (slice(None),) * _axis("unstack", x, axis)
    return tuple(x[(*front, i)] for i in range(x.shape[len(front)]))


@function
def split(x: TensorLike, parts: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """``x`` cut along ``axis`` into ``parts`` equal pieces, or before each index in ``parts``.

    As in NumPy, a sequence gives the indices at which to cut, not the sizes of the pieces.
    """
    x = tensor(x)
    place = _axis("split", x, axis)
    total = x.shape[place]
    if isinstance(parts, (int, np.integer)):
        if parts < 1 or total % parts:
            cure = f"Axis {place} has size {total}, which is not a multiple of {parts}."
            raise SpecError(report(f"cannot split {x.spec} into {parts} parts", at=here(), cure=cure))
        cuts = [total // parts * i for i in range(1, parts)]
    else:
        cuts = [min(max(c + total if c < 0 else c, 0), total) for c in parts]
    bounds = [0, *cuts, total]
    front = (slice(None),) * place
    return tuple(x[(*front, slice(a, max(a, b)))] for a, b in itertools.pairwise(bounds))


@function
def flip(x: TensorLike, axis: Axes = None) -> Tensor:
    """``x`` with the elements along ``axis``, or along every axis, in reverse order."""
    x = tensor(x)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else [axis]
    places = {_axis("flip", x, a) for a in axes}
    if not places:
        return x
    return x[tuple(slice(None, None, -1) if i in places else slice(None) for i in range(x.ndim))]


@function
def rot90(x: TensorLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """``x`` turned by ``k`` quarter turns in the plane of ``axes``, from the first towards the second."""
    x = tensor(x)
    turns = k % 4
    if turns == 2:
        return flip(x, axes)
    if turns == 0:
        return x
    return flip(swapaxes(x, *axes), axes[0]) if turns == 1 else swapaxes(flip(x, axes[0]), *axes)


@function
def roll(x: TensorLike, shift: int | Sequence[int], axis: Axes = None) -> Tensor:
    """``x`` with its elements moved by ``shift`` places along ``axis``; those that fall off come back in front."""
    x = tensor(x)
    if axis is None:
        return reshape(roll(flatten(x), shift, 0), x.shape)
    shifts: list[Any] = list(shift) if isinstance(shift, (tuple, list)) else [shift]
    axes: list[Any] = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    count = max(len(shifts), len(axes))
    whole = all(isinstance(by, (int, np.integer)) for by in shifts)
    if not whole or not {len(shifts), len(axes)} <= {1, count} or not count:
        cure = "shift is a whole number, or one for each axis."
        raise SpecError(report(f"cannot roll {x.spec} by {shift!r} along {axis!r}", at=here(), cure=cure))
    for by, a in zip(shifts * (count // len(shifts)), axes * (count // len(axes)), strict=True):
        place = _axis("roll", x, a)
        cut = -by % x.shape[place] if x.shape[place] else 0
        if cut:
            front = (slice(None),) * place
            x = _concat(x[(*front, slice(cut, None))], x[(*front, slice(None, cut))], axis=place)
    return x


@function
def tile(x: TensorLike, repetitions: int | Sequence[int]) -> Tensor:
    """``x`` laid side by side, ``repetitions`` times along each axis."""
    x = tensor(x)
    times = list(repetitions) if isinstance(repetitions, (tuple, list)) else [repetitions]
    times = [1] * (x.ndim - len(times)) + times
    shape = (1,) * (len(times) - x.ndim) + x.shape
    apart = reshape(x, tuple(size for n in shape for size in (1, n)))
    wide = broadcast_to(apart, tuple(size for n, t in zip(shape, times, strict=True) for size in (t, n)))
    return reshape(wide, tuple(n * t for n, t in zip(shape, times, strict=True)))


@function
def atleast_1d(x: TensorLike) -> Tensor:
    """``x``, with one axis if it has none."""
    x = tensor(x)
    return x if x.ndim else reshape(x, (1,))


@function
def atleast_2d(x: TensorLike) -> Tensor:
    """``x``, with axes put in front until it has two."""
    x = tensor(x)
    return x if x.ndim >= 2 else reshape(x, (1,) * (2 - x.ndim) + x.shape)
