"""A convolutional network that reads handwritten digits, as in the examples of the Rust crate autograd.

Two convolutions of 3×3 with 32 and 64 channels, each with relu, a maximum over 2×2 and dropout, then one dense
layer; Adam, batches of 128, 5 epochs. The crate reports 0.987 on the test images. Both biases have a number for
every place of the image, and dropout is applied to the ten outputs too, as there.

    python examples/mnist_cnn.py --data DIR
    python examples/mnist_cnn.py --quick --mode run
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import mnist
from lazygrad.nn.initializers import Normal

EPOCHS = 5


class Network:
    """28×28 pixels to 10 logits."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        self.first = lg.nn.Conv2d(env, 1, 32, 3, padding=1, use_bias=False, weight=Normal(0, 0.1), name="first")
        self.second = lg.nn.Conv2d(env, 32, 64, 3, padding=1, use_bias=False, weight=Normal(0, 0.1), name="second")
        self.biases = [
            env.namespace(name).name("biases").set(np.zeros(shape, "float32"))
            for name, shape in [("first", (32, 28, 28)), ("second", (64, 14, 14))]
        ]
        self.out = lg.nn.Linear(env, 64 * 7 * 7, 10, name="out")

    def __call__(self, ctx, x, train):
        x = lg.reshape(x, (-1, 1, 28, 28))
        for convolution, bias in zip([self.first, self.second], self.biases, strict=True):
            x = lg.nn.relu(convolution(x) + ctx.variable(bias))
            x = lg.nn.dropout(lg.nn.max_pool2d(x, 2), 0.25, train)
        x = self.out(lg.reshape(x, (x.shape[0], -1)))
        return lg.nn.dropout(x, 0.25, train)


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, and return the numbers."""
    given = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile").parse_args(argv)
    results = Results("mnist_cnn", given)
    digits = mnist(given.data, given.quick)
    if given.quick:
        digits = digits._replace(train_x=digits.train_x[:512], train_y=digits.train_y[:512])

    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    network = Network(env)
    adam = lg.optim.Adam(env)

    def step(ctx, x, y, train):
        logits = network(ctx, x, train)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        metrics = {"loss": loss, "accuracy": lg.mean(lg.equal(lg.argmax(logits, axis=1), y).astype("float32"))}
        return {**metrics, "update": adam.minimize(loss)} if train else metrics

    env.summary()
    began = time.perf_counter()
    history = lg.fit(
        env.compile(step) if given.mode == "compile" else step,
        (digits.train_x, digits.train_y),
        epochs=1 if given.quick else EPOCHS,
        batch_size=128,
        validation=(digits.test_x, digits.test_y),
        callbacks=[lambda t: print(f"epoch {t.epoch}: test accuracy {t.metrics['validation_accuracy']:.4f}")],
        env=env,
    )
    results.number("test accuracy", history["validation_accuracy"][-1])
    results.number("test loss", history["validation_loss"][-1])
    results.number("seconds in all", time.perf_counter() - began)
    results.number("seconds an epoch", np.median(history.seconds))
    results.table(
        "Accuracy on the test images",
        ["", "accuracy", "epochs", "seconds in all"],
        [
            ["Rust crate autograd, Apple M1 (its own report)", "0.987", EPOCHS, 70],
            ["lazygrad", history["validation_accuracy"][-1], history.epochs, sum(history.seconds)],
        ],
    )
    filters = lg.to_numpy(env["first/weight"])[:, 0]
    figure = results.figure("filters", "The 32 filters of the first convolution after training.", (7, 2.2))
    for i, axes in enumerate(figure.subplots(3, 11).flat):
        axes.axis("off")
        if i < len(filters):
            axes.imshow(filters[i], cmap="RdBu", vmin=-abs(filters).max(), vmax=abs(filters).max())
    return results.write()


if __name__ == "__main__":
    start(main)
