"""Linear algebra of small matrices, written out: which nodes it is, how much is written, and an element of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.lanes.blocks import Block, Blocks
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower.index import Index
from lazygrad.engine.trace.tracing import NotTraced, traced
from lazygrad.graph.spec import Mismatch, Shape, Spec, broadcast

__all__ = ["FEW", "LARGEST", "VOLUME", "Settings", "Small", "Unrolled", "is_small", "written"]

LARGEST = 8  # rows and columns of a matrix that is written out
VOLUME = 64  # multiplications of a product; a larger one is faster by itself, unless its neighbours are written out too
FEW = 16  # products of matrices; as many are worth a kernel in which lanes are items of the batch


class Unrolled(NamedTuple):
    """How an op of small matrices is written out.

    Attributes:
        rows: leading axes of its results that count matrices.
        inner: the axes of every result that are a matrix's own.
        length: about how many instructions one matrix takes.
    """

    rows: int
    inner: tuple[Shape, ...]
    length: int


class Small(NamedTuple):
    """An element of what linear algebra makes of small matrices, all of whose elements are computed before.

    Attributes:
        rows: leading axes of the index, which say which matrices of the batch; the others are a constant each.
        base: the node whose op it is; ``node`` is that, or one of its results.
        operands: of every operand its elements, in order.
        shapes: of every operand the axes of a matrix.
        result: the number of the result.
        inner: the axes of every result that are a matrix's own.
        length: about how many instructions one matrix takes.
    """

    node: int
    at: tuple[Index, ...]
    rows: int
    base: int
    op: Declared
    params: dict[str, Any]
    key: Any
    operands: tuple[tuple[int, ...], ...]
    shapes: tuple[Shape, ...]
    result: int
    inner: tuple[Shape, ...]
    dtype: np.dtype[Any]
    length: int

    def __str__(self) -> str:
        given = [
            f"{' × '.join(map(str, shape))} of {', '.join(f'%{k}' for k in numbers)}"
            for numbers, shape in zip(self.operands, self.shapes, strict=True)
        ]
        which = f" {self.result}" if len(self.inner) > 1 else ""
        return f"{self.op.name}({'; '.join(given)}){which}[{', '.join(map(str, self.at[self.rows :]))}]"


class Settings(dict[str, Any]):
    """Settings that take no part in a cache's key, which has their frozen form."""

    def __hash__(self) -> int:  # type: ignore[override]
        return 0

    def __eq__(self, other: object) -> bool:
        return True


def is_small(spec: Any) -> bool:
    """Whether something is an array of float32 or float64 whose last two axes, if it has as many, are short ones."""
    if not isinstance(spec, Spec) or spec.dtype not in (np.float32, np.float64) or not spec.size:
        return False
    return all(n <= LARGEST for n in spec.shape[-2:])


@functools.lru_cache(maxsize=4096)
def written(
    op: Declared, specs: tuple[Spec, ...], results: tuple[Spec, ...], params: Settings, key: Any
) -> Unrolled | None:
    """How an op is written out; None if it is not.

    The last two axes of its operands are matrices. What is written must have the shapes that are declared.
    """
    if not specs or any(spec.ndim < 2 for spec in specs) or len({spec.dtype for spec in (*specs, *results)}) > 1:
        return None
    try:
        batch = broadcast([spec.shape[:-2] for spec in specs])
    except Mismatch:
        return None
    writer = Writer(4)
    operands = []
    for number, spec in enumerate(specs):
        inner = spec.shape[-2:]
        address = writer.argument(number)
        loaded = [writer.load(address, k, spec.dtype) for k in range(math.prod(inner))]
        operands.append(Block(inner, loaded))
    before = writer.count
    try:
        found = traced(op, Blocks(Scalars(writer, lambda wrong: None)), operands, params)
    except NotTraced:
        return None
    blocks = blocks_of(found)
    shapes = [spec.shape for spec in results]
    if blocks is None or [(*batch, *block.shape) for block in blocks] != shapes:
        return None
    return Unrolled(len(batch), tuple([block.shape for block in blocks]), writer.count - before)


def blocks_of(found: Any) -> Sequence[Block] | None:
    """The results of a kernel, of which there may be one; None if one is something else."""
    results = found if isinstance(found, tuple) else (found,)
    return results if all(isinstance(block, Block) for block in results) else None
