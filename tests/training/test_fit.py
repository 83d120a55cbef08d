"""``lg.fit``: what it computes, in which order, and what it says of what it cannot train with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from files import signed
from snapshots import at, snapshot

import lazygrad as lg

Make = Callable[..., Any]

STOPS = "epochs=3, batch_size=40, shuffle=False)"  # the line of a test that a message names


def test_it_is_the_loop_that_one_would_write(problem: Make) -> None:
    """The same batches in the same order give the same variables and the same means, the ragged batch included."""
    p = problem()
    history = lg.fit(p.step, (p.x, p.y), epochs=3, batch_size=25, seed=7)
    q = problem()
    step = q.env.compile(q.step.__wrapped__, wait=True)
    losses = []
    for epoch in range(3):
        total = 0.0
        for x, y in lg.batches((q.x, q.y), 25, seed=7, epoch=epoch):
            total += len(x) * float(step(x, y, train=True)["loss"])
        losses.append(total / len(q.x))
    np.testing.assert_array_equal(q.env["w"], p.env["w"])
    assert losses == history["loss"]


def test_run_and_compile_train_alike(problem: Make) -> None:
    """A plain function is run by env.run."""
    p, q = problem(), problem(compiled=False)
    compiled = lg.fit(p.step, (p.x, p.y), epochs=3, validation=(p.x, p.y))
    run = lg.fit(q.step, (q.x, q.y), epochs=3, validation=(q.x, q.y), env=q.env)
    assert dict(compiled) == {name: pytest.approx(values, rel=1e-5) for name, values in run.items()}


def test_a_step_that_draws_nothing_trains_alike(problem: Make) -> None:
    """Native code then does the whole call, from the first one on."""
    found = []
    for compiled in (True, False):
        p = problem()
        sgd = lg.optim.SGD(p.env, 0.05)

        def step(ctx: Any, x: Any, y: Any, sgd: Any = sgd) -> Any:
            loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
            return loss, sgd.minimize(loss, ["w"])

        def step_of(ctx: Any, x: Any, y: Any, step: Any = step) -> Any:
            return step(ctx, x, y)

        lg.fit(p.env.compile(step_of) if compiled else step_of, (p.x, p.y), epochs=3, env=p.env)
        found.append(p.env["w"])
    np.testing.assert_allclose(*found, rtol=1e-4)
    assert np.abs(found[0]).min() > 0.01


def test_the_same_seed_gives_the_same_bits(problem: Make) -> None:
    """And another one another order."""
    found = []
    for seed in (1, 1, 2):
        p = problem()
        lg.fit(p.step, (p.x, p.y), epochs=2, seed=seed)
        found.append(p.env["w"].tobytes())
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_validation_uses_every_example_and_changes_nothing(problem: Make) -> None:
    """The mean of the last epoch is that of all validation examples at once, with train=False."""
    p = problem()
    history = lg.fit(p.step, (p.x, p.y), epochs=2, batch_size=40, validation=(p.x[:50], p.y[:50]))
    errors = (p.x[:50] @ p.env["w"] - p.y[:50]) ** 2
    assert errors.mean() == pytest.approx(history["validation_loss"][-1], rel=1e-5)


def test_another_step_can_validate(problem: Make) -> None:
    """It takes the same arrays, and names its own metrics."""
    p = problem()
    evaluate = p.env.compile(lambda ctx, x, y: {"worst": lg.max(lg.abs(x @ ctx.variable("w") - y))})
    history = lg.fit(p.step, (p.x, p.y), epochs=1, batch_size=103, validation=(p.x, p.y), evaluate=evaluate)
    worst = np.abs(p.x @ p.env["w"] - p.y).max()
    assert [pytest.approx(worst, rel=1e-5)] == history["validation_worst"]


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (lambda loss, update: (loss, update), ["loss"]),
        (lambda loss, update: (loss, 2 * loss, update), ["loss", "metric_1"]),
        (lambda loss, update: [update, loss], ["loss"]),
        (lambda loss, update: {"a": loss, "b": {"c": loss}, "update": update}, ["a", "b_c"]),
        (lambda loss, update: ({"a": loss, "b": {"c": loss}}, update), ["a", "b_c"]),
        (lambda loss, update: (loss, {"a": loss}, update, loss * 2), ["loss", "metric_1", "a"]),
        (lambda loss, update: ((loss, loss), update), ["loss", "metric_1"]),
    ],
)
def test_metrics_are_named_as_they_are_returned(returned: Any, names: list[str], problem: Make) -> None:
    """By the keys of dicts, also within a tuple; in tuples and lists the first number is the loss."""
    p = problem()
    sgd = lg.optim.SGD(p.env, 0.1)

    @p.env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
        return returned(loss, sgd.minimize(loss))

    assert names == list(lg.fit(step, (p.x, p.y), epochs=1))


def test_a_data_frame_and_a_dict_are_data(problem: Make) -> None:
    """A frame's numbers are its array; a dict's arrays are given in order."""
    p, q = problem(), problem()
    frame = pd.DataFrame(p.x.astype(np.float64), columns=list("abc"))
    mine = lg.fit(p.step, (frame, pd.Series(p.y)), epochs=1)
    assert list(lg.fit(q.step, {"x": q.x, "y": q.y}, epochs=1).values()) == list(mine.values())


def test_floating_data_are_cast_to_the_dtype_of_the_environment(problem: Make) -> None:
    """So float64 data do not make a float32 model compute in float64; whole numbers stay."""
    p = problem()
    seen = []

    def step(ctx: Any, x: Any, y: Any, i: Any) -> Any:
        seen.append([str(t.dtype) for t in (x, y, i)])
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
        return loss, ctx.assign("w", ctx.variable("w") - 0.1 * lg.grad(loss, [ctx.variable("w")])[0])

    lg.fit(step, (p.x.astype(np.float64), p.y, np.arange(103)), epochs=1, env=p.env)
    assert seen[0] == ["float32", "float32", "int64"]


def test_a_callback_sees_the_epoch_and_can_stop(problem: Make) -> None:
    """A function of the training is called after every epoch."""
    p = problem()
    seen = []

    def callback(training: lg.Training) -> None:
        seen.append((training.epoch, training.epochs, sorted(training.metrics)))
        if training.epoch == 2:
            training.stop("enough")

    history = lg.fit(p.step, (p.x, p.y), epochs=5, callbacks=[callback])
    assert seen == [(1, 5, ["loss"]), (2, 5, ["loss"])]
    assert "enough" == history.stopped


def bursting(p: Any, rate: float = 1e30, compiled: bool = True) -> Any:
    """A step whose second update, or loss, is beyond float32."""
    sgd = lg.optim.SGD(p.env, rate, momentum=0.5)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        noise = ctx.random.normal(())
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y + 0 * noise))
        return {"noise": noise, "loss": loss, "update": sgd.minimize(loss)}

    return p.env.compile(step) if compiled else step


@pytest.mark.parametrize("compiled", [True, False])
def test_training_stops_at_a_loss_that_is_not_finite(compiled: bool, problem: Make, tmp_path: Path) -> None:
    """The variables, the draws, the history and the checkpoint are those of before that epoch."""
    p, file = problem(), tmp_path / "c.json"
    step = bursting(p, 1e-3, compiled)
    lg.fit(step, (p.x, p.y), epochs=2, checkpoint=file, env=p.env)
    before = snapshot(p.env)
    text = file.read_text().replace('"data": [0.001]', '"data": [1e+30]')  # the learning rate
    file.write_text(signed(json.loads(text)))
    text = file.read_text()
    with pytest.warns(RuntimeWarning, match="loss is not finite in epoch 3, batch 2") as said:
        history = lg.fit(step, (p.x, p.y), epochs=5, checkpoint=file, env=p.env)
    assert (1, 2, text) == (len(said), history.epochs, file.read_text())
    p.env["sgd/learning_rate"] = 1e-3
    assert before == snapshot(p.env)


def test_what_is_said_of_a_loss_that_is_not_finite(problem: Make) -> None:
    """Epoch, batch and rows; what became of the training; what to do. ``history.stopped`` has it on one line."""
    p = problem()
    step = bursting(p)
    with pytest.warns(RuntimeWarning) as said:
        history = lg.fit(step, (p.x, p.y), epochs=3, batch_size=40, shuffle=False)
    shown = ", ".join(map(str, range(40, 72))) + ", … (40 in all)"
    assert str(said[0].message) == (
        "loss is not finite in epoch 1, batch 2\n\n"
        f"{at(test_what_is_said_of_a_loss_that_is_not_finite, STOPS)}\n\n"
        f"    loss:  inf\n    rows:  {shown}\n"
        "    The training was stopped. The variables are those of after epoch 0.\n"
        '    Is the learning rate too large? With on_nonfinite="warn" it goes on.'
    )
    assert f"loss is inf in epoch 1, batch 2, rows {shown}" == history.stopped
    assert (0, [0.0] * 3) == (history.epochs, p.env["w"].tolist())


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    ("formula", "w", "blamed"),
    [
        (lambda x, w: lg.log(x @ w), [-1.0, 0.0, 0.0], ["comes from:  log", "variables:   'w'", "arguments:   'x'"]),
        (lambda x, w: lg.sum(w) * x, [np.nan, 0.0, 0.0], ["variables:   'w'"]),
        (lambda x, w: lg.sum(w) + x / 0.0, [1.0, 0.0, 0.0], ["comes from:  divide", "arguments:   'x'"]),
        (lambda x, w: float("nan"), [1.0, 0.0, 0.0], []),
    ],
)
def test_a_loss_that_is_not_finite_at_the_start_is_told_with_what_made_it(
    formula: Any, w: list[float], blamed: list[str], compiled: bool
) -> None:
    """The first op that made it of finite numbers, its line, and the variables; nothing has been changed."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array(w, "float32"))
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        value = formula(x + 0 * ctx.random.normal((4, 3)), ctx.variable("w"))
        loss = lg.mean(value) if isinstance(value, lg.Tensor) else value
        return loss, sgd.minimize(lg.sum(ctx.variable("w") ** 2), ["w"])

    lg.fit(env.compile(step) if compiled else step, np.ones((4, 3), "float32"), epochs=0, batch_size=4, env=env)
    before = snapshot(env)
    with pytest.warns(RuntimeWarning, match="loss is not finite in epoch 1, batch 1") as said:
        lg.fit(env.compile(step) if compiled else step, np.ones((4, 3), "float32"), epochs=3, batch_size=4, env=env)
    lines = [line.strip() for line in str(said[0].message).splitlines()]
    told = [line for line in lines if line.startswith(("comes from:", "variables:", "arguments:"))]
    assert len(blamed) == len(told), told
    assert all(
        part.split(":  ")[0] in line and part.split()[-1] in line for part, line in zip(blamed, told, strict=True)
    )
    assert "No update had been made: look at the data" in lines[-1]
    assert before == snapshot(env)


def test_the_rows_that_are_named_are_those_of_the_batch(problem: Make) -> None:
    """In the order of the epoch: a loss that is infinite at one row is found in the batch that has it."""
    p = problem()
    p.env.name("bad").set(p.x[17], trainable=False)
    sgd = lg.optim.SGD(p.env, 0.01)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        bad = lg.all(lg.equal(x, ctx.variable("bad")), axis=1)
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y) + lg.where(bad, np.float32("inf"), 0.0))
        return loss, sgd.minimize(loss)

    with pytest.warns(RuntimeWarning):
        history = lg.fit(p.env.compile(step), (p.x, p.y), epochs=3, batch_size=10)
    rows = history.stopped.partition(", rows ")[2].split(", ")
    assert 10 == len(rows)
    assert "17" in rows


def test_a_loss_that_is_not_finite_is_only_warned_of_if_so_asked(problem: Make, tmp_path: Path) -> None:
    """Once, and training goes on; but no checkpoint is written of such an epoch."""
    p, file = problem(), tmp_path / "c.json"
    step = bursting(p)
    with pytest.warns(RuntimeWarning, match="loss is not finite in epoch 1, batch 2") as said:
        history = lg.fit(step, (p.x, p.y), epochs=3, on_nonfinite="warn", checkpoint=file)
    assert 1 == len(said)
    assert (3, "") == (history.epochs, history.stopped)
    assert [file] == list(tmp_path.iterdir())
    assert [0.0] * 3 == lg.VariableEnvironment.load(file)["w"].tolist()


def test_an_update_after_the_last_loss_is_looked_at_too(problem: Make, tmp_path: Path) -> None:
    """No loss tells of it: the variables themselves are not finite after the epoch."""
    p, file = problem(), tmp_path / "c.json"
    with pytest.warns(RuntimeWarning, match="variable 'w' is not finite after epoch 1"):
        history = lg.fit(bursting(p, 1e38), (p.x * 100, p.y), epochs=3, batch_size=103, checkpoint=file)
    assert (0, "variable 'w' is not finite after epoch 1") == (history.epochs, history.stopped)
    assert [0.0] * 3 == p.env["w"].tolist() == lg.VariableEnvironment.load(file)["w"].tolist()


def test_a_variable_that_was_infinite_before_does_not_stop_training(problem: Make) -> None:
    """It may be meant, as a mask is."""
    p = problem()
    p.env.name("mask").set(np.array([0.0, -np.inf], "float32"))
    assert 2 == lg.fit(p.step, (p.x, p.y), epochs=2).epochs


def test_the_best_variables_come_back_after_a_loss_that_is_not_finite(problem: Make) -> None:
    """As after any other end."""
    p, best = problem(), lg.BestWeights()
    step = bursting(p, 0.01)

    def burst(training: Any) -> None:
        if training.epoch == 2:
            p.env["sgd/learning_rate"] = 1e30

    with pytest.warns(RuntimeWarning, match="in epoch 3, batch 2"):
        history = lg.fit(step, (p.x, p.y), epochs=5, callbacks=[best, burst])
    assert (2, 2) == (history.epochs, best.epoch)
    assert 0.01 == p.env["sgd/learning_rate"]


@pytest.mark.parametrize("value", ["Stop", None, True, "raise"])
def test_an_unknown_way_with_losses_is_refused(value: Any, problem: Make) -> None:
    """Before anything is trained."""
    p = problem()
    assert "as on_nonfinite" in message(p, lg.DataError, on_nonfinite=value)


def test_predictions_of_another_rank_than_the_targets_are_warned_of(problem: Make) -> None:
    """(n, 1) − (n,) is (n, n): every prediction beside every target. The warning names the line."""
    p = problem()
    line, sgd = lg.nn.Linear(p.env, 3, 1, name="line"), lg.optim.SGD(p.env, 0.1)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(line(x) - y))
        return loss, sgd.minimize(loss)

    with pytest.warns(RuntimeWarning, match="step pairs every row of a batch with every other row") as said:
        lg.fit(step, (p.x, p.y), epochs=1, batch_size=103, env=p.env)
    assert 1 == len(said)
    text = str(said[0].message)
    assert "loss = lg.mean(lg.square(line(x) - y))" in text
    assert "float32[103]   placeholder 'y'" in text
    lg.fit(step, (p.x, p.y[:, None]), epochs=1, env=p.env)


def test_pairs_of_the_rows_of_one_argument_are_no_slip(problem: Make) -> None:
    """Whether two labels are the same is asked of all pairs on purpose."""
    p = problem()
    sgd = lg.optim.SGD(p.env, 0.1)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        same = lg.equal(lg.expand_dims(y, 1), y)
        loss = lg.mean(lg.where(same, 1.0, 0.0)) * lg.sum(ctx.variable("w"))
        return loss, sgd.minimize(loss)

    assert 1 == lg.fit(step, (p.x, p.y), epochs=1, env=p.env).epochs


def message(p: Any, error: type[Exception], **changed: Any) -> str:
    """What fit says, which leaves the environment as it was."""
    before = p.env["w"].tobytes(), len(p.env)
    settings = {"step": p.step, "data": (p.x, p.y), "epochs": 1, **changed}
    with pytest.raises(error) as raised:
        lg.fit(settings.pop("step"), settings.pop("data"), **settings)
    assert before == (p.env["w"].tobytes(), len(p.env))
    return str(raised.value)


def damaged(x: Any, value: float) -> Any:
    """A copy with one other number."""
    x = x.copy()
    x[17, 2] = value
    return x


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named_by_row_and_column(value: float, problem: Make) -> None:
    """In the data and in the validation set; a column of a data frame by its name."""
    p = problem()
    bad = damaged(p.x, value)
    assert "x has a number that is not finite, in row 17, column 2\n" in message(p, lg.DataError, data=(bad, p.y))
    frame = pd.DataFrame(bad, columns=["a", "b", "price"])
    assert "in row 17, column 2 ('price')" in message(p, lg.DataError, data=(frame, p.y))
    assert f"x[17, 2] is {value}" in message(p, lg.DataError, validation=(bad, p.y))


def test_a_number_beyond_the_dtype_is_not_finite(problem: Make) -> None:
    """1e300 is infinite in float32; the message has the number that was given."""
    p = problem()
    said = message(p, lg.DataError, data=(damaged(p.x.astype(np.float64), 1e300), p.y))
    assert "x[17, 2] is 1e+300 in float32" in said


def test_a_label_that_is_out_of_range_is_named_before_training(problem: Make) -> None:
    """Even if it stands in the last batch: the step's own graph says how many classes there are."""
    p = problem(columns=4)
    sgd = lg.optim.SGD(p.env, 0.1)

    @p.env.compile
    def step(ctx: Any, x: Any, kind: Any, train: bool) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(x * ctx.variable("w"), kind))
        return (loss, sgd.minimize(loss)) if train else loss

    kinds = np.arange(103) % 4
    wrong = np.where(np.arange(103) == 90, 4, kinds)
    said = message(p, lg.DataError, step=step, data=(p.x, wrong), shuffle=False)
    assert "kind has a label that is out of range" in said
    assert "kind[90] is 4, in row 90" in said
    assert "labels are whole numbers from 0 to 3" in said
    assert "kind[90] is 4" in message(p, lg.DataError, step=step, data=(p.x, kinds), validation=(p.x, wrong))


def test_an_index_of_an_embedding_that_is_out_of_range_is_named_before_training(problem: Make) -> None:
    """As in indexing, negative ones count from the end."""
    p = problem()
    table = lg.nn.Embedding(p.env, 10, 2, name="table")
    sgd = lg.optim.SGD(p.env, 0.1)

    def step(ctx: Any, i: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(lg.sum(table(i), axis=1) - y))
        return loss, sgd.minimize(loss)

    indices = np.arange(103) % 10
    assert "i[5] is 10, in row 5" in message(
        p, lg.DataError, step=step, data=(np.where(np.arange(103) == 5, 10, indices), p.y), env=p.env
    )
    assert 1 == lg.fit(step, (indices - 10, p.y), epochs=1, env=p.env).epochs


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch_size": 104}, "the batch size is above the size of the data"),
        ({"batch_size": 0}, "cannot use 0 as batch_size"),
        ({"batch_size": 2.5}, "cannot use 2.5 as batch_size"),
        ({"epochs": -1}, "cannot use -1 as epochs"),
        ({"epochs": True}, "cannot use True as epochs"),
        ({"seed": "a"}, "cannot use 'a' as seed"),
        ({"data": ()}, "there is no data"),
        ({"data": (np.zeros((0, 3)), np.zeros(0))}, "x has no rows: the data set is empty"),
        ({"data": (np.zeros((5, 3)), np.zeros(4))}, "the arrays have different numbers of rows"),
        ({"data": (np.array([["a"] * 3] * 40), np.zeros(40))}, "cannot train with x: it is not an array of numbers"),
        ({"data": (3.0, np.zeros(4))}, "cannot train with x: it is a single number"),
        ({"validation": (np.zeros((5, 2)), np.zeros(5))}, "x has other columns in the validation set"),
        ({"validation": (np.zeros((5, 3)),)}, "the validation set has other arrays than the data"),
        ({"evaluate": lambda ctx: 1}, "there is a step for validation, but no data for it"),
        ({"callbacks": [3]}, "cannot use 3 as a callback"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(changed: dict[str, Any], said: str, problem: Make) -> None:
    """Before anything is changed, in words that name what was given."""
    assert said in message(problem(), lg.DataError, **changed)


def test_a_last_batch_that_the_step_cannot_take_is_told_before_training(problem: Make, tmp_path: Path) -> None:
    """One example has no variance: 103 examples in batches of 51 leave one over."""
    p = problem()
    norm, sgd = lg.nn.BatchNorm(p.env, 3, name="norm"), lg.optim.SGD(p.env, 0.1)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(norm(x, train=True) @ ctx.variable("w") - y))
        return loss, sgd.minimize(loss), ctx.updates()

    file = tmp_path / "c.json"
    said = message(p, lg.SpecError, step=p.env.compile(step), batch_size=51, checkpoint=file)
    assert "One number a feature has no variance" in said
    assert not file.exists()


def test_columns_of_another_name_or_order_are_refused(problem: Make) -> None:
    """A validation frame whose columns are exchanged would be misread without a word."""
    p = problem()
    frame = pd.DataFrame(p.x, columns=list("abc"))
    said = message(p, lg.DataError, data=(frame, p.y), validation=(frame[["b", "a", "c"]], p.y))
    assert "other columns in the validation set, or in another order" in said
    said = message(p, lg.DataError, data=(frame, p.y), validation=(frame.rename(columns={"c": "d"}), p.y))
    assert "first that differs:  'c'" in said


def test_the_wrong_number_of_columns_is_told_at_the_line_of_the_step(problem: Make) -> None:
    """As for any other mismatch of shapes."""
    p = problem()
    said = message(p, lg.SpecError, data=(p.x[:, :2], p.y))
    assert "kept @ ctx.variable" in said


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda ctx, x, y: lg.mean(x), "changes no variable: it cannot train"),
        (lambda ctx, x, y: (x, ctx.assign("w", x[0])), "returns an array as 'loss'"),
        (3, "cannot train with 3: it is not a step"),
    ],
)
def test_a_step_that_cannot_train_is_refused(step: Any, said: str, problem: Make) -> None:
    """It must return an update, and numbers."""
    p = problem()
    assert said in message(p, lg.GraphError, step=step, env=p.env)


def test_a_function_without_an_environment_is_refused(problem: Make) -> None:
    """A compiled step knows its environment, a function does not."""
    said = message(problem(compiled=False), lg.GraphError)
    assert "cannot train with the function step alone: it belongs to no environment" in said
    assert "add env=env" in said


def test_a_step_that_would_change_variables_in_validation_is_refused(problem: Make) -> None:
    """The message names them, and says what to write."""
    p = problem()
    sgd = lg.optim.SGD(p.env, 0.1, name="own")

    @p.env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.square(x @ ctx.variable("w") - y))
        return loss, sgd.minimize(loss)

    said = message(p, lg.GraphError, step=step, validation=(p.x, p.y))
    assert "step changes variables in validation" in said
    assert "'w'" in said
