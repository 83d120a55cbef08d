"""Two tiny networks for handwritten digits, trained as the Rust library ML Kit trains them.

A 784-16-16-10 network, and a convolutional one of 1,004 parameters, with the sigmoid after every layer. All
parameters start normally distributed. Every step has a fixed length: the gradient of the squared error, summed over
a batch of 32, is divided by its norm and multiplied by 0.05. ML Kit's report has about 85 % of the test images right
after 20 epochs, and up to 90 % after 50. We train from three seeds, and draw the curves over the points of its figure.

With all 60,000 images an epoch the networks learn about six times faster than the report's; its points are those of
10,000 images an epoch. So we do both: in the second, each epoch takes the next sixth of the images.

    python examples/mnist_ml_kit.py --data DIR
    python examples/mnist_ml_kit.py --quick --mode run
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import Images, mnist
from lazygrad.nn.initializers import Normal

# Read off the figures of ML Kit's report by eye: accuracy by epoch.
REPORTED = {
    "784-16-16-10": {0: 0.10, 5: 0.62, 10: 0.75, 20: 0.835, 30: 0.865, 49: 0.893},
    "convolutional": {0: 0.09, 5: 0.41, 10: 0.74, 20: 0.847, 49: 0.88},
}
LENGTH = 0.05
NORMAL = {"weight": Normal(), "bias": Normal()}


class Dense:
    """784-16-16-10, 13,002 parameters."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        sizes = [784, 16, 16, 10]
        self.layers = [lg.nn.Linear(env, n, m, **NORMAL) for n, m in pairwise(sizes)]

    def __call__(self, x):
        for layer in self.layers:
            x = lg.nn.sigmoid(layer(x))
        return x


class Convolutional:
    """Two convolutions of 5×5 with 4 and 2 channels, each with a maximum over 2×2, then 32-16-10."""

    def __init__(self, env: lg.VariableEnvironment) -> None:
        self.convolutions = [lg.nn.Conv2d(env, 1, 4, 5, **NORMAL), lg.nn.Conv2d(env, 4, 2, 5, **NORMAL)]
        self.layers = [lg.nn.Linear(env, 32, 16, **NORMAL), lg.nn.Linear(env, 16, 10, **NORMAL)]

    def __call__(self, x):
        x = lg.reshape(x, (-1, 1, 28, 28))
        for convolution in self.convolutions:
            x = lg.nn.max_pool2d(lg.nn.sigmoid(convolution(x)), 2)
        x = lg.reshape(x, (x.shape[0], -1))
        for layer in self.layers:
            x = lg.nn.sigmoid(layer(x))
        return x


def fixed_length(ctx: lg.Context, network: Any, sgd: lg.optim.SGD, x: Any, y: Any) -> Any:
    """The loss, and a step along the gradient whose length does not depend on the gradient's."""
    loss = lg.sum(lg.square(network(x) - lg.nn.one_hot(y, 10)))
    variables = ctx.variables()
    grads = lg.grad(loss, variables)
    # ML Kit measures the gradient by the weights alone in the dense network, by all in the other.
    counted = [g for g in grads if g.ndim > 1] if isinstance(network, Dense) else grads
    norm = lg.sqrt(lg.add_n([lg.sum(lg.square(g)) for g in counted]))
    return loss / len(x), sgd.update(variables, [g / norm for g in grads])


def train(given: Any, digits: Images, model: Any, seed: int, epochs: int, parts: int) -> tuple[list[float], float]:
    """The accuracy before the training and after each epoch, and seconds an epoch; each takes the next of the parts."""
    env = lg.VariableEnvironment(backend=given.backend, seed=seed, dtype="float64")  # as ML Kit
    network, sgd = model(env), lg.optim.SGD(env, LENGTH)

    def evaluate(ctx, x, y):
        return {"accuracy": lg.mean(lg.equal(lg.argmax(network(x), axis=1), y).astype("float64"))}

    def step(ctx, x, y):
        return fixed_length(ctx, network, sgd, x, y)

    curve = [float(env.run(evaluate, digits.test_x, digits.test_y)["accuracy"])]
    if given.mode == "compile":
        step, evaluate = env.compile(step), env.compile(evaluate)
    size, seconds = len(digits.train_x) // parts, []
    for epoch in range(epochs):
        part = slice(epoch % parts * size, (epoch % parts + 1) * size)
        history = lg.fit(
            step,
            (digits.train_x[part], digits.train_y[part]),
            epochs=1,
            batch_size=32,
            seed=epoch,
            validation=(digits.test_x, digits.test_y),
            evaluate=evaluate,
            env=env,
        )
        curve += history["validation_accuracy"]
        seconds += history.seconds
    return curve, float(np.median(seconds))


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train both networks from every seed, and return the numbers."""
    given = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile").parse_args(argv)
    results = Results("mnist_ml_kit", given)
    digits = mnist(given.data, given.quick)
    digits = digits._replace(train_x=digits.train_x.astype(float), test_x=digits.test_x.astype(float))
    seeds, epochs = (1, 1) if given.quick else (3, 50)
    began = time.perf_counter()
    figure = results.figure(
        "curves", "Accuracy on the test images; dots are read off the figures of ML Kit's report.", (9, 4)
    )
    panels = figure.subplots(1, 2, sharey=True)
    rows = []
    for axes, (name, model) in zip(
        panels, {"784-16-16-10": Dense, "convolutional": Convolutional}.items(), strict=True
    ):
        for parts, color in [(1, "tab:blue"), (6, "tab:orange")]:
            images = len(digits.train_x) // parts
            what = f"{name}, {images} images an epoch"
            curves = []
            for seed in range(given.seed, given.seed + seeds):
                curve, seconds = train(given, digits, model, seed, epochs, parts)
                curves.append([curve[min(e, epochs)] for e in (20, 50)])
                label = f"lazygrad, {images} images" if seed == given.seed else None
                axes.plot(range(len(curve)), curve, lw=1, color=color, label=label)
                rows.append([name, images, seed, *curves[-1], seconds])
                print(
                    f"{what}, seed {seed}: {curves[-1][0]:.4f} after 20 epochs, {curves[-1][1]:.4f} after 50",
                    flush=True,
                )
            for i, epoch in enumerate((20, 50)):
                results.number(f"{what}: mean accuracy after {epoch} epochs", np.mean([c[i] for c in curves]))
        axes.plot(*zip(*REPORTED[name].items(), strict=True), "ko", ms=5, label="ML Kit's report")
        axes.set(xlabel="epoch", ylabel="accuracy", title=name)
        axes.legend(frameon=False, loc="lower right")
    results.number("seconds in all", time.perf_counter() - began)
    results.table(
        "Accuracy on the test images",
        ["network", "images an epoch", "seed", "20 epochs", "50 epochs", "seconds an epoch"],
        rows,
    )
    return results.write()


if __name__ == "__main__":
    start(main)
