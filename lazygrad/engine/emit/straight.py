"""The code of straight lines: every element of every array is a register, and nothing lies in memory between.

Sums and products of numbers are rounded as NumPy rounds them, and sums of arrays taken in its order, so that additions,
multiplications and divisions give NumPy's bits. A product of matrices fuses, as those of BLAS do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from lazygrad.define.kinds import Declared, Reduction
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.blocks import Block, Blocks
from lazygrad.engine.lanes.registers import I64, U64, Cell, Register
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.lower.places import Named, broadcast, grid, order
from lazygrad.engine.lower.small import blocks_of
from lazygrad.engine.lower.straight import BLOCK, How, Operation, StraightLine
from lazygrad.graph.spec import Shape, Spec

__all__ = ["Memory", "StraightText", "Values"]

Values = Sequence[Register]


class Memory(Sequence[Register]):
    """An array that lies in memory in order; an element is loaded where it is asked for.

    Args:
        writer: what writes the loads.
        address: where it begins.
        spec: of the array.
        step: elements from one slice along the first axis to the next, if it does not lie in order.
        offset: how many elements further on it begins, if not there.
        fixed: whether it does not change while the function runs.
    """

    def __init__(
        self,
        writer: Arithmetic,
        address: Register,
        spec: Spec,
        step: int | None = None,
        offset: Register | None = None,
        fixed: bool = True,
    ) -> None:
        self.writer, self.address, self.spec, self.offset, self.fixed = writer, address, spec, offset, fixed
        self._each = math.prod(spec.shape[1:])
        self._step = self._each if step is None or not spec.shape else step

    def __len__(self) -> int:
        return self.spec.size

    def __getitem__(self, place: Any) -> Any:
        if not place < self.spec.size:
            raise IndexError(place)
        return self.load(place // self._each * self._step + place % self._each)

    def load(self, place: int | Register) -> Register:
        """The element so many places on."""
        return self.writer.load(self.address, self._at(place), self.spec.dtype, fixed=self.fixed)

    def store(self, values: Values) -> None:
        """Write all elements of an array that lies in order, where the writer is now."""
        for k in range(self.spec.size):
            self.writer.store(values[k], self.address, self._at(k))

    def clear(self) -> None:
        """Write zeros to an array that lies in order."""
        w, size, dtype = self.writer, self.spec.size, self.spec.dtype
        full = size // w.width * w.width
        if full:
            with w.loop(0, full, w.width) as place:
                w.store(w.constant(0, dtype, wide=True), self.address, self._at(place), wide=True)
        for k in range(full, size):
            w.store(w.constant(0, dtype), self.address, self._at(k))

    def _at(self, place: int | Register) -> int | Register:
        if self.offset is None:
            return place
        return self.offset if isinstance(place, int) and not place else self.offset + place

    def turn(self, at: Register) -> Memory:
        """The slice that has this index along the first axis."""
        inner = Spec(self.spec.shape[1:], self.spec.dtype)
        offset = at if self._step == 1 else at * self._step
        if self.offset is not None:
            offset = self.offset + offset
        return Memory(self.writer, self.address, inner, None, offset, self.fixed)


class StraightText:
    """Writes straight lines.

    Args:
        writer: of the function that they stand in.

    Attributes:
        bad: what says that the step fails, if it can.
    """

    def __init__(self, writer: Arithmetic) -> None:
        self.writer = writer
        writer.contract = False
        self.scalars = Scalars(writer, self.refuse)
        self.bad: Cell | None = None
        self._only: Register | None = None  # under this condition what is written counts

    def write(self, line: StraightLine, given: Sequence[Any]) -> list[Any]:
        """Write a straight line.

        Args:
            line: what to write.
            given: the elements of its inputs.

        Returns:
            The elements of what is wanted.
        """
        made: list[Any] = []
        for o in line.operations:
            made.append(given[o.detail] if o.how is How.GIVEN else self.made(o, [made[k] for k in o.operands]))
        return [made[k] for k in line.outputs]

    def made(self, o: Operation, operands: list[Any]) -> Any:
        """The elements of the result of an operation."""
        match o.how:
            case How.NUMBERS:
                return [self.writer.constant(x, o.spec.dtype) for x in np.frombuffer(o.detail, o.spec.dtype)]
            case How.APPLY:
                return self._applied(o, operands)
            case How.COUNT:
                return self._counted(o, operands)
            case How.MOVE:
                return [operands[0][k] for k in grid(o.detail, o.spec.shape)]
            case How.TAKE:
                return self._taken(o, operands)
            case How.SCATTER:
                return self._scattered(o, operands)
            case How.FOLD:
                return self._folded(o, operands[0])
            case How.PLACE:
                return self._placed(o, operands)
            case How.MATRICES:
                found = self._matrices(o, operands)
                return found[0] if isinstance(o.spec, Spec) else found
            case How.ITEM:
                return operands[0][o.detail]
        return self._multiplied(o, *operands)

    # What fails.

    def refuse(self, wrong: Register) -> None:
        """Note that the step fails where ``wrong`` holds."""
        if wrong.name == "false":
            return
        if self.bad is None:
            self.bad = self.writer.flag()
        if self._only is not None:
            wrong = wrong & self._only
        self.bad.set(self.bad.get() | wrong)

    @contextmanager
    def only(self, condition: Register) -> Iterator[None]:
        """What is written within fails only where the condition holds."""
        before = self._only
        self._only = condition if before is None else before & condition
        yield
        self._only = before

    # Elements.

    def room(self, spec: Spec) -> Memory:
        """Memory of the function's own for an array."""
        return Memory(self.writer, self.writer.room(max(spec.size, 1), spec.dtype), spec, fixed=False)

    def in_memory(self, values: Values, spec: Spec) -> Memory:
        """Elements that lie in memory: written there, unless they do."""
        if isinstance(values, Memory):
            return values
        room = self.room(spec)
        room.store(values)
        return room

    def _applied(self, o: Operation, operands: list[Values]) -> Values:
        places = [broadcast(shape, o.spec.shape) for shape in _shapes(o)]
        found = []
        for k in range(o.spec.size):
            given = [xs[at[k]] for xs, at in zip(operands, places, strict=True)]
            found.append(self._cast(o, o.op.kernel(self.scalars, *given, **o.params)))
        return found

    def _counted(self, o: Operation, operands: list[Values]) -> Values:
        given = [xs[k] for xs, spec in zip(operands, o.takes, strict=True) for k in range(spec.size)]
        places = [self.writer.constant(k, U64) for k in range(o.spec.size)]
        return [self._cast(o, o.op.formula.kernel(self.scalars, place, *given, **o.params)) for place in places]

    def _cast(self, o: Operation, x: Any) -> Register:
        """What a kernel returned, in the dtype of the result."""
        return x.astype(o.spec.dtype) if isinstance(x, Register) else self.writer.constant(x, o.spec.dtype)

    def _placed(self, o: Operation, operands: list[Values]) -> Values:
        found = [self.writer.constant(0, o.spec.dtype)] * o.spec.size
        for xs, shape, place in zip(operands, _shapes(o), o.detail, strict=True):
            for k, at in enumerate(grid(place, shape)):
                found[at] = xs[k]
        return found

    def _taken(self, o: Operation, operands: list[Values]) -> Values:
        """Elements that are named by indices; one that does not exist ends the step."""
        places, named = o.detail
        source = self.in_memory(operands[0], o.takes[0])
        return [source.load(self._place(start, named, k, operands)) for k, start in enumerate(places)]

    def _scattered(self, o: Operation, operands: list[Values]) -> Values:
        """Elements that are written, or added, one after the other, where indices name them."""
        adds, places, named = o.detail
        room = self.room(o.takes[0])
        room.store(operands[0])
        for k, start in enumerate(places):
            place, x = self._place(start, named, k, operands), operands[1][k].astype(o.spec.dtype)
            if adds:
                x = self.scalars.add(room.load(place), x)
            self.writer.store(x, room.address, place)
        return [room[k] for k in range(o.spec.size)]

    def _place(self, start: int, named: Sequence[Named], k: int, operands: list[Values]) -> int | Register:
        """The place that indices name for element ``k``."""
        place: int | Register = start
        for each in named:
            place = self._wrapped(operands[each.operand][each.elements[k]], each.n) * each.step + place
        return place

    def _wrapped(self, which: Register, n: int) -> Register:
        """An index that counts from the end if it is below 0; 0 where there is no such element."""
        which = which.astype(I64)
        which = self.writer.select(which < 0, which + n, which)
        wrong = (which < 0) | (which >= n)
        self.refuse(wrong)
        return self.writer.select(wrong, 0, which)

    # Folds and products.

    def _folded(self, o: Operation, xs: Values) -> Values:
        how, axes = o.detail
        assert isinstance(o.op, Reduction)
        assert isinstance(o.op.combine, Declared)
        combine = o.op.combine.kernel

        def combined(a: Register, b: Register) -> Register:
            return combine(self.scalars, a, b).astype(o.spec.dtype)  # type: ignore[no-any-return]

        found = []
        for runs in order(o.takes[0].shape, axes):
            total = None if o.op.identity is None else self.writer.constant(o.op.identity, o.spec.dtype)
            for run in runs:
                numbers = [xs[k].astype(o.spec.dtype) for k in run]
                part = pairwise(combined, numbers) if how == "sum" else in_turn(combined, numbers)
                total = part if total is None else combined(total, part)
            assert total is not None
            found.append(total)
        return found

    def _multiplied(self, o: Operation, xs: Values, ys: Values) -> Values:
        (a, b), shape = _shapes(o), o.spec.shape
        n, inner = shape[-1], a[-1]
        found = []
        for one, other in zip(_begin(a, shape[:-2]), _begin(b, shape[:-2]), strict=True):
            for i in range(shape[-2]):
                for j in range(n):
                    total = xs[one + i * inner] * ys[other + j]
                    for k in range(1, inner):
                        total = self.writer.fma(xs[one + i * inner + k], ys[other + k * n + j], total)
                    found.append(total)
        return found

    def _matrices(self, o: Operation, operands: list[Values]) -> list[list[Register]]:
        """The elements of every result of linear algebra, matrix by matrix."""
        found: list[list[Register]] = [[] for _ in o.specs]
        batch = o.specs[0].shape[: o.detail.rows]
        places = [_begin(spec.shape, batch) for spec in o.takes]
        self.writer.contract = True
        for number in range(math.prod(batch)):
            blocks = []
            for xs, spec, begin in zip(operands, o.takes, places, strict=True):
                inner = spec.shape[-2:]
                blocks.append(Block(inner, [xs[begin[number] + k] for k in range(math.prod(inner))]))
            results = blocks_of(o.op.kernel(Blocks(self.scalars), *blocks, **o.params))
            assert results is not None
            for elements, block in zip(found, results, strict=True):
                elements += block.elements
        self.writer.contract = False
        return found


def _shapes(o: Operation) -> list[Shape]:
    """Of the operands."""
    return [spec.shape for spec in o.takes]


def _begin(source: Shape, batch: Shape) -> list[int]:
    """Where the matrices of an operand begin, for every one of the batch."""
    each = math.prod(source[-2:])
    return [each * k for k in broadcast(source[:-2], batch)]


def in_turn(combined: Callable[[Register, Register], Register], xs: Sequence[Register]) -> Register:
    """Numbers combined one after the other."""
    total = xs[0]
    for x in xs[1:]:
        total = combined(total, x)
    return total


def pairwise(add: Callable[[Register, Register], Register], xs: Sequence[Register]) -> Register:
    """The sum of numbers in NumPy's order: eight totals, added by pairs, then the rest; more than a block by halves."""
    n = len(xs)
    if n < 8:
        return in_turn(add, xs)
    if n > BLOCK:
        half = n // 2 - n // 2 % 8
        return add(pairwise(add, xs[:half]), pairwise(add, xs[half:]))
    totals, whole = list(xs[:8]), n - n % 8
    for k in range(8, whole):
        totals[k % 8] = add(totals[k % 8], xs[k])
    while len(totals) > 1:
        totals = [add(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
    return in_turn(add, [totals[0], *xs[whole:]])
