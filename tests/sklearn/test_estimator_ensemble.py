"""Networks that say how sure they are."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import lazygrad as lg
from lazygrad.sklearn import Ensemble


@pytest.fixture(scope="module")
def noisy() -> Any:
    """A line, with a noise of 0.1 on its left and 0.4 on its right half."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(400, 1))
    return x, 100 + 10 * (x[:, 0] + np.where(x[:, 0] > 0, 0.4, 0.1) * rng.normal(size=400))


@pytest.fixture(scope="module")
def fitted(noisy: Any) -> Ensemble:
    """Three networks."""
    return Ensemble(n_networks=3, epochs=60, learning_rate=0.003, random_state=0).fit(*noisy)


def test_the_noise_of_the_data_is_found(fitted: Ensemble) -> None:
    """In the units of the targets, to a third."""
    mean, deviation = fitted.predict(np.array([[-0.5], [0.5]]), return_std=True)
    np.testing.assert_allclose([95, 105], mean, atol=1.5)
    np.testing.assert_allclose([1.0, 4.0], deviation, rtol=0.35)
    np.testing.assert_array_equal(mean, fitted.predict(np.array([[-0.5], [0.5]])))


def test_networks_differ_where_there_are_no_data(fitted: Ensemble) -> None:
    """More than where there are."""
    means = np.stack([each.predict(np.array([[-0.5], [-8.0]])) for each in fitted.estimators_])
    assert 3 == len(means)
    assert means.std(axis=0)[1] > 5 * means.std(axis=0)[0]


def test_a_deviation_is_of_the_mixture(fitted: Ensemble, noisy: Any) -> None:
    """The mean of the variances and the variance of the means."""
    x, _ = noisy
    moments = [each.moments(x) for each in fitted.estimators_]
    _, deviation = fitted.predict(x, return_std=True)
    expected = np.mean([v + m**2 for m, v in moments], axis=0) - np.mean([m for m, _ in moments], axis=0) ** 2
    np.testing.assert_allclose(expected, deviation**2, rtol=1e-9)


def test_several_columns_sparse_rows_weights_and_parts(noisy: Any) -> None:
    """As for one network; what is pickled predicts and goes on the same."""
    x, y = noisy
    both, weights = np.stack([y, -y], axis=1), np.where(x[:, 0] > 0, 0.0, 1.0)
    ensemble = Ensemble(n_networks=2, epochs=30, learning_rate=0.01, random_state=0)
    ensemble.fit(sp.csr_array(x), both, sample_weight=weights)
    mean, deviation = ensemble.predict(x, return_std=True)
    assert (400, 2) == mean.shape == deviation.shape
    assert deviation[x[:, 0] < 0].mean() < 2
    again = pickle.loads(pickle.dumps(ensemble))
    for each in (ensemble, again):
        each.partial_fit(x, both)
    np.testing.assert_array_equal(ensemble.predict(x), again.predict(x))
    assert [31, 31] == [each.n_iter_ for each in ensemble.estimators_]


@pytest.mark.parametrize("count", [0, 2.5, True])
def test_a_number_of_networks_that_is_none_is_refused(count: Any, noisy: Any) -> None:
    """It is a whole number."""
    with pytest.raises(lg.DataError, match="n_networks"):
        Ensemble(n_networks=count).fit(*noisy)
