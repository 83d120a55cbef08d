"""Shapes and dtypes combine as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazygrad.graph.spec import (
    Mismatch,
    Spec,
    boolean,
    broadcast,
    floating,
    kept,
    normalize_axes,
    normalize_axis,
    promoted,
    reduced_shape,
    sized,
    ufunc_rule,
)

SHAPES = st.lists(st.sampled_from([0, 1, 1, 2, 3]), max_size=4).map(tuple)
DTYPES = [np.dtype(d) for d in ("bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64")]
KINDS = st.sampled_from([*DTYPES, int, float])


def numpy_or_mismatch(f, g, error=ValueError):
    """What NumPy's ``f`` gives, ``g`` must give; what it refuses, ``g`` must refuse."""
    try:
        expected = f()
    except error:
        with pytest.raises(Mismatch):
            g()
        return
    assert expected == g()


@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_shapes_broadcast_as_numpys(shapes):
    """Any number of them, sizes 0 and 1 included."""
    numpy_or_mismatch(lambda: np.broadcast_shapes(*shapes), lambda: broadcast(shapes))


@given(SHAPES, st.lists(st.integers(-5, 5), max_size=3).map(tuple) | st.integers(-5, 5) | st.none(), st.booleans())
def test_a_reduction_has_numpys_shape(shape, axis, keepdims):
    """For every axis, tuple of axes and None, repeated and missing axes refused."""
    x = np.zeros(shape)
    if not shape and isinstance(axis, int):  # NumPy lets a number be reduced over axis 0 or -1
        with pytest.raises(Mismatch):
            reduced_shape(shape, axis, keepdims)
        return
    numpy_or_mismatch(
        lambda: np.sum(x, axis=axis, keepdims=keepdims).shape, lambda: reduced_shape(shape, axis, keepdims)
    )


@given(st.lists(KINDS, min_size=1, max_size=3).map(tuple))
def test_dtypes_promote_as_numpys(kinds):
    """NEP 50: arrays by their dtypes, Python numbers weakly."""
    expected = np.result_type(*[kind(0) if isinstance(kind, type) else kind for kind in kinds])
    assert ((expected,) * len(kinds), expected) == promoted(kinds)


@given(st.lists(KINDS, min_size=1, max_size=3).map(tuple))
def test_the_floating_rule_keeps_floats_and_makes_others_float64(kinds):
    """The result is always a floating dtype."""
    _, dtype = promoted(kinds)
    operands, result = floating(kinds)
    assert result == (dtype if dtype.kind == "f" else np.dtype("float64"))
    assert set(operands) == {result}


@given(st.lists(KINDS, min_size=1, max_size=3).map(tuple))
def test_the_boolean_rule_promotes_operands_and_gives_bool(kinds):
    """As a comparison."""
    assert (promoted(kinds)[0], np.dtype(bool)) == boolean(kinds)


@given(st.lists(st.sampled_from(DTYPES), min_size=1, max_size=3).map(tuple))
def test_the_keeping_rule_changes_no_dtype(kinds):
    """The result has the first one's."""
    assert (kinds, kinds[0]) == kept(kinds)


@pytest.mark.parametrize(
    "ufunc", [np.add, np.divide, np.exp, np.less, np.logical_and, np.bitwise_and, np.power, np.floor]
)
@given(data=st.data())
def test_a_ufunc_rule_gives_the_dtype_that_the_ufunc_gives(ufunc, data):
    """Or refuses what it refuses."""
    kinds = tuple(data.draw(st.sampled_from(DTYPES)) for _ in range(ufunc.nin))

    def rule():
        return ufunc_rule(ufunc)(kinds)[1]

    with np.errstate(all="ignore"):
        numpy_or_mismatch(lambda: ufunc(*[np.ones(1, kind) for kind in kinds]).dtype, rule, TypeError)


@given(st.integers(-6, 6), st.integers(0, 4))
def test_an_axis_counts_from_the_front(axis, ndim):
    """Or does not exist."""
    numpy_or_mismatch(lambda: range(ndim)[axis], lambda: normalize_axis(axis, ndim), IndexError)


def test_axes_come_sorted_and_none_means_all():
    """One canonical form for equal settings."""
    assert normalize_axes((-1, 0), 3) == (0, 2)
    assert normalize_axes(None, 3) == (0, 1, 2)
    assert normalize_axes((), 3) == ()


@pytest.mark.parametrize("axis", [1.0, "0", None])
def test_an_axis_is_a_whole_number(axis):
    """Anything else is refused with what it was."""
    with pytest.raises(Mismatch, match="whole number"):
        normalize_axis(axis, 3)


def test_an_axis_may_be_any_whole_number_of_numpys():
    """Whatever has __index__."""
    assert normalize_axis(np.int8(-1), 3) == 2


@pytest.mark.parametrize(
    ("shape", "expected"), [(3, (3,)), ((2, 3), (2, 3)), ([], ()), (np.int64(4), (4,)), ((0,), (0,))]
)
def test_a_shape_is_a_size_or_several(shape, expected):
    """As NumPy's functions take it."""
    assert expected == sized(shape)


@pytest.mark.parametrize("shape", [-1, (2, -3), 1.5, ("2",), None])
def test_a_shape_of_anything_else_is_refused(shape):
    """Negative sizes too."""
    with pytest.raises(Mismatch):
        sized(shape)


@given(SHAPES, st.sampled_from(DTYPES))
def test_a_spec_counts_as_its_array(shape, dtype):
    """Axes, elements and bytes."""
    spec, array = Spec(shape, dtype), np.zeros(shape, dtype)
    assert (array.ndim, array.size, array.nbytes) == (spec.ndim, spec.size, spec.nbytes)


def test_a_spec_prints_in_the_form_of_messages():
    """dtype[sizes]."""
    assert str(Spec((64, 1), np.dtype("float32"))) == "float32[64, 1]"
    assert str(Spec((), np.dtype("bool"))) == "bool[]"
