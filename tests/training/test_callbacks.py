"""Best weights and early stopping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def walk() -> Callable[..., Any]:
    """A function that trains with losses as they are given, one an epoch; w counts the epochs."""

    def walked(losses: list[float], *callbacks: Any, epochs: int | None = None, **settings: Any) -> Any:
        env = lg.VariableEnvironment(seed=0)
        env.name("w").set(np.float32(0))
        env.name("losses").set(np.array(losses, "float32"), trainable=False)

        def step(ctx: Any, x: Any) -> Any:
            w = ctx.variable("w")
            return lg.take(ctx.variable("losses"), w.astype("int64")), ctx.assign("w", w + 1)

        history = lg.fit(
            step,
            np.zeros(1),
            epochs=epochs or len(losses),
            batch_size=1,
            callbacks=callbacks,
            env=env,
            **settings,
        )
        return env["w"], history

    return walked


def test_the_best_variables_come_back(walk: Any) -> None:
    """Those after the epoch with the least loss; the earliest of equals."""
    best = lg.BestWeights()
    w, history = walk([3.0, 1.0, 2.0, 1.0], best)
    assert (2.0, 4, 2, 1.0) == (w, history.epochs, best.epoch, best.value)


def test_the_largest_can_be_best(walk: Any) -> None:
    """As for an accuracy."""
    assert 3.0 == walk([3.0, 1.0, 5.0, 1.0], lg.BestWeights("loss", mode="max"))[0]


def test_training_stops_when_nothing_has_become_better(walk: Any) -> None:
    """After two epochs without a better loss, with the best variables, and it says why."""
    w, history = walk([3.0, 1.0, 2.0, 1.5, 0.1], lg.EarlyStopping(patience=2))
    assert (2.0, 4) == (w, history.epochs)
    assert "no better value than 1 since epoch 2" == history.stopped


def test_a_little_better_does_not_count(walk: Any) -> None:
    """Less than min_delta."""
    _, history = walk([1.0, 0.99, 0.98, 0.97, 0.5], lg.EarlyStopping(patience=3, min_delta=0.1))
    assert 4 == history.epochs


def test_a_loss_that_is_not_a_number_is_never_better(walk: Any) -> None:
    """Whether it comes first or later."""
    best = lg.BestWeights()
    with pytest.warns(RuntimeWarning, match="loss is not finite in epoch 1, batch 1"):
        walk([float("nan"), 2.0, float("nan")], best, on_nonfinite="warn")
    assert (2, 2.0) == (best.epoch, best.value)


def test_an_unknown_metric_is_told_before_training(walk: Any) -> None:
    """With those that there are; no epoch is trained first."""
    seen: list[int] = []
    with pytest.raises(lg.DataError, match="BestWeights: there is no metric 'accuracy'"):
        walk([1.0, 2.0], lambda training: seen.append(training.epoch), lg.BestWeights("accuracy"))
    assert [] == seen


@pytest.mark.parametrize("settings", [{"patience": 0}, {"patience": 1.5}, {"min_delta": -1.0}, {"min_delta": np.nan}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    """When it is made."""
    with pytest.raises(lg.DataError, match="cannot stop early with"):
        lg.EarlyStopping(**settings)


def test_what_was_best_survives_an_interruption(walk: Any, tmp_path: Any) -> None:
    """Best epoch, value and variables are in the checkpoint; the count of patience goes on."""
    losses = [3.0, 1.0, 2.0, 1.5, 0.1]
    walk(losses, lg.EarlyStopping(patience=2), epochs=3, checkpoint=tmp_path / "c.json")
    w, history = walk(losses, lg.EarlyStopping(patience=2), checkpoint=tmp_path / "c.json")
    assert (2.0, 4) == (w, history.epochs)
    assert losses[:4] == pytest.approx(history["loss"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("after_epochs", "Did you mean 'after_epoch'"),
        ("on_epoch_end", "named: 'before_training'"),
        ("before_epochs", "Did you mean 'before_epoch'"),
        ("restored", "Did you mean 'restore'?"),
        ("After_Epoch", "Did you mean 'after_epoch'"),
    ],
)
def test_a_method_that_nothing_calls_is_refused(name: str, said: str) -> None:
    """When the class is defined, also where it comes from another class."""
    for bases, members in (((lg.Callback,), {name: print}), ((lg.BestWeights, type("Other", (), {name: print})), {})):
        with pytest.raises(lg.DefinitionError) as refused:
            type("Logger", bases, members)
        assert f"Logger has a method {name!r}, which nothing calls" == str(refused.value).splitlines()[0]
        assert str(refused.value).endswith("The name of a method of your own may begin with an underscore.")
        assert "Did you mean" not in said or said in str(refused.value)


def test_methods_and_attributes_of_its_own_are_free() -> None:
    """What is not named as one of those that are called, and what cannot be called."""

    class Plotter(lg.Callback):
        on_screen = True

        def draw(self) -> None:
            pass

        def _after_batch(self) -> None:
            pass

        def after_epoch(self, training: lg.Training) -> None:
            self.draw()

    assert Plotter().on_screen


def test_callbacks_are_called_around_every_epoch_and_batch(problem: Any) -> None:
    """In this order, with the number of the batch, of how many, and what the step returned for it."""
    seen: list[Any] = []

    class Told(lg.Callback):
        def before_epoch(self, training: Any) -> None:
            seen.append(("before epoch", training.epoch))

        def before_batch(self, training: Any) -> None:
            seen.append(("before", training.batch, training.batches))

        def after_batch(self, training: Any) -> None:
            seen.append(("after", training.batch, training.batch_metrics["loss"]))

        def after_epoch(self, training: Any) -> None:
            seen.append(("after epoch", training.epoch))

    p = problem(100, compiled=False)
    history = lg.fit(p.step, (p.x, p.y), epochs=2, batch_size=50, callbacks=[Told()], env=p.env)
    losses = [entry[2] for entry in seen if entry[0] == "after"]
    assert [pytest.approx(sum(losses[:2]) / 2), pytest.approx(sum(losses[2:]) / 2)] == history["loss"]
    around = [[("before", k, 2), ("after", k, losses[2 * epoch + k - 1])] for epoch in (0, 1) for k in (1, 2)]
    assert [
        ("before epoch", 0), *around[0], *around[1], ("after epoch", 1),
        ("before epoch", 1), *around[2], *around[3], ("after epoch", 2),
    ] == seen  # fmt: skip


def test_a_callback_may_change_the_rate_at_every_batch_and_stop_after_the_epoch(problem: Any) -> None:
    """A warm-up; nothing is compiled anew."""
    p = problem(100)
    sgd = lg.optim.SGD(p.env, 0.0)
    rates: list[float] = []

    @p.env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
        return {"loss": loss, "rate": ctx.variable("sgd/learning_rate") * 1.0, "update": sgd.minimize(loss, ["w"])}

    class WarmUp(lg.Callback):
        def before_batch(self, training: Any) -> None:
            sgd.learning_rate = 0.01 * training.batch

        def after_batch(self, training: Any) -> None:
            rates.append(round(training.batch_metrics["rate"], 4))
            if training.batch == 2:
                training.stop("that is enough")

    history = lg.fit(step, (p.x, p.y), epochs=9, batch_size=25, callbacks=[WarmUp()])
    assert (1, "that is enough") == (history.epochs, history.stopped)
    assert [0.01, 0.02, 0.03, 0.04] == rates


@pytest.mark.parametrize("on_nonfinite", ["stop", "warn"])
def test_what_a_callback_raises_in_an_epoch_leaves_the_variables_as_before_it(problem: Any, on_nonfinite: str) -> None:
    """As an error of the data or of the step does."""
    kept: list[Any] = []

    class Fails(lg.Callback):
        def after_batch(self, training: Any) -> None:
            if (training.epoch, training.batch) == (1, 2):
                raise RuntimeError("no more")

        def after_epoch(self, training: Any) -> None:
            kept.append(training.env.copy())

    p = problem(compiled=False)
    with pytest.raises(RuntimeError, match="no more"):
        lg.fit(p.step, (p.x, p.y), epochs=9, callbacks=[Fails()], env=p.env, on_nonfinite=on_nonfinite)
    assert 1 == len(kept)
    for path in ("w", "adam/step"):
        np.testing.assert_array_equal(kept[0][path], p.env[path])


def test_a_callback_that_is_used_again_begins_anew(walk: Any) -> None:
    """What was best in another training is no measure, and its variables do not come back."""
    best = lg.EarlyStopping(patience=2)
    walk([3.0, 1.0, 2.0], best)
    w, history = walk([9.0, 8.0, 7.0, 8.0], best)
    assert (3.0, 4, 3, 7.0) == (w, history.epochs, best.epoch, best.value)


def test_one_callback_need_not_be_in_a_list(problem: Any) -> None:
    """A function, or an object."""
    p = problem(compiled=False)
    seen: list[int] = []
    lg.fit(p.step, (p.x, p.y), epochs=2, env=p.env, callbacks=lambda training: seen.append(training.epoch))
    best = lg.BestWeights()
    lg.fit(p.step, (p.x, p.y), epochs=2, env=p.env, callbacks=best)
    assert ([1, 2], True) == (seen, best.epoch > 0)
    with pytest.raises(lg.DataError, match="cannot use 3 as a callback"):
        lg.fit(p.step, (p.x, p.y), epochs=2, env=p.env, callbacks=[3])
