"""Losses of distributions, of distances, of rare classes, and of sequences that are not aligned."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.special as special
import scipy.stats as stats

import lazygrad as lg
from lazygrad.testing import check_gradient

RNG = np.random.default_rng(0)


# What a count, a normal number and a quantile cost.


def test_the_losses_of_counts_and_of_normal_numbers_are_scipys_likelihoods(value) -> None:
    """With all their constants, where these are asked for."""
    s, k = RNG.normal(size=(3, 4)), RNG.integers(0, 9, (3, 4))
    expected = -stats.poisson.logpmf(k, np.exp(s))
    np.testing.assert_allclose(value(lambda s: lg.nn.poisson_nll(s, k, full=True), s), expected, rtol=1e-12)
    found = value(lambda s: lg.nn.poisson_nll(s, k), s)
    np.testing.assert_allclose(found, expected - special.gammaln(k + 1), rtol=1e-12)
    m, t, v = RNG.normal(size=5), RNG.normal(size=5), RNG.uniform(0.1, 4, 5)
    found = value(lambda *xs: lg.nn.gaussian_nll(*xs, full=True), m, t, v)
    np.testing.assert_allclose(found, -stats.norm.logpdf(t, m, np.sqrt(v)), rtol=1e-12)


def test_a_rate_of_zero_is_certain_of_the_count_zero_and_of_no_other(value, gradient) -> None:
    """As in SciPy; the gradient is the rate minus the count, also where the rate is 0."""
    s, k = np.array([-np.inf, -np.inf, -800.0, 3.0]), np.array([0, 2, 1, 0])
    found = value(lambda s: lg.nn.poisson_nll(s, k, full=True), s)
    np.testing.assert_allclose(found, [0, np.inf, 800, np.exp(3)])
    assert [0.0, -2.0, -1.0, np.exp(3)] == gradient(lambda s: lg.nn.poisson_nll(s, k), s)[0].tolist()


def test_a_variance_that_is_too_small_counts_as_the_least_one_and_can_grow_again(value, gradient) -> None:
    """As in PyTorch: value and gradient are those at eps."""
    m, t = np.zeros(3), np.full(3, 0.01)

    def loss(v: Any) -> Any:
        return lg.nn.gaussian_nll(m, t, v, eps=1e-3)

    expected = 0.5 * (np.log(1e-3) + 1e-4 / 1e-3)
    np.testing.assert_allclose(value(loss, np.array([0.0, 1e-9, 1e-3])), expected, rtol=1e-12)
    (g,) = gradient(loss, np.array([0.0, 1e-9, 1e-3]))
    np.testing.assert_allclose(g, 0.5 * (1 / 1e-3 - 1e-4 / 1e-6), rtol=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_the_pinball_loss_is_least_at_the_quantile(value, q: float) -> None:
    """Of 101 numbers, at the one that NumPy says; and it is as long as scikit-learn's."""
    x = np.sort(RNG.normal(size=101))
    losses = value(lambda p: lg.mean(lg.nn.quantile(p, np.broadcast_to(x, (101, 101)), q), axis=1),
                   np.repeat(x[:, None], 101, axis=1))  # fmt: skip
    assert np.quantile(x, q) == x[np.argmin(losses)]


def test_several_quantiles_at_once_are_a_column_each(value) -> None:
    """``q`` broadcasts to the prediction, and may be a tensor."""
    p, t, q = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)), np.array([0.1, 0.5, 0.9])
    r = t - p
    expected = np.where(r > 0, q * r, (q - 1) * r)
    np.testing.assert_allclose(value(lambda p, t: lg.nn.quantile(p, t, q), p, t), expected)
    np.testing.assert_allclose(value(lg.nn.quantile, p, t, q), expected)


# What vectors cost that are near to one another, or far apart.


def test_cosine_is_one_minus_the_cosine_whatever_the_lengths(value, gradient) -> None:
    """Of vectors as long as 1e200 or as short as 1e-200 too; of a vector of zeros it is 1, without a gradient."""
    a, b = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    expected = 1 - np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    for scale in (1.0, 1e200, 1e-200):
        np.testing.assert_allclose(value(lg.nn.cosine, a * scale, b), expected, rtol=1e-12)
    a[1] = 0
    assert 1 == value(lg.nn.cosine, a, b)[1]
    assert [[0, 0, 0]] * 2 == [
        g[1].tolist() for g in gradient(lg.nn.cosine, a, np.where(np.arange(4)[:, None] == 1, 0, b))
    ]


def test_pairs_that_do_not_belong_together_cost_what_their_cosine_is_above_the_margin(value) -> None:
    """As PyTorch's CosineEmbeddingLoss."""
    a, b, labels = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3)), np.array([1, -1, 1, -1, -1, 1])
    cos = np.sum(a * b, 1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    expected = np.where(labels == 1, 1 - cos, np.maximum(0, cos - 0.2))
    np.testing.assert_allclose(value(lambda a, b: lg.nn.cosine(a, b, labels, margin=0.2), a, b), expected)
    check_gradient(lambda a, b: lg.nn.cosine(a, b, labels, margin=0.2), a, b)


def test_a_triplet_compares_two_distances(value, gradient) -> None:
    """The smaller of two negatives' where they swap; a distance of 0 has the gradient 0."""
    a, p, n = RNG.normal(size=(3, 8, 2))

    def far(x: Any, y: Any) -> Any:
        return np.linalg.norm(x - y, axis=1)

    expected = np.maximum(0, far(a, p) - far(a, n) + 0.5)
    np.testing.assert_allclose(value(lambda *x: lg.nn.triplet(*x, margin=0.5), a, p, n), expected)
    expected = np.maximum(0, far(a, p) - np.minimum(far(a, n), far(p, n)) + 0.5)
    np.testing.assert_allclose(value(lambda *x: lg.nn.triplet(*x, margin=0.5, swap=True), a, p, n), expected)
    assert all(np.isfinite(g).all() for g in gradient(lg.nn.triplet, a, a, a))


# What rare classes cost.


def test_focal_is_cross_entropy_times_a_power_of_what_is_missing(value) -> None:
    """With weights and an ignored label; with gamma 0 it is cross entropy."""
    x, labels, w = 2 * RNG.normal(size=(6, 3)), np.array([0, 1, 2, -1, 0, 1]), np.array([0.5, 1, 2])
    p = special.softmax(x, axis=1)[range(6), labels]
    expected = np.where(labels < 0, 0, -w[labels] * (1 - p) ** 1.5 * np.log(p))
    found = value(lambda x: lg.nn.focal(x, labels, 1.5, weight=w, ignore_index=-1), x)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    found = value(lambda x: lg.nn.focal(x, labels, 0, weight=w, ignore_index=-1), x)
    np.testing.assert_allclose(found, value(lambda x: lg.nn.cross_entropy(x, labels, weight=w, ignore_index=-1), x))


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2])
def test_focal_losses_of_what_is_certain_are_small_and_finite(value, gradient, gamma: float) -> None:
    """For logits of ±1000, values and gradients; of two classes nothing is lost of 1 − p where p is near 1."""
    x = np.array([[1000.0, -1000.0], [-1000.0, 1000.0], [20.0, -20.0]])
    labels = np.zeros(3, int)
    rest = special.expit(-40.0)
    expected = [0, 2000, rest**gamma * -np.log1p(-rest)]
    found = value(lambda x: lg.nn.focal(x, labels, gamma), x)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)  # as exact as log_softmax
    rest = special.expit(-20.0)
    expected = [0, 1000, rest**gamma * -np.log1p(-rest)]
    found = value(lambda x: lg.nn.binary_focal_with_logits(x, 1.0, gamma), x[:, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for loss in (lambda x: lg.nn.focal(x, labels, gamma), lambda x: lg.nn.binary_focal_with_logits(x, 1.0, gamma)):
        assert np.isfinite(gradient(loss, x)).all()


# What a sequence costs whose alignment nobody knows.


def read(path: Any, blank: int) -> tuple[int, ...]:
    """The labels of an alignment: without repetitions, then without blanks."""
    return tuple(int(k) for k, _ in itertools.groupby(path) if k != blank)


def reference_ctc(logits: Any, labels: Any, blank: int = 0) -> float:
    """Minus the logarithm of the sum of the probabilities of all alignments, each looked at by itself."""
    p = special.log_softmax(logits.astype(np.float64), axis=1)
    times, classes = p.shape
    paths = [path for path in itertools.product(range(classes), repeat=times) if read(path, blank) == tuple(labels)]
    return -special.logsumexp([p[range(times), path].sum() for path in paths] or [-np.inf])


CASES = [  # labels, times, blank
    ([1, 2], 5, 0), ([1, 1], 5, 0), ([2, 1, 2], 4, 0), ([1, 1], 3, 0), ([1, 1], 2, 0), ([], 3, 0), ([0, 1], 4, 2),
    ([1], 1, 0),
]  # fmt: skip


def test_ctc_is_the_sum_over_all_alignments(value) -> None:
    """Of sequences of different lengths in one batch: all are looked at one by one. What does not fit is infinite."""
    for blank in (0, 2):
        cases = [(labels, times) for labels, times, quiet in CASES if quiet == blank]
        logits = RNG.normal(size=(len(cases), 5, 3))
        padded = np.array([labels + [-7] * (3 - len(labels)) for labels, _ in cases])
        lengths, sizes = np.array([times for _, times in cases]), np.array([len(labels) for labels, _ in cases])
        expected = [reference_ctc(x[:n], labels, blank) for x, (labels, n) in zip(logits, cases, strict=True)]

        def loss(x: Any, y: Any, n: Any, s: Any, blank: int = blank) -> Any:
            return lg.nn.ctc(x, y, n, s, blank=blank)

        np.testing.assert_allclose(value(loss, logits, padded, lengths, sizes), expected, rtol=1e-12)


def test_the_derivatives_of_ctc_are_difference_quotients() -> None:
    """First and second, reverse and forward; with lengths, and logits that are no logarithms of probabilities."""
    x = RNG.normal(size=(2, 4, 3))
    check_gradient(lambda x: lg.nn.ctc(x, [[1, 2], [2, 2]], np.array([4, 3]), np.array([2, 1])), x)


def test_what_ctc_does_not_look_at_has_no_gradient_and_neither_has_what_is_impossible(gradient) -> None:
    """Times after the end; a sequence for which there is no time, though its loss is infinite."""
    x = RNG.normal(size=(2, 4, 3))
    (g,) = gradient(lambda x: lg.nn.ctc(x, [[1, 2], [2, 2]], np.array([3, 2])), x)
    assert g[0, :3].any()
    assert not g[0, 3:].any()
    assert not g[1].any()


def test_ctc_holds_at_extremes(value, gradient) -> None:
    """Logits of ±1e4 and of minus infinity, in float32."""
    x = np.full((1, 4, 3), -np.inf, "float32")
    x[0, [0, 1, 2, 3], [0, 1, 1, 2]] = 1e4
    assert [0.0] == value(lambda x: lg.nn.ctc(x, [[1, 2]]), x)
    x = np.where(x < 0, np.float32(-1e4), x)
    for labels in ([1, 2], [2, 1]):
        found = value(lambda x, labels=labels: lg.nn.ctc(x, [labels]), x)
        np.testing.assert_allclose(found, reference_ctc(x[0], labels), rtol=1e-6)
        assert np.isfinite(gradient(lambda x, labels=labels: lg.nn.ctc(x, [labels]), x)[0]).all()


def test_a_mask_leaves_out_sequences_and_labels_are_checked(value, refusal) -> None:
    """An infinite one too; a label that is no class is an error when it is evaluated."""
    x = RNG.normal(size=(2, 2, 3))
    found = value(lambda x: lg.nn.ctc(x, [[1, 2], [2, 2]], mask=np.array([True, False])), x)
    assert np.isfinite(found).all()
    assert 0 == found[1]
    with pytest.raises(IndexError, match="3"):
        lg.VariableEnvironment().run(lambda ctx, x: lg.nn.ctc(x, [[1, 3], [2, 2]]), x)
    for wrong, cure in [
        (lambda x: lg.nn.ctc(x, [1, 2]), "Logits have the shape [N, T, C] with a time or more, labels [N, S]."),
        (lambda x: lg.nn.ctc(x, [[1.0], [2.0]]), "Labels are whole numbers: cast them with .astype(int)."),
        (lambda x: lg.nn.ctc(x, [[1], [2]], blank=3), "blank is 3, of 3 classes."),
        (lambda x: lg.nn.ctc(x, [[1], [2]], [3, 2]), "lengths has 2 to 3; they must be from 0 to 2."),
        (
            lambda x: lg.nn.ctc(x, [[1], [2]], None, [1]),
            "label_lengths has one whole number an example: its shape is [2].",
        ),
    ]:
        assert refusal(wrong, x).endswith(cure)


@pytest.mark.parametrize(
    ("loss", "cure"),
    [
        (lambda x: lg.nn.quantile(x, x, 1.5), "q is from 0 to 1, not 1.5."),
        (lambda x: lg.nn.quantile(x, x, np.ones(3) / 2), "they must be equal, or one of them 1."),
        (
            lambda x: lg.nn.quantile(x, x, np.ones((3, 1, 1)) / 2),
            "q has the shape [3, 1, 1], which does not broadcast to [2, 4].",
        ),
        (lambda x: lg.nn.gaussian_nll(x, x, x[0]), "Both must have the same shape, or the target be one number."),
        (lambda x: lg.nn.gaussian_nll(x, x, x, eps=-1), "eps is -1; it must be 0 or more, and at most inf."),
        (lambda x: lg.nn.poisson_nll(x, x[:1]), "Both must have the same shape, or the target be one number."),
        (lambda x: lg.nn.cosine(x, x[0]), "Both must have the same shape."),
        (lambda x: lg.nn.cosine(x, x, np.ones(3)), "Labels are 1 or -1, one a pair: their shape is [2]."),
        (lambda x: lg.nn.cosine(x, x, margin=2), "margin is 2; it must be -1 or more, and at most 1."),
        (lambda x: lg.nn.triplet(x, x, x[0]), "All three must have the same shape."),
        (lambda x: lg.nn.triplet(x, x, x, -1), "margin is -1; it must be 0 or more, and at most inf."),
        (lambda x: lg.nn.focal(x, x), "Labels have the shape of the logits without the axis of the classes."),
        (lambda x: lg.nn.focal(x, [0, 1], -1), "gamma is -1; it must be 0 or more, and at most inf."),
        (lambda x: lg.nn.binary_focal_with_logits(x, x, alpha=2), "alpha is 2; it must be 0 or more, and at most 1."),
    ],
)
def test_what_does_not_fit_is_refused(refusal, loss: Any, cure: str) -> None:
    """With what would."""
    assert refusal(loss, np.ones((2, 4), "float32")).endswith(cure)


MASKED = {
    "quantile": lambda x, mask: lg.nn.quantile(x, 0.5, mask=mask),
    "gaussian_nll": lambda x, mask: lg.nn.gaussian_nll(x, 0.5, 1.0, mask=mask),
    "poisson_nll": lambda x, mask: lg.nn.poisson_nll(x, 1, mask=mask),
    "cosine": lambda x, mask: lg.nn.cosine(x, lg.flip(x, axis=1), mask=mask),
    "triplet": lambda x, mask: lg.nn.triplet(x, lg.flip(x, axis=1), x, mask=mask),
    "ctc": lambda x, mask: lg.nn.ctc(lg.stack([x, -x], axis=1), [[1], [2], [3]], mask=mask),
    "focal": lambda x, mask: lg.nn.focal(x, [0, 1, 2], mask=mask),
    "binary_focal_with_logits": lambda x, mask: lg.nn.binary_focal_with_logits(x, 1, mask=mask),
}


@pytest.mark.parametrize("odd", [np.inf, np.nan])
@pytest.mark.parametrize("name", MASKED)
def test_what_is_masked_costs_nothing_and_a_mask_of_another_shape_is_refused(
    value, gradient, refusal, name: str, odd: float
) -> None:
    """Even where it is not finite; and the others cost what they cost without."""
    x = RNG.normal(size=(3, 4)).astype("float32")
    whole = value(lambda x: MASKED[name](x, None), x)
    kept = np.arange(whole.size).reshape(whole.shape) != 1
    broken = x.copy()
    broken.flat[1 if whole.ndim == 2 else slice(4, 8)] = odd
    np.testing.assert_allclose(value(lambda x: MASKED[name](x, kept), broken), np.where(kept, whole, 0), rtol=1e-6)
    assert np.isfinite(gradient(lambda x: MASKED[name](x, kept), broken)).all()
    assert "A mask has one element a label" in refusal(lambda x: MASKED[name](x, np.ones((5, 1), bool)), x)


def test_ctc_is_as_many_nodes_however_long_the_sequences_are() -> None:
    """And holds for a thousand times: the loss is between that of the likeliest alignment and that of all paths."""
    env = lg.VariableEnvironment(dtype="float64")
    labels = np.array([[1, 2, 2, 3]])

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.nn.ctc(x, labels)
        return loss, lg.grad(loss, x)

    short, long = RNG.normal(size=(1, 10, 5)), RNG.normal(size=(1, 1000, 5))
    assert len(env.trace(step, short)) == len(env.trace(step, long))
    found, g = env.compile(step, wait=True)(long)
    expected, other = env.run(step, long)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(g, other, atol=1e-12)
    np.testing.assert_allclose(g.sum(axis=2), 0, atol=1e-9)  # what is said more must be said less of others
    assert 0 < found[0] < -special.log_softmax(long[0], axis=1).min(axis=1).sum()
