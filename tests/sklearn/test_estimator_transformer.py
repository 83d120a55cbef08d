"""The autoencoder: codes, the way back, names, and what scikit-learn's transformers do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import lazygrad as lg
from lazygrad.sklearn import Transformer


class Straight:
    """A network without hidden layers, which is told whether it is trained in one of its parts."""

    def __init__(self, env: Any, n_in: int, n_components: int) -> None:
        self.before = lg.nn.Linear(env, n_in, n_components)
        self.after = lg.nn.Linear(env, n_components, n_in)

    def encode(self, x: Any) -> Any:
        return self.before(x)

    def decode(self, code: Any, train: bool) -> Any:
        return self.after(lg.nn.dropout(code, 0.0, train))


@pytest.fixture(scope="module")
def iris() -> Any:
    """150 real flowers."""
    return load_iris(return_X_y=True)[0]


def test_a_linear_network_finds_the_principal_components(iris: Any) -> None:
    """Baldi & Hornik 1989: what comes back is the projection of PCA, in the units of the network."""
    fitted = Transformer(2, model=Straight, epochs=1500, batch_size=150, learning_rate=0.05, random_state=0).fit(iris)
    scaled = (iris - iris.mean(axis=0)) / iris.std(axis=0)
    pca = PCA(2).fit(scaled)
    expected = pca.inverse_transform(pca.transform(scaled)) * iris.std(axis=0) + iris.mean(axis=0)
    np.testing.assert_allclose(expected, fitted.inverse_transform(fitted.transform(iris)), atol=1e-4)
    np.testing.assert_allclose(pca.explained_variance_ratio_.sum(), fitted.score(iris), atol=1e-8)


def test_codes_keep_what_matters() -> None:
    """Digits as eight numbers each: more comes back than of two, and neighbours are of one kind."""
    x, y = load_digits(return_X_y=True)
    settings = {"epochs": 10, "learning_rate": 0.003, "standardize": False, "random_state": 0}
    x = x / 16
    fitted = {n: Transformer(n, **settings).fit(x[:1000]) for n in (2, 8)}
    assert 0.2 < fitted[2].score(x[1000:]) < fitted[8].score(x[1000:]) < 1
    codes = fitted[8].transform(x)
    assert (1797, 8) == codes.shape
    assert x.shape == fitted[8].inverse_transform(codes).shape
    line = make_pipeline(fitted[8], KNeighborsClassifier()).fit(x[:1000], y[:1000])
    assert line.score(x[1000:], y[1000:]) > 0.85


def test_codes_have_names(iris: Any) -> None:
    """As a data frame, if it is asked for."""
    pd = pytest.importorskip("pandas")
    fitted = Transformer(3, epochs=1, random_state=0)
    assert [f"transformer{i}" for i in range(3)] == fitted.fit(iris).get_feature_names_out().tolist()
    table = fitted.set_output(transform="pandas").fit_transform(pd.DataFrame(iris, index=np.arange(150) + 7))
    assert ["transformer0", "transformer1", "transformer2"] == list(table.columns)
    assert 7 == table.index[0]


def test_fitting_and_transforming_are_one_call(iris: Any) -> None:
    """To the same bits."""
    settings = {"epochs": 2, "random_state": 0}
    codes = Transformer(**settings).fit_transform(iris)
    np.testing.assert_array_equal(codes, Transformer(**settings).fit(iris).transform(iris))


def test_weights_count_in_the_score(iris: Any) -> None:
    """A row of weight 2 is two rows."""
    fitted = Transformer(epochs=5, random_state=0).fit(iris)
    weights = np.arange(150) % 3
    np.testing.assert_allclose(
        fitted.score(iris.repeat(weights, axis=0)), fitted.score(iris, sample_weight=weights), rtol=1e-9
    )


def test_early_stopping_needs_no_targets(iris: Any) -> None:
    """A part of the rows is kept back."""
    fitted = Transformer(epochs=200, early_stopping=True, patience=2, learning_rate=0.05, random_state=0).fit(iris)
    assert fitted.n_iter_ < 200
    assert "validation_loss" in fitted.history_


@pytest.mark.parametrize("n_components", [0, 1.5, True, "two"])
def test_a_number_of_components_that_is_none_is_refused(n_components: Any, iris: Any) -> None:
    """It is a whole number."""
    with pytest.raises(lg.DataError, match="n_components"):
        Transformer(n_components, epochs=1).fit(iris)


def test_codes_of_another_length_are_refused(iris: Any) -> None:
    """With how many there must be."""
    fitted = Transformer(2, epochs=1).fit(iris)
    with pytest.raises(lg.DataError, match=r"no codes(.|\n)*n_components:  2"):
        fitted.inverse_transform(iris)
