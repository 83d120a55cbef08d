"""A register tile: some rows and columns of C held in registers while k passes by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.emit.products.shape import Piece
from lazygrad.engine.lanes.registers import BOOL, I8, I64, Register, scalar_type
from lazygrad.engine.lanes.writer import Writer

__all__ = ["OtherLanes", "Tile"]


class OtherLanes:
    """Instructions on registers of a number of lanes other than the writer's."""

    def __init__(self, w: Writer, dtype: np.dtype[Any]) -> None:
        self.w, self.dtype = w, dtype
        self.memory = I8 if dtype == BOOL else dtype  # how the numbers lie in memory, and in registers here
        self.logical = dtype == BOOL
        self.scalar = scalar_type(self.memory)

    def type(self, lanes: int) -> str:
        """LLVM's name of a type."""
        return f"<{lanes} x {self.scalar}>"

    def name(self, lanes: int) -> str:
        """The same in names of functions."""
        return f"v{lanes}{'f' if self.memory.kind == 'f' else 'i'}{8 * self.memory.itemsize}"

    def here(self, text: str) -> str:
        """An instruction where the writer is now."""
        return self.w.here(text, self.memory, True).name

    def mask(self, piece: Piece) -> str:
        """Which lanes are part of the result."""
        bits = ", ".join(f"i1 {'true' if lane < piece.valid else 'false'}" for lane in range(piece.lanes))
        return f"<{piece.lanes} x i1> <{bits}>"

    def valid(self, piece: Piece) -> Register:
        """The same for a register of the writer's width."""
        mask = self.mask(Piece(0, self.w.width, piece.valid))
        return Register(self.w, mask.split("> ", 1)[1], BOOL, True, 0)

    def load(self, place: Register, piece: Piece) -> str:
        """Numbers side by side; those that are not valid are not touched."""
        kind, size = self.type(piece.lanes), self.memory.itemsize
        if piece.valid == piece.lanes:
            return self.here(f"load {kind}, ptr {place.name}, align {size}")
        name = f"@llvm.masked.load.{self.name(piece.lanes)}.p0"
        self.w.definitions[name] = f"declare {kind} {name}(ptr, i32, <{piece.lanes} x i1>, {kind})"
        return self.here(
            f"call {kind} {name}(ptr {place.name}, i32 {size}, {self.mask(piece)}, {kind} zeroinitializer)"
        )

    def load_first(self, place: Register, lanes: int, count: int) -> str:
        """The first ``count`` numbers of a register from memory, the others 0."""
        return self.load(place, Piece(0, lanes, count))

    def load_some(self, place: Register, lanes: int, count: Register) -> str:
        """The first ``count`` numbers, as known when the code runs, the others 0."""
        kind, size = self.type(lanes), self.memory.itemsize
        order = ", ".join(f"i64 {lane}" for lane in range(lanes))
        one = self.w.here(f"insertelement <{lanes} x i64> poison, i64 {count.name}, i64 0", I64, True).name
        many = self.here(
            f"shufflevector <{lanes} x i64> {one}, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer"
        )
        mask = self.here(f"icmp sgt <{lanes} x i64> {many}, <{order}>")
        name = f"@llvm.masked.load.{self.name(lanes)}.p0"
        self.w.definitions[name] = f"declare {kind} {name}(ptr, i32, <{lanes} x i1>, {kind})"
        return self.here(
            f"call {kind} {name}(ptr {place.name}, i32 {size}, <{lanes} x i1> {mask}, {kind} zeroinitializer)"
        )

    def store(self, x: str, place: Register, piece: Piece) -> None:
        """Write the valid lanes."""
        kind, size = self.type(piece.lanes), self.memory.itemsize
        if piece.valid == piece.lanes:
            self.w.line(f"store {kind} {x}, ptr {place.name}, align {size}")
            return
        name = f"@llvm.masked.store.{self.name(piece.lanes)}.p0"
        self.w.definitions[name] = f"declare void {name}({kind}, ptr, i32, <{piece.lanes} x i1>)"
        self.w.line(f"call void {name}({kind} {x}, ptr {place.name}, i32 {size}, {self.mask(piece)})")

    def splat(self, x: str, lanes: int) -> str:
        """A number copied to every lane."""
        kind = self.type(lanes)
        one = self.here(f"insertelement {kind} poison, {self.scalar} {x}, i64 0")
        return self.here(f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")

    def multiply_add(self, a: str, b: str, c: str, lanes: int) -> str:
        """a·b + c, rounded once where the machine can."""
        kind = self.type(lanes)
        if self.memory.kind == "f":
            name = f"@llvm.fmuladd.{self.name(lanes)}"
            self.w.definitions[name] = f"declare {kind} {name}({kind}, {kind}, {kind})"
            return self.here(f"call {kind} {name}({kind} {a}, {kind} {b}, {kind} {c})")
        product = self.here(f"{'and' if self.logical else 'mul'} {kind} {a}, {b}")
        return self.here(f"{'or' if self.logical else 'add'} {kind} {product}, {c}")

    def add(self, a: str, b: str, lanes: int) -> str:
        """a + b."""
        how = "fadd" if self.memory.kind == "f" else "or" if self.logical else "add"
        return self.here(f"{how} {self.type(lanes)} {a}, {b}")

    def resized(self, x: str, lanes: int, wanted: int) -> str:
        """The first lanes of ``x``; those it does not have are left open."""
        if lanes == wanted:
            return x
        order = ", ".join(f"i32 {lane}" if lane < lanes else "i32 poison" for lane in range(wanted))
        kind = self.type(lanes)
        return self.here(f"shufflevector {kind} {x}, {kind} poison, <{wanted} x i32> <{order}>")


class Tile:
    """Sums of a tile of C, from zero or from what C holds to what is stored."""

    def __init__(self, lanes: OtherLanes, rows: int, pieces: Sequence[Piece]) -> None:
        self.lanes, self.w, self.rows, self.pieces = lanes, lanes.w, rows, pieces
        self.parts = [(row, piece) for row in range(rows) for piece in pieces]
        self.sums = ["zeroinitializer"] * len(self.parts)

    @property
    def typed(self) -> list[tuple[str, str]]:
        """The sums with their types."""
        return [(self.lanes.type(piece.lanes), x) for (_, piece), x in zip(self.parts, self.sums)]

    def step(self, sums: list[str], a: Register, a_row: int, b: Register, valid: bool) -> None:
        """Add the products of one column of A and one row of B, at these addresses, to the sums.

        Args:
            sums: of the parts; they are replaced.
            a: address of the column.
            a_row: stride between its elements.
            b: address of the row.
            valid: lanes that are no part of B may be read.
        """
        dtype = self.lanes.memory
        loaded = {}
        for piece in self.pieces:
            read = piece._replace(valid=piece.lanes) if valid else piece
            loaded[piece] = self.lanes.load(self.w.at(b, piece.offset, dtype), read)
        widest = max(piece.lanes for piece in self.pieces)
        wide: dict[int, str] = {}
        for i, (row, piece) in enumerate(self.parts):
            if row not in wide:
                place = self.w.at(a, row * a_row, dtype)
                number = self.w.here(
                    f"load {self.lanes.scalar}, ptr {place.name}, align {dtype.itemsize}", dtype, False
                )
                wide[row] = self.lanes.splat(number.name, widest)
            x = self.lanes.resized(wide[row], widest, piece.lanes)
            sums[i] = self.lanes.multiply_add(x, loaded[piece], sums[i], piece.lanes)

    def mask(self, piece: Piece, only: Register | None = None) -> Register | None:
        """Which lanes of a register of the writer's width are valid, if ``only`` holds; None: all."""
        if only is None and piece.valid == self.w.width:
            return None
        mask = self.lanes.valid(piece)
        return mask if only is None else self.w.widened(only) & mask

    def load(self, c: Register, row_stride: int, column_stride: int, only: Register | None) -> None:
        """Begin at what C holds, from this address on, if ``only`` holds; else at 0."""
        dtype = self.lanes.memory
        for i, (row, piece) in enumerate(self.parts):
            place = self.w.at(c, row * row_stride + piece.offset * column_stride, dtype)
            if column_stride == 1 and only is None:
                self.sums[i] = self.lanes.load(place, piece)
                continue
            index: Any = 0 if column_stride == 1 else self.w.lanes() * column_stride
            held = self.w.load(place, index, dtype, True, self.mask(piece, only), fixed=False)
            self.sums[i] = self.lanes.resized(held.name, self.w.width, piece.lanes)

    def store(self, c: Register, row_stride: int, column_stride: int, finish: Any = None) -> None:
        """Write C from this address on.

        Args:
            c: address of the first element of the tile.
            row_stride: stride between rows.
            column_stride: stride between columns.
            finish: what is called with each register, its row and column in the tile and its mask, and gives
                what is stored.
        """
        dtype = self.lanes.memory
        for (row, piece), x in zip(self.parts, self.sums):
            place = self.w.at(c, row * row_stride + piece.offset * column_stride, dtype)
            if finish is None and column_stride == 1:
                self.lanes.store(x, place, piece)
                continue
            value = Register(self.w, self.lanes.resized(x, piece.lanes, self.w.width), dtype, True, self.w.level)
            mask = self.mask(piece)
            if finish is not None:
                value = value.differs(0) if self.lanes.logical else value
                value = finish(value, row, piece.offset, mask)
            index: Any = 0 if column_stride == 1 else self.w.lanes() * column_stride
            self.w.store(value, place, index, mask, wide=True)
