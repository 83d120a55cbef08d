"""Networks that are trained by one worker or by several: the same must come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

ROWS, BATCH, EPOCHS = 61, 8, 25  # eight batches an epoch, the last of five rows: 200 steps

Network = Callable[[Any, Any, bool], Any]  # (context, x, whether it is trained) -> logits


class Trained(NamedTuple):
    """What comes out of a training."""

    losses: list[float]  # of every batch
    metrics: dict[str, list[float]]  # of every epoch
    variables: dict[str, Any]


def mlp(env: Any) -> tuple[Network, tuple[int, ...]]:
    """Two dense layers, with dropout between them."""
    first, second = lg.nn.Linear(env, 6, 9, name="first"), lg.nn.Linear(env, 9, 3, name="second")

    def network(ctx: Any, x: Any, train: bool) -> Any:
        return second(lg.nn.dropout(lg.nn.relu(first(x)), 0.3, train))

    return network, (6,)


def cnn(env: Any) -> tuple[Network, tuple[int, ...]]:
    """A convolution, whose statistics are those of the batch, a maximum over windows, a dense layer."""
    convolution = lg.nn.Conv2d(env, 2, 4, 3, padding=1, use_bias=False, name="convolution")
    normal, out = lg.nn.BatchNorm(env, 4, name="normal"), lg.nn.Linear(env, 16, 3, name="out")

    def network(ctx: Any, x: Any, train: bool) -> Any:
        x = lg.nn.max_pool2d(lg.tanh(normal(convolution(x), train)), 2)
        return out(lg.reshape(x, (x.shape[0], -1)))

    return network, (2, 4, 4)


def lstm(env: Any) -> tuple[Network, tuple[int, ...]]:
    """A recurrent network: a loop of which every turn is given a slice of each sequence."""
    cell, out = lg.nn.LSTM(env, 3, 5, name="cell"), lg.nn.Linear(env, 5, 3, name="out")

    def network(ctx: Any, x: Any, train: bool) -> Any:
        ys = cell(x)
        ys = ys[0] if isinstance(ys, tuple) else ys
        return out(ys[:, -1])

    return network, (7, 3)


NETWORKS = {"mlp": mlp, "cnn": cnn, "lstm": lstm}


def train(
    communicator: Any,
    network: str = "mlp",
    dtype: str = "float64",
    optimizer: str = "Adam",
    clipped: bool = False,
    compiled: bool = False,
    epochs: int = EPOCHS,
) -> Trained:
    """Train by ``lg.fit``, as one worker of some."""
    env = lg.VariableEnvironment(seed=5, dtype=dtype, workers=communicator)
    call, shape = NETWORKS[network](env)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(ROWS, *shape)), rng.integers(0, 3, ROWS)
    chosen = getattr(lg.optim, optimizer)(env)

    def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
        logits = call(ctx, x, train)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        found = {"loss": loss, "accuracy": lg.mean(lg.equal(lg.argmax(logits, axis=1), y))}
        if train and clipped:
            variables = ctx.variables()
            grads = lg.optim.clip_by_global_norm(lg.grad(loss, variables), 0.5)
            found |= {"update": chosen.update(variables, grads), "statistics": ctx.updates()}
        elif train:
            found |= {"update": chosen.minimize(loss), "statistics": ctx.updates()}
        return found

    losses: list[float] = []

    class Losses(lg.Callback):
        def after_batch(self, training: Any) -> None:
            losses.append(training.batch_metrics["loss"])

    history = lg.fit(
        env.compile(step) if compiled else step,
        (x, y),
        env=env,
        epochs=epochs,
        batch_size=BATCH,
        validation=(x[:20], y[:20]),
        callbacks=Losses(),
        progress=False,
    )
    metrics = {name: list(history[name]) for name in ("loss", "accuracy", "validation_loss", "validation_accuracy")}
    return Trained(losses, metrics, {v.path: np.asarray(env[v.path]) for v in env})


def compare(found: Trained, expected: Trained, tolerance: float) -> None:
    """Assert that two trainings are the same to a relative difference, of each variable's largest element."""
    np.testing.assert_allclose(found.losses, expected.losses, rtol=tolerance)
    for name, values in expected.metrics.items():
        np.testing.assert_allclose(found.metrics[name], values, rtol=tolerance)
    assert found.variables.keys() == expected.variables.keys()
    for path, value in expected.variables.items():
        near = tolerance * max(float(np.abs(value).max()), 1e-30)
        np.testing.assert_allclose(found.variables[path], value, rtol=0, atol=near, err_msg=path)
