"""Rows of few numbers that lie one behind the other, read and written as they lie, and turned so that a lane is a row.

A register that takes one number of every row would gather it, and scatter it later: as many accesses as lanes. What is
read in place of that are whole registers of neighbours, which are then exchanged between registers: log₂ lanes
exchanges for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.emit.loops import Loops
from lazygrad.engine.lanes.registers import Register
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower.index import Index

__all__ = ["Tiles"]

FEW = 4  # a part of the lanes; as few numbers beyond full registers are gathered one by one


class Tiles:
    """Rows that are read and written in the wide loop of a kernel, all of whose lanes count.

    Args:
        writer: what writes the kernel.
        loops: its loops.
    """

    def __init__(self, writer: Writer, loops: Loops) -> None:
        self._writer, self._loops = writer, loops
        self._read: dict[Any, dict[int, Register]] = {}
        self._kept: dict[Any, dict[int, Register]] = {}

    def read(self, address: Register, place: Index, dtype: np.dtype[Any]) -> Register | None:
        """The number at ``place`` of every row, if that is how it is best read; the row around it is all there."""
        w, step = self._writer, self._loops.step(place)
        if not self._is_tiled(step, place.start, dtype):
            return None
        first = _first(place.start, step, w.width)
        known = self._read.setdefault((address.name, place.terms, dtype), {})
        if place.start not in known:
            base = self._loops.register(Index(0, place.terms))
            if step < w.width:
                found = _woven(w, [w.load(address, base + k * w.width, dtype, wide=True) for k in range(step)], step)
            else:
                found = _turned(
                    w, [w.load(address, base + (k * step + first), dtype, wide=True) for k in range(w.width)]
                )
            known.update({first + k: x for k, x in enumerate(found) if first + k not in known})
        return known[place.start]

    def keep(self, address: Register, place: Index, x: Register) -> bool:
        """Whether the number at ``place`` of every row is to be written with the others of its row, at its end."""
        if self._loops.step(place) < 2 or x.dtype.kind != "f" or x.dtype.itemsize < 4 or self._writer.width < 2:
            return False
        key = (address, place.terms, self._loops.step(place))
        self._kept.setdefault(key, {})[place.start] = self._writer.widened(x)
        return True

    def write(self) -> None:
        """Write what was kept."""
        w = self._writer
        for (address, terms, step), kept in self._kept.items():
            begin = min(kept)  # not 0 where a loop around the rows is written out
            if step < w.width and sorted(kept) == list(range(begin, begin + step)):
                base = self._loops.register(Index(begin, terms))
                for k, x in enumerate(_unwoven(w, [kept[begin + j] for j in range(step)])):
                    w.store(x, address, base + k * w.width, wide=True)
                continue
            base = self._loops.register(Index(0, terms))
            for start in sorted(kept):
                if step < w.width or len(kept) < step or not self._is_tiled(step, start, kept[start].dtype):
                    self._loops.store(address, Index(start, terms), kept[start])
                elif start == _first(start, step, w.width) or start % w.width == 0:
                    first = _first(start, step, w.width)
                    for k, x in enumerate(_turned(w, [kept[first + j] for j in range(w.width)])):
                        w.store(x, address, base + (k * step + first), wide=True)
        self._kept.clear()

    def _is_tiled(self, step: int, start: int, dtype: np.dtype[Any]) -> bool:
        """Whether the number at ``start`` of rows that lie ``step`` apart is read with its neighbours."""
        width = self._writer.width
        if not 0 <= start < step or step < 2 or width < 2 or dtype.kind != "f" or dtype.itemsize < 4:
            return False
        return step < width or start < step - step % width or step % width > width // FEW


def _first(start: int, step: int, width: int) -> int:
    """Where in a row the register of neighbours begins in which a number is; it ends with the row at the latest."""
    return 0 if step < width else min(start - start % width, step - width)


def _turned(w: Writer, rows: Sequence[Register]) -> list[Register]:
    """A square of registers, turned: lane i of the k-th becomes lane k of the i-th."""
    found, half = list(rows), w.width // 2
    while half:
        for i in range(w.width):
            if not i & half:
                a, b = found[i], found[i + half]
                low = [k if not k & half else w.width + k - half for k in range(w.width)]
                high = [k + half if not k & half else w.width + k for k in range(w.width)]
                found[i], found[i + half] = w.mixed(a, b, low), w.mixed(a, b, high)
        half //= 2
    return found


def _woven(w: Writer, rows: Sequence[Register], step: int) -> list[Register]:
    """Of numbers one behind the other every ``step``-th, from each of the first ``step`` on."""
    return [_picked(w, rows, [divmod(k * step + j, w.width) for k in range(w.width)]) for j in range(step)]


def _unwoven(w: Writer, columns: Sequence[Register]) -> list[Register]:
    """The numbers of registers, one of each after the other."""
    step = len(columns)
    places = [divmod(k, step)[::-1] for k in range(step * w.width)]
    return [_picked(w, columns, places[k : k + w.width]) for k in range(0, len(places), w.width)]


def _picked(w: Writer, sources: Sequence[Register], places: Sequence[tuple[int, int]]) -> Register:
    """For every lane that of a source: the number of the source, and the lane there."""
    used = sorted({source for source, _ in places})
    found, known = sources[used[0]], used[0]
    order = [lane if source == known else 0 for source, lane in places]
    if len(used) == 1:
        return w.mixed(found, found, order)
    for number, other in enumerate(used[1:]):
        taken = [w.width + lane if source == other else None for source, lane in places]
        before = order if number == 0 else list(range(w.width))
        found = w.mixed(found, sources[other], [b if t is None else t for t, b in zip(taken, before, strict=True)])
    return found
