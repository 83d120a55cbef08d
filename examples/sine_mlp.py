"""A neural network that learns the sine: 1 input, two layers of 64 tanh units, 1 output.

512 noisy points of y = sin(x) are given, and the network learns the curve behind them in batches of 64.
Its weights lie in three namespaces, layer1 to layer3, and the learning rate falls along half a cosine.

    python examples/sine_mlp.py
    python examples/sine_mlp.py --mode compile --plot fit.png
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from common import options, picture, progress, runner, start

SIZES = [1, 64, 64, 1]
BATCH = 64
NOISE = 0.1


def main(argv: Sequence[str] | None = None) -> float:
    """Train, and return the mean squared error over all the data."""
    parser = options(__doc__, save=False)
    parser.add_argument("--plot", type=picture, metavar="FILE", help="draw the fit")
    given = parser.parse_args(argv)

    rng = np.random.default_rng(given.seed)
    x = rng.uniform(-2 * np.pi, 2 * np.pi, (512, 1)).astype("float32")
    y = (np.sin(x) + NOISE * rng.normal(size=x.shape)).astype("float32")

    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    for number, (inputs, outputs) in enumerate(pairwise(SIZES), start=1):
        layer = env.namespace(f"layer{number}")
        limit = np.sqrt(6 / (inputs + outputs))  # Glorot and Bengio 2010, equation 16
        layer.name("w").set(rng.uniform(-limit, limit, (inputs, outputs)).astype("float32"))
        layer.name("b").set(np.zeros(outputs, "float32"))

    steps = 200 if given.quick else 4000
    adam = lg.optim.Adam(env, learning_rate=lg.optim.schedules.Cosine(0.01, steps))

    def network(ctx, x):
        for number in (1, 2):
            x = lg.tanh(x @ ctx.variable(f"layer{number}/w") + ctx.variable(f"layer{number}/b"))
        return x @ ctx.variable("layer3/w") + ctx.variable("layer3/b")

    def error(ctx, x, y):
        return lg.mean(lg.square(network(ctx, x) - y))

    def train_step(ctx, x, y):
        loss = error(ctx, x, y)
        return loss, adam.minimize(loss)  # along the gradient of every trainable variable

    step = runner(env, train_step, given.mode)
    numbers = progress(steps)
    for number in numbers:
        batch = rng.integers(len(x), size=BATCH)
        loss, _ = step(x[batch], y[batch])
        if number % (steps // 10) == 0:
            numbers.write(f"Loss (step {number}): {float(loss):.4f}")

    # The same functions again, for all points at once and without an update.
    total = float(env.run(error, x, y))
    print(f"Mean squared error over all points: {total:.4f} (the noise on them has {NOISE**2:.4f})")
    if given.plot:
        grid = np.linspace(x.min(), x.max(), 400, dtype="float32").reshape(-1, 1)
        draw(given.plot, x, y, grid, env.run(network, grid))
        print(f"Drew the fit in {given.plot}")
    return total


def draw(path: Path, x: Any, y: Any, grid: Any, fit: Any) -> None:
    """The points, the curve they came from, and the network's curve."""
    # Only a picture needs matplotlib. A Figure made without pyplot opens no window and needs no screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="x", ylabel="y", title="A network of tanh units, trained on noisy points of sin(x)"
    )
    axes.scatter(x, y, s=9, color="0.65", linewidths=0, label="data")
    axes.plot(grid, np.sin(grid), color="tab:blue", linestyle="--", label="sin(x)")
    axes.plot(grid, fit, color="tab:red", linewidth=2, label="network")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    start(main)
