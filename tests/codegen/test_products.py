"""Matrix products written for their sizes and strides."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from product_kernels import Kernel, place_number, product_of, whole

from lazygrad.engine.emit.products import Cut, Needs, Place, Product, shape, write
from lazygrad.engine.emit.products.form import formed
from lazygrad.engine.lanes.registers import Register
from lazygrad.engine.lanes.writer import Writer

LAYOUTS = ["rows", "columns", "steps", "reversed"]


def result(*shape: int, dtype: object = np.float32) -> np.ndarray:
    """Room for a result, full of what would be wrong."""
    return np.full(shape, 77, dtype)


@pytest.mark.thinned(4)
@pytest.mark.parametrize("layouts", [*itertools.product(["rows", "columns"], repeat=3)])
@pytest.mark.parametrize("n", [*range(1, 41), 100])
def test_a_product_is_right_for_any_number_of_columns(n: int, layouts: tuple[str, str, str]) -> None:
    """Full registers, narrow ones and masks at the end of a row agree with NumPy, whichever axis is contiguous."""
    random = np.random.default_rng(n)
    m, k = 1 + (7 * n) % 23, 1 + (5 * n) % 19
    a, b = whole(random, (m, k), np.float32, layouts[0]), whole(random, (k, n), np.float32, layouts[1])
    c = whole(random, (m, n), np.float32, layouts[2])
    np.testing.assert_array_equal(a @ b, Kernel(write, a, b, c).run())


@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, repeat=3)])
def test_any_strides_are_right(layouts: tuple[str, str, str]) -> None:
    """Transposed, spaced and reversed operands and results agree with NumPy."""
    random = np.random.default_rng(3)
    a, b = whole(random, (19, 21), np.float64, layouts[0]), whole(random, (21, 37), np.float64, layouts[1])
    c = whole(random, (19, 37), np.float64, layouts[2])
    np.testing.assert_array_equal(a @ b, Kernel(write, a, b, c).run())


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "?"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_type_of_numbers_is_right(dtype: str, layout: str) -> None:
    """Whole numbers wrap as NumPy's do, and a product of booleans is whether any pair is true."""
    random = np.random.default_rng(4)
    random_a, random_b = whole(random, (9, 33), dtype), whole(random, (33, 21), dtype, layout)
    c = whole(random, (9, 21), dtype)
    np.testing.assert_array_equal(random_a @ random_b, Kernel(write, random_a, random_b, c).run())


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_width_of_registers_is_right(width: int, layout: str) -> None:
    """The code for machines with narrower registers computes the same."""
    random = np.random.default_rng(5)
    a, b = whole(random, (23, 40), np.float32), whole(random, (40, 35), np.float32, layout)
    np.testing.assert_array_equal(a @ b, Kernel(write, a, b, result(23, 35), width=width).run())


@pytest.mark.parametrize("left", [(2, 3), (1, 3), (2, 1), (1, 1), ()])
@pytest.mark.parametrize("right", [(2, 3), (1, 3), (2, 1), (1, 1), ()])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_batches_are_broadcast(left: tuple[int, ...], right: tuple[int, ...], layout: str) -> None:
    """An operand without a batch axis, or with one of 1, is used for every item where it lies."""
    random = np.random.default_rng(6)
    a, b = whole(random, (*left, 6, 5), np.float32, layout), whole(random, (*right, 5, 7), np.float32, layout)
    np.testing.assert_array_equal(np.broadcast_to(a @ b, (2, 3, 6, 7)), Kernel(write, a, b, result(2, 3, 6, 7)).run())


def test_a_shared_right_operand_makes_one_product_of_a_batch() -> None:
    """Items that follow each other are rows of one larger matrix."""
    a, b, c = np.zeros((4, 5, 6)), np.zeros((6, 7)), np.zeros((4, 5, 7))
    assert ((), 20) == (formed(product_of(a, b, c)).batch, formed(product_of(a, b, c)).m)


@pytest.mark.parametrize("sizes", [(0, 3, 4), (3, 0, 4), (0, 0, 0)])
def test_an_empty_result_is_left_alone(sizes: tuple[int, int, int]) -> None:
    """Without rows or columns there is nothing to store."""
    m, n, k = sizes
    a, b = np.ones((m, k)), np.ones((k, n))
    np.testing.assert_array_equal(a @ b, Kernel(write, a, b, np.ones((m, n))).run())


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_an_empty_sum_is_zero(layout: str) -> None:
    """Without anything to add, every element is 0."""
    c = whole(np.random.default_rng(7), (5, 6), np.float32, layout)
    np.testing.assert_array_equal(
        np.zeros((5, 6), np.float32), Kernel(write, np.ones((5, 0), "f4"), np.ones((0, 6), "f4"), c).run()
    )


@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, repeat=2)])
def test_sums_can_begin_at_what_the_result_holds(layouts: tuple[str, str]) -> None:
    """With ``accumulate`` the product is added."""
    random = np.random.default_rng(8)
    a, b = whole(random, (9, 40), np.float32), whole(random, (40, 21), np.float32, layouts[0])
    c = whole(random, (9, 21), np.float32, layouts[1])
    expected = c + a @ b
    np.testing.assert_array_equal(expected, Kernel(lambda p, w: write(p, w, accumulate=True), a, b, c).run())


@pytest.mark.parametrize("sizes", [(5, 21, 3), (40, 1, 5), (1, 40, 200), (3, 2, 40), (1, 1, 100)])
@pytest.mark.parametrize("layouts", [*itertools.product(["rows", "columns"], ["rows", "columns"], ["rows", "columns"])])
@pytest.mark.parametrize("shared", [False, True])
def test_finish_knows_where_its_lanes_belong(
    sizes: tuple[int, int, int], layouts: tuple[str, str, str], shared: bool
) -> None:
    """Row, column and place in the batch are those of the product that was asked for, also where it is turned."""
    m, n, k = sizes
    random = np.random.default_rng(9)
    a = whole(random, (2, 3, m, k), np.float64, layouts[0])
    b = whole(random, (k, n) if shared else (2, 3, k, n), np.float64, layouts[1])
    c = whole(random, (2, 3, m, n), np.float64, layouts[2])

    def written(product: Product, w: Writer) -> Needs:
        def finish(value: Register, place: Place) -> Register:
            return value * 2 + place_number(w, place, value.dtype)

        return write(product, w, finish)

    i, j, row, column = np.ogrid[:2, :3, :m, :n]
    np.testing.assert_array_equal(
        2 * (a @ b) + 1000 * row + column + 10**6 * i + 10**7 * j, Kernel(written, a, b, c).run()
    )


def cuts(k: int) -> list[Cut]:
    """Ways to cut a product, each with several chunks, small blocks and uneven ends."""
    found = []
    for packed, block, chunks in itertools.product([False, True], [k, 16, 9], [(3, 1, 1), (1, 2, 1), (2, 2, 3)]):
        found.append(Cut(4, 1, block, packed, False, *chunks))
    return found


@pytest.mark.parametrize("layout", ["rows", "columns", "steps"])
@pytest.mark.parametrize("cut", cuts(41), ids=str)
def test_chunks_may_be_computed_apart_and_in_any_order(cut: Cut, layout: str) -> None:
    """Each chunk computes its part, blocks along k add up, and finish sees only the whole sum."""
    if layout != "rows" and not cut.packed:
        cut = cut._replace(packed=True)
    random = np.random.default_rng(10)
    a, b = whole(random, (3, 30, 41), np.float32), whole(random, (3, 41, 70), np.float32, layout)

    def written(product: Product, w: Writer) -> Needs:
        return write(product, w, lambda value, place: value * value, cut=cut)

    kernel = Kernel(written, a, b, result(3, 30, 70))
    assert cut.chunks == kernel.plan.chunks
    np.testing.assert_array_equal((a @ b) ** 2, kernel.run(random.permutation(cut.chunks).tolist()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_chunks_apart_and_together_agree_in_every_bit(layout: str) -> None:
    """What a product is does not depend on how its chunks are shared out."""
    random = np.random.default_rng(11)
    a = random.standard_normal((200, 300), np.float32)
    b = whole(random, (300, 170), np.float32, layout)
    b[...] = random.standard_normal((300, 170), np.float32)
    together = Kernel(write, a, b, result(200, 170))
    apart = Kernel(write, a, b, result(200, 170))
    assert apart.plan.chunks > 1
    expected = together.run()
    assert expected.tobytes() == apart.run(range(apart.plan.chunks)[::-1]).tobytes()


def test_chunks_may_be_computed_at_once() -> None:
    """Two threads with a part of the chunks each do not share scratch memory."""
    random = np.random.default_rng(12)
    a, b = whole(random, (200, 300), np.float32), whole(random, (300, 200), np.float32, "columns")
    kernel = Kernel(write, a, b, result(200, 200))
    middle, end = kernel.plan.chunks // 2, kernel.plan.chunks
    assert kernel.plan.scratch > 0
    assert middle > 0
    address = kernel.arguments.ctypes.data
    for _ in range(50):
        kernel.arrays[2][...] = 77
        other = threading.Thread(target=kernel.call, args=(address, middle, end))
        other.start()
        kernel.call(address, 0, middle)
        other.join()
        np.testing.assert_array_equal(a @ b, kernel.arrays[2])


@pytest.mark.parametrize("sizes", [(1, 17, 100), (2, 40, 16), (1, 1, 64), (1, 3, 5), (40, 1, 33), (1, 16, 2)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_dot_products_are_right(sizes: tuple[int, int, int], dtype: str) -> None:
    """Few rows with columns that lie along k are multiplied as they lie."""
    m, n, k = sizes
    random = np.random.default_rng(13)
    a, b = whole(random, (m, k), dtype), whole(random, (k, n), dtype, "columns")
    c = whole(random, (m, n), dtype)
    cut = Cut(1, 1, k, False, True, 1, 1, 1)
    expected = c + a @ b
    kernel = Kernel(lambda p, w: write(p, w, accumulate=True, cut=cut), a, b, c)
    np.testing.assert_array_equal(expected, kernel.run())


def test_a_row_times_a_matrix_by_rows_of_k_is_dot_products() -> None:
    """The model takes the matrix as it lies where copying it would cost more."""
    a, b, c = np.zeros((1, 784), "f4"), np.zeros((128, 784), "f4").T, np.zeros((1, 128), "f4")
    assert shape(formed(product_of(a, b, c)), 16).dots


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("chunks", [1, 3])
@pytest.mark.parametrize("accumulate", [False, True])
def test_a_row_times_rows_that_are_swept_is_right(dtype: str, chunks: int, accumulate: bool) -> None:
    """A few rows of B at a time are added to the result, in the order of k; finish sees only the whole sum."""
    random = np.random.default_rng(15)
    a, b, c = whole(random, (1, 43), dtype), whole(random, (43, 300), dtype), whole(random, (1, 300), dtype)
    cut = Cut(1, 2, 8, False, False, 1, chunks, 1, swept=True)

    def written(product: Product, w: Writer) -> Needs:
        return write(product, w, lambda value, place: value * value, accumulate, cut)

    expected = (a @ b + (c if accumulate else 0)) ** 2
    np.testing.assert_array_equal(expected, Kernel(written, a, b, c).run(range(chunks)[::-1]))


def test_rows_far_apart_are_swept_and_sum_in_the_same_order() -> None:
    """The model reads a large matrix from end to end for a row; not a bit differs from column by column."""
    random = np.random.default_rng(16)
    a, b, c = random.normal(size=(1, 70)), random.normal(size=(70, 3000)), result(1, 3000, dtype="f8")
    assert shape(formed(product_of(a, b, c)), 16).swept
    swept = Kernel(write, a, b, c).run().copy()
    columns = Cut(1, 1, 70, False, False, 1, 1, 1)
    assert swept.tobytes() == Kernel(lambda p, w: write(p, w, cut=columns), a, b, c).run().tobytes()
    assert not shape(formed(product_of(a, b[:, :64], c[:, :64])), 16).swept


@pytest.mark.parametrize("layouts", [*itertools.product(["rows", "columns"], repeat=2)])
def test_infinities_and_nan_reach_what_they_are_part_of(layouts: tuple[str, str]) -> None:
    """Rows and columns with special values agree with NumPy; the others are finite."""
    random = np.random.default_rng(14)
    a, b = whole(random, (9, 35), np.float32, layouts[0]), whole(random, (35, 35), np.float32, layouts[1])
    a[a == 0] = 1
    b[b == 0] = 1
    a[2, 3], a[4, 34], b[34, 34], b[0, 7] = np.nan, np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(expected, Kernel(write, a, b, result(9, 35)).run())


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layouts", [*itertools.product(["rows", "columns"], repeat=2)])
def test_sums_are_as_accurate_as_their_order_allows(dtype: str, layouts: tuple[str, str]) -> None:
    """The error is within k·ε·Σ|aᵢ·bᵢ|, the bound of a sum in any order (Higham, Accuracy and Stability, 3.1)."""
    random = np.random.default_rng(15)
    a, b = (whole(random, (70, 500), dtype, layouts[0]), whole(random, (500, 70), dtype, layouts[1]))
    a[...], b[...] = random.standard_normal(a.shape), random.standard_normal(b.shape)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = 500 * np.finfo(dtype).eps * (abs(a).astype(np.longdouble) @ abs(b).astype(np.longdouble))
    assert (abs(Kernel(write, a, b, result(70, 70, dtype=dtype)).run() - exact) <= bound).all()


@pytest.mark.parametrize("dtype", ["f2", "c8"])
def test_other_types_are_refused(dtype: str) -> None:
    """A type without a kernel is named."""
    x = np.zeros((2, 2), dtype)
    with pytest.raises(TypeError) as caught:
        write(product_of(x, x, x), Writer(8))
    assert f"no kernel multiplies matrices of {x.dtype}" == str(caught.value)
