"""Labels and their vectors."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_one_hot_equals_rows_of_the_unit_matrix(axis, dtype):
    """With the axis of the classes anywhere."""
    labels = np.array([[0, 2, 3], [3, 3, 1]])
    check_value(
        lambda labels: lg.nn.one_hot(labels, 4, dtype=dtype, axis=axis),
        lambda labels: np.moveaxis(np.eye(4, dtype=dtype)[labels], -1, axis),
        labels,
    )


def test_one_hot_has_the_environments_dtype():
    """Labels have none for it."""
    for dtype in ("float32", "float64"):
        y = lg.VariableEnvironment(dtype=dtype).run(lambda ctx: lg.nn.one_hot([1, 0], 2))
        assert dtype == y.dtype
        np.testing.assert_array_equal([[0, 1], [1, 0]], y)


def test_one_hot_of_one_label_and_of_none(value):
    """Any number of axes, and no elements."""
    np.testing.assert_array_equal([0, 0, 1], value(lambda x: lg.nn.one_hot(x, 3), np.array(2)))
    assert (0, 3) == value(lambda x: lg.nn.one_hot(x, 3), np.zeros(0, int)).shape


@pytest.mark.parametrize(("labels", "bad"), [([0, 4], 4), ([0, -1], -1)])
def test_a_label_out_of_range_is_an_error(labels, bad):
    """When it is evaluated, at the line that wrote it."""
    with pytest.raises(IndexError) as caught:
        lg.VariableEnvironment().run(lambda ctx, x: lg.nn.one_hot(x, 4), np.array(labels))
    assert str(caught.value) == (
        f"label {bad} is out of range: there are 4 classes\n\n    Labels are whole numbers from 0 to 3."
    )
    assert "test_embedding.py" in caught.value.__notes__[0]


def test_labels_of_floats_are_refused(refusal):
    """They are whole numbers."""
    assert refusal(lambda x: lg.nn.one_hot(x, 4), np.ones(3, "float32")) == (
        "cannot one_hot float32[3]\n\n"
        "    PLACE\n\n"
        "    labels:  float32[3]   placeholder 'argument0'\n"
        "    Labels are whole numbers: cast them with .astype(int)."
    )
    message = refusal(lg.nn.embedding, np.ones((4, 2), "float32"), np.ones(3, "float32"))
    assert message.endswith("    Labels are whole numbers: cast them with .astype(int).")


@pytest.mark.parametrize("count", [-1, 2.0, True, None])
def test_a_count_that_is_not_whole_is_refused(refusal, count):
    """Or is negative."""
    message = refusal(lambda x: lg.nn.one_hot(x, count), np.ones(3, int))
    assert message.endswith(f"    count is a whole number, 0 or more, not {count!r}.")


def test_an_embedding_is_the_rows_of_a_table():
    """For labels of any shape; a row taken twice gets both cotangents."""
    table, labels = np.random.default_rng(0).normal(size=(5, 2)), np.array([[4, 1, 1], [0, 4, -1]])
    check_value(lg.nn.embedding, lambda table, labels: table[labels], table, labels)
    check_gradient(lg.nn.embedding, table, labels)


def test_a_table_without_axes_is_refused(refusal):
    """It has no rows."""
    message = refusal(lg.nn.embedding, np.ones((), "float32"), np.ones(3, int))
    assert message.endswith("    A table has a row for every label; this one has no axes.")
