"""Linear algebra of small matrices, written out element by element as native code has it."""

from __future__ import annotations

import math
from typing import Any, cast

from lazygrad.define.kinds import Declared
from lazygrad.engine.lanes.blocks import Block, Blocks
from lazygrad.engine.lower.small import blocks_of
from lazygrad.engine.trace.tracing import NotTraced, traced
from lazygrad.export.onnx.rules import Several
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec, broadcast

__all__ = ["by_elements"]


def by_elements(writer: Writer, node: Node, operands: list[Value]) -> Several:
    """What the kernel of an op makes of matrices whose elements are values, one for all matrices of the batch.

    Raises:
        NotTraced: the kernel does something that is not written out.
    """
    assert isinstance(node.op, Declared)
    batch = broadcast([x.shape[:-2] for x in operands])
    found = blocks_of(traced(node.op, Blocks(cast(Any, writer.xp)), [_block(writer, x) for x in operands], node.params))
    specs = (node.spec,) if isinstance(node.spec, Spec) else node.spec
    if found is None or [(*batch, *block.shape) for block in found] != [spec.shape for spec in specs]:
        raise NotTraced("it is not written out")
    made = tuple([_array(writer, block, spec, batch) for block, spec in zip(found, specs, strict=True)])
    return made[0] if isinstance(node.spec, Spec) else made


def _block(writer: Writer, x: Value) -> Block:
    """The elements of matrices, each along a last axis of 1."""
    inner = x.shape[-2:]
    count = math.prod(inner)
    flat = writer.xp.reshape(x, (*x.shape[:-2], count))
    names: Any = [flat.name]
    if count > 1:
        names = writer.node("Split", [flat.name, writer.sizes([1] * count)], count, axis=flat.ndim - 1)
    return Block(inner, [Value(writer, name, Spec((*x.shape[:-2], 1), x.dtype)) for name in names])


def _array(writer: Writer, block: Block, spec: Spec, batch: tuple[int, ...]) -> Value:
    xp = writer.xp
    elements = [xp.broadcast_to(xp.value(x, spec.dtype), (*batch, 1)) for x in block.elements]
    return xp.reshape(xp.concatenate(elements, len(batch)), spec.shape)
