"""The rules by which ops are written, one for each op that ONNX has itself; all others are read from their kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from lazygrad.export.onnx.writer import Value
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec

__all__ = ["RULES", "Several", "rule", "spec_of"]

Several: TypeAlias = "Value | tuple[Value, ...]"
F = TypeVar("F", bound=Callable[..., Several])

RULES: dict[Any, Callable[..., Several]] = {}


def rule(*ops: Any) -> Callable[[F], F]:
    """The function below writes nodes of these ops.

    It takes the writer, the node and the values of its operands (a tuple for one that has several results), and gives
    the value of the node, or a tuple of its results.
    """

    def kept(write: F) -> F:
        for op in ops:
            RULES[op] = write
        return write

    return kept


def spec_of(node: Node) -> Spec:
    """The spec of a node with one result."""
    assert isinstance(node.spec, Spec)
    return node.spec
