"""Attention."""

import numpy as np
import pytest
import scipy.special as special

import lazygrad as lg
from lazygrad.testing import check_gradient, check_value


def normal(shape, seed=0):
    """Normal numbers, the same in every run; of another shape they are others."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def reference(q, k, v, mask=None, causal=False):
    """Query by query, over the keys that it sees."""
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (np.broadcast_to(x, lead + x.shape[-2:]) for x in (q, k, v))
    t, s = q.shape[-2], k.shape[-2]
    sees = np.ones((*lead, t, s), bool) if mask is None or mask.dtype != bool else np.broadcast_to(mask, (*lead, t, s))
    added = np.zeros((*lead, t, s)) if mask is None or mask.dtype == bool else np.broadcast_to(mask, (*lead, t, s))
    y = np.zeros((*lead, t, v.shape[-1]))
    for place in np.ndindex(*lead, t):
        seen = sees[place] & (np.arange(s) <= place[-1] if causal else True)
        if seen.any():
            scores = k[place[:-1]][seen] @ q[place] / np.sqrt(q.shape[-1]) + added[place][seen]
            y[place] = special.softmax(scores) @ v[place[:-1]][seen]
    return y


SHAPES = [((3, 4), (5, 4), (5, 2)), ((2, 3, 4), (2, 5, 4), (2, 5, 2)), ((2, 1, 3, 4), (6, 3, 4), (6, 3, 1))]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_attention_equals_its_definition(shapes, causal):
    """Axes in front broadcast."""
    q, k, v = (normal(shape, i) for i, shape in enumerate(shapes))
    check_value(
        lambda q, k, v: lg.nn.scaled_dot_product_attention(q, k, v, causal=causal),
        lambda q, k, v: reference(q, k, v, causal=causal), q, k, v, ulps=16,
    )  # fmt: skip
    check_gradient(lambda q, k, v: lg.nn.scaled_dot_product_attention(q, k, v, causal=causal), q, k, v)


@pytest.mark.parametrize("causal", [False, True])
def test_a_mask_says_which_keys_a_query_sees(causal):
    """For each query its own, or the same for all; with the order in time or without."""
    q, k, v = normal((2, 3, 4)), normal((2, 5, 4), 1), normal((2, 5, 2), 2)
    for mask in (np.random.default_rng(0).random((2, 3, 5)) < 0.5, np.array([True, False, True, True, False])):
        check_value(
            lambda q, k, v, m: lg.nn.scaled_dot_product_attention(q, k, v, m, causal=causal),
            lambda q, k, v, m: reference(q, k, v, m, causal), q, k, v, mask, ulps=16,
        )  # fmt: skip
        check_gradient(lambda q, k, v, m: lg.nn.scaled_dot_product_attention(q, k, v, m, causal=causal), q, k, v, mask)


def test_a_mask_of_numbers_is_added():
    """As the bias of a position; it has a gradient."""
    q, k, v, bias = normal((3, 4)), normal((5, 4), 1), normal((5, 2), 2), normal((3, 5), 3)
    check_value(lg.nn.scaled_dot_product_attention, reference, q, k, v, bias, ulps=16)
    check_gradient(lg.nn.scaled_dot_product_attention, q, k, v, bias)


def test_a_query_that_sees_nothing_gets_zeros_and_no_nan(value, gradient):
    """A softmax of nothing but −∞ would be NaN."""
    q, k, v = normal((2, 4)), normal((3, 4), 1), normal((3, 2), 2)
    mask = np.array([[False, False, False], [True, False, True]])
    y = value(lambda q, k, v, m: lg.nn.scaled_dot_product_attention(q, k, v, m), q, k, v, mask)
    np.testing.assert_array_equal([0, 0], y[0])
    for g in gradient(lambda q, k, v: lg.nn.scaled_dot_product_attention(q, k, v, mask), q, k, v):
        assert np.isfinite(g).all()
    check_gradient(lambda q, k, v: lg.nn.scaled_dot_product_attention(q, k, v, mask), q, k, v)


def test_float32_stays_float32(gradient):
    """With every kind of mask."""
    q, k, v = (normal((3, 4), i).astype("float32") for i in range(3))
    for mask in (None, np.eye(3) > 0, np.eye(3, dtype="float32")):
        gs = gradient(lambda q, k, v, m=mask: lg.nn.scaled_dot_product_attention(q, k, v, m, causal=True), q, k, v)
        assert {np.dtype("float32")} == {g.dtype for g in gs}


@pytest.mark.parametrize(
    ("shapes", "cure"),
    [
        (((3, 4), (5, 3), (5, 2)), "A query has 4 features, a key 3; they must have as many."),
        (((3, 4), (5, 4), (6, 2)), "There are 5 keys and 6 values; there must be as many."),
        (((4,), (5, 4), (5, 2)), "Queries, keys and values have two axes or more, (..., position, feature)."),
        (((2, 3, 4), (3, 5, 4), (5, 2)), "The last axes are 2 and 3; they must be equal, or one of them 1."),
        (((3, 4), (5, 4), (5, 2), (2, 3, 5)), "The mask must broadcast to [3, 5]."),
    ],
)
def test_shapes_that_do_not_fit_are_refused(refusal, shapes, cure):
    """Each with its reason."""
    message = refusal(lg.nn.scaled_dot_product_attention, *[np.ones(shape, "float32") for shape in shapes])
    assert message.startswith("cannot attend with float32[")
    assert message.endswith(f"    {cure}")


def test_a_mask_of_whole_numbers_is_refused(refusal):
    """0 and 1 would be added to the scores, which is not what they mean."""
    q, k, v, mask = np.ones((3, 4)), np.ones((5, 4)), np.ones((5, 2)), np.ones((3, 5), int)
    message = refusal(lg.nn.scaled_dot_product_attention, q, k, v, mask)
    assert message.endswith("    A mask is bool, true where a query sees a key, or floats that are added: cast it.")


def test_a_refusal_names_all_operands(refusal):
    """With where each comes from."""
    q, k, v = (np.ones(shape, "float32") for shape in ((3, 4), (5, 3), (5, 2)))
    assert refusal(lambda q, k, v: lg.nn.scaled_dot_product_attention(q, k, v), q, k, v) == (
        "cannot attend with float32[3, 4] and float32[5, 3] and float32[5, 2]\n\n"
        "    PLACE\n\n"
        "    q:  float32[3, 4]   placeholder 'argument0'\n"
        "    k:  float32[5, 3]   placeholder 'argument1'\n"
        "    v:  float32[5, 2]   placeholder 'argument2'\n"
        "    A query has 4 features, a key 3; they must have as many."
    )
