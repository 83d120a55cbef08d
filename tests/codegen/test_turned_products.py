"""Products with an operand that is copied first, as it lies far from the way in which it is read."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from native_steps import case, plan_of, whole
from product_kernels import product_of

import lazygrad as lg
from lazygrad.engine.emit.products import turn, turned
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Instruction, Native


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small operands are far too."""
    monkeypatch.setattr(turn, "FAR", 0)
    monkeypatch.setattr(turn, "LONG", 8)
    monkeypatch.setattr(turn, "COLUMNS", 8)


def left(ctx: Any, x: Any, y: Any) -> Any:
    """The first operand lies column by column."""
    return lg.matrix_transpose(x) @ y


def right(ctx: Any, x: Any, y: Any) -> Any:
    """The result does too, so that the other one is read so."""
    return lg.matrix_transpose(lg.matrix_transpose(y) @ x)


def copied(native: Native) -> int:
    """How many operands are copied."""
    return sum(isinstance(key, tuple) and key[0] == "copied" for key in native.buffers)


SIZES = [(16, 8, 8), (17, 11, 13), (64, 32, 100), (200, 40, 131), (257, 33, 1024)]  # the last with rows 4 KiB apart


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("far")
def test_a_product_on_a_copy_is_exact(m: int, n: int, k: int, dtype: str) -> None:
    """Of small whole numbers, for sizes that are no multiples of anything."""
    x, y = whole((k, m), dtype), whole((k, n), dtype, seed=1)
    this = case(left, x, y)
    assert copied(this.native) == 1
    np.testing.assert_array_equal(x.T @ y, this.found[0])


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("batch", [*itertools.product([(), (1,), (3,)], repeat=2)])
@pytest.mark.usefixtures("far")
def test_batches_are_copied_item_by_item(batch: tuple[tuple[int, ...], tuple[int, ...]], width: int) -> None:
    """An operand that all items share is copied once."""
    x, y = whole((*batch[0], 40, 24), seed=2), whole((*batch[1], 40, 16), seed=3)
    this = case(lambda ctx, x, y: lg.matmul(lg.matrix_transpose(x), y), x, y, width=width)
    np.testing.assert_array_equal(np.matmul(np.swapaxes(x, -1, -2), y), this.found[0])
    (size,) = [b.spec.size for key, b in this.native.buffers.items() if isinstance(key, tuple) and key[0] == "copied"]
    assert size == x.size


@pytest.mark.usefixtures("far")
def test_rows_of_a_copy_are_not_whole_pages_apart() -> None:
    """They would share one set of the first cache."""
    x, y = np.zeros((1024, 16), "f4"), np.zeros((1024, 16), "f4")
    found = turned(product_of(x.T, y, np.zeros((16, 16), "f4")), Writer(8))
    assert found is not None
    assert (1040, 1) == found.product.a[1:]


@pytest.mark.usefixtures("far")
def test_the_other_operand_is_copied_where_the_product_is_turned() -> None:
    """A result that lies column by column is computed as its transpose."""
    x, y = whole((64, 24)), whole((64, 40), seed=4)
    c = np.zeros((40, 24), "f4").T
    product = product_of(x.T, y, c)
    found = turned(product, Writer(8))
    assert found is not None
    assert (1, ((), 1, 64)) == (found.operand, found.product.b)


@pytest.mark.parametrize(
    "layout", [((64, 40), "rows"), ((64, 40), "steps"), ((40, 4), "columns"), ((64, 40), "whole numbers")]
)
@pytest.mark.usefixtures("far")
def test_nothing_else_is_copied(layout: tuple[tuple[int, int], str]) -> None:
    """What lies row by row, or with gaps, has too few rows, or is no float."""
    (k, m), how = layout
    y, c = np.zeros((k, 16), "f4"), np.zeros((m, 16), "f4")
    a = np.zeros((m, k), "f4") if how == "rows" else np.zeros((k, m), "f4").T
    if how == "steps":
        a = np.zeros((k, 2 * m), "f4")[:, ::2].T
    if how == "whole numbers":
        a, y, c = (x.astype("i4") for x in (a, y, c))
    assert turned(product_of(a, y, c), Writer(8)) is None


def test_a_product_gives_the_same_bits_on_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy changes no order of summation."""
    random = np.random.default_rng(5)
    x, y = (random.normal(size=(1100, n)).astype("f4") for n in (240, 70))
    found = []
    for far in (0, 10**9):
        monkeypatch.setattr(turn, "FAR", far)
        this = case(left, x, y)
        assert copied(this.native) == (far == 0)
        found.append(this.found[0].tobytes())
    assert found[0] == found[1]


def test_a_far_operand_is_copied_in_chunks() -> None:
    """That threads share, as they do the product."""
    plan = plan_of(left, np.zeros((1000, 1000), "f4"), np.zeros((1000, 64), "f4"))
    chunks = [step.chunks for step in lowered(plan, 8).program if isinstance(step, Instruction)]
    assert 2 == len(chunks)
    assert 15 == chunks[0]
