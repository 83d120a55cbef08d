"""Ops that hand their operand on: to stop a gradient, to look at a value, to set an order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.define import elementwise, opaque
from lazygrad.define.kinds import flat, tensor
from lazygrad.graph.graph import Node
from lazygrad.graph.registry import function
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array, Tensor, TensorLike

__all__ = ["depends_on", "hook", "identity", "show", "speaks", "stop_gradient"]


@elementwise(vjp=flat, dtype=kept)
def stop_gradient(xp: Any, x: Array) -> Any:
    """``x``, through which no gradient passes."""
    return x


@opaque(shape=lambda x, call: x, vjp=lambda g, y, x: g, jvp=lambda t, y, x: t, pure=False)
def _hook(xp: Any, x: Array, *, call: Callable[[Any], Any]) -> Any:
    """x, after a call of the user's function."""
    call(x.copy())
    return x


@function
def hook(x: TensorLike, f: Callable[[Any], Any]) -> Tensor:
    """``x``; calls ``f(array)``, with a copy of its value, in every run.

    It is called once a run, in the order of the step's lines, whether or not something uses the result.
    """
    return _hook(x, call=f)


@opaque(shape=lambda x, label: x, vjp=lambda g, y, x: g, jvp=lambda t, y, x: t, pure=False)
def _show(xp: Any, x: Array, *, label: str) -> Any:
    """x, after printing it."""
    print(f"{label}: {x}" if label else x)
    return x


@function
def show(x: TensorLike, label: str = "") -> Tensor:
    """``x``; prints it, after ``label``, in every run, as :func:`hook` calls a function."""
    return _show(x, label=str(label))


def speaks(node: Node) -> bool:
    """Whether a node hands its operand on, and shows it or calls a hook: what looks at a step lets it be silent."""
    return node.of(_hook) or node.of(_show)


@function
def identity(x: TensorLike) -> Tensor:
    """``x`` itself."""
    return tensor(x)


@opaque(
    shape=lambda x, *others: x,
    vjp=lambda g, y, x, *others: (g, *(None for _ in others)),
    dtype=kept,
    pure=False,
)
def _after(xp: Any, *operands: Array) -> Any:
    """The first operand, when the others have been evaluated."""
    return operands[0]


@function
def depends_on(x: TensorLike, others: Any) -> Tensor:
    """``x``, evaluated after ``others``; the gradient passes to ``x``."""
    x = tensor(x)
    return _after(x, *[tensor(other, x.graph) for other in others])
