"""Metrics of the whole validation set, which are scikit-learn's."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import lazygrad as lg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(61, 2)).astype("float32")
Y = (X.sum(axis=1) + 0.5 * RNG.normal(size=61) > 0).astype(int)


def trained(metrics: Any, returned: Any = None, validation: Any = (X, Y), **settings: Any) -> Any:
    """The history of a logistic regression, and what it says of the validation set in the end."""
    env = lg.VariableEnvironment(seed=0)
    line = lg.nn.Linear(env, 2, 2)
    sgd = lg.optim.SGD(env, 0.5)

    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        logits = line(x)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        told = {"loss": loss, **(returned or (lambda logits, y: {"predictions": lg.argmax(logits, axis=1)}))(logits, y)}
        return told | {"update": sgd.minimize(loss)} if train else told

    history = lg.fit(
        step, (X, Y), epochs=2, batch_size=20, validation=validation, metrics=metrics, env=env, seed=0, **settings
    )
    return history, env.run(lambda ctx, x: line(x), X)


def test_metrics_are_computed_on_the_whole_validation_set() -> None:
    """By scikit-learn's names, with or without their ending; by functions; by names of one's own."""
    macro = functools.partial(sklearn.metrics.f1_score, average="macro")
    for metrics, names in [
        (["accuracy", "f1_score", sklearn.metrics.matthews_corrcoef], ["accuracy", "f1_score", "matthews_corrcoef"]),
        ({"macro": macro, "hits": "accuracy"}, ["macro", "hits"]),
        (macro, ["f1_score"]),
        ("zero_one", ["zero_one"]),
    ]:
        history, logits = trained(metrics)
        assert ["loss", "validation_loss", *(f"validation_{name}" for name in names)] == list(history)
        given = metrics if isinstance(metrics, dict) else dict.fromkeys(names)
        for name, metric in zip(names, given.values() if isinstance(metrics, dict) else [None] * 9, strict=False):
            f = metric if callable(metric) else macro if metrics is macro else lg.nn.metrics.named(metric or name)
            assert pytest.approx(f(Y, logits.argmax(axis=1))) == history[f"validation_{name}"][-1]


def test_predictions_may_be_probabilities_and_targets_the_steps_own() -> None:
    """For what wants them."""
    history, logits = trained("roc_auc", lambda logits, y: {"predictions": logits[:, 1] - logits[:, 0]})
    scores = logits[:, 1] - logits[:, 0]
    assert sklearn.metrics.roc_auc_score(Y, scores) == pytest.approx(history["validation_roc_auc"][-1])
    history, logits = trained("r2", lambda logits, y: {"predictions": logits, "targets": lg.stack([y, 1 - y], axis=1)})
    expected = sklearn.metrics.r2_score(np.stack([Y, 1 - Y], axis=1), logits)
    assert expected == pytest.approx(history["validation_r2"][-1], rel=1e-5)


def test_predictions_that_nobody_asks_for_are_left_out() -> None:
    """The same step trains without metrics."""
    assert ["loss", "validation_loss"] == list(trained(None)[0])


def test_a_callback_may_go_by_a_metric() -> None:
    """Such as early stopping."""
    best = lg.BestWeights("validation_accuracy", mode="max")
    history, _ = trained("accuracy", callbacks=[best])
    assert max(history["validation_accuracy"]) == best.value


def test_metrics_of_batches_that_come_one_by_one() -> None:
    """The same."""
    expected = trained(["accuracy"])[0]
    found = trained(["accuracy"], validation=lambda: [(X[:11], Y[:11]), (X[11:], Y[11:])])[0]
    assert expected["validation_accuracy"] == found["validation_accuracy"]
    x, y = np.empty((20, 2), "float32"), np.empty(20, int)

    def filled() -> Any:
        for k in range(0, 60, 20):
            x[:], y[:] = X[k : k + 20], Y[k : k + 20]
            yield x, y

    expected = trained(["accuracy"], validation=(X[:60], Y[:60]))[0]
    assert expected["validation_accuracy"] == trained(["accuracy"], validation=filled)[0]["validation_accuracy"]


def test_what_is_no_metric_is_told_before_training() -> None:
    """And predictions that are not returned, and a validation set that is not there."""
    with pytest.raises(AttributeError, match=r"(?s)no metric 'f1_scores'.*Did you mean 'f1_score'"):
        trained("f1_scores")
    for metrics in ([3], ["accuracy", "accuracy"], {"loss": "accuracy"}):
        with pytest.raises(lg.DataError, match="Metrics are functions"):
            trained(metrics)
    with pytest.raises(lg.GraphError, match="step returns no predictions, of which the metrics could be computed"):
        trained("accuracy", lambda logits, y: {})
    with pytest.raises(lg.DataError, match="there are metrics, but no data for them"):
        trained("accuracy", validation=None)
    with pytest.raises(lg.GraphError, match="step returns an array as 'logits'"):
        trained(None, lambda logits, y: {"logits": logits})


def test_a_metric_that_cannot_be_computed_is_told_with_what_it_was_given() -> None:
    """And one that is no number."""
    with pytest.raises(lg.DataError) as caught:
        trained("accuracy", lambda logits, y: {"predictions": logits})
    said = str(caught.value)
    assert said.startswith("cannot compute validation_accuracy")
    assert "targets:      int64[61]" in said
    assert "predictions:  float32[61, 2]" in said
    assert "lg.argmax(logits, axis=1)" in said
    with pytest.raises(lg.DataError, match="A metric is one number an epoch"):
        trained(sklearn.metrics.confusion_matrix)


def test_the_metrics_of_lazygrad_are_scikit_learns_and_are_imported_when_they_are_used() -> None:
    """By name, also in what is listed."""
    assert lg.nn.metrics.f1_score is sklearn.metrics.f1_score
    assert "f1_score" in dir(lg.nn.metrics)
    with pytest.raises(AttributeError, match="scikit-learn has no metric 'f2'"):
        _ = lg.nn.metrics.f2
    program = (
        "import sys, lazygrad as lg; assert 'sklearn' not in sys.modules; lg.nn.metrics; "
        "assert 'sklearn' not in sys.modules; sys.modules['sklearn.metrics'] = None\n"
        "try: lg.nn.metrics.f1_score\n"
        "except lg.BackendError as reason: print(str(reason).splitlines()[0])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cannot use metrics: scikit-learn is not installed" == found.stdout.strip()
