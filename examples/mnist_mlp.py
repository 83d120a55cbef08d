"""Networks that read handwritten digits: softmax regression, and one hidden layer of 128 relu units.

Four trainings on the 60,000 images of MNIST:

- softmax regression, 784-10, with Adam in batches of 200 for 3 epochs. The Rust crate autograd reports 0.918,
  with a rate of 0.001; three times that rate is better for so few epochs.
- 784-128-10 with plain gradient descent, rate 0.3, batches of 128, as in an article on tch-rs, which
  reports no accuracy. `--epochs 100` trains as long as the article.
- the same "as printed" there: all parameters start uniformly in [0, 1), and the velocity of its momentum is made
  anew at every call, so that each step is 0.03 times the gradient.

    python examples/mnist_mlp.py --data DIR
    python examples/mnist_mlp.py --quick --mode run
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import Images, mnist
from lazygrad.nn.initializers import HeUniform, Uniform, Zeros


class Softmax:
    """784 pixels to 10 logits, without a hidden layer."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        self.out = lg.nn.Linear(env, 784, 10, name="out")

    def __call__(self, x):
        return self.out(x)


class MLP:
    """784 pixels, 128 hidden units, 10 logits."""

    def __init__(self, env: lg.VariableEnvironment, weight: Any = HeUniform(), bias: Any = Zeros()) -> None:  # noqa: B008
        self.hidden = lg.nn.Linear(env, 784, 128, weight=weight, bias=bias, name="hidden")
        self.out = lg.nn.Linear(env, 128, 10, weight=weight, bias=bias, name="out")

    def __call__(self, x):
        return self.out(lg.nn.relu(self.hidden(x)))


def train(
    given: Any, digits: Images, epochs: int, batch_size: int, model: Callable[..., Any], optimizer: Callable[..., Any]
) -> lg.History:
    """The history of a training; the accuracy is on the test images."""
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    network, method = model(env), optimizer(env)

    def step(ctx, x, y, train):
        logits = network(x)
        loss = lg.mean(lg.nn.cross_entropy(logits, y))
        if train:
            return loss, method.minimize(loss)
        return {"loss": loss, "accuracy": lg.mean(lg.equal(lg.argmax(logits, axis=1), y).astype("float32"))}

    return lg.fit(
        env.compile(step) if given.mode == "compile" else step,
        (digits.train_x, digits.train_y),
        epochs=epochs,
        batch_size=batch_size,
        validation=(digits.test_x, digits.test_y),
        env=env,
    )


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train four times, and return the numbers."""
    parser = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile")
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="epochs of 784-128-10 (10)")
    given = parser.parse_args(argv)
    results = Results("mnist_mlp", given)
    digits = mnist(given.data, given.quick)
    epochs = min(given.epochs, 2) if given.quick else given.epochs

    def as_printed(env):
        return MLP(env, weight=Uniform(), bias=Uniform())

    runs = {
        "softmax regression": train(given, digits, 3, 200, Softmax, lambda env: lg.optim.Adam(env, 0.003)),
        "softmax regression, rate 0.001": train(given, digits, 3, 200, Softmax, lambda env: lg.optim.Adam(env, 0.001)),
        "784-128-10": train(given, digits, epochs, 128, MLP, lambda env: lg.optim.SGD(env, 0.3)),
        "784-128-10 as printed": train(given, digits, epochs, 128, as_printed, lambda env: lg.optim.SGD(env, 0.03)),
    }
    for name, history in runs.items():
        results.number(f"{name}: test accuracy", history["validation_accuracy"][-1])
    results.table(
        "Accuracy on the test images",
        ["", "accuracy", "epochs", "seconds an epoch"],
        [["softmax regression, Rust crate autograd (its own report, Apple M1)", "0.918", 3, 0.11]]
        + [[n, h["validation_accuracy"][-1], h.epochs, float(np.median(h.seconds))] for n, h in runs.items()],
    )
    axes = results.figure("accuracy", "Accuracy on the 10,000 test images after each epoch.").add_subplot(
        xlabel="epoch", ylabel="accuracy", ylim=(0, 1) if given.quick else (0.85, 1), title="MNIST, test images"
    )
    for name, history in runs.items():
        axes.plot(range(1, history.epochs + 1), history["validation_accuracy"], marker=".", label=name)
    axes.legend(frameon=False)
    return results.write()


if __name__ == "__main__":
    start(main)
