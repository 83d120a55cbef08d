"""partial_fit and warm_start go on from what was learned."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

import lazygrad as lg
from lazygrad.sklearn import Classifier, Regressor, Transformer
from lazygrad.sklearn.rows import Scale
from lazygrad.sklearn.session import Batches


@pytest.fixture(scope="module")
def iris() -> Any:
    """150 real flowers."""
    return load_iris(return_X_y=True)


class Dropping:
    """A network that draws, and keeps statistics."""

    def __init__(self, env: Any, n_in: int, n_out: int) -> None:
        self.hidden = lg.nn.Linear(env, n_in, 16)
        self.norm = lg.nn.BatchNorm(env, 16)
        self.out = lg.nn.Linear(env, 16, n_out)

    def __call__(self, x: Any, train: bool) -> Any:
        return self.out(lg.nn.dropout(lg.nn.relu(self.norm(self.hidden(x), train)), 0.3, train))


def test_a_stream_is_learned_part_by_part() -> None:
    """Digits in parts of 200, each seen five times: nearly as well as all at once."""
    x, y = load_digits(return_X_y=True)
    fitted = Classifier(learning_rate=0.003, random_state=0)
    for epoch in range(5):
        for start in range(0, 1400, 200):
            fitted.partial_fit(x[start : start + 200], y[start : start + 200], classes=range(10) if not epoch else None)
    assert fitted.score(x[1400:], y[1400:]) > 0.9
    assert 35 == fitted.n_iter_ == fitted.history_.epochs


def test_partial_fit_goes_on_as_fit_would(iris: Any) -> None:
    """Epoch after epoch of the same data give the same bits as one call of fit: order, draws, optimizer and all."""
    x, y = iris
    settings = {"model": Dropping, "standardize": False, "random_state": 0}
    whole = Classifier(**settings, epochs=3).fit(x, y)
    for keep in (True, False):
        parts = Classifier(**settings)
        for _ in range(3):
            parts.partial_fit(x, y, classes=[0, 1, 2])
            parts = parts if keep else pickle.loads(pickle.dumps(parts))
        for path, array in whole.parameters_.items():
            np.testing.assert_array_equal(array, parts.parameters_[path])
        assert whole.history_["loss"] == parts.history_["loss"]


def test_partial_fit_goes_on_after_fit(iris: Any) -> None:
    """One epoch more than was asked for."""
    x, y = iris
    settings = {"standardize": False, "random_state": 0}
    more = Classifier(**settings, epochs=3).fit(x, y).partial_fit(x, y)
    whole = Classifier(**settings, epochs=4).fit(x, y)
    np.testing.assert_array_equal(whole.predict_proba(x), more.predict_proba(x))


@pytest.mark.parametrize("kind", [Regressor, Classifier, Transformer])
def test_a_warm_start_goes_on_and_a_cold_one_does_not(kind: Any, iris: Any) -> None:
    """The loss of its first epoch is near that of the last one before; the order of the rows is another."""
    x, y = iris
    cold, warm = (kind(epochs=15, learning_rate=0.01, random_state=0, warm_start=w).fit(x, y) for w in (False, True))
    last = warm.history_["loss"][-1]
    np.testing.assert_array_equal(cold.history_["loss"], warm.history_["loss"])
    again = cold.history_["loss"]
    assert again == cold.fit(x, y).history_["loss"]
    assert warm.set_params(learning_rate=1e-4).fit(x, y).history_["loss"][0] < 1.1 * last
    assert 15 == warm.n_iter_


def test_means_and_variances_of_parts_are_those_of_the_whole() -> None:
    """With weights too, and where a column is constant."""
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(30, 3)) + 100, rng.random(30)
    x[:, 2] = 0.1
    for w in (None, weights):
        whole = Scale.of(x, w)
        parts = [Scale.of(x[a:b], None if w is None else w[a:b]) for a, b in [(0, 1), (1, 12), (12, 30)]]
        joined = parts[0].joined(parts[1]).joined(parts[2])
        np.testing.assert_allclose(np.average(x, 0, w), joined.mean, rtol=1e-13)
        np.testing.assert_allclose(whole.spread, joined.spread, rtol=1e-10)
        assert 1.0 == joined.spread[2]


def test_a_setting_may_be_changed_between_two_parts(iris: Any) -> None:
    """A learning rate of 0 changes nothing."""
    x, y = iris
    fitted = Classifier(random_state=0, standardize=False).partial_fit(x, y, classes=[0, 1, 2])
    before = fitted.predict_proba(x)
    np.testing.assert_array_equal(before, fitted.set_params(learning_rate=0.0).partial_fit(x, y).predict_proba(x))
    assert not np.array_equal(before, fitted.set_params(learning_rate=0.1).partial_fit(x, y).predict_proba(x))


def test_what_cannot_be_gone_on_from_is_refused(iris: Any) -> None:
    """And nothing of what was learned is lost."""
    x, y = iris
    fitted = Classifier(random_state=0)
    with pytest.raises(lg.DataError, match="needs classes"):
        fitted.partial_fit(x, y)
    with pytest.raises(lg.DataError, match="class_weight"):
        Classifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(lg.DataError, match="stop early"):
        Classifier(early_stopping=True).partial_fit(x, y, classes=[0, 1, 2])
    fitted.partial_fit(x, y, classes=[0, 1, 2])
    before = fitted.predict_proba(x)
    with pytest.raises(lg.DataError, match="not among the classes: 7"):
        fitted.partial_fit(x, np.where(y == 2, 7, y))
    with pytest.raises(lg.DataError, match="others than before"):
        fitted.partial_fit(x, y, classes=[0, 1, 2, 3])
    with pytest.raises(lg.DataError, match="others than before"):
        fitted.set_params(warm_start=True).fit(x[:100], y[:100])
    np.testing.assert_array_equal(before, fitted.predict_proba(x))
    numbers = Regressor(random_state=0).partial_fit(x, x[:, 0])
    with pytest.raises(lg.DataError, match="another shape"):
        numbers.partial_fit(x, x[:, :2])
    codes = Transformer(random_state=0, epochs=1).fit(x).set_params(n_components=3)
    with pytest.raises(lg.DataError, match="n_components"):
        codes.partial_fit(x)


def test_a_training_that_diverges_stops_with_a_warning(iris: Any) -> None:
    """The variables are those of before the epoch in which the loss was no number."""
    x, _ = iris
    fitted = Regressor(epochs=5, learning_rate=1e200, random_state=0)
    with pytest.warns(RuntimeWarning, match="not finite in epoch 1(.|\n)*learning rate"):
        fitted.fit(x, x[:, 0])
    assert 0 == fitted.n_iter_
    assert all(np.isfinite(array).all() for array in fitted.parameters_.values())


def test_a_training_that_was_broken_off_has_not_been(iris: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the third batch, that is; what goes on after it goes on from what there was before."""
    x, y = iris
    broken, whole = (Classifier(standardize=False, random_state=0).partial_fit(x, y, classes=range(3)) for _ in "ab")
    before, taken = broken.predict_proba(x), []

    def take(self: Batches, places: Any) -> Any:
        taken.append(places)
        if len(taken) == 5:  # two are compiled for
            raise KeyboardInterrupt
        return original(self, places)

    original = Batches.take
    monkeypatch.setattr(Batches, "take", take)
    with pytest.raises(KeyboardInterrupt):
        broken.partial_fit(x, y)
    monkeypatch.setattr(Batches, "take", original)
    np.testing.assert_array_equal(before, broken.predict_proba(x))
    for each in (broken, whole):
        each.partial_fit(x, y)
    np.testing.assert_array_equal(whole.predict_proba(x), broken.predict_proba(x))


def test_several_outputs_come_in_parts(iris: Any) -> None:
    """Where the first part has two labels of three, and looks as if it were sets of labels."""
    x, y = iris
    both = np.stack([y, 2 - y], axis=1)
    fitted = Classifier(learning_rate=0.01, random_state=0)
    rows = np.flatnonzero((both < 2).all(axis=1))
    fitted.partial_fit(x[rows], both[rows], classes=[[0, 1, 2], [0, 1, 2]])
    for _ in range(20):
        fitted.partial_fit(x, both)
    assert (both == fitted.predict(x)).mean() > 0.9
