"""Where an element lies: indices that are affine in the counters of loops, and views of memory.

A movement computes nothing: it says which element of its operand each element of its result is. For a view
this is affine, and is read off NumPy's own strides by probing the kernel; so no list of movements is needed.

What a kernel of the user's does is not believed: it is probed on memory that is there, and what it returns must
lie in it. Such memory is reserved, and costs nothing as long as nobody reads it.
"""

from __future__ import annotations

import functools
import math
import mmap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import Movement
from lazygrad.graph.spec import Shape

__all__ = [
    "Index",
    "Misdeclared",
    "View",
    "contiguous",
    "flattened",
    "identity",
    "in_order",
    "placed",
    "probed",
    "regrouped",
    "viewed",
    "within",
]

NUMBERED = 1 << 16  # elements; a movement of more is not run on their numbers
SPOT = np.zeros(1, np.int8)


class Misdeclared(Exception):
    """What a kernel was seen to do that its op does not declare."""


class Index(NamedTuple):
    """``start`` + Σ step · counter over loops, which are known by their numbers."""

    start: int = 0
    terms: tuple[tuple[int, int], ...] = ()  # (loop, step), by loop; no step is 0

    def plus(self, other: Index, times: int = 1) -> Index:
        """This + ``times`` · other."""
        start = self.start + other.start * times
        if not other.terms or not times:
            return Index(start, self.terms)
        more = other.terms if times == 1 else tuple([(loop, step * times) for loop, step in other.terms])
        if not self.terms or self.terms[-1][0] < more[0][0]:  # the loops are others, and come later
            return Index(start, self.terms + more)
        steps = dict(self.terms)
        for loop, step in more:
            steps[loop] = steps.get(loop, 0) + step
        terms = tuple(sorted((loop, step) for loop, step in steps.items() if step))
        return Index(start, terms)

    def __str__(self) -> str:
        terms = [f"i{loop}" if step == 1 else f"{step}·i{loop}" for loop, step in self.terms]
        return " + ".join([*terms, *([str(self.start)] if self.start or not terms else [])])


ZERO = Index()


def identity(shape: Shape, loops: Sequence[int]) -> tuple[Index, ...]:
    """The index of the element that loops over ``shape`` stand at."""
    return tuple([ZERO if size == 1 else Index(0, ((loop, 1),)) for size, loop in zip(shape, loops, strict=True)])


class View(NamedTuple):
    """Elements of a buffer: where the first lies, and the steps along every axis, in elements."""

    buffer: Any
    start: int
    steps: tuple[int, ...]
    shape: Shape

    def place(self, index: Sequence[Index]) -> Index:
        """Where in the buffer the element at ``index`` lies."""
        place = Index(self.start)
        for step, along in zip(self.steps, index, strict=True):
            place = place.plus(along, step)
        return place

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in order, without gaps."""
        steps = contiguous(self.shape)
        return all(n == 1 or a == b for a, b, n in zip(self.steps, steps, self.shape, strict=True))

    @property
    def first(self) -> View:
        """The first slice along the first axis."""
        return View(self.buffer, self.start, self.steps[1:], self.shape[1:])


@functools.lru_cache(maxsize=4096)
def contiguous(shape: Shape) -> tuple[int, ...]:
    """Steps of an array in row-major order."""
    return tuple([math.prod(shape[axis + 1 :]) for axis in range(len(shape))])


def in_order(shape: Shape, buffer: int | None = None) -> View:
    """An array of this shape as it lies in memory, the last axis varying fastest."""
    return View(buffer, 0, contiguous(shape), shape)


class Affine(NamedTuple):
    """For every axis of the operand: a start, and the step along each axis of the result."""

    starts: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]

    def of(self, index: Sequence[Index]) -> tuple[Index, ...]:
        """The index in the operand of the element at ``index`` of the result."""
        found = []
        for start, steps in zip(self.starts, self.steps, strict=True):
            place = Index(start)
            for along, step in zip(index, steps, strict=True):
                if step:
                    place = place.plus(along, step)
            found.append(place)
        return tuple(found)


BYTE = np.dtype(np.int8)


def viewed(op: Movement, shape: Shape, params: dict[str, Any], key: Any, dtype: np.dtype[Any] = BYTE) -> Affine:
    """Which element of an operand of ``shape`` each element of a view of it is.

    The kernel is run on arrays of which only one axis has a step at all: what steps the result has, and how
    far it begins from the array's start, are those of that axis. The user's get arrays of the operand's dtype.
    """
    return _viewed(op, shape, _Hidden(params), key, BYTE if op.own else dtype)


class _Hidden(dict[str, Any]):
    """Settings that take no part in a cache's key, which has their frozen form."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return True


@functools.lru_cache(maxsize=4096)
def _viewed(op: Movement, shape: Shape, params: _Hidden, key: Any, dtype: np.dtype[Any]) -> Affine:
    starts, steps, seen = [], [], set[Shape]()
    for axis in range(len(shape)):
        start, along, found = probed(op, shape, tuple([int(a == axis) for a in range(len(shape))]), params, dtype)
        starts.append(start)
        steps.append(along)
        seen.add(found)
    if len(seen) > 1:
        raise Misdeclared(f"of {list(shape)} it returned {' and '.join(str(list(s)) for s in sorted(seen))}")
    return Affine(tuple(starts), tuple(steps))


def probed(
    op: Movement, shape: Shape, strides: Shape, params: dict[str, Any], dtype: np.dtype[Any]
) -> tuple[int, Shape, Shape]:
    """Where a view of an array with these strides begins in it, its strides, and its shape; in elements.

    Raises:
        Misdeclared: it is no view of it, or reaches beyond it.
    """
    size = dtype.itemsize
    span = max(1, 1 + sum(step * (n - 1) for step, n in zip(strides, shape, strict=True)))
    base = SPOT if op.own and dtype == BYTE else _reserved(span * size).view(dtype)
    probe = np.lib.stride_tricks.as_strided(base, shape, [step * size for step in strides])
    result = op.kernel(np, probe, **params)
    given = f"{dtype}{list(shape)}"
    if not isinstance(result, np.ndarray):
        raise Misdeclared(f"of {given} it returned {_article(type(result).__name__)}")
    if result.dtype != dtype:
        raise Misdeclared(f"of {given} it returned {result.dtype}{list(result.shape)}")
    start = result.__array_interface__["data"][0] - probe.__array_interface__["data"][0]
    steps = [0 if n == 1 else s for s, n in zip(result.strides, result.shape, strict=True)]
    if result.size:
        ends = [step * (n - 1) for step, n in zip(steps, result.shape, strict=True)]
        low, high = start + sum(min(end, 0) for end in ends), start + sum(max(end, 0) for end in ends)
        if low < 0 or high >= span * size:
            apart = high < 0 or low >= span * size
            what = "memory of its own" if apart else "memory before and behind it"
            raise Misdeclared(f"of {given} it returned {what}, as {result.dtype}{list(result.shape)}")
        if any(place % size for place in (start, *steps)):
            raise Misdeclared(f"of {given} it returned what lies between its elements")
    return start // size, tuple([step // size for step in steps]), tuple(result.shape)


def _reserved(size: int) -> Any:
    """So many bytes, all 0, that take no memory until they are written."""
    return np.frombuffer(mmap.mmap(-1, size), np.int8)


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def flattened(op: Movement, shape: Shape, params: dict[str, Any], key: Any, dtype: np.dtype[Any] = BYTE) -> View:
    """Which element of an operand of ``shape``, as it lies in order, each element of a view of it is."""
    return _flattened(op, shape, _Hidden(params), key, BYTE if op.own else dtype)


@functools.lru_cache(maxsize=4096)
def _flattened(op: Movement, shape: Shape, params: _Hidden, key: Any, dtype: np.dtype[Any]) -> View:
    return View(None, *probed(op, shape, contiguous(shape), params, dtype))


@functools.lru_cache(maxsize=4096)
def regrouped(source: Shape, target: Shape) -> Affine | None:
    """Which element of ``source`` each element of it is when reshaped to ``target``; None if not affine.

    Axes are matched in groups of equal size. A group of several axes that becomes one of the source is a sum
    of steps; one that would have to be split is not.
    """
    steps = [[0] * len(target) for _ in source]
    a = b = 0
    while a < len(source) and b < len(target):
        first_a, first_b, left, right = a, b, source[a], target[b]
        a, b = a + 1, b + 1
        while left != right:
            if left < right:
                left *= source[a]
                a += 1
            else:
                right *= target[b]
                b += 1
        wide = [axis for axis in range(first_a, a) if source[axis] != 1]
        if len(wide) > 1:
            if [source[axis] for axis in wide] != [n for n in target[first_b:b] if n != 1]:
                return None
            for axis, place in zip(wide, [k for k in range(first_b, b) if target[k] != 1], strict=True):
                steps[axis][place] = 1
        elif wide:
            step = 1
            for place in range(b - 1, first_b - 1, -1):
                steps[wide[0]][place] = step if target[place] != 1 else 0
                step *= target[place]
    return Affine((0,) * len(source), tuple(map(tuple, steps)))


def placed(op: Movement, shapes: tuple[Shape, ...], params: dict[str, Any], key: Any) -> tuple[Affine, ...] | None:
    """For every operand of a movement that is no view, where in the result its elements go; None if not affine.

    One of lazygrad's own says which part of its result each operand fills. Any other kernel is run on the
    elements' numbers, if there are not too many, and the affine rule that the first ones suggest is checked on
    all. Places that no element goes to are zero.
    """
    return _placed(op, shapes, _Hidden(params), key)


@functools.lru_cache(maxsize=1024)
def _placed(op: Movement, shapes: tuple[Shape, ...], params: _Hidden, key: Any) -> tuple[Affine, ...] | None:
    rule = getattr(op, "fills", None)
    if rule is not None and op.own:
        return _filled(op, rule, shapes, params)
    if sum(map(math.prod, shapes)) > NUMBERED:
        return None
    return _numbered(op, shapes, params)


def _filled(op: Movement, rule: Any, shapes: tuple[Shape, ...], params: _Hidden) -> tuple[Affine, ...]:
    """The places by the op's own rule: which views of the result its operands fill."""
    whole = op.shape_rule(*shapes, **params)
    probe = np.lib.stride_tricks.as_strided(SPOT, whole, contiguous(whole))
    found = []
    for part, shape in zip(rule(probe, *shapes, **params), shapes, strict=True):
        assert part.shape == shape
        start = part.__array_interface__["data"][0] - probe.__array_interface__["data"][0]
        steps = tuple([0 if n == 1 else int(s) for s, n in zip(part.strides, shape, strict=True)])
        found.append(Affine((start,), (steps,)) if math.prod(shape) else Affine((0,), ((0,) * len(shape),)))
    return tuple(found)


def _numbered(op: Movement, shapes: tuple[Shape, ...], params: _Hidden) -> tuple[Affine, ...] | None:
    """The places as the kernel shows them when it is run on the elements' numbers."""
    numbers, first, rng = [], 1, np.random.default_rng(0)
    for shape in shapes:
        count = math.prod(shape)
        numbers.append(rng.permutation(np.arange(first, first + count)).reshape(shape))  # in no order: it may sort
        first += count
    try:
        result = op.kernel(np, *numbers, **params)
    except Exception:  # a user's that does not stand whole numbers: NumPy calls it as it is
        if op.own:
            raise
        return None
    if not isinstance(result, (np.ndarray, np.generic)):
        return None  # a list has a dtype of its own: whether it is the one declared is found when it is called
    rule = getattr(op, "shape_rule", None)
    if rule is not None and result.shape != tuple(rule(*shapes, **params)):
        return None  # not what is declared, as it is found when it is called
    if result.dtype.kind != "i" or (result.size and not (result.min() >= 0 and result.max() < first)):
        return None  # numbers of its own
    if (np.bincount(result.ravel(), minlength=first)[1:] != 1).any():
        return None  # an element stands there twice, or not at all
    where = np.zeros(first, np.int64)
    where[result.ravel()] = np.arange(result.size)
    found = []
    for own in numbers:
        place = _straight(where[own])
        if place is None:
            return None
        found.append(place)
    return tuple(found)


def _straight(places: Any) -> Affine | None:
    """Places of elements as a start and steps along the axes; None if they are not."""
    if not places.size:
        return Affine((0,), ((0,) * places.ndim,))
    origin = int(places[(0,) * places.ndim])
    ends = [tuple([int(a == axis) for a in range(places.ndim)]) for axis in range(places.ndim)]
    steps = tuple([int(places[end]) - origin if n > 1 else 0 for end, n in zip(ends, places.shape, strict=True)])
    grid = sum(
        (np.arange(n).reshape((-1,) + (1,) * (places.ndim - 1 - a)) * steps[a] for a, n in enumerate(places.shape)),
        np.zeros((), np.int64),
    )
    return Affine((origin,), (steps,)) if np.array_equal(places, origin + grid) else None


def within(places: Sequence[Affine], shapes: Sequence[Shape], size: int) -> bool:
    """Whether all that operands fill lies in a result of so many elements."""
    for place, shape in zip(places, shapes, strict=True):
        ends = [step * (n - 1) for step, n in zip(place.steps[0], shape, strict=True)]
        if place.starts[0] + sum(min(end, 0) for end in ends) < 0:
            return False
        if place.starts[0] + sum(max(end, 0) for end in ends) >= size:
            return False
    return True
