"""Sparse rows: as dense ones to rounding, and never dense as a whole."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from lazygrad.sklearn import Classifier, Regressor, Transformer
from lazygrad.sklearn.rows import Scale

WHOLE = {"epochs": 5, "batch_size": 1000, "random_state": 0}


@pytest.fixture(scope="module")
def dense() -> Any:
    """Rows of which most numbers are 0; a column has none, and one is constant."""
    x = sp.random(60, 6, density=0.3, random_state=0).toarray()
    x[:, 4], x[:, 5] = 0.0, 0.1
    return x


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("kind", [Regressor, Classifier, Transformer])
def test_sparse_rows_are_as_dense_ones(kind: Any, form: Any, dense: Any) -> None:
    """To rounding, in all that can be asked."""
    y = (dense[:, 0] > 0).astype(int)
    one, other = kind(**WHOLE).fit(dense, y), kind(**WHOLE).fit(form(dense), y)
    ask = "transform" if kind is Transformer else "predict"
    expected = getattr(one, ask)(dense)
    np.testing.assert_allclose(expected, getattr(other, ask)(form(dense)), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(one.score(dense, y), other.score(form(dense), y), rtol=1e-9)


def test_means_and_variances_of_sparse_columns_are_those_of_dense_ones(dense: Any) -> None:
    """With weights, and for a matrix that holds zeros, or an element in parts."""
    weights = np.random.default_rng(1).random(60)
    for w in (None, weights):
        expected, found = Scale.of(dense, w), Scale.of(sp.csr_array(dense), w)
        np.testing.assert_allclose(expected.mean, found.mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(expected.spread, found.spread, rtol=1e-12)
        assert [1.0, 1.0] == found.spread[4:].tolist()
    twice = sp.csr_array((np.ones(4), [0, 0, 0, 1], [0, 2, 4]), shape=(2, 2))
    fitted = Regressor(epochs=1).fit(twice, [0.0, 1.0])
    np.testing.assert_allclose([1.5, 0.5], fitted._columns.mean)
    assert 4 == twice.nnz


@pytest.mark.parametrize("kind", [Regressor, Transformer])
def test_a_large_sparse_matrix_is_never_dense_as_a_whole(kind: Any) -> None:
    """Of 4,000 rows and 2,000 columns, which would be 64 MB, a few hundred rows are dense at a time."""
    x = sp.random_array((4000, 2000), density=1e-3, rng=np.random.default_rng(0), format="csr")
    fitted = kind(epochs=1, batch_size=100)
    tracemalloc.start()
    fitted.fit(x, np.arange(4000.0)).score(x, np.arange(4000.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 48e6
