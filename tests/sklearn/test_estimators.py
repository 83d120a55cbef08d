"""The estimators learn real data."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import lazygrad as lg
from lazygrad.sklearn import Classifier, Regressor
from lazygrad.sklearn.rows import Scale


class Dropping:
    """A network that is told if it is trained, with running statistics."""

    def __init__(self, env: Any, n_in: int, n_out: int) -> None:
        self.hidden = lg.nn.Linear(env, n_in, 32)
        self.norm = lg.nn.BatchNorm(env, 32)
        self.out = lg.nn.Linear(env, 32, n_out)

    def __call__(self, x: Any, train: bool) -> Any:
        return self.out(lg.nn.dropout(lg.nn.relu(self.norm(self.hidden(x), train)), 0.1, train))


@pytest.fixture(scope="module")
def digits() -> Any:
    """1,797 real digits, in two parts."""
    return train_test_split(*load_digits(return_X_y=True), test_size=0.25, random_state=0)


def test_the_classifier_reads_digits(digits: Any) -> None:
    """More than 96 % of those it has not seen."""
    x, test_x, y, test_y = digits
    fitted = Classifier(epochs=20, random_state=0).fit(x, y)
    assert fitted.score(test_x, test_y) > 0.96
    np.testing.assert_allclose(1, fitted.predict_proba(test_x).sum(axis=1))


def linear(env: Any, n_in: int, n_out: int) -> Any:
    """A straight line."""
    return lg.nn.Linear(env, n_in, n_out, weight=lg.nn.initializers.Zeros())


def test_a_linear_network_predicts_as_least_squares_in_its_own_units() -> None:
    """To a hundredth of the spread of the targets, from 25 to 346."""
    x, y = load_diabetes(return_X_y=True)
    fitted = Regressor(linear, epochs=300, batch_size=442, learning_rate=0.1, random_state=0).fit(x, y)
    np.testing.assert_allclose(LinearRegression().fit(x, y).predict(x), fitted.predict(x), atol=0.01 * y.std())


def test_early_stopping_keeps_a_part_back_and_the_best_variables() -> None:
    """It ends before its time, with the variables of the epoch with the least validation loss."""
    x, y = load_diabetes(return_X_y=True)
    fitted = Regressor(epochs=200, early_stopping=True, patience=5, random_state=0).fit(x, y)
    best, _ = fitted.history_.best("validation_loss")
    assert best + 5 == fitted.n_iter_ < 200
    again = Regressor(epochs=best, early_stopping=True, patience=5, random_state=0).fit(x, y)
    np.testing.assert_array_equal(again.predict(x), fitted.predict(x))


def test_it_works_in_a_pipeline_under_cross_validation_and_grid_search() -> None:
    """Settings of any step can be searched."""
    x, y = load_breast_cancer(return_X_y=True)
    line = make_pipeline(MinMaxScaler(), Classifier(epochs=10, random_state=0))
    assert cross_val_score(line, x, y, cv=3).mean() > 0.95
    search = GridSearchCV(line, {"classifier__learning_rate": [1e-5, 1e-2]}, cv=2).fit(x, y)
    assert {"classifier__learning_rate": 1e-2} == search.best_params_


def test_the_importance_of_columns_can_be_permuted() -> None:
    """The column that decides is the most important one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    fitted = Regressor(epochs=30, random_state=0).fit(x, 3 * x[:, 1])
    importances = permutation_importance(fitted, x, 3 * x[:, 1], n_repeats=3, random_state=0).importances_mean
    assert 1 == importances.argmax()


def test_a_model_of_ones_own_is_trained_and_told_if_it_is(digits: Any) -> None:
    """With dropout and running statistics; predictions are the same twice."""
    x, test_x, y, test_y = digits
    fitted = Classifier(Dropping, epochs=15, random_state=0).fit(x, y)
    assert fitted.score(test_x, test_y) > 0.95
    np.testing.assert_array_equal(fitted.predict_proba(test_x), fitted.predict_proba(test_x))
    assert "batch_norm/mean" in fitted.parameters_


@pytest.mark.parametrize("model", [None, Dropping])
def test_what_is_pickled_predicts_the_same(model: Any) -> None:
    """Arrays and settings are pickled, no graph and no code."""
    x, y = load_diabetes(return_X_y=True)
    fitted = Regressor(model, epochs=2, random_state=0).fit(x, y)
    written = pickle.dumps(fitted)
    assert b"VariableEnvironment" not in written
    np.testing.assert_array_equal(fitted.predict(x), pickle.loads(written).predict(x))


def test_the_same_random_state_gives_the_same_bits() -> None:
    """And another one others."""
    x, y = load_diabetes(return_X_y=True)
    found = [Regressor(epochs=2, random_state=state).fit(x, y).predict(x).tobytes() for state in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_several_columns_can_be_predicted() -> None:
    """Predictions have the shape of y."""
    x, y = load_diabetes(return_X_y=True)
    both = np.stack([y, -y], axis=1)
    fitted = Regressor(epochs=60, random_state=0).fit(x, both)
    assert both.shape == fitted.predict(x).shape
    assert fitted.score(x, both) > 0.4


def test_labels_may_be_words() -> None:
    """Predictions are words then."""
    x = np.array([[0.0], [0.1], [1.0], [1.1]] * 10)
    y = np.array(["low", "low", "high", "high"] * 10)
    fitted = Classifier(epochs=60, learning_rate=0.01, random_state=0).fit(x, y)
    assert ["high", "low"] == fitted.classes_.tolist()
    assert y.tolist() == fitted.predict(x).tolist()


def test_an_unfitted_estimator_says_so() -> None:
    """Also a fresh clone of a fitted one."""
    x, y = load_diabetes(return_X_y=True)
    with pytest.raises(NotFittedError):
        clone(Regressor(epochs=1).fit(x, y)).predict(x)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(bad: float) -> None:
    """In scikit-learn's words."""
    x, y = load_diabetes(return_X_y=True)
    x[3, 1] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        Regressor(epochs=1).fit(x, y)


def test_lazygrad_needs_no_scikit_learn() -> None:
    """It is imported only with lazygrad.sklearn."""
    program = "import sys, lazygrad; print('sklearn' in sys.modules, 'tqdm' in sys.modules, 'pandas' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "False False False\n" == finished.stdout


def test_a_column_that_is_constant_up_to_rounding_is_not_blown_up():
    """What is left of 0.3 − (0.1 + 0.2) is no feature: it would be as large as any other."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    X[:, 1] = np.where(rng.random(40) < 0.5, 0.3, 0.1 + 0.2)
    y = 3 * X[:, 0] + np.where(np.arange(40) % 2, 0.7, 0.7 * (1 + 2e-16))
    scale = Scale.of(X)
    np.testing.assert_allclose(X.mean(axis=0), scale.mean, rtol=1e-12)
    assert 1.0 == scale.spread[1]
    np.testing.assert_allclose(X[:, 0].std(), scale.spread[0], rtol=1e-12)
    model = Regressor(epochs=3, random_state=0).fit(X, y)
    moved = X + np.array([0.0, 1e-9])
    np.testing.assert_allclose(model.predict(X), model.predict(moved), rtol=1e-6)
    constant = Regressor(epochs=3, random_state=0).fit(X, np.full(40, 0.1) * 3 + 0 * y)
    assert constant._targets.spread == 1.0


def test_a_small_deviation_of_small_numbers_is_one():
    """Only what is small beside the numbers themselves is rounding."""
    X = 1e-30 * np.arange(5.0).reshape(5, 1)
    assert X.std() == pytest.approx(Scale.of(X).spread[0])


def test_a_missing_number_of_a_table_of_whole_numbers_is_named():
    """Where pandas makes NaN of a frame that has no other columns."""
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"n": pd.Series([1, None, 3], dtype="Int64")})
    with pytest.raises(lg.DataError, match=r"X has no number in row 1, column 0 \('n'\)"):
        Regressor(epochs=1).fit(X, [1.0, 2.0, 3.0])
