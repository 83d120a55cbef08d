"""Declarations of ops."""

from __future__ import annotations

from typing import Any

import pytest
from snapshots import at
from told import message

import lazygrad as lg
from lazygrad.define import elementwise, movement, opaque, reduction
from lazygrad.graph.tensor import Array


def test_a_declaration_without_a_docstring_is_an_error() -> None:
    """An op says in one line what it computes."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise()
        def silent(xp: Any, x: Array) -> Any:
            return x

    assert str(caught.value) == "op 'silent' has no docstring: say in one line what it computes"


def test_a_kernel_takes_the_namespace_first() -> None:
    """Its first parameter is the array namespace."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise()
        def wrong(x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'wrong': the first parameter is 'xp' (or 'rng'), not 'x'"


def test_there_are_as_many_rules_as_operands() -> None:
    """Rule and signature are compared when the op is declared."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise(vjp=lambda g, y, a, b: g)
        def two(xp: Any, a: Array, b: Array) -> Any:
            """Nothing."""
            return a

    assert str(caught.value).startswith("op 'two' has 2 operands (a, b), but 1 vjp rules")


def test_a_rule_takes_what_the_op_has() -> None:
    """Operands, and settings by name."""
    with pytest.raises(lg.DefinitionError) as caught:

        @movement(shape=lambda x, n: x, vjp=lambda g, y, x, *, m: g)
        def other(xp: Any, x: Array, *, n: int) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'other': its vjp names settings that it has not: {'m'}"
    with pytest.raises(lg.DefinitionError) as caught:

        @opaque(shape=lambda x: x, vjp=lambda g, x: g)
        def fewer(xp: Any, x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'fewer': its vjp takes (g, y, x), not 2 operands"


def test_a_reduction_takes_axis_and_keepdims() -> None:
    """It is one of its kind."""
    with pytest.raises(lg.DefinitionError) as caught:

        @reduction()
        def total(xp: Any, x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "reduction 'total' must take axis= and keepdims="


def test_a_kernel_that_returns_something_else_than_declared_is_an_error(env: lg.VariableEnvironment) -> None:
    """The first run compares."""

    @opaque(shape=lambda x: x, vjp=None)
    def halved(xp: Any, x: Array) -> Any:
        """Half of the elements, though the rule says all."""
        return x[: len(x) // 2]

    def step(ctx: lg.Context) -> Any:
        return halved(ctx.variable("b"))

    assert (
        message(env, lg.DefinitionError, lambda: env.run(step))
        == f"""op 'halved' declares float32[2], but its kernel returned float32[1]

{at(step, "return")}

    Correct its shape or dtype rule, or cast in the kernel."""
    )
