"""Writing the code of a kernel over rows, as its schedule says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lazygrad.engine.emit.elements import Elements
from lazygrad.engine.emit.folds import Folds
from lazygrad.engine.emit.totals import Totals, out_index
from lazygrad.engine.lanes.registers import I64, Cell, Register
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower.index import Index
from lazygrad.engine.lower.kernels import ZEROS, Indices, Kernel, Statement
from lazygrad.engine.lower.schedule import Group, Schedule, folds_rows, is_total, scheduled, split_of

__all__ = ["Written", "written"]


@dataclass
class Written:
    """The code of a kernel, and what its arguments are: nodes, targets, or partial totals.

    Attributes:
        grown: nodes that lie in memory after all, as a row of them would take too much room.
    """

    body: str
    definitions: dict[str, str]
    arguments: list[Any]
    chunks: int = 1
    grown: frozenset[int] = frozenset()


def written(kernel: Kernel, target: Target) -> Written:
    """The code of ``kernel``."""
    return _RowsText(kernel, scheduled(kernel, target), target).text()


class _RowsText:
    def __init__(self, kernel: Kernel, schedule: Schedule, target: Target) -> None:
        self.kernel, self.schedule = kernel, schedule
        writer = target.writer()
        writer.width = schedule.lanes
        self.elements = Elements(kernel, schedule, writer)
        self.writer, self.loops = self.elements.writer, self.elements.loops
        self.folds = Folds(self.elements)
        self.totals = Totals(kernel, self.elements, self.folds, schedule.chunks.total)

    def text(self) -> Written:
        """The whole kernel."""
        w, count = self.writer, self.schedule.chunks.total
        if count > 1:
            with w.loop(w.begin, w.end) as chunk:
                self.totals.chunk = chunk
                self._chunk(chunk)
        else:
            self._chunk(None)
        bad = self.elements.bad
        status = None if bad is None else w.instruction(f"zext i1 {bad.get().name} to i64", I64, bad.get())
        grown = self.schedule.stored - self.kernel.stored
        return Written(w.body(status), dict(w.definitions), self.elements.arguments, count, grown)

    def _chunk(self, chunk: Register | None) -> None:
        """The rows of a chunk, or all."""
        over_rows = [s for s in self.kernel.statements if folds_rows(self.kernel, s)]
        for s in over_rows:
            self.totals.begin(s)
        self._rows(0, [Index()] * self.kernel.rank, chunk)
        for s in over_rows:
            self.totals.end(s)

    def _rows(self, depth: int, index: list[Index], chunk: Register | None) -> None:
        """The loops over rows, from ``depth`` on."""
        runs = self.schedule.runs
        if depth == len(runs):
            for group in self.schedule.groups:
                self._group(group, tuple(index))
            if self.elements.tiles is not None:
                self.elements.tiles.write()
            return
        n, outer = math.prod(self.kernel.rows[a] for a in runs[depth]), self.schedule.chunks.outer
        if chunk is not None and depth < outer:
            index[runs[depth][-1]] = self.loops.standing(self._outer(chunk, depth, n))
            self._rows(depth + 1, index, chunk)
            return
        begin, end = (0, n) if depth != outer or chunk is None else self._bounds(chunk, n)

        def body(at: Index) -> None:
            index[runs[depth][-1]] = at
            self._rows(depth + 1, index, chunk)

        wide = self.schedule.by_rows and depth == len(runs) - 1
        self.loops.loop(begin, end, body, wide, whole=n % self.writer.width == 0)

    def _bounds(self, chunk: Register, n: int) -> tuple[Any, Any]:
        """Where the rows of a chunk begin and end, of ``n``."""
        w, (_, per, outer) = self.writer, self.schedule.chunks
        if outer:
            chunk = w.binary("rem", chunk, w.constant(-(-n // per), I64))
        begin = chunk * per
        end = w.binary("add", begin, w.constant(per, I64))
        return begin, w.select(end < n, end, w.constant(n, I64)) if n % per else end

    def _outer(self, chunk: Register, depth: int, n: int) -> Register:
        """Where a loop of ``n`` turns around the one that is cut stands in a chunk."""
        w, runs, (count, _, _) = self.writer, self.schedule.runs, self.schedule.chunks
        before = math.prod(self.kernel.rows[a] for run in runs[: depth + 1] for a in run)
        which = w.binary("div", chunk, w.constant(count // before, I64))
        return which if depth == 0 else w.binary("rem", which, w.constant(n, I64))

    def _group(self, group: Group, row: Indices) -> None:
        """What a group does in a row."""
        split = group.split or 0
        kept, folded = group.inner[: len(group.inner) - split], group.inner[len(group.inner) - split :]
        totals = [s for s in group.statements if is_total(self.kernel, s)]
        in_registers = {s for s in group.statements if split_of(self.kernel, s) is not None}
        for s in totals:
            self.totals.begin_row(s)
        wide = not self.schedule.by_rows

        def each(k_index: Indices) -> None:
            cells = {s: self.folds.begin(s, folded) for s in group.statements if s in in_registers}

            def element(f_index: Indices) -> None:
                for s in group.statements:
                    self._element(s, (*row, *k_index, *f_index), cells.get(s), f_index)

            self.loops.nest(folded, wide, element)
            for s, found in cells.items():
                result = self.folds.result(s, found)
                self.elements.keep(s, out_index(s, (*row, *k_index, *([Index()] * split))), result)

        self.loops.nest(kept, wide and all(n == 1 for n in folded), each)
        for s in totals:
            if s.node in self.schedule.stored:
                self.totals.copy_row(s, row)

    def _element(self, s: Statement, index: Indices, cells: list[Cell] | None, f_index: Indices) -> None:
        """What a statement does where its loops stand at ``index``."""
        if not s.axes:
            self.elements.keep(s, index, self._mapped(s, index))
            return
        x = self.elements.value(s, s.result, index)
        if cells is not None:
            self.folds.add(s, cells, x, f_index)
        elif folds_rows(self.kernel, s):
            self.totals.add(s, index, x)
        else:
            self.totals.add_to_row(s, index, x)

    def _mapped(self, s: Statement, index: Indices) -> Register:
        """The element that a map computes."""
        if s.source == ZEROS:
            return self.writer.constant(0, s.spec.dtype)
        if s.target is not None:
            return self.elements.value(s, s.result, index)
        return self.elements.computed(s, s.elements[s.result], index).astype(s.spec.dtype)
