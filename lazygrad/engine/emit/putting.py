"""Elements that are added, or written, where indices name them, one after the other.

Of a place named twice the last one counts, or all are added in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.emit.whole import WholeKernel
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import BOOL, I64, Register
from lazygrad.engine.lanes.target import Target

__all__ = ["ByIndex", "Putting", "write"]


class ByIndex(NamedTuple):
    """An index array: its dtype, the elements from one of its own to the next along each axis of the values, the size
    of the axis that it counts, and the elements of the result from one of that to the next.
    """

    dtype: np.dtype[Any]
    steps: tuple[int, ...]
    n: int
    step: int


class Putting(NamedTuple):
    """Values that go into an array, which lies in order.

    Attributes:
        adds: whether they are added to what is there.
        dtype: of both.
        size: elements of the array.
        begin: what it is before, if that is a number, whose bytes tell both zeros apart; else it is the first argument.
        value: what all values are, if that is a number; else they are the next argument.
        shape, steps: of the values, in memory.
        start, places: where they go if all indices are 0: the first, and the elements from one to the next.
        named: the indices, which are the next arguments.
    """

    adds: bool
    dtype: np.dtype[Any]
    size: int
    begin: bytes | None
    value: bytes | None
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    start: int
    places: tuple[int, ...]
    named: tuple[ByIndex, ...]

    @property
    def is_wide(self) -> bool:
        """Whether lanes may be neighbours along the last axis."""
        if not self.shape or any(one.steps[-1] for one in self.named):
            return False
        return self.places[-1] == 1 and (self.value is not None or self.steps[-1] == 1)


def write(form: Putting, target: Target) -> WholeKernel:
    """The kernel ``i64 kernel(ptr arguments, i64 begin, i64 end)``.

    Its arguments are those of the form, then the result. It returns 1 if an index is out of range.
    """
    text = _PuttingText(form, target.writer())
    w = text.w
    text.begin()
    text.put()
    status = w.select(text.bad.get(), w.constant(1, I64), w.constant(0, I64))
    return WholeKernel(w.body(status), dict(w.definitions))


class _PuttingText:
    def __init__(self, form: Putting, w: Arithmetic) -> None:
        self.form, self.w, self.bad = form, w, w.flag()
        arrays = iter(range(4 + len(form.named)))
        self._before = w.argument(next(arrays)) if form.begin is None else w.argument(0)
        self._values = w.argument(next(arrays)) if form.value is None else w.argument(0)
        self._indices = [w.argument(next(arrays)) for _ in form.named]
        self._result = w.argument(next(arrays))

    @contextmanager
    def _along(self, count: int) -> Iterator[tuple[Register, Register | None]]:
        """A wide loop: the first element of a turn, and which lanes count if not all do."""
        w = self.w
        with w.loop(0, count, w.width) as i:
            yield i, None if count % w.width == 0 else w.lanes() < w.widened(count - i)

    def begin(self) -> None:
        """Make the result what it is before."""
        form, w = self.form, self.w
        with self._along(form.size) as (i, mask):
            if form.begin is not None:
                x = self._number(form.begin, wide=True)
            else:
                x = w.load(self._before, i, form.dtype, True, mask)
            w.store(x, self._result, i, mask, wide=True)

    def put(self) -> None:
        """Go over the values in order."""
        self._axis([])

    def _axis(self, index: list[Register]) -> None:
        form, w = self.form, self.w
        axis = len(index)
        if axis == len(form.shape):
            self._element(index, False, None)
        elif axis == len(form.shape) - 1 and form.is_wide:
            with self._along(form.shape[axis]) as (i, mask):
                self._element([*index, i], True, mask)
        elif form.shape[axis] == 1:
            self._axis([*index, w.constant(0, I64)])
        else:
            with w.loop(0, form.shape[axis]) as i:
                self._axis([*index, i])

    def _element(self, index: list[Register], wide: bool, mask: Register | None) -> None:
        """One value, or as many as there are lanes."""
        form, w = self.form, self.w
        place = self._at(index, form.places) + form.start
        for one, array in zip(form.named, self._indices, strict=True):
            which = w.load(array, self._at(index, one.steps), one.dtype).astype(I64)
            if one.dtype.kind == "i":
                which = w.select(which < 0, which + one.n, which)
            wrong = (which < 0) | (which >= one.n)
            self.bad.set(self.bad.get() | wrong)
            place = place + w.select(wrong, 0, which) * one.step
        if form.value is not None:
            x = self._number(form.value, wide)
        else:
            x = w.load(self._values, self._at(index, form.steps), form.dtype, wide, mask)
        if form.adds:
            before = w.load(self._result, place, form.dtype, wide, mask, fixed=False)
            x = before | x if form.dtype == BOOL else before + x
        w.store(x, self._result, place, mask, wide=wide)

    def _number(self, data: bytes, wide: bool) -> Register:
        return self.w.constant(np.frombuffer(data, self.form.dtype)[0], self.form.dtype, wide)

    def _at(self, index: list[Register], steps: tuple[int, ...]) -> Register:
        """Σ step · index."""
        total = self.w.constant(0, I64)
        for at, step in zip(index, steps, strict=True):
            if step:
                total = total + at * step
        return total
