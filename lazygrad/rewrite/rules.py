"""Rule: a law by which what one node computes is computed in another way, and the words rules are written in.

A rule is a plain function. It is given a node that is about to be written and its operands as tensors, and
returns a tensor that shall stand for the node, or None where the law does not apply::

    @rule("simplify", multiply, of=[_literal], example=lambda x: x * 1)
    def times_one(node, a, b):
        \"\"\"x·1 = x, for every x: NaN stays NaN and −0 keeps its sign.\"\"\"
        return beside(1, a, b)

The result needs the node's dtype, or it is not used; where its shape is smaller it is broadcast. What a rule
writes with the functions of the language goes through all rules in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from lazygrad.errors import DefinitionError
from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import divide, multiply
from lazygrad.ops.movement import _astype
from lazygrad.ops.source import _full, _literal
from lazygrad.ops.strong import strong_divide, strong_multiply

__all__ = [
    "PRODUCTS",
    "QUOTIENTS",
    "RULES",
    "Rule",
    "beside",
    "factors",
    "node_of",
    "number",
    "operands",
    "quotient",
    "readers",
    "rule",
    "uncast",
]

_Match = Callable[..., "Tensor | None"]


@dataclass(frozen=True, eq=False)
class Rule:
    """A law, where to look for what it is about, and what it must not change.

    Attributes:
        name, law: the function's name and docstring.
        passed: the pass that the rule belongs to.
        match: the function.
        ops: what the node applies: ops, or kinds of op.
        of: what at least one operand applies; anything, if empty.
        examples: functions of tensors in which the rule must fire. Their parameters are arrays of shape
            (2, 3): of floats, of whole numbers where they are called ``n``, of booleans where ``p`` or ``q``.
        tolerance: how many roundings of its dtype the value of an example may change by. 0: not a bit of it.
        drops: whether the result may do without an operand. Its hooks are then called all the same.
    """

    name: str
    law: str
    passed: str
    match: _Match
    ops: tuple[object, ...]
    of: tuple[object, ...]
    examples: tuple[Callable[..., Tensor], ...]
    tolerance: float
    drops: bool


RULES: list[Rule] = []


def rule(
    passed: str,
    *ops: object,
    of: Iterable[object] = (),
    example: Callable[..., Tensor] | Iterable[Callable[..., Tensor]],
    tolerance: float = 0,
    drops: bool = False,
) -> Callable[[_Match], _Match]:
    """Make a rule of a function; see :class:`Rule`.

    Raises:
        DefinitionError: the function does not say its law, or there is one of that name.
    """

    def declare(match: _Match) -> _Match:
        if not match.__doc__:
            raise DefinitionError(f"rule {match.__name__!r} has no docstring: state the law, and why it holds")
        if any(other.name == match.__name__ for other in RULES):
            raise DefinitionError(f"there is a rule {match.__name__!r} already")
        examples = (example,) if callable(example) else tuple(example)
        RULES.append(
            Rule(match.__name__, match.__doc__, passed, match, ops, tuple(of), examples, float(tolerance), drops)
        )
        return match

    return declare


# What rules look at.


def node_of(x: Tensor) -> Node:
    """The node of a tensor."""
    return x.graph.nodes[x.index]


def operands(x: Tensor, op: object) -> list[Tensor]:
    """The operands of ``x`` if it applies ``op``, else none."""
    node = node_of(x)
    return [x.graph.tensor(i) for i in node.inputs] if node.of(op) else []


def uncast(x: Tensor) -> Tensor:
    """What ``x`` is cast from, if both are floats: halves are summed in float32, and the sum is cast back."""
    while (inner := operands(x, _astype)) and x.dtype.kind == inner[0].dtype.kind == "f":
        (x,) = inner
    return x


PRODUCTS: tuple[object, ...] = (multiply, strong_multiply)
QUOTIENTS: tuple[object, ...] = (divide, strong_divide)


def factors(x: Tensor) -> list[Tensor]:
    """The two factors of ``x`` if it is a product, plain or strong, else none."""
    return operands(x, multiply) or operands(x, strong_multiply)


def quotient(x: Tensor) -> list[Tensor]:
    """What stands above and below in ``x`` if it is a quotient, plain or strong, else none."""
    return operands(x, divide) or operands(x, strong_divide)


def number(x: Tensor) -> Any:
    """The number that every element of ``x`` is, if that is written in the graph; else None."""
    node = node_of(x)
    return node.params["value"] if node.of(_literal) or node.of(_full) else None


def beside(value: float, *pair: Tensor) -> Tensor | None:
    """The other one of two operands of which one is the number ``value``; None if neither is."""
    a, b = pair
    if number(b) == value:
        return a
    return b if number(a) == value else None


def readers(x: Tensor, operand: int | None = None) -> list[Node] | None:
    """What reads the node the rule was given, or one of its operands; None if that is not known.

    Asked of any of its operands, before anything is written: see :meth:`Rewriting.readers`.
    """
    return cast("list[Node] | None", cast(Any, x.graph).readers(operand))
