"""What a kernel means: an interpreter of descriptions, slow and obviously right, by which code is judged.

Memory is a dictionary: for every node that lies in it, and every variable that is given a new value, the numbers in
order, as an array of one axis. Every number is an array of one element, so the kernels of ops compute with it as with
any other. Folds go in order, one element after the other; so only where no order rounds are their bits those of code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lazygrad.engine.lower.index import Index, in_order
from lazygrad.engine.lower.kernels import (
    ZEROS,
    Anywhere,
    Apply,
    Counter,
    Element,
    Fold,
    Kernel,
    Load,
    Moved,
    Number,
    Part,
    Small,
    Statement,
    Taken,
    Viewed,
)
from lazygrad.graph.casting import cast

__all__ = ["run"]

Memory = dict[Any, Any]
Counters = tuple[int, ...]


def run(kernel: Kernel, memory: Memory, xp: Any) -> None:
    """Run a kernel: what it writes is in ``memory`` afterwards.

    Args:
        kernel: what to run.
        memory: of every node that the kernel reads, and of all that it writes.
        xp: the array namespace that ops compute with.

    Raises:
        IndexError: an element is named that does not exist.
        KeyError: an element is read that no statement of this row has made.
    """
    kept: dict[int, dict[int, Any]] = {node: {} for node in kernel.made if node not in kernel.stored}
    memory = {**memory, **kept}
    begun: set[tuple[int, int]] = set()  # results of folds, by their places, that have been begun
    for s in kernel.statements:
        if s.segments is not None:
            _begin_segments(s, memory)
    for row in np.ndindex(*kernel.rows):
        for numbers in kept.values():
            numbers.clear()
        for s in kernel.statements:
            for inner in np.ndindex(*s.shape[kernel.rank :]):
                _turn(s, (*row, *inner), memory, begun, xp)


def _begin_segments(s: Statement, memory: Memory) -> None:
    """A sum by segments begins with what it is added to, or with zeros."""
    view = s.begins_with
    memory[s.node][:] = 0
    if view is not None:
        memory[s.node][:] = memory[view.buffer][view.start : view.start + s.spec.size]


def _turn(s: Statement, at: Counters, memory: Memory, begun: set[tuple[int, int]], xp: Any) -> None:
    """What a statement does where its loops stand at ``at``."""
    values: list[Any] = []
    for e in s.elements:
        values.append(_element(e, values, at, memory, xp))
    x = np.zeros(1, s.spec.dtype) if s.source == ZEROS else values[s.result]
    if s.fold is None:
        _write(memory[_target(s)], _place(s, at), x)
    elif s.segments is not None:
        place = _segment(s, values[s.segments], at)
        _write(memory[s.node], place, s.fold.combined(xp, _read(memory[s.node], place), cast(x, s.spec.dtype)))
    elif s.whole:
        _keep_better(s, x, at, memory, begun)
    else:
        place, x = _place(s, at), cast(x, s.spec.dtype)
        old = _read(memory[s.node], place) if (s.node, place) in begun else np.full(1, s.fold.neutral, s.spec.dtype)
        begun.add((s.node, place))
        _write(memory[s.node], place, s.fold.combined(xp, old, x))


def _element(e: Element, values: list[Any], at: Counters, memory: Memory, xp: Any) -> Any:
    """The number that an element of the list is, computed of those before it."""
    match e:
        case Number():
            return np.full(1, e.value, e.dtype)
        case Load():
            return _read(memory[e.node], _count(e.place, at))
        case Viewed():
            return _read(memory[e.array], _count(e.place, at))
        case Anywhere():
            return memory[e.view.buffer]
        case Counter():
            return np.full(1, _count(e.place, at), e.dtype)
        case Moved():
            return values[e.operand]
        case Apply():
            return cast(np.asarray(e.op.kernel(xp, *[values[k] for k in e.operands], **e.params)), e.dtype).reshape(1)
        case Small():
            given = [
                np.concatenate([values[k] for k in numbers]).reshape(shape)
                for numbers, shape in zip(e.operands, e.shapes, strict=True)
            ]
            found = e.op.kernel(xp, *given, **e.params)
            found = found[e.result] if len(e.inner) > 1 else found
            return np.asarray(found)[tuple([_count(along, at) for along in e.at[e.rows :]])].reshape(1)
        case Taken():
            steps = [_wrapped(int(values[k][0]), n) * step for k, n, step in e.named]
            return _read(values[e.source], _count(e.place, at) + sum(steps))


def _wrapped(which: int, n: int) -> int:
    """An index that counts from the end if it is below 0.

    Raises:
        IndexError: there is no such element.
    """
    if not -n <= which < n:
        raise IndexError(f"{which} is out of range for {n}")
    return which % n


def _keep_better(s: Statement, x: Any, at: Counters, memory: Memory, begun: set[Any]) -> None:
    """The place of an extreme: the first of equals, and NaN before all. The extreme is kept beside it."""
    assert s.fold is not None
    place, best = _place(s, at), memory.setdefault(("best", s.node), {})
    if at[-1] == 0 or _is_better(s.fold, x, best[place]):
        best[place] = x
        _write(memory[s.node], place, np.full(1, at[-1], s.spec.dtype))


def _is_better(fold: Fold, x: Any, best: Any) -> bool:
    if best != best or x != x:
        return bool(best == best)
    return bool(x > best if fold.how == "argmax" else x < best)


def _segment(s: Statement, which: Any, at: Counters) -> int:
    """Where in the result of a sum by segments an element of a row is added."""
    inner = in_order(s.spec.shape[1:]).place([Index(n) for n in at[1:]]).start
    each = s.spec.size // s.spec.shape[0]
    return _wrapped(int(which[0]), s.spec.shape[0]) * each + inner


def _target(s: Statement) -> Any:
    """The name of what a statement writes."""
    if s.target is None:
        return s.node
    return s.target.node if isinstance(s.target, Part) else s.target


def _place(s: Statement, at: Iterable[int]) -> int:
    """Where in what it writes the number goes that a statement computes where its loops stand at ``at``."""
    index = [Index(n) for n in at]
    if isinstance(s.target, Part):
        return s.target.place.of([n for axis, n in enumerate(index) if axis not in s.axes])[0].start
    if len(s.spec.shape) == len(s.shape):
        kept = [Index() if axis in s.axes else n for axis, n in enumerate(index)]
    else:
        kept = [n for axis, n in enumerate(index) if axis not in s.axes]
    return in_order(s.spec.shape).place(kept).start


def _count(place: Index, at: Counters) -> int:
    """A place where loops stand at ``at``."""
    return place.start + sum(step * at[loop] for loop, step in place.terms)


def _read(numbers: Any, place: int) -> Any:
    if isinstance(numbers, dict):
        return numbers[place]
    if not 0 <= place < numbers.size:
        raise IndexError(f"place {place} of {numbers.size}")
    return numbers[place : place + 1].copy()


def _write(numbers: Any, place: int, x: Any) -> None:
    numbers[place] = x if isinstance(numbers, dict) else x[0]
