"""Pooling of windows."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value

POOLS = {
    "max": (lg.nn.max_pool2d, np.max, -np.inf),
    "sum": (lg.nn.sum_pool2d, np.sum, 0),
    "avg": (lg.nn.avg_pool2d, np.mean, 0),
}
SETTINGS = [
    {"window": 2},
    {"window": 2, "stride": 1},
    {"window": (2, 3), "stride": (3, 1)},
    {"window": 3, "stride": 2, "padding": 1},
    {"window": (3, 2), "padding": ((0, 1), (1, 0))},
    {"window": 2, "dilation": (2, 3), "stride": 1},
    {"window": 3, "padding": "same", "stride": 1},
    {"window": 2, "padding": "same", "stride": (2, 3)},
    {"window": (2, 2), "padding": "valid"},
    {"window": 1},
]


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def both(value):
    """A setting for rows and columns."""
    return value if isinstance(value, tuple) else (value, value)


def looped(x, reduce, fill, window, stride=None, padding=0, dilation=1):
    """Pooling as its definition says, window by window."""
    window, dilation = both(window), both(dilation)
    stride = window if stride is None else both(stride)
    covers = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    if padding == "same":
        total = [max(0, (-(-n // s) - 1) * s + c - n) for n, s, c in zip(x.shape[-2:], stride, covers, strict=True)]
        padding = tuple((t // 2, t - t // 2) for t in total)
    padding = 0 if padding == "valid" else padding
    ends = tuple(e if isinstance(e, tuple) else (e, e) for e in both(padding))
    x = np.pad(x, ((0, 0),) * (x.ndim - 2) + ends, constant_values=fill)
    rows, columns = ((n - c) // s + 1 for n, c, s in zip(x.shape[-2:], covers, stride, strict=True))
    y = np.empty((*x.shape[:-2], rows, columns), x.dtype)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride[0], c * stride[1]
            part = x[..., top : top + covers[0] : dilation[0], left : left + covers[1] : dilation[1]]
            y[..., r, c] = reduce(part, axis=(-2, -1))
    return y


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 6, 5), (0, 2, 6, 5)], ids=str)
def test_a_pool_equals_its_definition(name, settings, shape):
    """Windows, strides, paddings, dilations; any number of axes in front, and no elements."""
    pool, reduce, fill = POOLS[name]
    x = normal(shape)
    check_value(lambda x: pool(x, **settings), lambda x: looped(x, reduce, fill, **settings), x, ulps=8)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", POOLS)
def test_a_pool_has_all_derivatives(name, settings):
    """First and second, reverse and forward."""
    pool, _, _ = POOLS[name]
    check_gradient(
        lambda x: pool(x, **settings), np.random.default_rng(0).permutation(np.arange(60.0)).reshape(2, 6, 5) / 10
    )


@pytest.mark.parametrize("name", POOLS)
def test_float32_stays_float32(value, name):
    """In the value and the gradient."""
    pool, _, _ = POOLS[name]
    x = normal((2, 5, 5)).astype("float32")
    y, g = value(lambda x: [pool(x, 3, 2, 1), lg.grad(lg.square(pool(x, 3, 2, 1)), x)], x)
    assert (np.float32, np.float32) == (y.dtype, g.dtype)


def test_rust_autograds_maximum():
    """The case of the crate's own test: 3 × 3, windows of 2, stride 1."""
    x = np.array([0.0, 1, 2, 5, 4, 3, 6, 7, 8]).reshape(1, 1, 3, 3)
    check_value(lambda x: lg.nn.max_pool2d(x, 2, 1), lambda x: np.array([5.0, 4, 7, 8]).reshape(1, 1, 2, 2), x)


def test_rust_autograds_maximum_has_its_gradient(gradient):
    """The winners, elements 3, 4, 7 and 8, get the cotangents."""
    x = np.array([0.0, 1, 2, 5, 4, 3, 6, 7, 8]).reshape(1, 1, 3, 3)
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2, 1), x)
    np.testing.assert_array_equal([[[[0, 0, 0], [1, 1, 0], [0, 1, 1]]]], g)


def test_ml_kits_pools(value):
    """The case of its own test: windows of 2, stride 1, two channels."""
    x = np.array([[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], [[9, 8, 7], [6, 5, 4], [3, 2, 1]]])
    high, total, middle = value(lambda x: [pool(x, 2, 1) for pool, _, _ in POOLS.values()], x)
    np.testing.assert_array_equal([[[5, 6], [8, 9]], [[9, 8], [6, 5]]], high)
    np.testing.assert_array_equal([[[12, 16], [24, 28]], [[28, 24], [16, 12]]], total)
    np.testing.assert_array_equal([[[3, 4], [6, 7]], [[7, 6], [4, 3]]], middle)


def test_windows_that_do_not_tile_leave_the_rest_without_gradient(gradient):
    """5 × 5 with windows of 2: the last row and column are in no window (defect 8 of the Rust crate)."""
    x = np.random.default_rng(0).permutation(np.arange(25.0)).reshape(1, 1, 5, 5)
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2, 2), x)
    assert x.shape == g.shape
    expected = np.zeros((5, 5))
    for r in (0, 2):
        for c in (0, 2):
            i, j = divmod(int(np.argmax(x[0, 0, r : r + 2, c : c + 2])), 2)
            expected[r + i, c + j] = 1
    np.testing.assert_array_equal(expected, g[0, 0])


def test_padding_never_wins(gradient, value):
    """All numbers are negative, the padding is lower still (defect 8 of the Rust crate)."""
    x = np.array([[-1.0, -2], [-3, -4]])
    np.testing.assert_array_equal([[-1, -2], [-3, -4]], value(lambda x: lg.nn.max_pool2d(x, 2, 2, 1), x))
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2, 2, 1), x)
    np.testing.assert_array_equal(np.ones((2, 2)), g)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_the_maximum_of_whole_numbers_keeps_their_dtype(dtype):
    """And what is around them never wins."""
    x = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype)
    low = np.array(0, dtype) if dtype != "int32" else -5
    check_value(lambda x: lg.nn.max_pool2d(x, 2, 2, 1), lambda x: looped(x, np.max, low, window=2, padding=1), x)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool"])
def test_sums_and_means_of_whole_numbers_do_not_overflow(dtype):
    """Pixels of 200, four of them; dtypes as those of NumPy's own sum and mean."""
    x = np.full((4, 4), 200).astype(dtype)
    check_value(lambda x: lg.nn.sum_pool2d(x, 2), lambda x: np.full((2, 2), np.sum(x[:2, :2])), x)
    check_value(lambda x: lg.nn.avg_pool2d(x, 2), lambda x: np.full((2, 2), np.mean(x[:2, :2])), x)
    for counted, corner in ((True, np.mean([x[0, 0], 0, 0, 0])), (False, np.mean(x[:1, :1]))):
        check_value(
            lambda x, c=counted: lg.nn.avg_pool2d(x, 2, 5, 1, count_include_pad=c),
            lambda x, y=corner: np.full((1, 1), y),
            x,
        )


def test_elements_that_tie_share_the_gradient_equally(gradient):
    """As in lg.max: the gradient for a constant is the same everywhere."""
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2), np.ones((4, 4)))
    np.testing.assert_array_equal(np.full((4, 4), 0.25), g)


@pytest.mark.parametrize(
    "settings",
    [
        {"window": 2, "padding": 1},
        {"window": 3, "stride": 1, "padding": 1},
        {"window": 3, "stride": 2, "padding": ((1, 0), (0, 1))},
        {"window": 2, "stride": 1, "padding": "same"},
        {"window": 2, "stride": 1, "padding": 1, "dilation": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("front", [(), (2,), (2, 3)], ids=str)
def test_padding_takes_no_part_in_the_gradient(gradient, front, settings):
    """Also of an image of −∞, which ties with it: every window gives all of its cotangent to elements."""
    pool = lambda x: lg.nn.max_pool2d(x, **settings)  # noqa: E731
    for low in (-np.inf, -np.finfo("float64").max, 0.0):
        x = np.full((*front, 4, 5), low)
        windows = lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: pool(x), x).size
        (g,) = gradient(pool, x)
        assert g.sum() == pytest.approx(windows, rel=1e-12)
        (same,) = gradient(pool, np.zeros(x.shape))
        np.testing.assert_allclose(g, same, rtol=1e-12)


def test_of_two_infinities_at_the_border_each_gets_half(gradient):
    """The corner window holds one element and three of padding, the next one two and two."""
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2, stride=(9, 1), padding=1), np.full((2, 2), -np.inf))
    np.testing.assert_array_equal([[1.5, 1.5], [0, 0]], g)
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2, stride=2, padding=((1, 0), (0, 0))), np.full((1, 2), -np.inf))
    np.testing.assert_array_equal([[0.5, 0.5]], g)


def test_a_maximum_of_minus_infinity_has_no_nan_in_its_gradient(gradient):
    """Where all lose, all tie."""
    (g,) = gradient(lambda x: lg.nn.max_pool2d(x, 2), np.full((2, 2), -np.inf))
    np.testing.assert_array_equal(np.full((2, 2), 0.25), g)


def test_the_mean_counts_the_padding_unless_told_not_to(value):
    """Corners of a padded image have four elements of nine."""
    x = np.ones((3, 3))
    with_zeros, without = value(
        lambda x: [lg.nn.avg_pool2d(x, 3, 1, 1), lg.nn.avg_pool2d(x, 3, 1, 1, count_include_pad=False)], x
    )
    np.testing.assert_allclose(np.array([[4, 6, 4], [6, 9, 6], [4, 6, 4]]) / 9, with_zeros, rtol=1e-15)
    np.testing.assert_array_equal(np.ones((3, 3)), without)


def test_the_mean_without_the_padding_has_all_derivatives():
    """Each sum is divided by its own count."""
    check_gradient(lambda x: lg.nn.avg_pool2d(x, 3, 2, 1, count_include_pad=False), normal((2, 5, 4)))


def test_a_window_larger_than_the_input_is_refused(refusal):
    """With what it covers."""
    assert refusal(lambda x: lg.nn.max_pool2d(x, (2, 4)), np.ones((1, 3, 3), "float32")) == (
        "cannot max_pool2d float32[1, 3, 3]\n\n"
        "    PLACE\n\n"
        "    x:  float32[1, 3, 3]   placeholder 'argument0'\n"
        "    A window covers 2 × 4, the padded input 3 × 3; it must fit in."
    )


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"window": 3, "padding": 2}, "padding is ((2, 2), (2, 2)); half a window, which covers 3 × 3, is the most."),
        ({"window": 0}, "window is a whole number or two of them, each 1 or more, not 0."),
        ({"window": 2, "stride": -1}, "stride is a whole number or two of them, each 1 or more, not -1."),
        ({"window": 2, "padding": -1}, "padding is a whole number or two of them, each 0 or more, not -1."),
        ({"window": 2, "dilation": 0}, "dilation is a whole number or two of them, each 1 or more, not 0."),
    ],
)
@pytest.mark.parametrize("name", POOLS)
def test_settings_out_of_range_are_refused(refusal, name, settings, cure):
    """Each by its name."""
    message = refusal(lambda x: POOLS[name][0](x, **settings), np.ones((6, 6), "float32"))
    assert message.startswith(f"cannot {name}_pool2d float32[6, 6]\n")
    assert message.endswith(f"    {cure}")


def test_one_axis_is_refused(refusal):
    """A window has two."""
    assert refusal(lambda x: lg.nn.avg_pool2d(x, 2), np.ones(4)).endswith(
        "    A window has rows and columns; x has 1 axes."
    )
