"""Losses."""

import numpy as np
import pytest
import scipy.special as special

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def reference_huber(p, t, delta=1.0):
    """By its two cases."""
    r = np.abs(p - t)
    return np.where(r <= delta, r * r / 2, delta * (r - delta / 2))


def reference_bce(x, t):
    """−t·log σ − (1 − t)·log(1 − σ)."""
    return -t * special.log_expit(x) - (1 - t) * special.log_expit(-x)


COMPARED = {
    "mean_squared_error": (lg.nn.mean_squared_error, lambda p, t: (p - t) ** 2),
    "mean_absolute_error": (lg.nn.mean_absolute_error, lambda p, t: np.abs(p - t)),
    "huber": (lg.nn.huber, reference_huber),
    "huber with delta": (
        lambda p, t: lg.nn.huber(p, t, delta=0.3),
        lambda p, t: reference_huber(p, t, 0.3),
    ),
    "hinge": (lg.nn.hinge, lambda p, t: np.maximum(0, 1 - t * p)),
    "binary_cross_entropy_with_logits": (lg.nn.binary_cross_entropy_with_logits, reference_bce),
}


@pytest.mark.parametrize("shape", [(), (5,), (5, 1), (4, 3), (2, 3, 2), (0, 3)], ids=str)
@pytest.mark.parametrize("name", COMPARED)
def test_a_loss_is_one_number_a_label(name, shape):
    """Its shape is that of what it compares, and nothing is averaged."""
    f, reference = COMPARED[name]
    check_value(f, lambda p, t: np.asarray(reference(p, t)), normal(shape), normal(shape, 1), ulps=8)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("name", COMPARED)
def test_a_loss_has_all_derivatives_for_both_operands(name, shape):
    """First and second, reverse and forward."""
    f, _ = COMPARED[name]
    check_gradient(f, 2 * normal(shape), normal(shape, 1))


@pytest.mark.parametrize("name", COMPARED)
def test_targets_that_are_whole_numbers_do_not_widen_float32(value, gradient, name):
    """Labels of 0 and 1 come as int64, or as bool."""
    f, reference = COMPARED[name]
    p = normal((4, 3)).astype("float32")
    for t in (np.arange(12).reshape(4, 3) % 2, np.arange(12).reshape(4, 3) % 2 == 1):
        y = value(f, p, t)
        assert np.float32 == y.dtype
        np.testing.assert_allclose(y, reference(p.astype("float64"), t.astype("float64")), rtol=1e-6, atol=1e-7)
    (g,) = gradient(lambda p: f(p, 1), p)
    assert np.float32 == g.dtype


@pytest.mark.parametrize("name", COMPARED)
def test_a_target_may_be_one_number_for_all(name):
    """As the discriminator of a pair of networks wants it."""
    f, reference = COMPARED[name]
    check_value(lambda p: f(p, 1.0), lambda p: reference(p, 1.0), normal((4, 3)), ulps=8)


@pytest.mark.parametrize(
    "name", ["mean_squared_error", "mean_absolute_error", "huber", "hinge", "binary_cross_entropy_with_logits"]
)
def test_a_target_of_another_shape_is_refused(refusal, name):
    """(N, 1) beside (N,) would compare every example with every other one."""
    first, second = ("logits", "targets") if name.startswith("binary") else ("prediction", "target")
    assert refusal(getattr(lg.nn, name), np.ones((4, 1), "float32"), np.ones(4, "float32")) == (
        f"cannot {name} float32[4, 1] and float32[4]\n\n"
        "    PLACE\n\n"
        f"    {first}:{' ' * (len(second) - len(first))}  float32[4, 1]   placeholder 'argument0'\n"
        f"    {second}:{' ' * (len(first) - len(second))}  float32[4]      placeholder 'argument1'\n"
        "    Both must have the same shape, or the target be one number."
    )


def test_huber_is_smooth_where_the_difference_is_zero(value):
    """Its second derivative there is 1, as in the rest of the parabola."""
    h = value(lambda p: lg.hessian(lg.sum(lg.nn.huber(p, 0.0)), p), np.array([0.0, 0.5, 3.0]))
    np.testing.assert_array_equal(np.diag([1.0, 1.0, 0.0]), h)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_is_right_for_large_logits(value, gradient, dtype):
    """At ±100, for values and both gradients (defect 6 of the Rust crate)."""
    x = np.array([100.0, 100, -100, -100, 0, 100], dtype)
    t = np.array([1.0, 0, 1, 0, 0.5, 0.25], dtype)
    tiny = special.log1p(np.exp(-100.0)) if dtype == "float64" else np.float32(np.exp(np.float32(-100)))
    y = value(lg.nn.binary_cross_entropy_with_logits, x, t)
    np.testing.assert_allclose(y, [tiny, 100, 100, tiny, np.log(2), 75], rtol=1e-6)
    of_x, of_t = gradient(lg.nn.binary_cross_entropy_with_logits, x, t)
    np.testing.assert_allclose(of_x, [0, 1, -1, 0, 0, 0.75], atol=1e-7)
    np.testing.assert_array_equal(-x, of_t)


# Cross entropy.


def reference_cross_entropy(x, labels, axis=-1, smoothing=0.0):
    """By probabilities of 0 and 1, spread by the smoothing."""
    count = x.shape[axis]
    t = np.moveaxis(np.eye(count)[labels], -1, axis)
    t = (1 - smoothing) * t + smoothing / count
    return -np.sum(t * special.log_softmax(x, axis=axis), axis=axis)


def labels_for(shape, axis, count):
    """Labels of the shape without the axis."""
    apart = [n for i, n in enumerate(shape) if i != axis % len(shape)]
    return np.random.default_rng(list(shape)).integers(0, count, apart)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((5, 3), -1), ((5, 3), 1), ((3, 5), 0), ((2, 3, 4), 1), ((2, 4, 2, 3), -3), ((4,), 0), ((0, 3), 1)],
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_of_labels_equals_its_definition(shape, axis, smoothing):
    """Along any axis; one number a label (defects 4 and 5 of the Rust crate)."""
    x, labels = 2 * normal(shape), labels_for(shape, axis, shape[axis])
    check_value(
        lambda x, t: lg.nn.cross_entropy(x, t, axis=axis, label_smoothing=smoothing),
        lambda x, t: np.asarray(reference_cross_entropy(x, t, axis, smoothing)),
        x, labels, ulps=16,
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "axis"), [((5, 3), -1), ((3, 5), 0), ((2, 3, 4), 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_has_all_derivatives(shape, axis, smoothing):
    """For logits beside labels, and for logits and targets beside each other (defects 5 and 18)."""
    x, labels = 2 * normal(shape), labels_for(shape, axis, shape[axis])
    check_gradient(lambda x, t: lg.nn.cross_entropy(x, t, axis=axis, label_smoothing=smoothing), x, labels)
    t = special.softmax(normal(shape, 1), axis=axis)
    check_gradient(lambda x, t: lg.nn.cross_entropy(x, t, axis=axis, label_smoothing=smoothing), x, t)


def test_cross_entropy_of_probabilities_equals_its_definition():
    """−Σ t log p, also where the targets do not add up to 1."""
    x, t = normal((5, 3)), np.abs(normal((5, 3), 1))
    check_value(lg.nn.cross_entropy, lambda x, t: -np.sum(t * special.log_softmax(x, axis=-1), axis=-1), x, t, ulps=16)


def test_labels_and_their_one_hot_vectors_give_the_same_loss(value):
    """Vectors of whole numbers or booleans too, and these do not widen float32."""
    x, labels = normal((5, 3)).astype("float32"), np.array([0, 2, 1, 1, 0])
    expected = value(lg.nn.cross_entropy, x, labels)
    for dtype in ("float32", "int64", "bool"):
        actual = value(lg.nn.cross_entropy, x, np.eye(3)[labels].astype(dtype))
        assert np.float32 == actual.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_labels_may_have_any_dtype_of_whole_numbers(value, dtype):
    """MNIST's are uint8."""
    x = normal((5, 3)).astype("float32")
    y = value(lg.nn.cross_entropy, x, np.array([0, 2, 1, 1, 0], dtype))
    assert np.float32 == y.dtype
    np.testing.assert_allclose(y, reference_cross_entropy(x.astype("float64"), [0, 2, 1, 1, 0]), rtol=1e-6)


def test_the_gradient_of_cross_entropy_is_softmax_less_the_label(gradient):
    """For a batch of 5 (defect 5 of the Rust crate)."""
    x, labels = normal((5, 3)), np.array([0, 2, 1, 1, 0])
    (g,) = gradient(lambda x: lg.nn.cross_entropy(x, labels), x)
    np.testing.assert_allclose(g, special.softmax(x, axis=-1) - np.eye(3)[labels], rtol=1e-12, atol=1e-14)


def test_the_hessian_of_cross_entropy_is_that_of_logsumexp(value):
    """diag(p) − p·pᵀ (defect 18 of the Rust crate)."""
    x = normal(4)
    h = value(lambda x: lg.hessian(lg.nn.cross_entropy(x, 2), x), x)
    p = special.softmax(x)
    np.testing.assert_allclose(h, np.diag(p) - np.outer(p, p), rtol=1e-10, atol=1e-14)


def test_logits_of_minus_infinity_give_no_nan(value, gradient):
    """Classes that are ruled out have probability 0, and so their logits no gradient."""
    x = np.array([[0.0, -np.inf, 1.0], [-np.inf, 2.0, -np.inf]])
    labels, p = np.array([2, 1]), special.softmax(x, axis=-1)
    expected = [np.log1p(np.exp(-1.0)), 0]
    for target in (labels, np.eye(3)[labels]):
        np.testing.assert_allclose(value(lg.nn.cross_entropy, x, target), expected, rtol=1e-14)
        (g,) = gradient(lambda x, target=target: lg.nn.cross_entropy(x, target), x)
        np.testing.assert_allclose(g, p - np.eye(3)[labels], rtol=1e-14, atol=1e-15)
    of_targets = value(lambda x, t: lg.grad(lg.nn.cross_entropy(x, t), t), x, np.eye(3)[labels])
    assert not np.isnan(of_targets).any()


def test_large_logits_do_not_overflow(value):
    """Also in float32."""
    x = np.array([[1e4, 0.0, -1e4]], "float32")
    np.testing.assert_array_equal([0.0], value(lg.nn.cross_entropy, x, np.array([0])))
    np.testing.assert_array_equal([2e4], value(lg.nn.cross_entropy, x, np.array([2])))


def test_large_logits_keep_the_digits_of_a_small_loss(value):
    """log Σ eˣ − x would lose four digits of seven here; only differences of logits count."""
    x = np.array([[10000.0, 9998.0, 9997.0]], "float32")
    expected = np.array([np.log(1 + np.exp(-2.0) + np.exp(-3.0))])
    np.testing.assert_allclose(value(lg.nn.cross_entropy, x, np.array([0])), expected, rtol=1e-6)
    np.testing.assert_allclose(value(lg.nn.cross_entropy, x, np.eye(3, dtype="float32")[[0]]), expected, rtol=1e-6)


@pytest.mark.parametrize(("labels", "bad"), [([0, 3], 3), ([-1, 0], -1), ([7, -5], 7)])
def test_a_label_out_of_range_is_an_error(labels, bad):
    """Also a negative one, which indexing would take from the end; run after run."""
    env = lg.VariableEnvironment()
    x = normal((2, 3)).astype("float32")
    compiled = env.compile(lambda ctx, x, t: lg.nn.cross_entropy(x, t))
    compiled(x, np.array([0, 1]))
    for run in (compiled, lambda x, t: env.run(lambda ctx, x, t: lg.nn.cross_entropy(x, t), x, t)):
        with pytest.raises(IndexError) as caught:
            run(x, np.array(labels))
        assert str(caught.value) == (
            f"label {bad} is out of range: there are 3 classes\n\n    Labels are whole numbers from 0 to 2."
        )
        assert "while evaluating label(int64[2])" in caught.value.__notes__[0]


def test_labels_of_floats_are_refused(refusal):
    """They are whole numbers, whatever they are stored as."""
    assert refusal(lg.nn.cross_entropy, np.ones((4, 3), "float32"), np.ones(4, "float32")) == (
        "cannot take the cross_entropy of float32[4, 3] and float32[4]\n\n"
        "    PLACE\n\n"
        "    logits:   float32[4, 3]   placeholder 'argument0'\n"
        "    targets:  float32[4]      placeholder 'argument1'\n"
        "    Labels are whole numbers: cast them with .astype(int)."
    )


def test_targets_of_another_shape_are_refused(refusal):
    """Labels with an axis of 1, say."""
    assert refusal(lg.nn.cross_entropy, np.ones((4, 3), "float32"), np.ones((4, 1), "int64")) == (
        "cannot take the cross_entropy of float32[4, 3] and int64[4, 1]\n\n"
        "    PLACE\n\n"
        "    logits:   float32[4, 3]   placeholder 'argument0'\n"
        "    targets:  int64[4, 1]     placeholder 'argument1'\n"
        "    Targets are labels of shape [4], or probabilities of shape [4, 3]."
    )


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan")])
def test_a_smoothing_out_of_range_is_refused(refusal, smoothing):
    """It is a part of the whole."""
    message = refusal(
        lambda x, t: lg.nn.cross_entropy(x, t, label_smoothing=smoothing), np.ones((4, 3)), np.ones(4, "int64")
    )
    assert message.endswith(f"    label_smoothing is {smoothing}; it must be 0 or more, and at most 1.")


def test_cross_entropy_names_an_axis_that_does_not_exist(refusal):
    """Of a single number there is none."""
    message = refusal(lg.nn.cross_entropy, np.ones((), "float32"), np.ones((), "int64"))
    assert message.endswith("    Axis -1 does not exist: there are 0 axes.")


# Its kin.


def test_the_likelihood_of_log_probabilities_is_cross_entropy():
    """And has its derivatives."""
    x, labels = normal((2, 3, 4)), labels_for((2, 3, 4), 1, 3)
    check_value(
        lambda x, t: lg.nn.negative_log_likelihood(lg.nn.log_softmax(x, 1), t, axis=1),
        lambda x, t: reference_cross_entropy(x, t, 1), x, labels, ulps=16,
    )  # fmt: skip
    check_gradient(lambda x, t: lg.nn.negative_log_likelihood(x, t, axis=1), x, labels)


def test_the_likelihood_refuses_probabilities(refusal):
    """It takes labels only."""
    message = refusal(lg.nn.negative_log_likelihood, np.ones((4, 3), "float32"), np.ones((4, 3), "float32"))
    assert message.endswith("    Labels have the shape of log_probabilities without the axis of the classes.")


def test_the_divergence_equals_its_definition():
    """Σ t (log t − log p); where t is 0 the term is 0."""
    x, t = normal((5, 3)), special.softmax(normal((5, 3), 1), axis=-1)
    t[0, 1] = 0
    check_value(
        lg.nn.kl_divergence,
        lambda x, t: np.sum(special.rel_entr(t, special.softmax(x, axis=-1)), axis=-1), x, t, ulps=16,
    )  # fmt: skip


def test_the_divergence_has_all_derivatives():
    """For logits and targets, along any axis."""
    x, t = normal((2, 3, 4)), special.softmax(normal((2, 3, 4), 1), axis=1)
    check_gradient(lambda x, t: lg.nn.kl_divergence(x, t, axis=1), x, t)


def test_the_divergence_of_targets_of_another_shape_is_refused(refusal):
    """Labels are not probabilities."""
    message = refusal(lg.nn.kl_divergence, np.ones((4, 3)), np.ones(4, "int64"))
    assert message.endswith("    Targets are probabilities of the shape of the logits.")


# Labels that do not count, classes that count more.

SEQUENCES = 2 * normal((3, 4, 5))
LABELS = np.random.default_rng(7).integers(0, 5, (3, 4))
WEIGHT = np.array([0.5, 2.0, 1.0, 0.0, 3.0])
IGNORED = np.where(np.arange(12).reshape(3, 4) % 5 == 2, -100, LABELS)
MASK = np.arange(12).reshape(3, 4) % 3 > 0


def test_labels_of_sequences_have_a_loss_each(value):
    """Logits [N, T, V] and labels [N, T] give [N, T]."""
    y = value(lg.nn.cross_entropy, SEQUENCES, LABELS)
    assert (3, 4) == y.shape
    np.testing.assert_allclose(y, reference_cross_entropy(SEQUENCES, LABELS), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("axis", [-1, 1])
def test_the_terms_of_a_class_are_multiplied_by_its_weight(smoothing, axis):
    """−Σ w·t·log p: of labels, and of the same as probabilities, along any axis."""
    x = np.moveaxis(SEQUENCES, -1, axis)
    t = np.moveaxis((1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5, -1, axis)
    w = WEIGHT.reshape((5, 1) if axis == 1 else 5)
    wanted = -np.sum(w * t * special.log_softmax(x, axis=axis), axis=axis)
    settings = {"axis": axis, "label_smoothing": smoothing, "weight": WEIGHT}
    check_value(lambda x, y: lg.nn.cross_entropy(x, y, **settings), lambda x, y: wanted, x, LABELS, ulps=32)
    spread = {"axis": axis, "weight": WEIGHT}
    check_value(lambda x, t: lg.nn.cross_entropy(x, t, **spread), lambda x, t: wanted, x, t, ulps=32)
    check_gradient(lambda x, y: lg.nn.cross_entropy(x, y, **settings), x, LABELS)


@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.1}, {"weight": WEIGHT}], ids=str)
def test_a_label_that_is_ignored_has_no_loss_and_no_gradient(value, gradient, settings):
    """Whatever its logits are; the others are as without it."""
    x = np.where((IGNORED == -100)[..., None], np.nan, SEQUENCES)
    y = value(lambda x, t: lg.nn.cross_entropy(x, t, ignore_index=-100, **settings), x, IGNORED)
    plain = value(lambda x, t: lg.nn.cross_entropy(x, t, **settings), SEQUENCES, LABELS)
    np.testing.assert_allclose(y, np.where(IGNORED == -100, 0, plain), rtol=1e-12)
    (g,) = gradient(lambda x: lg.nn.cross_entropy(x, IGNORED, ignore_index=-100, **settings), x)
    (wanted,) = gradient(lambda x: lg.nn.cross_entropy(x, LABELS, **settings), SEQUENCES)
    np.testing.assert_allclose(g, np.where((IGNORED == -100)[..., None], 0, wanted), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("dtype", "label"), [("uint8", -100), ("uint8", 255), ("int8", 300), ("int64", 2)])
def test_the_ignored_label_may_be_any_whole_number(value, dtype, label):
    """Also one that the dtype of the labels has not, which none of them is, and one that is a class."""
    labels = np.array([0, 2, 1], dtype)
    if label == 255:
        labels[1] = 255
    y = value(lambda x, t: lg.nn.cross_entropy(x, t, ignore_index=label), SEQUENCES[0, :3], labels)
    plain = reference_cross_entropy(SEQUENCES[0, :3], [0, 2, 1])
    np.testing.assert_allclose(y, np.where(labels.astype(int) == label, 0, plain), rtol=1e-12)


def test_the_likelihood_takes_weights_and_an_ignored_label():
    """As cross entropy does, of log probabilities."""
    wanted = np.where(IGNORED == -100, 0, WEIGHT[LABELS] * reference_cross_entropy(SEQUENCES, LABELS))
    check_value(
        lambda x, t: lg.nn.negative_log_likelihood(x, t, weight=WEIGHT, ignore_index=-100),
        lambda x, t: wanted, special.log_softmax(SEQUENCES, axis=-1), IGNORED, ulps=32,
    )  # fmt: skip


def test_weights_do_not_widen_the_loss(value):
    """Weights of float64, as scikit-learn computes them, beside logits of float32; and their gradient passes."""
    x = SEQUENCES[0].astype("float32")
    assert np.float32 == value(lambda x, t: lg.nn.cross_entropy(x, t, weight=WEIGHT), x, LABELS[0]).dtype
    check_gradient(lambda x, w: lg.nn.cross_entropy(x, LABELS[0], weight=w), SEQUENCES[0], WEIGHT)


MASKABLE = {
    **{name: (getattr(lg.nn, name.split()[0]), (MASK.shape, MASK.shape)) for name in COMPARED},
    "cross_entropy": (lambda x, t, **k: lg.nn.cross_entropy(x, LABELS, **k), (SEQUENCES.shape, MASK.shape)),
    "negative_log_likelihood": (
        lambda x, t, **k: lg.nn.negative_log_likelihood(x, LABELS, **k),
        (SEQUENCES.shape, MASK.shape),
    ),
    "kl_divergence": (lambda x, t, **k: lg.nn.kl_divergence(x, lg.abs(t), **k), (SEQUENCES.shape, SEQUENCES.shape)),
}


@pytest.mark.parametrize("name", MASKABLE)
def test_what_a_mask_leaves_out_has_no_loss_and_no_gradient(value, name):
    """Of every loss; booleans, or 0 and 1."""
    loss, shapes = MASKABLE[name]
    x, t = normal(shapes[0]), normal(shapes[1], 1)
    plain, g = value(lambda x, t: [y := loss(x, t), lg.grad(y, x)], x, t)
    for mask in (MASK, MASK.astype("int64")):
        y, masked = value(lambda x, t, mask=mask: [y := loss(x, t, mask=mask), lg.grad(y, x)], x, t)
        np.testing.assert_allclose(y, np.where(MASK, plain, 0), rtol=1e-12)
        np.testing.assert_allclose(masked, np.where(MASK[..., None] if g.ndim == 3 else MASK, g, 0), rtol=1e-12)


@pytest.mark.parametrize("name", MASKABLE)
@pytest.mark.parametrize("shape", [(3, 1), (4,), (), (3, 4, 1)], ids=str)
def test_a_mask_of_another_shape_is_refused(refusal, name, shape):
    """One that would broadcast too."""
    loss, shapes = MASKABLE[name]
    message = refusal(lambda x, t, m: loss(x, t, mask=m), normal(shapes[0]), normal(shapes[1]), np.ones(shape, bool))
    assert message.endswith("    A mask has one element a label: its shape is [3, 4].")


def test_a_mask_of_floats_is_refused(refusal):
    """Weights of examples are multiplied by, as 0.5 would not be."""
    message = refusal(lambda x, t, m: lg.nn.huber(x, t, mask=m), np.ones(3), np.ones(3), np.ones(3, "float32"))
    assert message == (
        "cannot mask float64[3] and float32[3]\n\n"
        "    PLACE\n\n"
        "    losses:  float64[3]   multiply, tests/nn/test_losses.py:LINE\n"
        "    mask:    float32[3]   placeholder 'argument2'\n"
        "    A mask says which labels count: give booleans, such as mask > 0."
    ).replace("LINE", message.partition("test_losses.py:")[2].partition("\n")[0])


REFUSED = {
    "other classes": ({"weight": np.ones(4)}, "float64[4]; it has one number a class: its shape is [5]."),
    "one weight": ({"weight": 2.0}, "its shape is [5]."),
    "a label of a float": ({"ignore_index": 1.5}, "ignore_index is a whole number, not 1.5."),
    "a label of a bool": ({"ignore_index": True}, "ignore_index is a whole number, not True."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_weights_and_labels_to_ignore_are_checked(refusal, name):
    """By both losses that take them."""
    settings, end = REFUSED[name]
    for loss in (lg.nn.cross_entropy, lg.nn.negative_log_likelihood):
        assert refusal(lambda x, t, f=loss: f(x, t, **settings), SEQUENCES, LABELS).endswith(end)


def test_a_label_to_ignore_beside_probabilities_is_refused(refusal):
    """They have no labels."""
    message = refusal(lambda x, t: lg.nn.cross_entropy(x, t, ignore_index=0), SEQUENCES, SEQUENCES)
    assert message.endswith("ignore_index is a label, and the targets are probabilities: give mask= instead.")
