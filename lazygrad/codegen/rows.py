"""Writing the code of a kernel over rows.

A row is computed group by group: a group is one nest of loops over the inner axes, in which several statements
share what they read. One loop of the kernel is wide, and counts as many elements at once as a register has
lanes. It is the last inner axis, or, where that is short or there is none, the last axis of the rows: then a
register holds the same element of as many rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.codegen.describe import limits
from lazygrad.codegen.elements import UNROLLED
from lazygrad.codegen.fuse import LONGEST
from lazygrad.codegen.index import Index, identity, in_order
from lazygrad.codegen.kernels import ZEROS, Indices, Kernel, Part, Statement
from lazygrad.codegen.registers import I32, I64, Cell, Register
from lazygrad.codegen.totals import Totals, fold_of
from lazygrad.spec import Shape, Spec

__all__ = ["Text", "written"]

ROOM = 1 << 15  # bytes; what a row needs of memory of its own is kept small, for the nearest cache
WORK = 200_000  # instructions on single elements; a chunk has at least as much to do
CHUNKS = 64
LONG = 1000  # instructions; a kernel of as many calls long functions


@dataclass
class Text:
    """The code of a kernel, and what its arguments are: nodes, targets, or partial totals.

    Attributes:
        grown: nodes that lie in memory after all, as a row of them would take too much room.
    """

    body: str
    definitions: dict[str, str]
    arguments: list[Any]
    chunks: int = 1
    grown: frozenset[int] = frozenset()


@dataclass(eq=False)
class _Group:
    """Statements of one nest of loops over ``inner`` sizes, of which the last ``split`` are folded in registers."""

    inner: Shape
    statements: list[Statement]
    split: int | None


def few(table: Spec) -> bool:
    """Whether a table of segments is small enough for registers."""
    return table.size <= 32 and math.prod(table.shape[1:]) <= UNROLLED


def _written_out(s: Statement) -> int:
    """About how many instructions a statement becomes if all its short loops are written out."""
    return s.length * math.prod(n for n in s.shape if n <= UNROLLED)


def written(kernel: Kernel, width: int) -> Text:
    """The code of ``kernel``."""
    return _Writing(kernel, width).kernel()


class _Writing(Totals):
    def __init__(self, kernel: Kernel, width: int) -> None:
        super().__init__(kernel, width)
        self.writer.calls = kernel.length >= LONG
        self.masked = self.writer.calls and all(map(self._takes_masks, kernel.statements))
        self.rows = kernel.rows
        self.statements = kernel.statements
        self.described = kernel
        self.external = set(kernel.stored)
        if sum(map(_written_out, kernel.statements)) > LONGEST and all(s.segments is None for s in kernel.statements):
            self.unrolled = 1
        self.groups = self._grouped()
        self.by_rows = self._goes_by_rows()
        self.axes = self._row_axes()
        self.by_rows = self.by_rows and bool(self.axes)
        self.totals = {}
        self.chunk = None

    def _takes_masks(self, s: Statement) -> bool:
        """Whether a mask costs little: a map of numbers of the size of lanes. A fold would be rounded otherwise."""
        return not s.axes and all(dtype.itemsize >= 4 for dtype in s.memory)

    def _folds_rows(self, s: Statement) -> bool:
        return bool(self.rank) and s.leading > 0

    def _split(self, s: Statement) -> int | None:
        """How many of the last inner axes are folded in registers; None where the statement does not mind."""
        inner = [a for a in s.axes if a >= self.rank]
        if not s.axes or self._folds_rows(s):
            return None
        first = min(inner)
        trailing = all(a in s.axes or s.shape[a] == 1 for a in range(first, len(s.shape)))
        return len(s.shape) - first if trailing else None

    def _is_total(self, s: Statement) -> bool:
        """Whether it is totalled in memory, row by row."""
        return bool(s.axes) and not self._folds_rows(s) and self._split(s) is None

    def _grouped(self) -> list[_Group]:
        groups: list[_Group] = []
        for s in self.statements:
            split = self._split(s)
            if groups and self._shares(groups[-1], s, split):
                groups[-1].statements.append(s)
                if groups[-1].split is None:
                    groups[-1].split = split
            else:
                groups.append(_Group(self._inner(s), [s], split))
        return groups

    def _shares(self, group: _Group, s: Statement, split: int | None) -> bool:
        if group.inner != self._inner(s) or (None not in (group.split, split) and group.split != split):
            return False
        own = {t.node: t for t in group.statements}
        for node, index, _ in s.reads:
            if node in own:
                t = own[node]
                loops = identity(s.shape, range(len(s.shape)))
                if t.axes or index is None or tuple(index) != loops:
                    return False
        return True

    def _goes_by_rows(self) -> bool:
        """Whether the wide loop is one over rows."""
        sizes = [self._inner(s) for s in self.statements]
        longest = max(math.prod(inner) for inner in sizes)
        if any(s.segments is not None and not few(s.spec) for s in self.statements):
            return False
        if longest == 1:
            return True
        last = max([n for inner in sizes for n in inner[-1:]] or [1])
        count = math.prod(self.rows)
        lanes_bytes = 8 * self.width * longest
        return last < self.width and count >= 4 * self.width and lanes_bytes <= ROOM and self.rows[-1] >= self.width

    def _row_axes(self) -> list[list[int]]:
        """The axes of rows that have a loop, in runs that are counted by one."""
        axes = [a for a in range(self.rank) if self.rows[a] != 1]
        runs: list[list[int]] = []
        places = self._places()
        for a in axes:
            if (
                runs
                and places is not None
                and all(dict(p.terms).get(runs[-1][-1], 0) == dict(p.terms).get(a, 0) * self.rows[a] for p in places)
            ):
                runs[-1].append(a)
            else:
                runs.append([a])
        return runs

    def _places(self) -> list[Index] | None:
        """Where everything that is read lies, and what is written; None where indices are computed."""
        places = []
        for s in self.statements:
            for _, _, place in s.reads:
                if place is None:
                    return None
                places.append(place)
            loops = identity(s.shape, range(len(s.shape)))
            if isinstance(s.target, Part):
                places += s.target.place.of(loops)
            elif not self._folds_rows(s):
                places.append(in_order(s.shape).place(loops))
        return places

    def _size(self, run: list[int]) -> int:
        return math.prod(self.rows[a] for a in run)

    def _chunks(self) -> tuple[int, int]:
        """How many chunks the first loop over rows is cut into, and the rows of each."""
        if not self.axes:
            return 1, 1
        n = self._size(self.axes[0])
        work = sum(s.size * (s.cost + 4) for s in self.statements)
        count = min(CHUNKS, work // WORK, n)
        heaviest = max(
            (s.spec.size for s in self.statements if self._folds_rows(s)),
            default=0,
        )
        if heaviest:
            count = min(count, work // (8 * heaviest))
        if count < 2:
            return 1, n
        per = -(-n // count)
        if self.by_rows and len(self.axes) == 1:
            per = -(-per // self.width) * self.width
        return -(-n // per), per

    def kernel(self) -> Text:
        """The whole kernel."""
        w = self.writer
        self._rooms()
        self.count, self.per = self._chunks()
        if self.count > 1:
            with w.loop(w.begin, w.end) as chunk:
                self.chunk = chunk
                self._chunk()
        else:
            self._chunk()
        status = None
        if self.bad is not None:
            status = w.instruction(f"zext i1 {self.bad.get().name} to i64", I64, self.bad.get())
        grown = frozenset(self.external - self.described.stored)
        return Text(w.body(status), dict(w.definitions), self.arguments, self.count, grown)

    def _rooms(self) -> None:
        """Memory for what a later group reads of a row."""
        for g, group in enumerate(self.groups):
            for s in group.statements:
                if s.node in self.external or self._folds_rows(s) or s.target is not None:
                    continue
                later = any(
                    node == s.node for other in self.groups[g + 1 :] for t in other.statements for node, _, _ in t.reads
                )
                size = math.prod(s.spec.shape[self.rank :])
                if (later and size > 1) or (self._is_total(s)):
                    dtype = s.spec.dtype
                    lanes = self.width if self.by_rows else 1
                    if size * lanes * dtype.itemsize > ROOM:
                        self.external.add(s.node)
                    else:
                        self.rooms[s.node] = self.writer.room(size * lanes, dtype)

    def _chunk(self) -> None:
        for number, s in enumerate(self.statements):
            if self._folds_rows(s):
                self._begin_total(number, s)
        self._rows(0, [Index()] * self.rank)
        for number, s in enumerate(self.statements):
            if self._folds_rows(s):
                self._end_total(number, s)

    def _rows(self, depth: int, index: list[Index]) -> None:
        """The loops over rows, from ``depth`` on."""
        if depth == len(self.axes):
            for group in self.groups:
                self._group(group, tuple(index))
            return
        run = self.axes[depth]
        n = self._size(run)
        begin: Any = 0
        end: Any = n
        if depth == 0 and self.chunk is not None:
            begin = self.chunk * self.per
            end = self.writer.binary("add", begin, self.writer.constant(self.per, I64))
            if n % self.per:
                end = self.writer.select(end < n, end, self.writer.constant(n, I64))

        def body(at: Index) -> None:
            index[run[-1]] = at
            self._rows(depth + 1, index)

        wide = self.by_rows and depth == len(self.axes) - 1
        self._loop(begin, end, body, wide, whole=n % self.width == 0)

    def _group(self, group: _Group, row: Indices) -> None:
        split = group.split or 0
        inner = group.inner
        kept, folded = inner[: len(inner) - split], inner[len(inner) - split :]
        for s in group.statements:
            if self._is_total(s):
                self._clear(s, row)
        wide = not self.by_rows

        def each(k_index: Indices) -> None:
            cells = [self._cells(s, folded) if self._split(s) is not None else None for s in group.statements]

            def element(f_index: Indices) -> None:
                index = (*row, *k_index, *f_index)
                for number, s in enumerate(group.statements):
                    self._element(s, index, cells[number], f_index)

            self._nest(folded, wide, element)
            for s, pair in zip(group.statements, cells, strict=True):
                if pair is not None:
                    result = self._result(s, pair)
                    self._keep(s, self._out_index(s, (*row, *k_index, *([Index()] * split))), result)

        has_folded = any(n != 1 for n in folded)
        self._nest(kept, wide and not has_folded, each)
        for s in group.statements:
            if self._is_total(s) and s.node in self.external:
                self._copy_total(s, row)

    def _element(self, s: Statement, index: Indices, cells: Any, f_index: Indices) -> None:
        if not s.axes:
            if s.source == s.node and s.target is None:
                x = self.computed(s, s.elements[s.result], index)
            elif s.source == ZEROS:
                x = self.writer.constant(0, s.spec.dtype)
            else:
                x = self.value(s, s.result, index)
            if s.target is None:
                x = x.astype(s.spec.dtype)
            self._keep(s, index, x)
            return
        x = self.value(s, s.result, index)
        fold = fold_of(s)
        if s.whole:
            self._better(fold.how, cells, x, f_index)
            return
        x = x.astype(s.spec.dtype)
        if cells is not None:
            self._combine_cell(fold, cells[0], x)
        elif self._folds_rows(s):
            total = self.totals[self.statements.index(s)]
            if s.segments is not None:
                self._add_to_segment(fold, total, s, index, x)
            elif isinstance(total, Cell):
                self._combine_cell(fold, total, x)
            else:
                self._combine_memory(fold, total, s, index, x)
        else:
            self._combine_memory(fold, self.rooms.get(s.node), s, index, x)

    def _cells(self, s: Statement, folded: Shape) -> list[Cell]:
        """The cells in which a fold is made, before its loops."""
        w = self.writer
        wide = self.wide is not None or (not self.by_rows and any(n != 1 for n in folded))
        if s.whole:
            how, dtype = fold_of(s).how, s.elements[s.result].dtype
            ends = (-np.inf, np.inf) if dtype.kind == "f" else limits(dtype)
            worst = w.constant(ends[0] if how == "argmax" else ends[1], dtype, wide)
            lanes = not self.by_rows and any(n != 1 for n in folded)
            first = w.lanes(I32) if lanes else w.constant(0, I32, wide)
            return [w.cell(worst), w.cell(first)]
        return [w.cell(w.constant(fold_of(s).neutral, s.spec.dtype, wide))]

    def _result(self, s: Statement, cells: list[Cell]) -> Register:
        """What a fold has come to, after its loops."""
        w = self.writer
        total = cells[0].get()
        across = total.wide and self.wide is None  # lanes were elements of the fold, not of rows
        if len(cells) == 2:
            places = cells[1].get()
            if across:
                places = self._best_lane(fold_of(s).how, total, places)
            return places.astype(I64)
        if across:
            fold = fold_of(s)
            return w.fold(lambda a, b: self._combined(fold, a, b), total)
        return total

    def _better(self, how: str | None, cells: list[Cell], x: Register, f_index: Indices) -> None:
        """Keep the better of what was found and ``x``, with its place; the first of equals, and NaN before all."""
        w = self.writer
        best, place = cells[0].get(), cells[1].get()
        x = w.widened(x) if cells[0].wide else x
        here = self._register(f_index[-1]) if f_index else w.constant(0, I64)
        here = here.astype(I32)
        if self.wide is not None and f_index and any(loop == self.wide for loop, _ in f_index[-1].terms):
            here = w.widened(here) + w.lanes(I32)
        better = self._is_better(how, x, best)
        if self.mask is not None:
            better = better & self.mask
        cells[0].set(w.select(better, x, best))
        cells[1].set(w.select(better, w.widened(here) if place.wide else here, place))

    def _is_better(self, how: str | None, x: Register, best: Register) -> Register:
        better = x > best if how == "argmax" else x < best
        return better | (x.differs(x) & best.equals(best)) if x.dtype.kind == "f" else better

    def _best_lane(self, how: str | None, best: Register, place: Register) -> Register:
        w = self.writer
        step = self.width // 2
        while step:
            other, there = w.turned(best, step), w.turned(place, step)
            first = there < place
            same = other.equals(best)
            if best.dtype.kind == "f":
                same = same | (other.differs(other) & best.differs(best))
            better = self._is_better(how, other, best) | (same & first)
            best, place = w.select(better, other, best), w.select(better, there, place)
            step //= 2
        return w.lane(place, 0)

    def _keep(self, s: Statement, index: Indices, x: Register) -> None:
        """Remember an element that was computed, and write it where it will be read."""
        shape = s.spec.shape
        if isinstance(s.target, Part):
            (place,) = s.target.place.of(index)
            self._write(s.target.node, place, x)
            return
        if s.target is not None:
            self._store(s.target, shape, index, x)
            return
        self.writer.remember((s.node, index), x)
        if s.node in self.rooms:
            place = self._inner_place(shape, index)
            if self.by_rows:
                self.writer.store(x, self.rooms[s.node], self._register(place) * self.width, wide=True)
            else:
                wide = any(loop == self.wide for loop, _ in place.terms)
                mask = self.mask if wide else None
                self.writer.store(x, self.rooms[s.node], self._register(place), mask=mask, wide=wide)
        if s.node in self.external:
            self._store(s.node, shape, index, x)
