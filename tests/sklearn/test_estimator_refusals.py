"""What estimators refuse, and what they say."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import lazygrad as lg
from lazygrad.sklearn import Classifier, Ensemble, Regressor, Transformer, base

X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.where(X[:, 0] > 0, "yes", "no")


class Wide:
    """A network with an output more than was asked for."""

    def __init__(self, env: Any, n_in: int, n_out: int) -> None:
        self.layer = lg.nn.Linear(env, n_in, n_out + 1)

    def __call__(self, x: Any) -> Any:
        return self.layer(x)


@pytest.mark.parametrize(("kind", "y"), [(Regressor, X[:, 0]), (Classifier, Y)])
def test_a_network_of_another_width_is_refused(kind: Any, y: Any) -> None:
    """Of classes it would be one that there is not."""
    with pytest.raises(lg.SpecError, match=r"one number an output(.|\n)*network:  float64\[20, \d\]"):
        kind(Wide).fit(X, y)


def test_a_model_that_is_none_is_refused() -> None:
    """One that cannot be called, and one without the methods of an autoencoder."""
    with pytest.raises(lg.DataError, match="cannot use 3 as model"):
        Regressor(3).fit(X, X[:, 0])
    with pytest.raises(lg.DataError, match="Wide has no method 'encode'"):
        Transformer(model=Wide).fit(X)


def test_columns_that_are_no_numbers_are_named() -> None:
    """With their dtypes, and what to do."""
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {"a": X[:, 0], "kind": pd.Series(Y, dtype="category"), "day": pd.date_range("2020", periods=20)}
    )
    with pytest.raises(lg.DataError, match=r"column 'kind':  category(.|\n)*column 'day':  datetime64(.|\n)*encoders"):
        Regressor(epochs=1).fit(table, X[:, 0])


def test_columns_of_polars_are_named_and_checked() -> None:
    """As those of pandas."""
    pl = pytest.importorskip("polars")
    table = pl.DataFrame(X, schema=["a", "b", "c"])
    fitted = Classifier(epochs=1, random_state=0).fit(table, pl.Series(Y))
    assert ["a", "b", "c"] == fitted.feature_names_in_.tolist()
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(table.select("b", "a", "c"))
    with pytest.raises(lg.DataError, match="column 'a':  String"):
        Classifier(epochs=1).fit(table.with_columns(a=pl.lit("x")), pl.Series(Y))


def test_a_label_that_is_missing_is_named() -> None:
    """By its row, whatever pandas calls it."""
    pd = pytest.importorskip("pandas")
    with pytest.raises(lg.DataError, match="y is missing in row 4"):
        Classifier(epochs=1).fit(X, pd.Series([*Y[:4], None, *Y[5:]]))


@pytest.mark.parametrize("kind", [Classifier, Regressor, Transformer, Ensemble])
@pytest.mark.parametrize("goes_on", [False, True])
def test_an_estimator_is_as_before_if_training_fails(kind: Any, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other data, whether it goes on or begins anew; one that was never fitted is not fitted then."""
    y = (X[:, 0] > 0).astype(int)
    fitted = kind(epochs=1, random_state=0).fit(X, y)
    before = pickle.dumps(fitted)

    def broken(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise MemoryError
        return original(*args, **kwargs)

    calls: list[Any] = [None] * (0 if kind is Ensemble else 2)  # of the ensemble it is the third network
    original = base.train
    monkeypatch.setattr(base, "train", broken)
    other = (X, y) if goes_on else (X[:, :2], np.arange(20) % 4)
    with pytest.raises(MemoryError):
        (fitted.partial_fit if goes_on else fitted.fit)(*other)
    assert before == pickle.dumps(fitted)
    calls[:] = [None] * 2
    fresh = kind(epochs=1)
    with pytest.raises(MemoryError):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        (fresh.transform if kind is Transformer else fresh.predict)(X)
