"""Weights of examples and of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import lazygrad as lg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 2)).astype("float32")
Y = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
W = np.linspace(0.5, 2, 12)


def given(data: Any, beside: bool = False, **settings: Any) -> Any:
    """The weights that a step was given for the rows in their order, by training and by validation."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.float32(0))
    seen: dict[bool, list[Any]] = {True: [], False: []}

    def step(ctx: Any, x: Any, y: Any, sample_weight: Any, train: bool = True) -> Any:
        sample_weight.hook(lambda array: seen[train].append(env._store.backend.to_numpy(array)))
        loss = lg.sum(x) * 0
        return (loss, ctx.assign("w", loss)) if train else loss

    def by_name(ctx: Any, *, y: Any, train: bool, sample_weight: Any = None, x: Any) -> Any:
        return step(ctx, x, y, sample_weight, train)

    lg.fit(by_name if beside else step, data, epochs=1, batch_size=5, shuffle=False, env=env, **settings)
    return [np.concatenate(arrays) if arrays else None for arrays in seen.values()]


def test_weights_of_examples_come_to_the_step_with_their_rows() -> None:
    """In the environment's dtype, however data and arguments are named; in validation every example weighs 1."""
    for data, beside in [((X, Y), False), ({"y": Y, "x": X}, False), ({"y": Y, "x": X}, True)]:
        held_out = {"x": X[:7], "y": Y[:7]} if beside else (X[:7], Y[:7])
        trained, validated = given(data, beside, sample_weight=W, validation=held_out)
        assert np.float32 == trained.dtype
        np.testing.assert_array_equal(W.astype("float32"), trained)
        np.testing.assert_array_equal(np.ones(7, "float32"), validated)


def test_a_validation_set_may_have_weights_of_its_own() -> None:
    """As a third array, or by name."""
    for held_out in ((X, Y, W), {"x": X, "y": Y, "sample_weight": W}):
        assert W.astype("float32").tolist() == given((X, Y), sample_weight=2 * W, validation=held_out)[1].tolist()


def test_weights_of_classes_come_as_weights_of_examples() -> None:
    """From a dict, in which what is missing weighs 1, from a list, or balanced, as scikit-learn does it."""
    assert (np.array([1, 5, 1])[Y] == given((X, Y), class_weight={1: 5.0})[0]).all()
    assert (np.array([1, 2, 0.5], "float32")[Y] == given((X, Y), class_weight=[1, 2, 0.5])[0]).all()
    assert (np.where(Y > 0, 5, 1) == given((X, (Y > 0).astype("float32")), class_weight={1: 5.0})[0]).all()
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=Y)
    np.testing.assert_allclose(balanced[Y], given((X, Y), class_weight="balanced")[0], rtol=1e-6)


def test_weights_of_examples_and_of_classes_are_multiplied() -> None:
    """Those in the data too."""
    expected = (W * np.array([1, 5, 1])[Y]).astype("float32")
    for data, settings in [((X, Y), {"sample_weight": W}), ({"x": X, "y": Y, "sample_weight": W}, {})]:
        np.testing.assert_allclose(expected, given(data, class_weight={1: 5}, **settings)[0], rtol=1e-6)


def test_every_label_of_a_sequence_weighs_what_its_class_does() -> None:
    """Times the weight of its row."""
    y = np.stack([Y, Y[::-1]], axis=1)
    found, validated = given((X, y), class_weight={2: 3}, sample_weight=W, validation=(X[:3], y[:3]))
    np.testing.assert_allclose(found, (W[:, None] * np.array([1, 1, 3])[y]).astype("float32"), rtol=1e-6)
    assert (3, 2) == validated.shape


def test_batches_that_come_one_by_one_are_weighed_by_class_too() -> None:
    """By a dict or a list; what nobody can know is refused, and so are weights apart from the batches."""
    batches = [(X[:5], Y[:5]), (X[5:], Y[5:])]
    assert (np.array([1, 5, 1])[Y] == given(lambda: iter(batches), class_weight={1: 5})[0]).all()
    with pytest.raises(lg.DataError, match="cannot balance the classes of such data"):
        given(lambda: iter(batches), class_weight="balanced")
    with pytest.raises(lg.DataError, match="sample_weight does not fit data that come batch by batch"):
        given(lambda: iter(batches), sample_weight=W)
    named = [{"x": X, "y": Y, "sample_weight": W}]
    assert W.astype("float32").tolist() == given(lambda: iter(named))[0].tolist()


def test_a_weight_of_two_is_as_good_as_the_example_twice() -> None:
    """Also of the class: the step takes the weighted mean."""
    found = []
    for rows, settings in [(np.repeat(np.arange(12), Y + 1), {}), (np.arange(12), {"class_weight": {1: 2, 2: 3}})]:
        env = lg.VariableEnvironment(seed=0, dtype="float64")
        line = lg.nn.Linear(env, 2, 3)
        sgd = lg.optim.SGD(env, 0.1)

        @env.compile
        def step(ctx: Any, x: Any, y: Any, sample_weight: Any = 1.0, line: Any = line, sgd: Any = sgd) -> Any:
            losses = lg.nn.cross_entropy(line(x), y)
            weight = sample_weight * lg.ones_like(losses)
            loss = lg.sum(weight * losses) / lg.sum(weight)
            return loss, sgd.minimize(loss)

        history = lg.fit(
            step, {"x": X[rows].astype("float64"), "y": Y[rows]}, epochs=3, batch_size=len(rows), **settings
        )
        found.append((history["loss"], line.weight.value))
    np.testing.assert_allclose(*[losses for losses, _ in found])
    np.testing.assert_allclose(*[weight for _, weight in found])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"class_weight": "even"}, "cannot use 'even' as class_weight"),
        ({"class_weight": {1: -1}}, "cannot use {1: -1} as class_weight"),
        ({"class_weight": {"a": 1}}, "cannot use {'a': 1} as class_weight"),
        ({"class_weight": {}}, "cannot use {} as class_weight"),
        ({"class_weight": [1, 2]}, "labels without a weight:  2"),
        ({"class_weight": {0: 1, 3: 2}}, "weights without a label:  3"),
        ({"sample_weight": W[:5]}, "sample_weight does not fit the data"),
        ({"sample_weight": np.ones((12, 2))}, "sample_weight does not fit the data"),
        ({"sample_weight": -W}, "sample_weight[0] is -0.5"),
        ({"sample_weight": 0 * W}, "not all of them 0"),
        (
            {"sample_weight": np.where(np.arange(12) == 0, np.inf, W)},
            "sample_weight has a number that is not finite, in row 0",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(settings: Any, said: str) -> None:
    """Before anything is trained."""
    with pytest.raises(lg.DataError) as caught:
        given((X, Y), **settings)
    assert said in str(caught.value)


def test_labels_that_are_no_classes_and_a_step_that_takes_no_weights_are_told() -> None:
    """With what to do."""
    with pytest.raises(lg.DataError, match="class_weight needs labels that are whole numbers"):
        given((X, Y + 0.5), class_weight={1: 2})
    with pytest.raises(lg.DataError, match="sample_weight is given twice"):
        given({"x": X, "y": Y, "sample_weight": W}, sample_weight=W)
    env = lg.VariableEnvironment(seed=0)
    with pytest.raises(lg.DataError) as caught:
        lg.fit(lambda ctx, x, y: None, (X, Y), epochs=1, class_weight={1: 2}, env=env)
    assert str(caught.value).startswith("<lambda> takes no sample_weight")
    assert "lg.sum(sample_weight * losses) / lg.sum(sample_weight)" in str(caught.value)
