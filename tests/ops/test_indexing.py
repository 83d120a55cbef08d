"""Indices as NumPy reads them: masks anywhere, truths without axes, what is written, and what is out of range."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from two_ways import raised, slope, value

import lazygrad as lg

X = np.arange(24.0).reshape(2, 3, 4)
ROW = np.array([True, False])
MIDDLE = np.array([True, False, True])
LAST = np.array([False, True, True, False])
FRONT = np.array([[True, False, True], [False, False, True]])
BACK = np.array([[True, False, True, False], [False] * 4, [True] * 4])
NONE = np.zeros(4, bool)

INDICES = [
    (..., LAST),
    (..., BACK),
    (..., MIDDLE, slice(None)),
    (..., MIDDLE, 1),
    (slice(None), BACK),
    (slice(None, None, -1), MIDDLE, slice(1, 3)),
    (0, BACK),
    (0, ..., LAST),
    (None, 0, ..., BACK),
    (None, 0, BACK),
    (slice(None), [0, 2], ..., [1, 1]),
    (slice(None), [0, 2], [1, 1]),
    (FRONT, ..., None),
    (None, FRONT, None),
    (FRONT, 0),
    (..., FRONT, slice(None)),
    (..., NONE),
    (X > 7, ...),
    (..., X > 7),
    (ROW, MIDDLE[:1].repeat(3), ...),
    (..., [True, False, False, True]),
    True,
    False,
    np.True_,
    np.False_,
    np.array(True),
    np.array(False),
    (True, True),
    (True, False),
    (True, 0),
    (0, True),
    (0, slice(None), True),
    (..., True),
    (..., False),
    (slice(None), True, [0, 1]),
    (None, True, None),
    (True, ..., LAST),
    (..., LAST, True),
    (np.True_, 1, [0, 2], slice(None)),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_an_index_with_masks_reads_what_numpy_reads(index):
    """Shape and elements; and the cotangent goes back to where they came from."""
    assert_array_equal(X[index], value(lambda x: x[index], X))
    counts = np.zeros(X.shape)
    np.add.at(counts, index, 1.0)
    assert_array_equal(counts, slope(lambda x: x[index], X))


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_an_index_with_masks_writes_where_numpy_writes(index):
    """One number, and an array of the shape of the place; set, added and multiplied."""
    values = np.arange(100.0, 100 + X[index].size).reshape(X[index].shape)
    for written in (np.float64(7), values):
        expected = X.copy()
        expected[index] = written
        assert_array_equal(expected, value(lambda x, v: x.at[index].set(v), X, written))
        expected = X.copy()
        np.add.at(expected, index, written)
        assert_array_equal(expected, value(lambda x, v: x.at[index].add(v), X, written))
        expected = X.copy()
        expected[index] *= written
        got = value(lambda x, v: x.at[index].multiply(v), X, written)
        assert_array_equal(expected, got)


def test_a_truth_takes_a_number_as_numpys_does():
    """Of an array without axes all or nothing is taken."""
    x = np.array(3.0)
    for index in (True, False, np.True_, np.array(False), (..., True), (True, None)):
        assert_array_equal(x[index], value(lambda x: x[index], x))  # noqa: B023
    assert_array_equal(9.0, value(lambda x: x.at[True].set(9.0), x))
    assert_array_equal(3.0, value(lambda x: x.at[False].set(9.0), x))


def test_random_indices_are_numpys():
    """Numbers, slices, new axes, dots, arrays, masks and truths in any order; refused where NumPy refuses."""
    rng = np.random.default_rng(3)
    env = lg.VariableEnvironment(dtype="float64")
    pool = [True, False, np.True_, None, ..., 0, -1, slice(None), slice(1, None), slice(None, None, -1), ROW, MIDDLE]
    pool += [LAST, FRONT, BACK, [0, 1], np.array([[0], [1]]), X > 5]
    for _ in range(600):
        index = tuple(pool[i] for i in rng.integers(len(pool), size=rng.integers(1, 5)))
        try:
            expected = X[index]
        except IndexError:
            with pytest.raises(lg.SpecError):
                env.run(lambda ctx, x: x[index], X)  # noqa: B023
        else:
            assert_array_equal(expected, env.run(lambda ctx, x: x[index], X), err_msg=repr(index))  # noqa: B023


MASKED = [
    (lambda m: m, X > 7),
    (lambda m: (..., m), LAST),
    (lambda m: (slice(None), m), MIDDLE),
    (lambda m: (0, m), MIDDLE),
    (lambda m: (..., m, 1), MIDDLE),
    (lambda m: (m, ...), FRONT),
    (lambda m: (slice(None), m), BACK),
    (lambda m: (1, ..., m), LAST),
    (lambda m: (slice(None, None, -1), m), MIDDLE),
    (lambda m: m, np.array(True)),
    (lambda m: m, np.array(False)),
]


@pytest.mark.parametrize(("index", "mask"), MASKED, ids=lambda x: "" if callable(x) else str(x.shape))
def test_a_mask_that_is_a_tensor_writes_where_numpys_would(index, mask):
    """Anywhere in the index, as long as what stands beside it is basic."""
    for name, expected in (("set", 9.0), ("add", X + 9.0), ("multiply", X * 9.0)):
        wanted = X.copy()
        wanted[index(mask)] = expected if name == "set" else expected[index(mask)]
        got = value(lambda x, m, name=name: getattr(x.at[index(m)], name)(9.0), X, mask)
        assert_array_equal(wanted, got)


@pytest.mark.parametrize("name", ["set", "add", "multiply"])
@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (4,), (2,)], ids=str)
def test_a_write_through_a_tensor_mask_never_enlarges_the_array(name, shape):
    """A value that does not broadcast to the place is refused, at the user's line, with both shapes."""
    text = raised(lg.SpecError, lambda x, m, v: getattr(x.at[m], name)(v), np.ones(3), MIDDLE, np.ones(shape))
    what, line, facts = text.split("\n\n")
    assert what == f"cannot write float64{list(shape)} into float64[3]"
    assert "test_indexing.py" in line
    assert f"float64{list(shape)}" in facts
    assert facts.endswith("What is written must broadcast to the shape of its place, [3].")


@pytest.mark.parametrize("name", ["set", "add", "multiply"])
@pytest.mark.parametrize("index", [slice(0, 2), [0, 2], (..., MIDDLE), np.array([True, False, True])], ids=repr)
def test_a_write_never_enlarges_what_any_index_names(name, index):
    """Slices, arrays and masks refuse a value that is larger than their place; axes of size 1 in front fall off."""
    text = raised(lg.SpecError, lambda x: getattr(x.at[index], name)(np.ones((2, 2))), np.ones(3))
    assert text.startswith("cannot write float64[2, 2] into float64[3]")
    expected = value(lambda x: getattr(x.at[index], name)(np.full(2, 5.0)), np.ones(3))
    assert_array_equal(expected, value(lambda x: getattr(x.at[index], name)(np.full((1, 2), 5.0)), np.ones(3)))


def test_a_tensor_mask_beside_arrays_is_refused():
    """How many places there are would only be known later."""
    raised(lg.SpecError, lambda x, m: x.at[[0, 1], m].set(0.0), np.ones((2, 3)), MIDDLE)
    raised(lg.SpecError, lambda x, m: x.at[m].set(0.0), np.ones((2, 3)), MIDDLE)


def test_an_index_that_cannot_be_right_is_refused_where_it_is_written():
    """Numbers out of range, too many of them, and masks of another size; to be read or written."""
    for f in (lambda x: x[3], lambda x: x[0, 0], lambda x: x[MIDDLE[:2]], lambda x: x.at[-4].set(0.0)):
        assert "test_indexing.py" in raised(lg.SpecError, f, np.ones(3))


@pytest.mark.parametrize("axis", [4, -5, (0, 5), (-6, 1), (7,)], ids=str)
def test_expand_dims_of_a_wrong_axis_is_an_index_error(axis):
    """As the array API standard asks, and a SpecError as every error of shapes."""
    for kind in (IndexError, lg.SpecError):
        text = raised(kind, lambda x: lg.expand_dims(x, axis), X)
        assert text.startswith("cannot expand_dims float64[2, 3, 4]")


def test_expand_dims_of_an_axis_named_twice_is_refused():
    """Once from the front and once from the end, too."""
    for axis in ((0, 0), (1, -4)):
        assert "twice" in raised(lg.SpecError, lambda x: lg.expand_dims(x, axis), X)  # noqa: B023


# Segments.


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64"])
@pytest.mark.parametrize(("count", "width"), [(3, ()), (3, (2,)), (50, (7,))], ids=str)
def test_segments_are_summed_in_any_dtype_of_whole_numbers(dtype, count, width):
    """Few in registers and many in memory."""
    rng = np.random.default_rng(0)
    x, segments = rng.standard_normal((40, *width)), rng.integers(count, size=40).astype(dtype)
    expected = np.zeros((count, *width))
    np.add.at(expected, segments, x)
    got = value(lambda x, s: lg.segment_sum(x, s, count), x, segments, rtol=1e-12)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("count", "width"), [(3, ()), (3, (2,)), (50, (7,))], ids=str)
@pytest.mark.parametrize("wrong", [-1, "count", -(2**40), 2**40], ids=str)
def test_a_segment_that_is_not_there_is_an_index_error(count, width, wrong):
    """A negative one does not count from the end; and the derivative is refused alike."""
    number = count if wrong == "count" else wrong
    segments = np.array([0, 1, number, 2])
    for f in (lambda x, s: lg.segment_sum(x, s, count), lambda x, s: lg.grad(lg.segment_sum(x, s, count) ** 2, x)):
        text = raised(IndexError, f, np.ones((4, *width)), segments)
        assert f"segment {number} is out of range: there are {count} segments" in text


def test_a_segment_that_is_not_there_changes_no_variable():
    """The step fails as a whole."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.zeros(3))

    def step(ctx, x, segments):
        w = ctx.variable("w")
        return ctx.assign(w, w + lg.segment_sum(x, segments, 3))

    for way in (env.run, lambda step, *arrays: env.compile(step, wait=True)(*arrays)):
        with pytest.raises(IndexError):
            way(step, np.ones(2), np.array([0, -1]))
        assert_array_equal(np.zeros(3), env["w"])


def test_segments_that_are_not_whole_numbers_are_refused():
    """Floats are not rounded, truths are not counted."""
    for segments in (np.array([0.0, 1.0]), np.array([True, False])):
        raised(lg.SpecError, lambda x, s: lg.segment_sum(x, s, 2), np.ones(2), segments)


# Nothing.


@pytest.mark.parametrize("f", [lg.nn.softmax, lg.nn.log_softmax, lambda x, axis: lg.nn.sigmoid(x)])
@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 0), -1), ((3, 0), 0), ((0,), 0), ((0, 3), 0), ((2, 0, 4), 1)], ids=str
)
def test_a_function_along_an_axis_without_elements_is_empty(f, shape, axis):
    """And so is its gradient."""
    assert value(lambda x: f(x, axis=axis), np.zeros(shape)).shape == shape
    assert slope(lambda x: f(x, axis=axis), np.zeros(shape)).shape == shape


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_a_softmax_of_nothing_has_the_dtype_of_any_other(dtype):
    """That of a row of three."""
    found = value(lambda a, b: (lg.nn.softmax(a), lg.nn.softmax(b)), np.zeros(0, dtype), np.zeros(3, dtype))
    assert found[0].dtype == found[1].dtype


def test_attention_without_keys_is_zero():
    """A sum over nothing; so too with a mask, and for many queries."""
    q, k, v = np.ones((2, 5, 3)), np.zeros((2, 0, 3)), np.zeros((2, 0, 4))
    attend = lg.nn.scaled_dot_product_attention
    assert_array_equal(np.zeros((2, 5, 4)), value(attend, q, k, v))
    assert_array_equal(np.zeros((2, 5, 4)), value(lambda q, k, v: attend(q, k, v, causal=True), q, k, v))
    seen = np.zeros((5, 0), bool)
    assert_array_equal(np.zeros((2, 5, 4)), value(attend, q, k, v, seen))
    assert_array_equal(np.zeros(q.shape), slope(attend, q, k, v))


# Tolerances, one a matrix.


def test_the_rank_counts_by_the_tolerance_of_each_matrix():
    """Four matrices of singular values 8, 2, ½ and four tolerances; the last axis is no axis of theirs."""
    a = np.broadcast_to(np.diag([8.0, 2.0, 0.5]), (4, 3, 3)).copy()
    rtol = np.array([0.01, 0.1, 0.3, 2.0])
    assert_array_equal([3, 2, 1, 0], value(lambda a: lg.linalg.matrix_rank(a, rtol=rtol), a))
    assert_array_equal([3, 2, 1, 0], value(lambda a, r: lg.linalg.matrix_rank(a, rtol=r), a, rtol))
    square = a[:3].reshape(3, 1, 3, 3)
    expected = np.linalg.matrix_rank(square, rtol=rtol[:3, None])
    assert_array_equal(expected, value(lambda a: lg.linalg.matrix_rank(a, rtol=rtol[:3, None]), square))


def test_the_pseudo_inverse_drops_by_the_tolerance_of_each_matrix():
    """As NumPy's, whose derivative is that of the part that is kept."""
    a = np.broadcast_to(np.diag([8.0, 2.0, 0.5]), (4, 3, 3)).copy()
    rtol = np.array([0.01, 0.1, 0.3, 2.0])
    expected = np.linalg.pinv(a, rtol=rtol)
    np.testing.assert_allclose(value(lambda a: lg.linalg.pinv(a, rtol=rtol), a), expected, atol=1e-15)
    np.testing.assert_allclose(value(lambda a, r: lg.linalg.pinv(a, rtol=r), a, rtol), expected, atol=1e-15)
    one = slope(lambda a: lg.linalg.pinv(a, rtol=0.1), a[1])
    assert_array_equal(one, slope(lambda a: lg.linalg.pinv(a, rtol=rtol), a)[1])


def test_tolerances_that_are_not_one_a_matrix_are_refused():
    """By rank and pseudo-inverse alike."""
    for f in (lg.linalg.matrix_rank, lg.linalg.pinv):
        text = raised(lg.SpecError, lambda a: f(a, rtol=np.ones(3)), np.ones((2, 4, 4)))  # noqa: B023
        assert text.endswith("There is one for all matrices, or one for each: it must broadcast to [2].")
