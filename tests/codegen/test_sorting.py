"""Sorting and searching in native code: bit for bit what NumPy gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native_steps import Case, agree, case, plan_of

import lazygrad as lg
from lazygrad.define import opaque
from lazygrad.define.kinds import flat
from lazygrad.engine.lower.ways import Way, Ways
from lazygrad.engine.table.native import Instruction, Native, Repeat

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
SHORT = (1, 2, 3, 8, 16, 17, 64, 100, 128)  # sorted by counting
LONG = (129, 300, 1000)  # sorted digit by digit
SPECIAL = (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45)


def sample(shape: Any, dtype: Any, seed: int = 0) -> Any:
    """Numbers of which many are equal, from one end of the dtype to the other, with all that is special."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        x = np.round(rng.standard_normal(shape), 1) * 10.0 ** rng.integers(-30, 30, shape)
        return np.where(rng.random(shape) < 0.4, rng.choice(SPECIAL, shape), x).astype(kind)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(kind)
    ends = np.array([limits.min, limits.max, limits.max - 1, 0], kind)
    wide = rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    return np.where(rng.random(shape) < 0.5, rng.choice(ends, shape), wide)


def native(this: Case) -> Case:
    """A case that calls nothing back, and gives NumPy's bits."""
    assert [] == this.calls
    agree(this)
    assert [x.tobytes() for x in this.expected] == [x.tobytes() for x in this.found]
    return this


def ordered(ctx: Any, x: Any) -> Any:
    """Along both axes, up and down."""
    down = [lg.argsort(x, axis=axis, descending=True) for axis in (0, 1)]
    return [lg.argsort(x, axis=0), lg.argsort(x, axis=-1), *down, lg.sort(x)]


@pytest.mark.thinned(7)
@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("n", SHORT + LONG)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_any_length_are_sorted_as_numpy_sorts_them(dtype: str, n: int, width: int) -> None:
    """Equal elements, both zeros among them, keep their order; NaN comes last. In rows of memory and in columns."""
    x = sample((3, n), dtype)
    assert native(case(ordered, x, width=width)).kernels >= 4
    native(case(ordered, sample((n, 3), dtype).T, width=width))


@pytest.mark.parametrize("n", [100, 1000])
def test_the_order_before_does_not_matter(n: int) -> None:
    """What rises, falls, or is the same everywhere is seen to at once."""
    x = np.arange(n, dtype=np.float64)
    rows = [x, x[::-1], np.zeros(n), np.repeat(x[: n // 2], 2), np.repeat(x[: n // 2], 2)[::-1], x % 7, -(x % 300)]
    native(case(lambda ctx, x: (lg.argsort(x), lg.argsort(x, descending=True)), np.stack(rows)))


def test_rows_may_lie_in_memory_in_any_way() -> None:
    """The kernel goes along the steps of a view; what is elementwise before is computed by another one."""
    x = sample((5, 4, 200), "f4")

    def step(ctx: Any, x: Any) -> Any:
        views = [lg.permute_dims(x, (2, 0, 1)), x[::-1, ::2, ::-3], x[:, 1], lg.broadcast_to(x[0, 0], (3, 200)), x * 2]
        return [lg.argsort(view, axis=axis) for view in views for axis in range(view.ndim)]

    native(case(step, x))


@pytest.mark.parametrize("n", [16, 400])
def test_threads_share_rows_and_each_has_memory_of_its_own(n: int) -> None:
    """All chunks at once, and one after the other."""
    x = sample((300_000 // n, n), "f4")
    this = native(case(lambda ctx, x: lg.argsort(x), x))
    assert this.chunks > 1


def test_a_long_row_is_sorted_in_memory_that_is_as_long() -> None:
    """Keys and places, each twice, with the counts of digits."""
    x = sample(100_000, "f8")
    this = native(case(lambda ctx, x: lg.argsort(x), x))
    assert 2.4e6 < this.native.nbytes < 2.5e6


@pytest.mark.thinned(11)
@pytest.mark.parametrize("n", [1, 2, 5, 64, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("edges", DTYPES)
def test_edges_are_searched_as_numpy_searches_them(edges: str, dtype: str, n: int) -> None:
    """In the dtype that both become; of whole numbers with a sign beside such without, by their values."""
    row, x = np.sort(sample(n, edges)), sample((3, 13), dtype)

    def step(ctx: Any, row: Any, x: Any) -> Any:
        sides = [lg.searchsorted(row, x, side=side) for side in ("left", "right")]
        return [*sides, lg.searchsorted(row, x[1, 2]), lg.searchsorted(row, x.T[::2])]

    native(case(step, row, x, width=8))


def test_edges_may_lie_in_memory_in_any_way_and_numbers_may_be_computed() -> None:
    """Edges with a step, or backwards; numbers that another kernel makes."""
    edges, x = np.sort(sample(900, "f8"))[::-1], sample((20_000,), "f8")

    def step(ctx: Any, edges: Any, x: Any) -> Any:
        return lg.searchsorted(edges[::-1], x * 2), lg.searchsorted(edges[::-3], x[::-1], side="right")

    assert native(case(step, edges, x)).chunks > 1


def test_among_no_edges_every_place_is_the_first() -> None:
    """There is nothing to search in."""
    assert [0, 0] == lg.VariableEnvironment().run(lambda ctx, x: lg.searchsorted(x[:0], x), np.ones(2)).tolist()


def slopes(x: Any) -> Any:
    """The gradient of what sorts in all ways."""
    return lg.grad(lg.sum(lg.sort(x) ** 2) + lg.quantile(x, 0.3) + lg.sum(lg.top_k(x, 2)[0]), x)


COMPOSED = {
    "top_k": lambda x: lg.top_k(x, 5),
    "median": lambda x: (lg.median(x), lg.median(x, axis=1), lg.nanmedian(x, axis=0)),
    "quantile": lambda x: (lg.quantile(x, [0.1, 0.5], axis=1), lg.nanquantile(x, 0.3), lg.percentile(x, 20.0, axis=0)),
    "slopes": lambda x: slopes(lg.flatten(x)),
    "counted": lambda x: (lg.digitize(x, [-1.0, 0.0, 1.0]), lg.histogram(x, bins=7, range=(-2.0, 2.0))),
    "interpolated": lambda x: lg.interp(x, lg.sort(x[0]), x[1]),
    "nonzero": lambda x: lg.nonzero(x > 0, size=30),
    "permuted": lambda x: lg.take(x, lg.argsort(x[:, 0])),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_what_sorts_or_searches_calls_nothing_back(name: str) -> None:
    """Selections, quantiles, histograms, interpolation, with gradients: to rounding of sums."""
    x = np.random.default_rng(3).standard_normal((6, 40))
    this = case(lambda ctx, x: COMPOSED[name](x), x)
    assert [] == this.calls
    agree(this, 8)


def turned(ctx: Any, x: Any, start: Any) -> Any:
    """Loops whose bodies sort and search, in each other, with their gradient."""

    def one(c: Any, row: Any) -> Any:
        best, which = lg.top_k(row * c, 3)
        inner = lg.scan(lambda d, r: (lg.sort(d + r)[::-1], lg.median(d)), c, lg.stack([row, best[0] * row]))
        return lg.sort(inner[0])[lg.argsort(row)], lg.sum(best) + lg.searchsorted(lg.sort(row), c[0]) + which[0]

    last, sums = lg.scan(one, start, x)
    _, found = lg.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, lg.sort(s[1])[::-1] * 0.5), (0, last))
    return last, sums, found, lg.grad(lg.sum(sums), start)


@pytest.mark.parametrize("n", [5, 150])
def test_loops_that_sort_are_native(n: int) -> None:
    """Neither short nor long rows leave a loop to NumPy."""
    rng = np.random.default_rng(0)
    this = case(turned, rng.standard_normal((6, n)), rng.standard_normal(n))
    assert [] == this.calls
    assert "argsort" in names(this.native)
    agree(this, 64)


def names(native: Native) -> set[str]:
    """The ops of what is run, in the bodies of loops too, that have kernels of their own."""
    found = {native.ways.nodes[e.node].op.name for e in native.entries if hasattr(e, "kind")}
    for step in native.program:
        for use in step.uses if isinstance(step, Repeat) else ():
            found |= names(use.native)
    return found


def test_equal_sorts_share_their_kernel() -> None:
    """Of the same lengths and the same steps."""
    this = native(
        case(lambda ctx, x: (lg.argsort(x[0]), lg.argsort(x[1]), lg.argsort(x[:, :9])), sample((2, 300), "f8"))
    )
    kernels = [step.name for step in this.native.program if isinstance(step, Instruction)]
    assert (3, 2) == (len(kernels), len(set(kernels)))


def test_a_sort_that_is_a_users_own_op_is_called_as_it_is() -> None:
    """Only what lazygrad declares itself is looked into."""

    @opaque(shape=lambda x, axis: x, vjp=flat, dtype=lambda kinds: (kinds, np.dtype(np.int64)))
    def own(xp: Any, x: Any, *, axis: int) -> Any:
        """Where elements stood."""
        return xp.argsort(x, axis=axis, kind="stable")

    this = case(lambda ctx, x: own(x, axis=0), sample(20, "f8"))
    assert ["own"] == this.calls
    agree(this)


def test_a_gpu_is_left_to_cupy() -> None:
    """A target whose table the host goes through calls its library for sorts, as for products."""
    plan = plan_of(lambda ctx, x: lg.argsort(x), np.ones(5))
    assert Way.ORDER in Ways(plan).way
    assert Way.CALLBACK in Ways(plan, hosted=True).way
