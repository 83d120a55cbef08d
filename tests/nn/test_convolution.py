"""Two-dimensional convolution and its transpose."""

import numpy as np
import pytest
from scipy.signal import correlate2d

import lazygrad as lg
from lazygrad.nn import convolution
from lazygrad.testing import check_gradient, check_value

# x, w, and settings; of the transpose the same, read backwards.
CASES = [
    ((2, 3, 5, 5), (2, 3, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 3, 5, 5), (2, 3, 2, 2), {}),
    ((1, 1, 6, 7), (1, 1, 1, 1), {"stride": 3}),
    ((2, 4, 6, 7), (6, 2, 3, 2), {"groups": 2, "stride": (1, 2)}),
    ((3, 4, 7, 5), (8, 1, 2, 3), {"groups": 4, "padding": (2, 1)}),
    ((1, 2, 8, 9), (3, 2, 3, 2), {"dilation": (2, 3), "padding": ((0, 2), (3, 1))}),
    ((2, 2, 7, 6), (2, 1, 2, 3), {"groups": 2, "dilation": 2, "stride": (2, 1), "padding": 1}),
    ((2, 2, 6, 5), (3, 2, 5, 1), {"padding": "valid"}),
    ((2, 2, 6, 5), (3, 2, 4, 3), {"padding": "same"}),
    ((2, 2, 7, 6), (3, 2, 4, 3), {"padding": "same", "stride": (3, 2)}),
    ((0, 2, 4, 4), (3, 2, 3, 3), {}),
]


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def both(value):
    """A setting for rows and columns."""
    return value if isinstance(value, tuple) else (value, value)


def ends_of(padding, sizes, kernel, stride, dilation):
    """Zeros before and after rows and columns."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        ends = []
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
            total = max(0, (int(np.ceil(n / s)) - 1) * s + d * (k - 1) + 1 - n)
            ends.append((total // 2, total - total // 2))
        return tuple(ends)
    p, q = both(padding)
    return (p, q) if isinstance(p, tuple) else ((p, p), (q, q))


def looped(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The convolution as its definition says, place by place."""
    stride, dilation = both(stride), both(dilation)
    x = np.pad(x, ((0, 0), (0, 0), *ends_of(padding, x.shape[2:], w.shape[2:], stride, dilation)))
    n, _, height, width = x.shape
    out, depth, kh, kw = w.shape
    rows = (height - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, out, rows, columns), np.result_type(x, w))
    for o in range(out):
        first = o // (out // groups) * depth
        for r in range(rows):
            for c in range(columns):
                for i in range(kh):
                    for j in range(kw):
                        seen = x[
                            :, first : first + depth, r * stride[0] + i * dilation[0], c * stride[1] + j * dilation[1]
                        ]
                        y[:, o, r, c] += seen @ w[o, :, i, j]
    return y if bias is None else y + bias[:, None, None]


def looped_transpose(x, w, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """The transpose as its definition says: every element lays a filter, and what lies together adds up."""
    stride, dilation, extra = both(stride), both(dilation), both(output_padding)
    n, channels, rows, columns = x.shape
    _, depth, kh, kw = w.shape
    height = (rows - 1) * stride[0] + dilation[0] * (kh - 1) + 1 + extra[0]
    width = (columns - 1) * stride[1] + dilation[1] * (kw - 1) + 1 + extra[1]
    y = np.zeros((n, depth * groups, height, width))
    for c in range(channels):
        group = c // (channels // groups)
        for r in range(rows):
            for q in range(columns):
                for i in range(kh):
                    for j in range(kw):
                        laid = x[:, c, r, q, None] * w[c, :, i, j]
                        into = y[:, group * depth : (group + 1) * depth]
                        into[:, :, r * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]] += laid
    (top, bottom), (left, right) = ends_of(padding, None, None, None, None)
    y = y[:, :, top : height - bottom, left : width - right]
    return y if bias is None else y + bias[:, None, None]


def ids(case):
    """A name for a case."""
    return str(case)


@pytest.fixture(params=["image by image", "whole batch"])
def layout(request, monkeypatch):
    """Both ways of laying out the product; small filters would only meet the first."""
    if request.param == "whole batch":
        monkeypatch.setattr(convolution, "LARGE", 0)
    return request.param


@pytest.mark.parametrize(("x_shape", "w_shape", "settings"), CASES, ids=ids)
def test_a_convolution_equals_its_definition(layout, x_shape, w_shape, settings):
    """Strides, paddings, dilations, groups, and filters that are not square; with a bias too."""
    x, w, b = normal(x_shape), normal(w_shape), normal(w_shape[0])
    check_value(lambda x, w: lg.nn.conv2d(x, w, **settings), lambda x, w: looped(x, w, **settings), x, w, ulps=32)
    check_value(
        lambda x, w, b: lg.nn.conv2d(x, w, b, **settings), lambda x, w, b: looped(x, w, b, **settings), x, w, b, ulps=32
    )


@pytest.mark.parametrize(("x_shape", "w_shape", "settings"), CASES[:-1], ids=ids)
def test_a_convolution_has_all_derivatives(layout, x_shape, w_shape, settings):
    """For images, filters and bias; first and second, reverse and forward, mixed ones too."""
    x, w, b = normal(x_shape), normal(w_shape), normal(w_shape[0])
    check_gradient(lambda x, w, b: lg.nn.conv2d(x, w, b, **settings), x, w, b)


def test_a_convolution_of_one_channel_is_scipys_correlation():
    """An independent library says the same."""
    x, w = normal((9, 8)), normal((3, 4))
    check_value(
        lambda x, w: lg.nn.conv2d(x, w), lambda x, w: correlate2d(x[0, 0], w[0, 0], "valid")[None, None],
        x[None, None], w[None, None], ulps=16,
    )  # fmt: skip


def test_a_convolution_of_no_images_has_gradients(gradient):
    """Zeros for the filters, nothing for the images."""
    x, w, b = np.ones((0, 2, 4, 4)), np.ones((3, 2, 3, 3)), np.ones(3)
    of_x, of_w, of_b = gradient(lg.nn.conv2d, x, w, b)
    assert x.shape == of_x.shape
    np.testing.assert_array_equal(np.zeros(w.shape), of_w)
    np.testing.assert_array_equal(np.zeros(3), of_b)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "settings"),
    [
        ((3, 2, 2, 2), (2, 3, 2, 2), {}),
        ((2, 4, 3, 2), (4, 2, 3, 2), {"stride": 2}),
        ((2, 4, 3, 2), (4, 1, 3, 2), {"stride": (2, 3), "groups": 2, "output_padding": (1, 2)}),
        ((1, 2, 3, 4), (2, 3, 3, 2), {"dilation": (2, 3), "padding": ((1, 0), (2, 1))}),
        ((2, 4, 3, 3), (4, 3, 2, 3), {"groups": 4, "padding": 1, "stride": (3, 2), "output_padding": (2, 1)}),
        ((1, 1, 2, 2), (1, 1, 2, 2), {"dilation": 3, "output_padding": (2, 0), "stride": 2}),
        ((1, 1, 3, 3), (1, 1, 1, 1), {"padding": "valid", "stride": 4, "output_padding": 3}),
        ((2, 2, 3, 3), (2, 1, 3, 3), {"padding": (1, 2), "groups": 2}),
    ],
    ids=ids,
)
class TestTranspose:
    """The transpose, in all its settings."""

    def test_it_equals_its_definition(self, layout, x_shape, w_shape, settings):
        """Each element lays its filter, and what lies together adds up."""
        x, w = normal(x_shape), normal(w_shape)
        b = normal(w_shape[1] * settings.get("groups", 1))
        check_value(
            lambda x, w: lg.nn.conv2d_transpose(x, w, **settings),
            lambda x, w: looped_transpose(x, w, **settings),
            x, w, ulps=32,
        )  # fmt: skip
        check_value(
            lambda x, w, b: lg.nn.conv2d_transpose(x, w, b, **settings),
            lambda x, w, b: looped_transpose(x, w, b, **settings),
            x, w, b, ulps=32,
        )  # fmt: skip

    def test_it_has_all_derivatives(self, layout, x_shape, w_shape, settings):
        """First and second, reverse and forward."""
        x, w = normal(x_shape), normal(w_shape)
        b = normal(w_shape[1] * settings.get("groups", 1))
        check_gradient(lambda x, w, b: lg.nn.conv2d_transpose(x, w, b, **settings), x, w, b)

    def test_it_is_the_adjoint_of_the_convolution(self, value, x_shape, w_shape, settings):
        """⟨conv(z), x⟩ = ⟨z, transpose(x)⟩ for images z of the size that the transpose makes."""
        settings = dict(settings)
        x, w = normal(x_shape), normal(w_shape)
        y = value(lambda x, w: lg.nn.conv2d_transpose(x, w, **settings), x, w)
        settings.pop("output_padding", None)
        z = normal(y.shape)
        forward = value(lambda z, w: lg.nn.conv2d(z, w, **settings), z, w)
        np.testing.assert_allclose(np.sum(z * y), np.sum(forward[:, :, : x_shape[2], : x_shape[3]] * x), rtol=1e-11)


def test_the_gradient_of_a_convolution_is_its_transpose(value):
    """Also where the windows do not tile the image, so that its last rows have no gradient."""
    x, w, g = normal((2, 3, 6, 6)), normal((4, 3, 3, 3)), normal((2, 4, 2, 2))
    of_x = value(lambda x, w, g: lg.grad(lg.nn.conv2d(x, w, stride=2), x, g), x, w, g)
    back = value(lambda g, w: lg.nn.conv2d_transpose(g, w, stride=2, output_padding=1), g, w)
    np.testing.assert_allclose(of_x, back, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.zeros((2, 3, 6)), of_x[:, :, -1])


def test_large_filters_are_one_product_for_the_whole_batch():
    """The layout goes by the size of the filters, and small ones keep the batch in front."""
    env = lg.VariableEnvironment()

    def products(x, w):
        graph = env.trace(lambda ctx, x, w: lg.nn.conv2d(x, w), np.ones(x, "float32"), np.ones(w, "float32"))
        return [node.spec.shape for node in graph.nodes if node.op.name == "matmul"]

    for expected, x, w in (
        ((1, 64, 256), (4, 32, 12, 12), (64, 32, 5, 5)),
        ((4, 1, 4, 64), (4, 1, 12, 12), (4, 1, 5, 5)),
    ):
        assert [expected] == products(x, w)


def test_float32_stays_float32(value, layout):
    """In the value and in every gradient."""
    x, w, b = (normal(s).astype("float32") for s in ((2, 2, 5, 5), (3, 2, 3, 3), (3,)))

    def step(x, w, b):
        y = lg.nn.conv2d(x, w, b, padding="same", stride=2)
        back = lg.nn.conv2d_transpose(y, w, stride=2)
        return [y, back, *lg.grad(lg.square(back), [x, w, b])]

    assert {np.dtype("float32")} == {y.dtype for y in value(step, x, w, b)}


# ML Kit's own test: two channels of 3 × 3, two filters of 2 × 2 and a bias for each.
ML_KIT = (
    np.array([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]], [[9, 8, 7], [6, 5, 4], [3, 2, 1]]]]),
    np.array([[[[1.0, 2], [3, 4]], [[1, 0], [0, 0]]], [[[1, 1], [1, 1]], [[0, 0], [0, 1]]]]),
    np.array([1.0, 5.0]),
)


def test_ml_kits_convolution():
    """Its result, to the bit."""
    expected = np.array([[[[47.0, 56], [74, 83]], [[22, 25], [31, 34]]]])
    check_value(lg.nn.conv2d, lambda *_: expected, *ML_KIT)


def test_ml_kits_convolution_has_its_gradients(value):
    """Of images, filters and biases, for the cotangent of its test."""
    g = np.array([[[[1.0, 1], [1, 1]], [[2, 1], [1, 1]]]])
    of_x, of_w, of_b = value(lambda x, w, b, g: lg.grad(lg.nn.conv2d(x, w, b), [x, w, b], g), *ML_KIT, g)
    np.testing.assert_array_equal([[[[3, 6, 3], [7, 15, 8], [4, 9, 5]], [[1, 1, 0], [1, 3, 1], [0, 1, 1]]]], of_x)
    first, second = [[[12, 16], [24, 28]], [[28, 24], [16, 12]]], [[[13, 18], [28, 33]], [[37, 32], [22, 17]]]
    np.testing.assert_array_equal([first, second], of_w)
    np.testing.assert_array_equal([4, 5], of_b)


# Bad input.


def images(*shapes):
    """Arrays of ones."""
    return [np.ones(shape, "float32") for shape in shapes]


def test_channels_that_do_not_match_are_refused(refusal):
    """Both counts are named, and both operands."""
    assert refusal(lg.nn.conv2d, *images((1, 3, 5, 5), (2, 4, 3, 3))) == (
        "cannot conv2d float32[1, 3, 5, 5] and float32[2, 4, 3, 3]\n\n"
        "    PLACE\n\n"
        "    x:  float32[1, 3, 5, 5]   placeholder 'argument0'\n"
        "    w:  float32[2, 4, 3, 3]   placeholder 'argument1'\n"
        "    The filters look at 4 channels, but x has 3 channels."
    )


def test_channels_that_do_not_match_the_groups_are_refused(refusal):
    """The filters see only the channels of their group."""
    message = refusal(lambda x, w: lg.nn.conv2d(x, w, groups=2), *images((1, 6, 5, 5), (4, 6, 3, 3)))
    assert message.endswith("The filters look at 6 channels of each of 2 groups, but x has 6 channels.")


@pytest.mark.parametrize(
    ("x", "w", "groups", "cure"),
    [
        ((1, 3, 5, 5), (2, 3, 3, 3), 2, "3 channels of x cannot be divided into 2 groups."),
        ((1, 4, 5, 5), (3, 2, 3, 3), 2, "3 channels of w cannot be divided into 2 groups."),
        ((1, 4, 5, 5), (4, 4, 3, 3), 0, "groups is a whole number, 1 or more, not 0."),
        ((1, 4, 5, 5), (4, 4, 3, 3), 1.0, "groups is a whole number, 1 or more, not 1.0."),
    ],
)
def test_groups_that_do_not_divide_the_channels_are_refused(refusal, x, w, groups, cure):
    """And so is what is no number of groups."""
    assert refusal(lambda x, w: lg.nn.conv2d(x, w, groups=groups), *images(x, w)).endswith(f"    {cure}")


def test_a_filter_larger_than_the_padded_image_is_refused(refusal):
    """With what it covers, and the image with its padding."""
    x, w, b = images((1, 1, 3, 4), (1, 1, 3, 3), (1,))
    assert refusal(lambda x, w, b: lg.nn.conv2d(x, w, b, padding=(0, 1), dilation=2), x, w, b) == (
        "cannot conv2d float32[1, 1, 3, 4] and float32[1, 1, 3, 3] and float32[1]\n\n"
        "    PLACE\n\n"
        "    x:     float32[1, 1, 3, 4]   placeholder 'argument0'\n"
        "    w:     float32[1, 1, 3, 3]   placeholder 'argument1'\n"
        "    bias:  float32[1]            placeholder 'argument2'\n"
        "    A window covers 5 × 5, the padded input 3 × 6; it must fit in."
    )


def test_the_error_is_at_the_line_that_says_it():
    """Not at a line of lazygrad, and not where the gradient or the value is asked for."""
    x, w = images((1, 3, 5, 5), (2, 4, 3, 3))

    def step(ctx, x, w):
        return lg.nn.conv2d(x, w, padding=1)

    with pytest.raises(lg.SpecError) as caught:
        lg.VariableEnvironment().run(step, x, w)
    line = step.__code__.co_firstlineno + 1
    assert "return lg.nn.conv2d(x, w, padding=1)" in str(caught.value)
    assert f"test_convolution.py:{line}, in step" in str(caught.value)


def test_a_wrong_number_of_axes_is_refused(refusal):
    """An image without the axis of the batch, say."""
    assert refusal(lg.nn.conv2d, *images((3, 5, 5), (2, 3, 3, 3))) == (
        "cannot conv2d float32[3, 5, 5] and float32[2, 3, 3, 3]\n\n"
        "    PLACE\n\n"
        "    x:  float32[3, 5, 5]      placeholder 'argument0'\n"
        "    w:  float32[2, 3, 3, 3]   placeholder 'argument1'\n"
        "    x has the axes (image, channel, row, column), w has two of channels and then row and column; "
        "x has 3 axes, w has 4."
    )


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"padding": -1}, "padding is a whole number or two of them, each 0 or more, not -1."),
        (
            {"padding": ((0, -1), (0, 0))},
            "padding of the rows is a whole number or two of them, each 0 or more, not (0, -1).",
        ),
        ({"padding": "some"}, "padding is numbers, 'same' or 'valid', not 'some'."),
        ({"stride": 0}, "stride is a whole number or two of them, each 1 or more, not 0."),
        ({"dilation": (1, 0)}, "dilation is a whole number or two of them, each 1 or more, not (1, 0)."),
    ],
)
def test_settings_out_of_range_are_refused(refusal, settings, cure):
    """Each by its name, in both directions."""
    x, w = images((1, 1, 5, 5), (1, 1, 3, 3))
    assert refusal(lambda x, w: lg.nn.conv2d(x, w, **settings), x, w).endswith(f"    {cure}")
    assert refusal(lambda x, w: lg.nn.conv2d_transpose(x, w, **settings), x, w).endswith(f"    {cure}")


def test_a_bias_of_another_shape_is_refused(refusal):
    """It would broadcast along the columns."""
    message = refusal(lg.nn.conv2d, *images((1, 1, 5, 5), (2, 1, 3, 3), (3,)))
    assert message.endswith("    The result has 2 channels, so bias must have the shape [2].")


def test_no_channels_are_refused(refusal):
    """There is no product of nothing to add up."""
    message = refusal(lg.nn.conv2d, *images((1, 0, 5, 5), (2, 0, 3, 3)))
    assert message.endswith("    Only the number of images may be 0.")


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        (
            {"output_padding": 2, "stride": 2},
            "output_padding is (2, 2); it must be less than stride (2, 2) or dilation (1, 1).",
        ),
        ({"padding": "same"}, "padding='same' is not known here, as several sizes would do: give numbers."),
        ({"padding": 3}, "The result is 6 × 6, of which padding ((3, 3), (3, 3)) leaves nothing."),
    ],
)
def test_settings_that_the_transpose_cannot_have_are_refused(refusal, settings, cure):
    """What has no one meaning there."""
    x, w = images((1, 1, 4, 4), (1, 1, 3, 3))
    assert refusal(lambda x, w: lg.nn.conv2d_transpose(x, w, **settings), x, w).endswith(f"    {cure}")


def test_the_transpose_refuses_filters_for_other_channels(refusal):
    """Its filters begin with the channels of x."""
    assert refusal(lg.nn.conv2d_transpose, *images((1, 2, 3, 3), (3, 2, 2, 2))) == (
        "cannot conv2d_transpose float32[1, 2, 3, 3] and float32[3, 2, 2, 2]\n\n"
        "    PLACE\n\n"
        "    x:  float32[1, 2, 3, 3]   placeholder 'argument0'\n"
        "    w:  float32[3, 2, 2, 2]   placeholder 'argument1'\n"
        "    There are filters for 3 channels, but x has 2."
    )
