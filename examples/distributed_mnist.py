"""One network of many processes: each has some rows of every batch, and all have the same numbers.

The program is that of one process; only the environment is told that there are others. `lg.fit` gives every process its
rows of the global batch, gradients are added up while the rest is computed, and the loss is that of the whole batch. So
one process, or two or three, find the same accuracy but for rounding.

    python examples/distributed_mnist.py --data DIR
    mpiexec -n 2 python examples/distributed_mnist.py --data DIR
    mpiexec -n 2 python examples/distributed_mnist.py --quick

It needs `pip install "lazygrad[mpi]"`; without it, or without mpiexec, one process trains alone.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import mnist


class Network:
    """784 pixels, 128 hidden units of which a fifth are dropped in training, 10 logits."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        self.hidden, self.out = lg.nn.Linear(env, 784, 128), lg.nn.Linear(env, 128, 10)
        self.norm = lg.nn.BatchNorm(env, 128)

    def __call__(self, x, train):
        hidden = lg.nn.relu(self.norm(self.hidden(x), train))
        return self.out(lg.nn.dropout(hidden, 0.2, train))


def environment(given: argparse.Namespace) -> lg.VariableEnvironment:
    """That of this process, one of all that there are."""
    workers = "mpi" if importlib.util.find_spec("mpi4py") else None
    return lg.VariableEnvironment(backend=given.backend, seed=given.seed, workers=workers)


def train(env: lg.VariableEnvironment, given: argparse.Namespace) -> lg.History:
    """Train with all processes; the history is the same on all."""
    network = Network(env)
    adam = lg.optim.Adam(env, 0.002)

    def step(ctx, x, y, train):
        logits = network(x, train)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        if train:
            return loss, adam.minimize(loss), ctx.updates()
        return {"loss": loss, "accuracy": lg.mean(lg.equal(lg.argmax(logits, axis=1), y).astype("float32"))}

    digits = mnist(given.data, given.quick)
    return lg.fit(
        env.compile(step) if given.mode == "compile" else step,
        (digits.train_x, digits.train_y),
        epochs=min(given.epochs, 2) if given.quick else given.epochs,
        batch_size=given.batch_size,
        validation=(digits.test_x, digits.test_y),
        checkpoint=given.checkpoint,
        env=env,
    )


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and return the numbers; the first process prints and keeps them."""
    parser = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="how many (5)")
    parser.add_argument("--batch-size", type=int, default=120, metavar="N", help="rows of all processes together (120)")
    parser.add_argument("--checkpoint", metavar="FILE", help="written after every epoch; a training goes on from it")
    given = parser.parse_args(argv)
    env = environment(given)
    results = Results("distributed_mnist", given) if env.worker == 0 else None
    history = train(env, given)
    found = {
        "processes": float(env.workers),
        "test accuracy": history["validation_accuracy"][-1],
        "loss of the last epoch": history["loss"][-1],
        "seconds an epoch": float(np.median(history.seconds)),
    }
    if results is None:
        return found
    for name, value in found.items():
        results.number(name, value)
    return results.write()


if __name__ == "__main__":
    start(main)
