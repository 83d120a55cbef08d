"""Kernels over rows: small programs in native code beside the same plans on NumPy, for registers of every width.

Most data are small whole numbers, for which no order of summation rounds: then results agree bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, random_floats, subsets, whole

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

WIDTHS = pytest.mark.parametrize("width", [4, 8, 16])
Program = tuple[Callable[..., Any], tuple[Any, ...]]


def table(programs: dict[str, Program]) -> Any:
    """A test for each program."""
    return pytest.mark.parametrize("name", programs)


# Elementwise, of any broadcast shape.

SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 5), (5,)),
    ((3, 1), (1, 5)),
    ((2, 1, 4), (3, 1)),
    ((), (7,)),
    ((), ()),
    ((1,), (4,)),
    ((2, 3, 1, 5), (3, 4, 1)),
    ((17,), (1,)),
    ((5, 40), (5, 1)),
    ((40, 3), (3,)),
    ((64, 1), (1, 1)),
    ((3, 1, 1, 2), (1, 5, 7, 1)),
    ((1, 33), (33,)),
    ((100, 2), (100, 1)),
]


@WIDTHS
@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_operands_of_any_shapes_broadcast(left: tuple[int, ...], right: tuple[int, ...], width: int) -> None:
    """A chain whose operands are wide and narrow, in one kernel without a call back."""
    x, y = whole(left), whole(right, seed=1)
    this = case(lambda ctx, x, y: (x * y + 2 * y - x, lg.maximum(x - y, y)), x, y, width=width)
    agree(this)
    assert (1, []) == (this.kernels, this.calls)


@WIDTHS
@pytest.mark.parametrize("dtype", ["float64", "int8", "int32", "int64", "uint8", "uint16", "uint64", "bool"])
def test_every_dtype_is_computed_natively(dtype: str, width: int) -> None:
    """Sums, products, choices and comparisons of 21 elements, which fill no number of registers."""
    x, y = whole(21, dtype), whole(21, dtype, seed=1)
    this = case(lambda ctx, x, y: (x + y, x * y, lg.where(x > y, x, y), x <= y, lg.equal(x, y)), x, y, width=width)
    agree(this)
    assert [] == this.calls


@WIDTHS
def test_dtypes_meet_in_one_kernel(width: int) -> None:
    """Each operand is promoted where it is used."""
    arrays = [whole(19, dtype) for dtype in ("float32", "float64", "int64", "bool", "int8", "uint8")]

    def step(ctx: Any, f: Any, d: Any, i: Any, b: Any, s: Any, u: Any) -> Any:
        return f + d, i * b, s + u, lg.where(b, f, s), f + b, (d > i).astype("int32"), i.astype("float32") / 2

    agree(case(step, *arrays, width=width))


# Views.

VIEWS: dict[str, Callable[[Any], Any]] = {
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[::-1],
    "reversed along rows": lambda x: x[:, ::-1],
    "every second column": lambda x: x[:, ::2],
    "every third row": lambda x: x[::3],
    "a part": lambda x: x[1:, 2:7],
    "a part, backwards and transposed": lambda x: x[::-2, 8:1:-1].T,
    "a row": lambda x: x[2],
    "a column": lambda x: x[:, 3],
    "a number": lambda x: x[2, 3],
    "with new axes": lambda x: x[None, :, None],
    "repeated along an axis": lambda x: lg.broadcast_to(x[:, :1], (x.shape[0], 13)),
    "in another shape": lambda x: lg.reshape(x, (-1,)),
    "transposed, in another shape": lambda x: lg.reshape(x.T, (-1,)),
    "reversed, in another shape": lambda x: lg.reshape(x[::-1, ::-1], (11, -1)),
    "of parts, in another shape": lambda x: lg.reshape(x[:, :10], (-1, 5)),
    "rolled": lambda x: lg.roll(x, 3, axis=1),
    "flipped both ways": lambda x: lg.flip(x),
    "turned": lambda x: lg.rot90(x),
    "the diagonal": lambda x: lg.diagonal(x),
    "swapped in three": lambda x: lg.permute_dims(lg.reshape(x, (2, 4, 11)), (2, 0, 1)),
}


@WIDTHS
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_read_where_it_lies(name: str, width: int) -> None:
    """Of an argument, of what a kernel computes, and under a reduction."""
    x, view = whole((8, 11)), VIEWS[name]

    def step(ctx: Any, x: Any) -> Any:
        return view(x) * 2 + 1, view(lg.abs(x) * 3), lg.sum(view(x)), view(x)

    agree(case(step, x, width=width))


@WIDTHS
def test_two_views_of_an_argument_are_read_together(width: int) -> None:
    """Differences of neighbours, and a matrix beside its transpose."""
    x = whole((13, 13))
    agree(case(lambda ctx, x: (x[1:] - x[:-1], x + x.T, x[:, ::-1] * x[::-1], x[:, 1:] - x[:, :1]), x, width=width))


# Every number of elements that registers leave over.


@pytest.mark.parametrize("n", range(1, 41))
def test_every_number_of_elements_is_computed(n: int) -> None:
    """As one row, as rows, as columns, in float32 and bool."""
    x, rows, columns = whole(n), whole((3, n), seed=1), whole((n, 3), seed=2)

    def step(ctx: Any, x: Any, rows: Any, columns: Any) -> Any:
        y = x * 2 + 1
        return (
            *(y, lg.sum(y), lg.max(x), lg.argmax(x), lg.argmin(x), x > 0, lg.any(x > 3), lg.all(x < 4)),
            *(lg.sum(rows, axis=1), lg.max(rows, axis=0), lg.argmin(rows, axis=1)),
            rows - lg.max(rows, axis=1)[:, None],
            *(lg.sum(columns, axis=0), lg.min(columns, axis=1), lg.argmax(columns, axis=1), columns.T + x),
        )

    agree(case(step, x, rows, columns))


@WIDTHS
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33])
def test_a_number_of_rows_that_fills_no_registers_is_computed(n: int, width: int) -> None:
    """Lanes are rows, as these are short: each is normalised and its place found, and columns are summed."""
    x = whole((n * 5, 3), seed=n)

    def step(ctx: Any, x: Any) -> Any:
        low = x - lg.min(x, axis=1, keepdims=True)
        return low, lg.argmax(low, axis=1), lg.sum(low, axis=0), lg.sum(low), lg.prod(low + 1, axis=1)

    agree(case(step, x, width=width))


# What is made of a row, and read again.


def softmax_by_hand(x: Any) -> Any:
    """Without the op of that name."""
    e = lg.exp(x - lg.max(x, axis=-1, keepdims=True))
    return e / lg.sum(e, axis=-1, keepdims=True)


def layer_norm_by_hand(x: Any) -> Any:
    """Mean 0 and variance 1 in every row."""
    centred = x - lg.mean(x, axis=-1, keepdims=True)
    return centred / lg.sqrt(lg.mean(lg.square(centred), axis=-1, keepdims=True) + 1e-5)


ROWWISE: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: lg.nn.softmax(x),
    "softmax over the first axis": lambda x: lg.nn.softmax(x, axis=0),
    "softmax by hand": softmax_by_hand,
    "log-softmax": lambda x: lg.nn.log_softmax(x),
    "layer norm by hand": layer_norm_by_hand,
    "variance": lambda x: lg.var(x, axis=-1),
    "variance over the first axis": lambda x: lg.var(x, axis=0),
    "standard deviation of everything": lambda x: lg.std(x),
    "logsumexp": lambda x: lg.logsumexp(x, axis=-1),
    "logsumexp of everything": lambda x: lg.logsumexp(x),
    "norm": lambda x: x / lg.sqrt(lg.sum(x * x, axis=-1, keepdims=True)),
    "distances to rows": lambda x: lg.argmin(lg.sum(lg.square(x[:, None] - x[None, :4]), axis=-1), axis=-1),
    "loss and its gradient": lambda x: (y := lg.mean(lg.logsumexp(x, axis=-1)), lg.grad(y, [x])),
    "two reductions of a reduction": lambda x: lg.max(lg.sum(x, axis=-1)) - lg.min(lg.sum(x, axis=-1)),
}


@pytest.mark.thinned(3)
@WIDTHS
@pytest.mark.parametrize("shape", [(6, 3), (40, 3), (6, 37), (70, 33)], ids=str)
@pytest.mark.parametrize("name", ROWWISE)
def test_what_is_made_of_a_row_is_read_in_it(name: str, shape: tuple[int, ...], width: int) -> None:
    """To a few roundings, without a call back."""
    this = case(lambda ctx, x: ROWWISE[name](x), random_floats(shape), width=width)
    agree(this, units=32)
    assert [] == this.calls


def test_softmax_is_one_kernel_that_keeps_a_row_in_its_own_memory() -> None:
    """Nothing but the result is as large as the operand, which the arena shows."""
    x = random_floats((200, 64))
    this = case(lambda ctx, x: softmax_by_hand(x), x)
    agree(this, units=8)
    assert 1 == this.kernels
    assert this.native.nbytes < x.nbytes // 8


@WIDTHS
def test_rows_too_long_for_the_nearest_cache_are_kept_in_the_arena(width: int) -> None:
    """A row of 20,000 exponentials is read again from there."""
    agree(case(lambda ctx, x: softmax_by_hand(x), random_floats((3, 20_000)), width=width), units=32)


# Chunks.


@WIDTHS
@pytest.mark.parametrize("columns", [1, 3, 8, 13, 64])
def test_columns_of_many_rows_are_summed_by_chunks(columns: int, width: int) -> None:
    """Partial totals of chunks are combined; the last chunk is shorter."""
    x = whole((200_003 // columns, columns))
    this = case(lambda ctx, x: (lg.sum(x, axis=0), lg.max(x, axis=0), lg.sum(x)), x, width=width)
    agree(this)
    assert this.chunks > 1


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_million_elements_are_summed(dtype: str) -> None:
    """In chunks, whose number of elements is no multiple of anything."""
    x = whole(1_100_003, dtype)
    this = case(lambda ctx, x: (lg.sum(x), lg.any(x), lg.max(x.astype("int8")), lg.argmax(x)), x)
    agree(this)
    assert this.chunks > 1


@WIDTHS
def test_rows_are_shared_out_by_chunks(width: int) -> None:
    """An elementwise kernel, a rowwise one, and one whose lanes are rows."""
    x, y = whole((501, 203)), whole((70_001, 3))

    def step(ctx: Any, x: Any, y: Any) -> Any:
        return x * 2 - 1, x - lg.max(x, axis=1, keepdims=True), lg.sum(y, axis=1), y - lg.min(y, axis=1, keepdims=True)

    this = case(step, x, y, width=width)
    agree(this)
    assert this.chunks > 1


@WIDTHS
def test_a_transposed_argument_of_many_rows_is_computed_by_chunks(width: int) -> None:
    """Its elements are gathered."""
    x = whole((3, 60_001))
    agree(case(lambda ctx, x: (x.T * 2, lg.sum(x.T, axis=1), lg.sum(x.T, axis=0)), x, width=width))


# Elements named by indices.


@WIDTHS
def test_elements_are_taken_at_negative_and_repeated_indices(width: int) -> None:
    """By one array, by two that broadcast, beside slices, and of an axis in the middle."""
    x, i, j = whole((9, 7, 5)), whole((11,), "int64", -5, 5), whole((2, 1), "int32", -7, 7, seed=1)

    def step(ctx: Any, x: Any, i: Any, j: Any) -> Any:
        return x[i], x[:, j], x[i % 9, j], x[i, 1:3], x[::2, :, i % 5], lg.take(x * 2, i % 7, axis=1), x[i, :, j % 5]

    this = case(step, x, i, j, width=width)
    agree(this)
    assert [] == this.calls


@WIDTHS
def test_what_is_taken_is_reduced_without_being_stored(width: int) -> None:
    """An embedding, summed over the words of every sentence."""
    x, i = whole((50, 12)), whole((30, 6), "int64", 0, 50)
    this = case(lambda ctx, x, i: lg.sum(x[i], axis=1), x, i, width=width)
    agree(this)
    assert this.native.nbytes < 30 * 6 * 12 * 4


@WIDTHS
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint32"])
def test_indices_of_every_dtype_are_read(dtype: str, width: int) -> None:
    """Also of those without a sign."""
    agree(case(lambda ctx, x, i: x[i], whole((9, 4)), whole(13, dtype, -9, 9), width=width))


# Movements that are no views.

PLACED: dict[str, Callable[[Any, Any], Any]] = {
    "joined by rows": lambda x, y: lg.concat([x, y, x * 2]),
    "joined by columns": lambda x, y: lg.concat([x, y.T[:, :4].T, x + 1][::2], axis=1),
    "stacked": lambda x, y: lg.stack([x, y, x - y], axis=1),
    "stacked last": lambda x, y: lg.stack([x, y], axis=-1),
    "padded": lambda x, y: lg.pad(x, 2),
    "padded with a number": lambda x, y: lg.pad(x * 2, ((1, 0), (0, 3)), constant_values=5),
    "placed by a gradient": lambda x, y: lg.grad(lg.sum(lg.square(x[1:, ::2])), [x]),
    "placed backwards": lambda x, y: lg.grad(lg.sum(x[::-2] * y[:2]), [x]),
    "of triangles": lambda x, y: (lg.tril(x), lg.triu(y, 1)),
    "repeated": lambda x, y: (lg.repeat(x, 3, axis=1), lg.tile(y, (2, 2))),
    "joined and summed": lambda x, y: lg.sum(lg.concat([x, y], axis=1), axis=1),
    "joined with zeros": lambda x, y: lg.concat([x, lg.zeros((2, 9)), y]),
}


@WIDTHS
@pytest.mark.parametrize("name", PLACED)
def test_elements_are_moved_to_their_places(name: str, width: int) -> None:
    """Zeros where nothing goes."""
    agree(case(lambda ctx, x, y: PLACED[name](x, y), whole((4, 9)), whole((4, 9), seed=1), width=width))


# Special numbers.


@WIDTHS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_numbers_are_computed_as_numpy_does(dtype: str, width: int) -> None:
    """NaN, infinities, zeros with signs and denormals, in every pair."""
    info = np.finfo(dtype)
    ends = [0.0, 1.0, np.inf, info.max, info.tiny, info.smallest_subnormal, 3 * info.smallest_subnormal]
    x = np.array([*ends, *(-e for e in ends), np.nan], dtype)

    def step(ctx: Any, x: Any) -> Any:
        a, b = x[:, None], x[None, :]
        return a + b, a - b, a * b, a / b, lg.maximum(a, b), lg.minimum(a, b), a < b, lg.equal(a, b), lg.sign(a), -a

    this = case(step, x, width=width)
    agree(this)
    assert [] == this.calls


@WIDTHS
def test_a_zero_keeps_its_sign(width: int) -> None:
    """Through negation, absolute value, products, moves and casts."""
    x = np.array([0.0, -0.0, 1.0, -1.0] * 5, "float32")

    def step(ctx: Any, x: Any) -> Any:
        return -x, lg.abs(x), x * 0, x[::-1], x.astype("float64"), lg.where(x > 5, 1, x), lg.copysign(2.0, x)

    this = case(step, x, width=width)
    for native, reference in zip(this.found, this.expected, strict=True):
        assert np.signbit(reference).tolist() == np.signbit(native).tolist()


# Arrays of no elements and of no axes.

BARE: dict[str, Program] = {
    "nothing added": (lambda ctx, x: (x + 1, x * x), (whole((0, 3)),)),
    "the sum of nothing": (lambda ctx, x: (lg.sum(x), lg.sum(x, axis=0), lg.prod(x), lg.all(x > 0)), (whole((0, 3)),)),
    "the extreme of rows that there are none of": (lambda ctx, x: lg.max(x, axis=1), (whole((0, 3)),)),
    "the part that is empty": (lambda ctx, x: (x[3:3] * 2, lg.sum(x[5:]), x + 1), (whole((5,)),)),
    "joined with nothing": (lambda ctx, x: lg.concat([x[:0], x * 2, x[:0]]), (whole((5,)),)),
    "taken at no places": (lambda ctx, x, i: x[i], (whole((5,)), whole(0, "int64"))),
    "a number": (lambda ctx, x: (x * 2 + 1, lg.sum(x), lg.max(x), lg.exp(x * 0)), (whole(()),)),
    "a number beside an array": (lambda ctx, x, y: (x * y, lg.sum(x + y)), (whole(()), whole((4, 5)))),
    "one element in many axes": (lambda ctx, x: (x + 1, lg.sum(x, axis=(0, 2)), lg.argmax(x)), (whole((1, 1, 1)),)),
    "a product over nothing": (lambda ctx, x: x[:, :0] @ x[:0], (whole((4, 4)),)),
}


@WIDTHS
@table(BARE)
def test_an_array_of_no_elements_or_no_axes_is_computed(name: str, width: int) -> None:
    """As NumPy does."""
    step, arguments = BARE[name]
    agree(case(step, *arguments, width=width))


@WIDTHS
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (), (1,)], ids=str)
def test_a_variable_of_few_elements_is_assigned(shape: tuple[int, ...], width: int) -> None:
    """Its argument, its own value reversed, and a number."""
    x = whole(shape)

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")
        return ctx.assign("w", x), ctx.assign("v", lg.flip(w)), ctx.assign("u", lg.zeros(shape))

    agree(case(step, x, width=width, w=x + 1, v=x, u=x))


# Constants.


@WIDTHS
def test_numbers_and_arrays_that_no_argument_changes_are_read(width: int) -> None:
    """Literals, filled arrays, ranges, closed-over arrays, and what is computed of these alone."""
    array = whole((3, 7), seed=5)

    def step(ctx: Any, x: Any) -> Any:
        return x + array, x * lg.arange(7), x + lg.full((3, 1), 3.0), lg.arange(7) * 2, lg.full((2, 2), 4.0), x * 0 + 5

    agree(case(step, whole((3, 7)), width=width))


def test_a_returned_argument_or_variable_is_a_copy() -> None:
    """So are two of the same."""
    x = whole(2000)
    this = case(lambda ctx, x: (x, ctx.variable("w"), x, ctx.variable("w")), x, w=x + 1)
    agree(this)
    assert [] == [
        (a, b) for a, b in itertools.combinations(range(4), 2) if np.shares_memory(this.found[a], this.found[b])
    ]
    assert not any(np.shares_memory(value, x) for value in this.found)


@pytest.mark.parametrize("size", [3, 2000])
def test_a_value_that_is_returned_twice_is_two_arrays(size: int) -> None:
    """Also when it is large, and computed where it is returned."""
    this = case(lambda ctx, x: (lg.exp(x), lg.exp(x)), whole(size))
    one, two = this.found
    assert not np.shares_memory(one, two)


# Programs of many parts.


@WIDTHS
def test_a_chain_deeper_than_recursion_is_stored_on_the_way(width: int) -> None:
    """Three hundred additions and products."""

    def step(ctx: Any, x: Any) -> Any:
        y = x
        for k in range(150):
            y = lg.minimum(y + x, 1000.0) - (k % 3)
        return y

    agree(case(step, whole(21), width=width))


@WIDTHS
@pytest.mark.parametrize("shape", [(5, 7), (60, 50)], ids=str)
def test_what_several_read_is_computed_once_and_right(shape: tuple[int, ...], width: int) -> None:
    """Dear functions with several readers, along rows, columns and reversed."""
    x = whole(shape, low=0)

    def step(ctx: Any, x: Any) -> Any:
        y = lg.sqrt(x * x) + lg.floor(x / 3) * 2
        z = lg.sum(y, axis=1)
        return y + 1, y[::-1] - y, y.T * 2, z, y - z[:, None], lg.sum(y, axis=0) * 2, lg.max(y) + lg.min(y), y[:, 0] + z

    agree(case(step, x, width=width))


@WIDTHS
def test_reductions_of_unlike_rows_stand_side_by_side(width: int) -> None:
    """Over leading, trailing, outer and inner axes of one operand, which is computed and large."""
    x = whole((20, 6, 30))

    def step(ctx: Any, x: Any) -> Any:
        y = x * 2 - 1
        return [lg.sum(y, axis=axes) for axes in subsets(3)] + [lg.max(y, axis=(0, 2), keepdims=True) - y]

    agree(case(step, x, width=width))


@WIDTHS
def test_a_product_is_read_and_fed_by_kernels(width: int) -> None:
    """Two layers with their gradients: whole numbers, so that sums are exact."""
    x, w, b, v = whole((13, 6)), whole((6, 10), seed=1), whole(10, seed=2), whole((10, 3), seed=3)

    def step(ctx: Any, x: Any, w: Any, b: Any, v: Any) -> Any:
        y = lg.maximum(x @ w + b, 0) @ v
        return y, lg.grad(lg.sum(y), [w, b, v])

    agree(case(step, x, w, b, v, width=width))
