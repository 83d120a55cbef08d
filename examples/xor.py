"""The exclusive or, learned by a network of 2 inputs, 3 hidden units and 1 output, tanh after both layers.

It is the first example of jiro-nn: weights and biases begin uniform in [−1, 1], the loss is the mean squared error of
the four points, and gradient descent goes 10,000 epochs at the rate 0.1. Whether it gets there depends on where it
begins, so 20 networks are trained, side by side in one step: their weights are stacked, and the sum of their losses is
minimised, which moves each as if it were alone.

    python examples/xor.py
    python examples/xor.py --quick --mode compile
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import lazygrad as lg
from common import Results, options, progress, runner, start

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float64")
Y = np.array([[0], [1], [1], [0]], "float64")
NETWORKS = 20
SHAPES = {"w1": (2, 3), "b1": (1, 3), "w2": (3, 1), "b2": (1, 1)}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train the networks, draw what one of them learned; the numbers."""
    given = options(__doc__).parse_args(argv)
    results = Results("xor", given)
    epochs = 1000 if given.quick else 10_000
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    rng = np.random.default_rng(given.seed)
    for name, shape in SHAPES.items():
        env.name(name).set(rng.uniform(-1, 1, (NETWORKS, *shape)))
    sgd = lg.optim.SGD(env, learning_rate=0.1)

    def network(ctx, x):
        w1, b1, w2, b2 = (ctx.variable(name) for name in SHAPES)
        return lg.tanh(lg.tanh(x @ w1 + b1) @ w2 + b2)  # (networks, points, 1)

    def train_step(ctx, x, y):
        losses = lg.mean(lg.square(network(ctx, x) - y), axis=(1, 2))
        return losses, sgd.minimize(lg.sum(losses))

    step = runner(env, train_step, given.mode)
    curves = np.array([step(X, Y)[0] for _ in progress(epochs, "epoch")])

    answers = lg.to_numpy(env.run(network, X))
    solved = ((answers > 0.5) == (Y > 0.5)).all(axis=(1, 2))
    rows = [[f"{x[0]:.0f} xor {x[1]:.0f}", f"{y[0]:.0f}", *answers[:3, i, 0]] for i, (x, y) in enumerate(zip(X, Y))]
    results.table("What the first three networks say", ["", "right", "first", "second", "third"], rows)
    results.number("share of the networks that solve it", solved.mean())
    results.number("median loss", np.median(curves[-1]))
    results.number("largest loss", curves[-1].max())

    figure = results.figure("loss", "The loss of each of the networks.")
    axes = figure.add_subplot(
        yscale="log",
        xlabel="epoch",
        ylabel="mean squared error",
        title=f"{NETWORKS} networks learn the exclusive or; {solved.sum()} solve it",
    )
    for number, colour, name in [(True, "tab:blue", "solves it"), (False, "tab:red", "does not")]:
        for i, curve in enumerate(curves.T[solved == number]):
            axes.plot(curve, color=colour, linewidth=0.9, alpha=0.8, label=name if i == 0 else None)
    axes.legend(frameon=False)
    draw(results, env, network, int(np.argmin(curves[-1])))
    return results.write()


def draw(results, env, network, best):
    """What the best network says of every point of the unit square."""
    side = np.linspace(0, 1, 101)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    surface = lg.to_numpy(env.run(network, grid))[best].reshape(101, 101)
    figure = results.figure("surface", "What the network with the least loss says between the four points.", (6, 5))
    axes = figure.add_subplot(xlabel="first input", ylabel="second input", title="The exclusive or, as learned")
    picture = axes.imshow(surface, origin="lower", extent=(0, 1, 0, 1), cmap="RdYlBu_r", vmin=0, vmax=1)
    axes.contour(side, side, surface, levels=[0.5], colors="black", linestyles="--")
    axes.set(xlim=(-0.07, 1.07), ylim=(-0.07, 1.07))
    for (a, b), y in zip(X, Y[:, 0], strict=True):
        axes.scatter(a, b, s=220, color="white", edgecolors="black", zorder=3)
        axes.text(a, b, f"{y:.0f}", ha="center", va="center", zorder=4)
    figure.colorbar(picture, label="answer of the network (dashed: 0.5)", shrink=0.85)


if __name__ == "__main__":
    start(main)
