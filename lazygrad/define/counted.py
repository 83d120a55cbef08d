"""Ops whose elements are formulas of their own places: no memory is needed for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from lazygrad.define.kinds import Elementwise, Opaque
from lazygrad.graph.spec import Shape, Spec, kept
from lazygrad.graph.tensor import Tensor

__all__ = ["Counted", "counted"]


class Counted(Opaque):
    """An op each of whose elements is a formula of its number, in order, and of all elements of a few small operands.

    NumPy calls its kernel, which makes the whole array; native code makes each element where it is read.

    Attributes:
        formula: the elementwise op that makes one element: its operands are the number, of uint64, then the elements
            of all operands, in order; its settings are those of the op.
    """

    def __init__(self, kernel: Callable[..., Any], formula: Elementwise) -> None:
        super().__init__(kernel, None, None, _shape, kept, False, True, False, False)
        self.formula = formula

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Spec:
        """Shape and dtype are settings."""
        return Spec(params["shape"], params["dtype"])


def _shape(*_: Shape, shape: Shape, **__: Any) -> Shape:
    return shape


def counted(formula: Any) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """An op that makes its elements by their numbers; it has settings ``shape`` and ``dtype``, and no derivative."""
    return lambda kernel: cast(Callable[..., Tensor], Counted(kernel, formula))
