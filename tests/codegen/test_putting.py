"""Elements added, or written, where indices name them, in native code: bit for bit what NumPy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, random_floats, whole

import lazygrad as lg

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

ROWS, COLUMNS = np.array([[3, -1, 0], [0, 3, 3]]), np.array([2, -5, 2], np.int8)
WHERE: dict[str, Any] = {
    "a row": (2,),
    "a column": (slice(None), 3),
    "slices": (slice(1, 4), slice(None, None, -2)),
    "an element": (1, 2),
    "a new axis": (None, slice(2), None),
    "rows that are named": (ROWS,),
    "columns that are named": (slice(None), ROWS),
    "elements that are named": (ROWS, COLUMNS),
    "named beside a slice": (slice(1, None, 2), COLUMNS),
    "named beside a number": (ROWS, 1),
    "nothing": (...,),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", ["?", "i1", "u4", "f4", "f8"])
def test_elements_go_where_numpy_puts_them(where: str, dtype: str) -> None:
    """Of places named twice the last value counts, or all are added; arrays and numbers, into arrays and numbers."""
    index, x = WHERE[where], whole((5, 20), dtype)
    shape = np.empty((5, 20))[index].shape
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)

    def step(ctx: Any, x: Any, values: Any, turned: Any) -> Any:
        zeros = lg.zeros(x.shape, x.dtype)
        return [
            *(to.at[index].set(new) for to in (x, zeros, x[::-1, ::-1]) for new in (values, 1)),
            *(to.at[index].add(new) for to in (x, zeros) for new in (values, turned.T)),
        ]

    this = case(step, x, values, np.ascontiguousarray(values.T), width=8)
    assert [] == this.calls
    agree(this)


def test_zeros_of_both_signs_are_told_apart() -> None:
    """The kernels of equal numbers that are not the same are not shared."""
    this = case(lambda ctx, x: [lg.full((3, 4), z).at[1, 2].set(w) + x for z in (0.0, -0.0) for w in (0.0, -0.0)], -0.0)
    assert [] == this.calls
    assert [a.tobytes() for a in this.expected] == [a.tobytes() for a in this.found]


def test_sums_are_rounded_in_the_order_of_the_values() -> None:
    """Many values for few places."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 5, (400, 3)), rng.integers(-4, 4, 3)
    this = case(lambda ctx, v: lg.zeros((5, 4), v.dtype).at[rows, columns].add(v), random_floats((400, 3)))
    assert [] == this.calls
    assert this.expected[0].tobytes() == this.found[0].tobytes()


@pytest.mark.parametrize("row", [5, -6])
def test_an_index_that_is_out_of_range_raises_as_on_numpy(row: int) -> None:
    """And nothing is written beside the array."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(lambda ctx, x, i: lg.at(x)[i, i].set(7.0), wait=True)
    x, good = np.zeros((5, 5), np.float32), np.array([1, -1])
    assert 2 == np.count_nonzero(step(x, good))
    with pytest.raises(IndexError, match="out of bounds"):
        step(x, np.array([1, row]))


GRADIENTS = {
    "sort": lambda x: lg.sort(x) ** 2 * lg.arange(x.shape[-1]),
    "columns": lambda x: lg.sort(x, axis=0, descending=True) ** 2 * lg.arange(x.shape[-1]),
    "top_k": lambda x: lg.top_k(x, 3)[0] ** 3,
    "median": lambda x: lg.median(x, axis=1) ** 2,
    "quantile": lambda x: lg.quantile(x, [0.2, 0.7], axis=0) ** 2,
    "elements": lambda x: x[ROWS, COLUMNS] ** 2,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_of_what_sorts_and_takes_elements_call_nothing_back(name: str) -> None:
    """Of rows and columns, and the second derivative."""

    def step(ctx: Any, x: Any) -> Any:
        slope = lg.grad(lg.sum(GRADIENTS[name](x)), x)
        return slope, lg.grad(lg.sum(slope * slope), x)

    this = case(step, random_floats((5, 20), "f8"))
    assert [] == this.calls
    agree(this, 8)


def test_loops_that_write_elements_of_large_arrays_are_native() -> None:
    """A row of a table in every turn, and its gradient."""

    def step(ctx: Any, x: Any) -> Any:
        def one(table: Any, k: Any) -> Any:
            new = table.at[k, 1:].set(lg.sin(table[k - 1, :-1])).at[[0, 2], k].add(0.5)
            return new, lg.max(new)

        last, most = lg.scan(one, x, lg.arange(1, 9))
        return last, most, lg.grad(lg.sum(last) + lg.sum(most), x)

    this = case(step, random_floats((12, 40), "f8"))
    assert [] == this.calls
    agree(this, 8)
