"""The curvature of the loss of a small network: all eigenvalues of its Hessian, before and after training.

Scikit-learn's digits, averaged to 4×4 pixels, are classified by a network whose parameters are one vector w.
`lg.hessian` gives the matrix of second derivatives, and its eigenvalues show what is known of networks: a few
directions are steep, most are nearly flat (Sagun et al. 2016). The steepest is found without the matrix as well, by
power iteration on `lg.hessian_vector_product`. At the end Newton's steps, along (H + μI)⁻¹ g, go to a minimum to the
last digit.

    python examples/hessian.py
    python examples/hessian.py --quick --mode compile
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import lazygrad as lg
from common import Results, options, progress, runner, start

DECAY = 1e-3  # of the loss for each unit of |w|²; it makes the minimum a point
NEWTON_STEPS = 12


def network(w: Any, x: Any, sizes: Sequence[int]) -> Any:
    """The logits of a network of tanh units whose weights and biases lie in one vector."""
    place = 0
    for inputs, outputs in itertools.pairwise(sizes):
        weight = lg.reshape(w[place : place + inputs * outputs], (inputs, outputs))
        bias = w[place + inputs * outputs : place + (inputs + 1) * outputs]
        x = lg.tanh(x) @ weight + bias if place else x @ weight + bias
        place += (inputs + 1) * outputs
    return x


def loss(w: Any, x: Any, y: Any, sizes: Sequence[int]) -> Any:
    """The mean cross entropy, with weight decay."""
    return lg.mean(lg.nn.cross_entropy(network(w, x, sizes), y)) + DECAY * lg.sum(lg.square(w))


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train, look at the curvature, and go on by Newton's method; the numbers."""
    given = options(__doc__).parse_args(argv)
    results = Results("hessian", given)
    classes, hidden, updates, powers = (3, 2, 300, 60) if given.quick else (10, 6, 3000, 300)
    x, y = load_digits(n_class=classes, return_X_y=True)
    x = x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) / 16
    sizes = (16, hidden, classes)
    count = sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed, dtype="float64")
    rng = np.random.default_rng(given.seed)
    w = env.name("w").set(0.5 * rng.normal(size=count))
    adam = lg.optim.Adam(env, learning_rate=lg.optim.schedules.Cosine(0.03, updates))

    def train_step(ctx, x, y):
        value = loss(ctx.variable(w), x, y, sizes)
        return value, adam.minimize(value)

    def curvature(ctx, x, y):
        return lg.hessian(loss(ctx.variable(w), x, y, sizes), ctx.variable(w))

    def product(ctx, x, y, v):
        return lg.hessian_vector_product(loss(ctx.variable(w), x, y, sizes), ctx.variable(w), v)

    def newton_step(ctx, x, y):
        value = loss(ctx.variable(w), x, y, sizes)
        g, h = lg.grad(value, ctx.variable(w)), lg.hessian(value, ctx.variable(w))
        length = lg.sqrt(lg.sum(lg.square(g)))
        # So that every direction goes downhill; what remains of it near a minimum keeps the order of convergence.
        damping = length + lg.maximum(-2 * lg.linalg.eigvalsh(h)[0], 0.0)
        step = lg.linalg.solve(h + damping * lg.eye(count), g)
        return length, ctx.assign(w, ctx.variable(w) - step)

    dense = runner(env, curvature, given.mode)
    before = np.linalg.eigvalsh(dense(x, y))
    step = runner(env, train_step, given.mode)
    losses = [float(step(x, y)[0]) for _ in progress(updates)]
    after = np.linalg.eigvalsh(dense(x, y))

    times = runner(env, product, given.mode)
    v = rng.normal(size=count)
    for _ in range(powers):
        v /= np.linalg.norm(v)
        image = times(x, y, v)
        steepest, v = v @ image, image

    results.number("parameters", count)
    results.number("loss before", losses[0])
    results.number("loss after", losses[-1])
    results.number("steepest curvature before", before[-1])
    results.number("steepest curvature after", after[-1])
    results.number("steepest curvature after, by power iteration", steepest)
    results.number("directions of negative curvature before", np.sum(before < -1e-9))
    results.number("directions of negative curvature after", np.sum(after < -1e-9))
    results.number("directions with a tenth of the steepest curvature or more, after", np.sum(after > after[-1] / 10))

    newton = runner(env, newton_step, given.mode)
    norms = [float(newton(x, y)[0]) for _ in range(2 if given.quick else NEWTON_STEPS)]
    results.table("Newton's steps", ["step", "|gradient|"], [[f"{i}", norm] for i, norm in enumerate(norms)])
    results.number("Newton's steps with |gradient| of 1e-12 or more", np.sum(np.array(norms) >= 1e-12))
    results.number("|gradient| before Newton's first step", norms[0])
    results.number("directions of negative curvature at the end", np.sum(np.linalg.eigvalsh(dense(x, y)) < -1e-9))
    draw(results, before, after)
    return results.write()


def draw(results: Results, before: Any, after: Any) -> None:
    """All eigenvalues in order, before and after."""
    figure = results.figure("spectrum", "All eigenvalues of the Hessian, before and after training.", size=(9, 4))
    for i, (name, values) in enumerate([("before training", before), ("after training", after)]):
        axes = figure.add_subplot(1, 2, i + 1, title=name, xlabel="eigenvalue, in decreasing order of size")
        axes.set(yscale="log", ylabel="size of the eigenvalue" if i == 0 else "")
        ranks = np.arange(1, len(values) + 1)
        order = np.argsort(-np.abs(values))
        for sign, colour, label in [(1, "tab:blue", "positive"), (-1, "tab:red", "negative")]:
            chosen = np.sign(values[order]) == sign
            axes.scatter(ranks[chosen], np.abs(values[order])[chosen], s=8, color=colour, label=label)
        axes.set_ylim(1e-5, 10)
        axes.legend(frameon=False)


if __name__ == "__main__":
    start(main)
