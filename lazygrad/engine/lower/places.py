"""Where elements of small arrays are: the places of views, of what is broadcast or folded, and of what indices name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lower.classify import Classified
from lazygrad.engine.lower.describe import joint_axes
from lazygrad.engine.lower.index import Affine, View, contiguous
from lazygrad.graph.spec import Shape

__all__ = ["Named", "broadcast", "grid", "naming", "order", "parts"]


class Named(NamedTuple):
    """How indices name elements: those of an ``operand``, which count an axis of size ``n`` in steps of ``step``."""

    operand: int
    n: int
    step: int
    elements: tuple[int, ...]  # of the operand, for every element of the result


def grid(place: View | Affine, shape: Shape) -> list[int]:
    """The place of every element of an array of ``shape``, in order, by a start and steps."""
    start, steps = (place.start, place.steps) if isinstance(place, View) else (place.starts[0], place.steps[0])
    places = np.full(shape, start)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        places += (np.arange(n) * step).reshape((-1,) + (1,) * (len(shape) - 1 - axis))
    return places.ravel().tolist()


def broadcast(source: Shape, target: Shape) -> list[int]:
    """For every element of ``target`` the element of ``source`` that goes there."""
    return np.broadcast_to(np.arange(math.prod(source)).reshape(source), target).ravel().tolist()


def order(shape: Shape, axes: Sequence[int]) -> list[list[list[int]]]:
    """For every element of a fold over ``axes``, the runs of elements that it combines, as NumPy goes.

    A run lies in order in memory: NumPy sums it pairwise, and adds the runs one after the other. Axes of one element
    are none to it.
    """
    axes = [axis for axis, n in enumerate(shape) if axis in axes or n == 1]
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    inner = len(shape)
    while inner and inner - 1 in axes:
        inner -= 1
    places = np.arange(math.prod(shape)).reshape(shape)
    moved = places.transpose([*kept, *[axis for axis in axes if axis < inner], *range(inner, len(shape))])
    count, run = math.prod([shape[axis] for axis in kept]), math.prod(shape[inner:])
    return moved.reshape(count, -1, run).tolist()


def parts(
    ways: Classified, pattern: tuple[Any, ...], indices: Sequence[int]
) -> tuple[slice, list[tuple[Any, int | None]]]:
    """The parts of a pattern, each with the axis of the elements that it counts, and the axes of all index arrays.

    Without such arrays a number names an element as a slice of one.
    """
    if indices:
        return joint_axes(pattern, max([ways.spec(j).ndim for j in indices]))
    found, axis = list[tuple[Any, int | None]](), 0
    for part in pattern:
        is_axis = part is None or isinstance(part, slice)
        found.append((part, axis) if is_axis else (slice(part, part + 1 or None), None))
        axis += is_axis
    return slice(0, 0), found


def naming(
    ways: Classified, i: int, pattern: tuple[Any, ...], values: int
) -> tuple[tuple[int, ...], tuple[Named, ...]]:
    """Where elements would lie in the first operand if all indices were 0, and the indices that name them.

    The elements are those of the result or, where ``values`` are written, of that operand; the indices come after it.
    """
    inputs = ways.nodes[i].inputs
    source, shape = ways.spec(inputs[0]).shape, ways.spec(inputs[values] if values else i).shape
    indices = inputs[1 + values :]
    index, size = np.indices(shape).reshape(len(shape), math.prod(shape)), math.prod(shape)
    joint, named_parts = parts(ways, pattern, indices)
    sizes = shape[joint.start : joint.stop]
    at = np.ravel_multi_index(tuple(index[joint]), sizes) if sizes else np.zeros(size, np.int64)
    places, named, axis = np.zeros(size, np.int64), list[Named](), 0
    for part, of in named_parts:
        if part is None:
            continue
        n, step = source[axis], contiguous(source)[axis]
        if of is None and isinstance(part, slice):
            places += part.indices(n)[0] * step
        elif of is None:
            elements = np.asarray(broadcast(ways.spec(indices[len(named)]).shape, sizes))[at]
            named.append(Named(1 + values + len(named), n, step, tuple(elements.tolist())))
        else:
            start, _, stride = part.indices(n)
            places += (start + stride * index[of]) * step
        axis += 1
    return tuple(places.tolist()), tuple(named)
