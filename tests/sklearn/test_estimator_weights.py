"""Weights of rows and of classes mean what scikit-learn says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight

import lazygrad as lg
from lazygrad.sklearn import Classifier, Regressor, Transformer

WHOLE = {"epochs": 20, "batch_size": 1000, "learning_rate": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def data() -> Any:
    """Rows, numbers, labels, and weights from 0 to 3."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    return x, x @ [1.0, -2.0, 0.5] + 1e3, rng.integers(0, 3, 40), rng.integers(0, 4, 40)


@pytest.mark.parametrize("kind", [Regressor, Classifier, Transformer])
def test_a_whole_weight_is_as_many_rows(kind: Any, data: Any) -> None:
    """To rounding, as the whole data set is one batch; a weight of 0 is a row that is not there."""
    x, number, label, weights = data
    y = label if kind is Classifier else number
    weighted = kind(**WHOLE).fit(x, y, sample_weight=weights)
    repeated = kind(**WHOLE).fit(x.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(repeated.history_["loss"], weighted.history_["loss"], rtol=1e-9)
    for path, array in repeated.parameters_.items():
        np.testing.assert_allclose(array, weighted.parameters_[path], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", [Regressor, Classifier, Transformer])
def test_a_weight_of_nothing_is_no_row(kind: Any, data: Any) -> None:
    """To the bit, in batches too."""
    x, number, label, weights = data
    y, weights = label if kind is Classifier else number, (weights > 0).astype(float)
    settings = {**WHOLE, "epochs": 3, "batch_size": 8}
    weighted = kind(**settings).fit(x, y, sample_weight=weights)
    removed = kind(**settings).fit(x[weights > 0], y[weights > 0], sample_weight=np.ones(int(weights.sum())))
    for path, array in removed.parameters_.items():
        np.testing.assert_array_equal(array, weighted.parameters_[path])


def test_only_the_ratios_of_weights_matter(data: Any) -> None:
    """Also for what partial_fit does."""
    x, number, _, weights = data
    one, other = (Regressor(**WHOLE).partial_fit(x, number, sample_weight=weights * c) for c in (1.0, 8.0))
    np.testing.assert_allclose(one.predict(x), other.predict(x), rtol=1e-12)


@pytest.mark.parametrize("weight", ["balanced", {0: 2.0, 2: 0.5}])
def test_the_weight_of_a_class_is_that_of_its_rows(weight: Any, data: Any) -> None:
    """scikit-learn's own function gives the weights of the rows."""
    x, _, y, _ = data
    by_class = Classifier(**WHOLE, class_weight=weight).fit(x, y)
    full = weight if weight == "balanced" else {1: 1.0, **weight}
    by_row = Classifier(**WHOLE).fit(x, y, sample_weight=compute_sample_weight(full, y))
    np.testing.assert_allclose(by_row.predict_proba(x), by_class.predict_proba(x), rtol=1e-9)


def test_balanced_classes_are_balanced_by_the_weights_of_their_rows(data: Any) -> None:
    """So that a weight of 2 still is as two rows."""
    x, _, y, weights = data
    one = Classifier(**WHOLE, class_weight="balanced").fit(x, y, sample_weight=weights)
    other = Classifier(**WHOLE, class_weight="balanced").fit(x.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(one.predict_proba(x), other.predict_proba(x), rtol=1e-7, atol=1e-9)


def test_a_rare_class_is_found_if_classes_are_balanced() -> None:
    """In small batches too, most of which have none of it."""
    x, y = make_classification(600, 8, weights=[0.96], class_sep=0.7, flip_y=0, random_state=0)
    found = [
        recall_score(y, Classifier(epochs=5, random_state=0, class_weight=weight).fit(x, y).predict(x))
        for weight in (None, "balanced")
    ]
    assert found[0] < 0.5
    assert found[1] > 0.8


def test_a_class_of_weight_nothing_is_still_a_class(data: Any) -> None:
    """It is not trained on, and is not predicted."""
    x, _, y, _ = data
    fitted = Classifier(**WHOLE, class_weight={0: 0.0}).fit(x, y)
    assert [0, 1, 2] == fitted.classes_.tolist()
    assert 0 not in fitted.predict(x)


def test_a_part_of_which_no_class_counts_is_refused(data: Any) -> None:
    """There is nothing to go through."""
    x, _, y, _ = data
    part = y == 0
    with pytest.raises(lg.DataError, match="class_weight is 0 for the classes of all rows"):
        Classifier(class_weight={0: 0.0}).partial_fit(x[part], y[part], classes=[0, 1, 2])


def test_weights_count_on_what_is_kept_back() -> None:
    """The validation loss is the weighted mean, so that rows of little weight do not decide."""
    x, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = np.where(np.arange(150) % 2, y, rng.integers(0, 3, 150))
    weights = np.where(np.arange(150) % 2, 1.0, 1e-9)
    settings = {"epochs": 30, "random_state": 0, "early_stopping": True, "validation_fraction": 0.3}
    clean = Classifier(**settings).fit(x, noisy, sample_weight=weights)
    assert clean.history_["validation_loss"][-1] < 0.4
    assert Classifier(**settings).fit(x, noisy).history_["validation_loss"][-1] > 0.4


@pytest.mark.parametrize(
    ("weights", "match"),
    [(-1.0, "negative"), (0.0, "zero"), (np.nan, "NaN"), (np.ones(3), "sample_weight.shape")],
)
def test_weights_that_are_none_are_refused(weights: Any, match: str, data: Any) -> None:
    """One a row, 0 or more, not all of them 0."""
    x, y, _, _ = data
    weights = np.full(40, weights) if np.ndim(weights) == 0 else weights
    with pytest.raises(ValueError, match=match):
        Regressor(epochs=1).fit(x, y, sample_weight=weights)


@pytest.mark.parametrize("weight", ["even", {0: -1.0}, {0: 0.0, 1: 0.0, 2: 0.0}, {5: 1.0}, [{0: 1.0}, {0: 2.0}]])
def test_a_weight_of_classes_that_is_none_is_refused(weight: Any, data: Any) -> None:
    """With what it may be."""
    x, _, y, _ = data
    with pytest.raises(lg.DataError, match=r"class_weight(.|\n)*'balanced'"):
        Classifier(epochs=1, class_weight=weight).fit(x, y)
