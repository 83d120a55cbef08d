"""A learning rate that is made smaller when a metric does not become better."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg

X = np.ones((4, 1), "float32")


class Told(lg.Callback):
    """Puts given values in the place of a metric."""

    def __init__(self, values, name="loss"):
        self.values, self.name = values, name

    def after_epoch(self, training):
        """The value of this epoch."""
        training.metrics[self.name] = self.values[training.epoch - 1]


def trained(values, epochs=None, checkpoint=None, rates=None, **given):
    """The rate after each epoch in which a metric had these values, and the optimizer."""
    env = lg.VariableEnvironment(seed=0)
    w = env.name("w").set(np.zeros(1, "float32"))
    sgd = lg.optim.SGD(env, 1.0, rates=rates)

    @env.compile
    def step(ctx, x):
        loss = lg.mean(lg.square(x @ lg.reshape(ctx.variable(w), (1, 1)) - 1))
        return loss, sgd.minimize(loss)

    seen = []
    callbacks = [
        Told(values),
        lg.ReduceOnPlateau(sgd, **given),
        lambda training: seen.append(sgd.learning_rate),
    ]
    lg.fit(step, X, epochs=epochs or len(values), batch_size=4, callbacks=callbacks, checkpoint=checkpoint)
    return seen, sgd


def test_the_rate_falls_when_nothing_is_better_for_so_long():
    """It waits anew after each time, and a better value begins the wait again."""
    assert [1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125] == trained([3, 3, 4, 3, 3, 2, 2, 2], factor=0.5, patience=2)[0]


def test_a_value_counts_as_better_by_a_margin_and_upwards():
    """NaN is never better."""
    assert [1, 0.5, 0.25] == trained([3, 2.9, 2.8], factor=0.5, patience=1, min_delta=0.5)[0]
    assert [1, 1, 1, 0.5] == trained([3, 4, 5, 4], factor=0.5, patience=1, mode="max")[0]
    assert [1, 0.5, 0.5] == trained([3, float("nan"), 1], factor=0.5, patience=1)[0]


def test_no_rate_falls_below_the_least():
    """And none that is below it is raised; rates of parts fall too."""
    seen, sgd = trained([1, 1, 1, 1], factor=0.5, patience=1, min_rate=0.3, rates={"w": 0.2})
    assert [1, 0.5, 0.3, 0.3] == seen
    assert {"w": 0.2} == dict(sgd.rates)
    assert {"w": 0.25} == dict(trained([1, 1, 1], factor=0.5, patience=1, rates={"w": 1.0})[1].rates)


def test_a_checkpoint_goes_on_in_the_middle_of_the_wait(tmp_path):
    """The rate and the wait are those of a training that was not interrupted."""
    values = [3, 3, 3, 3, 3, 3]
    whole, _ = trained(values, factor=0.5, patience=2)
    first, _ = trained(values, epochs=4, factor=0.5, patience=2, checkpoint=tmp_path / "c.json")
    second, _ = trained(values, epochs=6, factor=0.5, patience=2, checkpoint=tmp_path / "c.json")
    assert whole == first + second


@pytest.mark.parametrize(
    "given",
    [{"factor": 1.0}, {"factor": 0}, {"patience": 0}, {"patience": 1.5}, {"min_delta": -1}, {"min_rate": float("nan")}],
)
def test_settings_out_of_range_are_refused(given):
    """With the ranges."""
    sgd = lg.optim.SGD(lg.VariableEnvironment())
    with pytest.raises(lg.DataError) as refused:
        lg.ReduceOnPlateau(sgd, **given)
    assert "factor lies between 0 and 1; patience is 1 or more" in str(refused.value)
    with pytest.raises(lg.DataError):
        lg.ReduceOnPlateau(sgd, mode="down")


def test_what_has_no_number_for_a_rate_is_refused():
    """A schedule before the first epoch, as it may be set until then; a metric that there is not."""
    with pytest.raises(lg.DataError) as refused:
        lg.ReduceOnPlateau(0.1)
    assert "0.1 has no learning rate" == str(refused.value).splitlines()[0]
    env = lg.VariableEnvironment()
    sgd = lg.optim.accumulate(lg.optim.SGD(env, lg.optim.schedules.Constant(0.1)), 2)
    callback = lg.ReduceOnPlateau(sgd)
    with pytest.raises(lg.DataError) as refused:
        callback.before_training(["loss"])
    assert "cannot reduce a learning rate that is a schedule" == str(refused.value).splitlines()[0]
    sgd.learning_rate = 0.5
    callback.before_training(["loss", "validation_loss"])
    assert "validation_loss" == callback.metric
    with pytest.raises(lg.DataError) as refused:
        lg.ReduceOnPlateau(sgd, metric="los").before_training(["loss"])
    assert "ReduceOnPlateau: there is no metric 'los'" == str(refused.value).splitlines()[0]
