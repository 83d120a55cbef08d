"""Straight lines: where elements are, in which order they are summed, and what a body becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

import lazygrad as lg
from lazygrad.engine.emit.straight import pairwise
from lazygrad.engine.lower import turns
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.places import broadcast, grid, order
from lazygrad.engine.lower.straight import BLOCK, MANY, How, StraightLine, straight_line
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.lower.ways import Ways
from tests.codegen.native_steps import agree, case, plan_of, random_floats, subsets, whole


def body_of(body: Callable[..., Any], *arrays: Any) -> StraightLine | None:
    """The straight line of a scan's body, which is given slices of these arrays."""
    plan = plan_of(lambda ctx, *xs: lg.scan(lambda c, x: (c, body(*x)), lg.zeros(()), xs)[1], *arrays)
    ways = Ways(plan)
    (inside,) = next(iter(ways.inside.values()))
    return straight_line(inside)


def in_turn_and_native(body: Callable[..., Any], *arrays: Any, units: float = 0) -> None:
    """What a body makes of slices of arrays agrees with the interpreter, in a kernel that is a straight line."""
    this = case(lambda ctx, *xs: lg.scan(lambda c, x: (c, body(*x)), lg.zeros(()), xs)[1], *arrays)
    assert this.calls == []
    assert any(isinstance(entry, SmallLoop) for entry in this.native.entries)
    agree(this, units)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 31, 100, BLOCK, BLOCK + 1, 200, MANY])
def test_numbers_are_summed_in_the_order_of_numpy(n: int, dtype: str) -> None:
    """Eight totals, their sum by pairs, the rest one after the other; more than a block in halves."""
    x = random_floats((n,), dtype)
    assert np.sum(x) == pairwise(lambda a, b: a + b, list(x))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1, 9), (9, 1), (3, 1, 20)])
def test_folds_over_any_axes_go_in_the_order_of_numpy(shape: tuple[int, ...]) -> None:
    """Runs that lie in order are summed pairwise, and added one after the other."""
    x = random_floats(shape, np.float64)
    flat = x.ravel()
    for axes in subsets(len(shape)):
        found = []
        for runs in order(shape, axes):
            total: Any = np.float64(0)
            for run in runs:
                total += pairwise(lambda a, b: a + b, [flat[k] for k in run])
            found.append(total)
        np.testing.assert_array_equal(np.sum(x, axis=axes).ravel(), found)


def test_places_are_those_of_views() -> None:
    """Transposed, turned around, from the middle; and broadcast."""
    x = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(x.T.ravel(), grid(View(None, 0, (1, 4), (4, 3)), (4, 3)))
    np.testing.assert_array_equal(x[::-1, 1:3].ravel(), grid(View(None, 9, (-4, 1), (3, 2)), (3, 2)))
    np.testing.assert_array_equal(np.broadcast_to(x[:, :1], (2, 3, 4)).ravel() // 4, broadcast((3, 1), (2, 3, 4)))


def test_sums_in_a_kernel_have_the_bits_of_numpy() -> None:
    """Over every set of axes of an array of three, in float32 and float64, and the sign of a sum of zeros."""
    for dtype in (np.float32, np.float64):
        x = random_floats((2, 2, 3, 9), dtype)
        in_turn_and_native(lambda x: [lg.sum(x, axis=axes) for axes in subsets(3)], x)
        in_turn_and_native(lambda x: lg.sum(x, axis=0), np.full((2, 3, 2), -0.0, dtype))


FOLDS = [(fold, dtype) for fold in ("max", "min", "prod", "any", "all") for dtype in ("float32", "int64")]


@pytest.mark.parametrize(("name", "dtype"), [*FOLDS, ("any", "bool"), ("all", "bool")])
def test_other_folds_compute_as_numpy(name: str, dtype: str) -> None:
    """Extremes, products, and whether it holds anywhere or everywhere."""
    fold = getattr(lg, name)
    in_turn_and_native(lambda x: (fold(x), fold(x, axis=0), fold(x, axis=1, keepdims=True)), whole((3, 2, 4), dtype))


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x.T,
        lambda x: lg.reshape(x.T, (6, 2)),
        lambda x: lg.flip(x, axis=1)[1:, ::2],
        lambda x: lg.broadcast_to(x[:, None], (3, 2, 4)),
        lambda x: lg.concat([x, x.T[:3, :3] * 2], axis=1),
        lambda x: lg.stack([x[0], x[2], -x[1]]),
        lambda x: lg.pad(x, 1),
        lambda x: x + x[:, :1] * x[1] + 3,
        lambda x: lg.where(x > 1, x, lg.arange(4) * lg.eye(3, 4)),
        lambda x: x[lg.asarray([0, -1, 1])],
        lambda x: x[lg.astype(lg.abs(x[:, 0]), "int64") % 3, lg.asarray([0, 1, -2])],
        lambda x: (lg.zeros((2, 3)) + 0.5) @ x,
    ],
)
def test_movements_and_arithmetic_of_small_arrays(body: Any) -> None:
    """Views, places, choices, elements that are named, and products of whole numbers: bit for bit."""
    in_turn_and_native(body, whole((3, 3, 4), np.float64))


def test_products_round_as_often_as_those_of_numpy() -> None:
    """Of matrices and of batches, each element a sum of products that are not rounded before."""
    a, b = random_floats((2, 3, 3), np.float64), random_floats((2, 2, 3, 2), np.float64, seed=1)
    in_turn_and_native(lambda a, b: a @ b, a, b, units=2)


def test_draws_in_a_kernel_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh in every turn, the same bits."""
    monkeypatch.setattr(turns, "_pays", lambda bodies, target: True)  # so that it is a kernel of its own

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            return c * 0.5 + x * ctx.random.uniform(()), ctx.random.bernoulli((), 0.5)

        return lg.scan(body, lg.zeros(()), x)

    this = case(step, random_floats((20,)))
    assert [] == this.calls
    assert any(isinstance(entry, SmallLoop) for entry in this.native.entries)
    for found, expected in zip(this.found, this.expected, strict=True):
        np.testing.assert_array_equal(expected, found)


def test_operations_are_printed_a_line_each() -> None:
    """What is given, numbers, and what is computed of earlier ones."""
    line = body_of(lambda x: lg.sum(x * 2.0, axis=1), whole((2, 2, 3)))
    assert line is not None
    said = str(line).splitlines()
    assert ["%0 = input 0, float32[2, 3]", "%1 = literal, float32[]"] == said[:2]
    assert ["%2 = multiply(%0, %1), float32[2, 3]", "%3 = sum(%2), float32[2]", "gives %3"] == said[2:]
    assert [How.GIVEN, How.NUMBERS, How.APPLY, How.FOLD] == [o.how for o in line.operations]


def test_equal_bodies_have_equal_keys() -> None:
    """And others have not: numbers count, zeros of two signs too."""

    def key(number: float) -> Any:
        line = body_of(lambda x: x * 1.5 + lg.asarray(number, dtype="float32"), whole((2, 3)))
        assert line is not None
        return line.key

    assert key(0.0) == key(0.0)
    assert key(0.0) != key(1.0)
    assert key(0.0) != key(-0.0)


def test_arrays_of_many_elements_are_no_registers() -> None:
    """A body that makes one is no straight line."""
    assert body_of(lambda x: x * 2, whole((2, MANY))) is not None
    assert body_of(lambda x: x * 2, whole((2, MANY + 1))) is None
    assert body_of(lambda x: x[0] * 2, whole((2, MANY + 1))) is not None  # of what lies in memory, any element
