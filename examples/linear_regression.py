"""Linear regression: find w and b of y = w·x + b from noisy examples.

Every epoch draws a fresh batch of 64 points from the line y = 2.5·x − 1, with noise on them, and moves w
and b a little towards the line. They start at a random number and at 0, and end near 2.5 and −1.
The learned variables are saved to a JSON file, which you can read with any editor.

    python examples/linear_regression.py
    python examples/linear_regression.py --mode compile --graph step.svg
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lazygrad as lg
from common import options, picture, progress, runner, start


def main(argv: Sequence[str] | None = None) -> float:
    """Train, save, and return the last loss."""
    parser = options(__doc__, save=False)
    parser.add_argument("--output", type=Path, default=Path("results.json"), metavar="FILE", help="the saved variables")
    parser.add_argument("--graph", type=picture, metavar="FILE", help="draw the training step")
    given = parser.parse_args(argv)

    # The environment owns the variables. Whatever else there is (graphs, gradients) lasts for one step.
    env = lg.VariableEnvironment(backend=given.backend, seed=given.seed)
    rng = np.random.default_rng(given.seed)
    env.name("w").set(rng.uniform(size=(1, 1)).astype("float32"))
    env.name("b").set(np.zeros((1, 1), "float32"))
    adam = lg.optim.Adam(env, learning_rate=0.01)

    def train_step(ctx):
        # Nothing is computed here. These lines write down what to compute, and the environment computes
        # what is returned: the loss, and the update that moves w and b.
        x = ctx.random.uniform((64, 1), low=-10.0, high=10.0)
        y = 2.5 * x - 1.0 + 0.5 * ctx.random.normal((64, 1))
        w, b = ctx.variable("w"), ctx.variable("b")
        loss = lg.mean(lg.square(x @ w + b - y))
        grads = lg.grad(loss, [w, b])
        return loss, adam.update([w, b], grads)

    if given.graph:
        env.trace(train_step).render(given.graph, fold=False)
        print(f"Drew the training step in {given.graph}")

    step = runner(env, train_step, given.mode)
    epochs = progress(200 if given.quick else 1000)
    for epoch in epochs:
        loss, _ = step()
        if epoch % 100 == 0:
            epochs.write(f"Mean Loss (epoch {epoch}): {float(loss):.4f}")

    print(f"w = {env['w'].item():.3f} (the line has 2.5), b = {env['b'].item():.3f} (the line has -1)")
    env.save(given.output)
    print(f"Saved the variables in {given.output}")
    return float(loss)


if __name__ == "__main__":
    start(main)
