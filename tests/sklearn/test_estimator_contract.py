"""The estimators keep scikit-learn's contract: all of its own checks, and what pipelines and searches need."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from lazygrad.sklearn import Classifier, Ensemble, Regressor, Transformer

SHORT = {"epochs": 15, "batch_size": 100, "learning_rate": 0.02, "random_state": 0}
KINDS = [Regressor, Classifier, Transformer]


@pytest.mark.thinned(5)
@parametrize_with_checks([*(kind(**SHORT) for kind in KINDS), Ensemble(n_networks=2, **SHORT)])
def test_it_keeps_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """All of scikit-learn's own checks, none of which is expected to fail."""
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract_with_its_defaults(kind: Any) -> None:
    """All but the epochs. None fails, and none is skipped but that of array API input, which a variable turns on."""
    found = check_estimator(kind(epochs=100), on_skip=None)
    assert {"check_array_api_input"} == {each["check_name"] for each in found if each["status"] != "passed"}


@pytest.mark.slow
def test_the_check_of_array_api_input_passes_where_it_is_turned_on() -> None:
    """It is skipped elsewhere."""
    program = (
        "from lazygrad.sklearn import *; from sklearn.utils.estimator_checks import check_array_api_input as check\n"
        f"for kind in (Regressor, Classifier, Transformer): check(kind.__name__, kind(**{SHORT}), 'numpy', "
        "expect_only_array_outputs=False)"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True
    )
    assert (0, "") == (finished.returncode, finished.stderr)


@pytest.fixture(scope="module")
def iris() -> Any:
    """150 real flowers."""
    return load_iris(return_X_y=True)


@pytest.mark.slow
def test_a_search_runs_in_several_processes(iris: Any) -> None:
    """With joblib's loky, to the same numbers as in one."""
    grid = {"learning_rate": [1e-4, 1e-2]}
    found = [GridSearchCV(Classifier(**SHORT), grid, cv=2, n_jobs=n).fit(*iris).cv_results_ for n in (1, 2)]
    np.testing.assert_array_equal(found[0]["mean_test_score"], found[1]["mean_test_score"])


def test_weights_are_routed_to_it_where_it_asks_for_them(iris: Any) -> None:
    """Through a pipeline, into fit and score."""
    x, y = iris
    weights = np.where(y == 1, 1.0, 0.0) + np.where(y == 2, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        last = Classifier(**SHORT).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        line = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), last)
        found = cross_validate(line, x, y, params={"sample_weight": weights}, cv=2, return_estimator=True)
    assert [[1, 2]] * 2 == [each[-1].classes_.tolist() for each in found["estimator"]]
    assert found["test_score"].min() > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_columns_are_remembered_and_checked(kind: Any) -> None:
    """Other names, or another order, are refused."""
    pd = pytest.importorskip("pandas")
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["width", "height"])
    fitted = kind(epochs=1).fit(x, x["width"] > 0)
    assert ["width", "height"] == fitted.feature_names_in_.tolist()
    assert 2 == fitted.n_features_in_
    ask = fitted.transform if kind is Transformer else fitted.predict
    with pytest.raises(ValueError, match="feature names"):
        ask(x[["height", "width"]])
    with pytest.raises(ValueError, match="feature names"):
        fitted.partial_fit(x.rename(columns={"width": "depth"}), x["width"] > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_has_learned_nothing_and_a_copy_all(kind: Any, iris: Any) -> None:
    """Pickled and unpickled, it goes on to the same bits as if it had not been."""
    x, y = iris
    first = kind(**SHORT).fit(x, y)
    assert not hasattr(clone(first), "parameters_")
    second = pickle.loads(pickle.dumps(first))
    for fitted in (first, second):
        fitted.partial_fit(x, y)
    for path, array in first.parameters_.items():
        np.testing.assert_array_equal(array, second.parameters_[path])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", -1), ("epochs", 2.5), ("batch_size", 0), ("patience", True), ("learning_rate", -1), ("dtype", "int8")],
)
def test_a_parameter_that_is_out_of_range_is_named(setting: str, value: Any, iris: Any) -> None:
    """When it is fitted, as scikit-learn wants it."""
    with pytest.raises(Exception, match=setting):
        Classifier(**{setting: value}).fit(*iris)


def test_the_dtype_of_the_training_is_that_of_the_data_unless_it_is_given(iris: Any) -> None:
    """float32 data are trained on in float32, all others in float64."""
    x, y = iris
    for X, dtype, expected in [(x, None, "float64"), (x.astype("float32"), None, "float32"), (x, "float32", "float32")]:
        fitted = Classifier(epochs=1, dtype=dtype).fit(X, y)
        assert {expected} == {array.dtype.name for array in fitted.parameters_.values()}
        assert "float64" == fitted.predict_proba(X).dtype
