"""Sets of labels, several outputs, words, and classes that are few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.metrics import roc_auc_score

import lazygrad as lg
from lazygrad.sklearn import Classifier, Regressor

SHORT = {"epochs": 30, "learning_rate": 0.01, "random_state": 0}


@pytest.fixture(scope="module")
def iris() -> Any:
    """150 real flowers."""
    return load_iris(return_X_y=True)


def test_a_row_may_have_several_labels() -> None:
    """Each with a probability of its own."""
    x, y = make_multilabel_classification(200, n_classes=4, random_state=0)
    fitted = Classifier(**SHORT).fit(x, y)
    odds = fitted.predict_proba(x)
    assert (200, 4) == odds.shape
    np.testing.assert_array_equal(odds > 0.5, fitted.predict(x))
    np.testing.assert_allclose(np.log(odds), fitted.predict_log_proba(x), rtol=1e-9, atol=1e-12)
    assert fitted.score(x, y) > 0.9


def test_each_of_several_outputs_has_classes_of_its_own(iris: Any) -> None:
    """Words and numbers of any count; probabilities are a list."""
    x, kind = iris
    y = np.stack([np.array(["small", "large"])[(x[:, 2] > 4).astype(int)], np.array(["a", "b", "c"])[kind]], axis=1)
    fitted = Classifier(**SHORT).fit(x, y)
    assert [["large", "small"], ["a", "b", "c"]] == [names.tolist() for names in fitted.classes_]
    assert [(150, 2), (150, 3)] == [odds.shape for odds in fitted.predict_proba(x)]
    assert [(150,), (150, 3)] == [each.shape for each in fitted.decision_function(x)]
    assert (y == fitted.predict(x)).mean() > 0.95
    np.testing.assert_allclose(
        fitted.predict_log_proba(x)[1], np.log(fitted.predict_proba(x)[1]), rtol=1e-9, atol=1e-12
    )
    weighted = Classifier(**SHORT, class_weight=[{"small": 0.0}, None]).fit(x, y)
    assert ["large"] * 150 == weighted.predict(x)[:, 0].tolist()


def test_the_odds_of_two_classes_are_one_number(iris: Any) -> None:
    """As every scorer of scikit-learn expects."""
    x, y = iris
    fitted = Classifier(**SHORT).fit(x, y > 1)
    odds = fitted.predict_proba(x)
    np.testing.assert_allclose(np.log(odds[:, 1] / odds[:, 0]), fitted.decision_function(x), rtol=1e-9)
    assert roc_auc_score(y > 1, fitted.decision_function(x)) > 0.99


def test_early_stopping_takes_words_and_keeps_back_as_many_of_each(iris: Any) -> None:
    """One of ten rows of each class: with 10, 20 and 30 rows there are 1, 2 and 3."""
    x, kind = iris
    rows = np.concatenate([np.arange(10), np.arange(50, 70), np.arange(100, 130)])
    y = np.array(["setosa", "versicolor", "virginica"])[kind]
    fitted = Classifier(**SHORT, early_stopping=True).fit(x[rows], y[rows])
    assert fitted.score(x, y) > 0.9
    codes = np.repeat([0, 1, 2], [10, 20, 30])
    _, held_out = fitted._parts(60, 0, codes)
    assert [1, 2, 3] == np.bincount(codes[held_out]).tolist()


def test_too_few_rows_to_keep_some_back_are_told(iris: Any) -> None:
    """With what can be done."""
    x, y = iris
    with pytest.raises(lg.DataError, match=r"cannot keep 0\.1 of 6 rows back(.|\n)*validation_fraction"):
        Classifier(epochs=1, early_stopping=True).fit(x[::25], y[::25])


def test_a_regressor_with_one_column_keeps_it(iris: Any) -> None:
    """Predictions have the shape of y."""
    x, _ = iris
    fitted = Regressor(epochs=1).fit(x, x[:, :1])
    assert (150, 1) == fitted.predict(x).shape
