"""Windows of the last two axes, and laying them back."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import lazygrad as lg
from lazygrad.nn.windows import _fold, _window_max, _window_sum, _windows
from lazygrad.testing import check_gradient, check_value

SETTINGS = [((2, 3), (1, 1), (1, 1)), ((3, 2), (2, 1), (1, 1)), ((2, 2), (1, 3), (2, 3)), ((1, 1), (2, 2), (1, 1))]


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def cut(x, size, stride, dilation):
    """Windows by NumPy: of all that lie dense those that are wanted, and in them the elements wanted."""
    covers = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    dense = sliding_window_view(x, covers, axis=(-2, -1))
    return dense[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
@pytest.mark.parametrize("shape", [(7, 8), (2, 3, 7, 8), (0, 7, 8)], ids=str)
def test_windows_are_numpys(shape, size, stride, dilation):
    """Any number of axes in front, also none, and no elements."""
    x = normal(shape)
    check_value(lambda x: lg.nn.windows(x, size, stride, dilation), lambda x: cut(x, size, stride, dilation), x)


@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
def test_windows_of_a_permuted_array_are_numpys(size, stride, dilation):
    """The kernel goes by the strides of its operand, so it needs no contiguous one."""
    x = normal((8, 2, 7))
    check_value(
        lambda x: lg.nn.windows(lg.permute_dims(x, (1, 2, 0))[:, ::-1], size, stride, dilation),
        lambda x: cut(np.transpose(x, (1, 2, 0))[:, ::-1], size, stride, dilation),
        x,
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_windows_are_a_view_of_any_operand(order):
    """Nothing is copied: a change of the operand shows in its windows."""
    x = np.zeros((4, 5, 6)).transpose(order)
    view = _windows.kernel(np, x, size=(2, 2), stride=(1, 1), dilation=(1, 1))
    x[...] = np.arange(x.size).reshape(x.shape)
    assert np.shares_memory(x, view)
    np.testing.assert_array_equal(np.moveaxis(sliding_window_view(x, (2, 2), (-2, -1)), (-2, -1), (0, 1)), view)


@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
def test_folding_adds_up_what_overlaps(size, stride, dilation):
    """Fold is the transpose of windows: ⟨windows(x), c⟩ = ⟨x, fold(c)⟩ for every x, so for every unit."""
    x = normal((2, 7, 8))
    columns = normal(cut(x, size, stride, dilation).shape)
    units = np.eye(x.size).reshape(-1, *x.shape)
    expected = np.array([np.sum(cut(unit, size, stride, dilation) * columns) for unit in units]).reshape(x.shape)
    check_value(lambda c: lg.nn.fold(c, (7, 8), stride, dilation), lambda c: expected, columns, ulps=8)


@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
def test_windows_and_fold_have_all_derivatives(size, stride, dilation):
    """First and second, reverse and forward."""
    x = normal((2, 7, 8))
    check_gradient(lambda x: lg.nn.windows(x, size, stride, dilation), x)
    columns = normal(cut(x, size, stride, dilation).shape)
    check_gradient(lambda c: lg.nn.fold(c, (7, 8), stride, dilation), columns)


@pytest.mark.parametrize("op", [_window_sum, _window_max], ids=["sum", "max"])
@pytest.mark.parametrize(("size", "stride", "dilation"), SETTINGS)
def test_the_pooling_kernels_equal_numpys_reductions(op, size, stride, dilation):
    """Slice by slice gives what a reduction over the windows does, and has its derivatives."""
    x = normal((2, 7, 8))
    reduce = np.sum if op is _window_sum else np.max

    def pooled(x):
        return op(x, size=size, stride=stride, dilation=dilation)

    check_value(pooled, lambda x: reduce(cut(x, size, stride, dilation), axis=(-2, -1)), x, ulps=8)
    check_gradient(pooled, x)


def test_float32_stays_float32(gradient):
    """In values and gradients."""
    x = normal((2, 5, 5)).astype("float32")
    (g,) = gradient(lambda x: lg.nn.fold(lg.square(lg.nn.windows(x, 2)), 5), x)
    assert np.float32 == g.dtype


def test_a_window_that_does_not_fit_is_refused(refusal):
    """With what it covers, its gaps included."""
    assert refusal(lambda x: lg.nn.windows(x, 3, dilation=2), np.ones((2, 5, 4), "float32")) == (
        "cannot take windows of float32[2, 5, 4]\n\n"
        "    PLACE\n\n"
        "    x:  float32[2, 5, 4]   placeholder 'argument0'\n"
        "    A window covers 5 × 5, the padded input 5 × 4; it must fit in."
    )


def test_folding_into_another_size_is_refused(refusal):
    """Into a size that has another number of windows."""
    assert refusal(lambda c: lg.nn.fold(c, 7), np.ones((3, 3, 2, 2), "float32")) == (
        "cannot fold float32[3, 3, 2, 2]\n\n"
        "    PLACE\n\n"
        "    columns:  float32[3, 3, 2, 2]   placeholder 'argument0'\n"
        "    There are 3 × 3 windows, but 7 × 7 elements have 6 × 6."
    )


@pytest.mark.parametrize("size", [0, -1, 1.5, (1, 2, 3), "3", None])
def test_a_size_that_is_not_whole_and_positive_is_refused(refusal, size):
    """And the message says what a size is."""
    message = refusal(lambda x: lg.nn.windows(x, size), np.ones((4, 4)))
    assert message.endswith(f"size is a whole number or two of them, each 1 or more, not {size!r}.")


def test_the_gradient_of_windows_is_one_fold():
    """And nothing that loops over the places of a window in the graph."""
    env = lg.VariableEnvironment(dtype="float64")
    graph = env.trace(lambda ctx, x: lg.grad(lg.nn.windows(x, 2), x), np.ones((4, 4)))
    found = [node.op for node in graph.nodes if node.op.name in ("fold", "windows")]
    assert [_fold] == found
