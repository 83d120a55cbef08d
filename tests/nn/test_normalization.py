"""Normalisation."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def standard(x, axis, eps=1e-5):
    """(x − mean) / √(variance + eps)."""
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + eps)


@pytest.mark.parametrize("axis", [0, -1, (0, 2), None])
def test_normalize_equals_its_formula(axis):
    """Over any axes; the variance is divided by n."""
    x = 2 + 3 * normal((4, 3, 5))
    check_value(lambda x: lg.nn.normalize(x, axis=axis), lambda x: standard(x, axis), x, ulps=8)
    check_value(lambda x: lg.nn.normalize(x, axis=axis, eps=0.1), lambda x: standard(x, axis, 0.1), x, ulps=8)
    check_gradient(lambda x: lg.nn.normalize(x, axis=axis), x)


@pytest.mark.parametrize(("axis", "sizes", "laid"), [(-1, (5,), (5,)), (1, (3,), (3, 1)), ((1, 2), (3, 5), (3, 5))])
def test_layer_norm_equals_its_formula(axis, sizes, laid):
    """With scale and shift of the sizes of the axes, or without."""
    x, scale, shift = normal((4, 3, 5)), normal(sizes), normal(sizes, 1)
    check_value(lambda x: lg.nn.layer_norm(x, axis=axis), lambda x: standard(x, axis), x, ulps=8)
    check_value(
        lambda x, a, b: lg.nn.layer_norm(x, a, b, axis=axis),
        lambda x, a, b: standard(x, axis) * a.reshape(laid) + b.reshape(laid), x, scale, shift, ulps=8,
    )  # fmt: skip
    check_gradient(lambda x, a, b: lg.nn.layer_norm(x, a, b, axis=axis), x, scale, shift)


def test_rms_norm_equals_its_formula():
    """Nothing is subtracted."""
    x, scale = normal((4, 5)), normal(5)
    check_value(
        lg.nn.rms_norm, lambda x, a: x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5) * a, x, scale, ulps=8
    )
    check_gradient(lg.nn.rms_norm, x, scale)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm_equals_its_formula(groups):
    """Channel by channel where there are as many groups."""
    x, scale, shift = normal((3, 4, 2, 5)), normal(4), normal(4, 1)

    def reference(x, a, b):
        y = standard(x.reshape(3, groups, -1), 2).reshape(x.shape)
        return y * a[:, None, None] + b[:, None, None]

    check_value(lambda x, a, b: lg.nn.group_norm(x, groups, a, b), reference, x, scale, shift, ulps=8)
    check_gradient(lambda x, a, b: lg.nn.group_norm(x, groups, a, b), x, scale, shift)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 2)], ids=str)
def test_batch_norm_in_training_takes_the_statistics_of_the_batch(shape):
    """Of every axis but the second."""
    axes = tuple(i for i in range(len(shape)) if i != 1)
    laid = (3,) + (1,) * (len(shape) - 2)
    x, scale, shift = 1 + normal(shape), normal(3), normal(3, 1)
    check_value(lg.nn.batch_norm, lambda x: standard(x, axes), x, ulps=8)
    check_value(
        lg.nn.batch_norm,
        lambda x, a, b: standard(x, axes) * a.reshape(laid) + b.reshape(laid), x, scale, shift, ulps=8,
    )  # fmt: skip
    check_gradient(lg.nn.batch_norm, x, scale, shift)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 2)], ids=str)
def test_batch_norm_in_use_takes_the_statistics_given(shape):
    """And has derivatives for them too."""
    laid = (3,) + (1,) * (len(shape) - 2)
    x, scale, shift, mean, variance = 1 + normal(shape), normal(3), normal(3, 1), normal(3, 2), np.abs(normal(3, 3))

    def reference(x, a, b, m, v):
        a, b, m, v = (p.reshape(laid) for p in (a, b, m, v))
        return (x - m) / np.sqrt(v + 1e-5) * a + b

    check_value(lg.nn.batch_norm, reference, x, scale, shift, mean, variance, ulps=8)
    check_gradient(lg.nn.batch_norm, x, scale, shift, mean, variance)


def test_batch_norm_takes_other_axes():
    """Channels at the end: the parameters have the sizes of the axes that are left."""
    x, scale, shift = normal((4, 2, 3)), normal(3), normal(3, 1)
    check_value(
        lambda x, a, b: lg.nn.batch_norm(x, a, b, axis=(0, 1)),
        lambda x, a, b: standard(x, (0, 1)) * a + b, x, scale, shift, ulps=8,
    )  # fmt: skip


def test_parameters_may_have_the_axes_of_x():
    """As the Rust crate's, of shape (1, C)."""
    x, scale, shift = normal((4, 3)), normal((1, 3)), normal((1, 3), 1)
    check_value(
        lambda x, a, b: lg.nn.batch_norm(x, a, b, axis=0),
        lambda x, a, b: standard(x, 0) * a + b,
        x,
        scale,
        shift,
        ulps=8,
    )


@pytest.mark.parametrize(
    "f",
    [lg.nn.normalize, lg.nn.layer_norm, lg.nn.rms_norm, lg.nn.batch_norm, lambda x: lg.nn.group_norm(x, 2)],
    ids=["normalize", "layer_norm", "rms_norm", "batch_norm", "group_norm"],
)
def test_float32_stays_float32_and_a_constant_gives_no_nan(value, gradient, f):
    """The variance is 0 then; eps keeps the quotient finite."""
    for x in (normal((3, 4)).astype("float32"), np.ones((3, 4), "float32")):
        (g,) = gradient(lambda x: lg.square(f(x)), x)
        assert (np.float32, np.float32) == (value(f, x).dtype, g.dtype)
        assert np.isfinite(g).all()


def test_one_statistic_without_the_other_is_refused(refusal):
    """Both come from the batch, or both are given."""
    x, mean = np.ones((4, 3), "float32"), np.ones(3, "float32")
    assert refusal(lambda x, m: lg.nn.batch_norm(x, mean=m), x, mean) == (
        "cannot batch_norm float32[4, 3] and float32[3]\n\n"
        "    PLACE\n\n"
        "    x:     float32[4, 3]   placeholder 'argument0'\n"
        "    mean:  float32[3]      placeholder 'argument1'\n"
        "    Give both mean and variance, or neither."
    )


def test_a_parameter_of_another_shape_is_refused(refusal):
    """It might broadcast along the wrong axis."""
    x, scale = np.ones((4, 3, 4), "float32"), np.ones(4, "float32")
    assert refusal(lg.nn.batch_norm, x, scale) == (
        "cannot batch_norm float32[4, 3, 4] and float32[4]\n\n"
        "    PLACE\n\n"
        "    x:      float32[4, 3, 4]   placeholder 'argument0'\n"
        "    scale:  float32[4]         placeholder 'argument1'\n"
        "    scale must have the shape [3], one number for each that is normalised alike."
    )
    message = refusal(lambda x, a: lg.nn.layer_norm(x, shift=a, axis=1), x, scale)
    assert message.endswith("    shift must have the shape [3], one number for each that is normalised alike.")


@pytest.mark.parametrize("groups", [3, 0, 2.0, True])
def test_groups_that_do_not_divide_the_channels_are_refused(refusal, groups):
    """With both numbers."""
    message = refusal(lambda x: lg.nn.group_norm(x, groups), np.ones((2, 4)))
    assert message.endswith(f"    4 channels cannot be divided into {groups} groups.")


def test_an_axis_that_does_not_exist_is_refused(refusal):
    """In all of them."""
    for f in (lg.nn.normalize, lg.nn.layer_norm, lg.nn.rms_norm, lg.nn.batch_norm):
        message = refusal(lambda x, f=f: f(x, axis=2), np.ones((2, 4)))
        assert message.endswith("    Axis 2 does not exist: there are 2 axes.")
    message = refusal(lg.nn.batch_norm, np.ones(4))
    assert message.endswith("    x has the axes (example, feature, ...); this one has 1.")
