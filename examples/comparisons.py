"""What the choices around a network change: initialisers, optimizers, decay of the learning rate, dropout.

A network with two hidden layers of 32 tanh units learns the progress of diabetes in 300 patients from ten numbers about
each, and is tested on 142 others. Every choice is trained from several seeds, the others staying as they are in
`Choice`; a line is the mean of the seeds, and the band around it their standard deviation. These are the comparisons
that jiro-nn's report draws, on data so few and noisy that whatever learns them faster knows less about other patients.

    python examples/comparisons.py
    python examples/comparisons.py --quick --mode run
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from tqdm import tqdm

import lazygrad as lg
from common import Results, options, runner, start

HIDDEN = 32
BATCH = 20
TRAIN = 300
GLOROT = lg.nn.initializers.GlorotUniform()
COLOURS = ["tab:blue", "tab:orange", "tab:green", "tab:red"]


@dataclass(frozen=True)
class Choice:
    """How to train; the values are what holds unless it is compared."""

    weight: Callable[..., Any] = GLOROT
    optimizer: Callable[[Any], Any] = lambda env: lg.optim.SGD(env, 0.02)
    dropout: float = 0.0


def comparisons(steps: int) -> list[tuple[str, str, list[tuple[str, Choice]]]]:
    """For each figure its name, its title, and the choices with their labels."""
    usual, fill, optim, schedules = Choice(), lg.nn.initializers, lg.optim, lg.optim.schedules
    fills = {
        "zeros": fill.Zeros(),
        "uniform in [0, 1)": fill.Uniform(),
        "uniform in [−1, 1]": fill.SignedUniform(),
        "Glorot": GLOROT,
    }
    methods = {
        "SGD, rate 0.02": lambda env: optim.SGD(env, 0.02),
        "momentum 0.9, rate 0.02": lambda env: optim.SGD(env, 0.02, momentum=0.9),
        "Adam, rate 0.01": lambda env: optim.Adam(env, 0.01),
    }
    rates = {
        "constant, 0.1": 0.1,
        "inverse time": schedules.InverseTime(0.1, 3, steps / 4),
        "staircase": schedules.InverseTime(0.1, 3, steps / 4, staircase=True),
    }
    decays = [(label, replace(usual, optimizer=decayed(rate))) for label, rate in rates.items()]
    return [
        ("initialisers", "Initialisers", [(k, replace(usual, weight=v)) for k, v in fills.items()]),
        ("optimizers", "Optimizers", [(k, replace(usual, optimizer=v)) for k, v in methods.items()]),
        ("decay", "Decay of the learning rate", decays),
        ("dropout", "Dropout", [(f"rate {v:g}", replace(usual, dropout=v)) for v in (0.0, 0.1, 0.5)]),
    ]


def decayed(rate: Any) -> Callable[[Any], Any]:
    """SGD with a rate, or a schedule of rates."""
    return lambda env: lg.optim.SGD(env, rate)


def train(choice: Choice, data: Any, epochs: int, seed: int, mode: str, backend: str) -> dict[str, Any]:
    """The losses after every epoch, of the patients that were learned from and of the others."""
    train_x, test_x, train_y, test_y = data
    env = lg.VariableEnvironment(backend=backend, seed=seed, dtype="float64")
    sizes = pairwise([train_x.shape[1], HIDDEN, HIDDEN, 1])
    layers = [lg.nn.Linear(env, *size, weight=choice.weight) for size in sizes]
    optimizer = choice.optimizer(env)

    def network(x, train):
        for layer in layers[:-1]:
            x = lg.nn.dropout(lg.tanh(layer(x)), choice.dropout, train)
        return layers[-1](x)

    def learn(ctx, x, y):
        loss = lg.mean(lg.square(network(x, True) - y))
        return loss, optimizer.minimize(loss)

    def judge(ctx, x, y):
        return lg.mean(lg.square(network(x, False) - y))

    step, judgement = runner(env, learn, mode), runner(env, judge, mode)
    rng, found = np.random.default_rng(seed), []
    for _ in range(epochs):
        for batch in rng.permutation(len(train_x)).reshape(-1, BATCH):
            step(train_x[batch], train_y[batch])
        found.append((judgement(train_x, train_y), judgement(test_x, test_y)))
    return dict(zip(["training", "test"], np.array(found, np.float64).T, strict=True))


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train with every choice from several seeds, and draw the curves; the numbers."""
    given = options(__doc__, mode="compile").parse_args(argv)
    results = Results("comparisons", given)
    epochs, trials = (2, 1) if given.quick else (60, 10)
    x, y = (scale(array) for array in load_diabetes(return_X_y=True))
    data = train_test_split(x, y[:, None], train_size=TRAIN, random_state=given.seed)

    rows = []
    everything = comparisons(epochs * TRAIN // BATCH)
    bar = tqdm(total=trials * sum(len(choices) for *_, choices in everything), disable=None, delay=2, leave=False)
    for name, title, choices in everything:
        caption = f"{title}: mean and standard deviation of {trials} seeds, for the patients learned from and others."
        figure = results.figure(name, caption, size=(10, 4))
        axes = {
            part: figure.add_subplot(1, 2, i, xlabel="epoch", ylabel="mean squared error", title=f"{title}: {part}")
            for i, part in enumerate(["training", "test"], start=1)
        }
        for (label, choice), colour in zip(choices, COLOURS, strict=False):
            runs = []
            for trial in range(trials):
                runs.append(train(choice, data, epochs, 1000 * given.seed + trial, given.mode, given.backend))
                bar.update()
            for part in axes:
                curves = np.array([run[part] for run in runs])
                mean, spread, when = curves.mean(axis=0), curves.std(axis=0), np.arange(1, epochs + 1)
                axes[part].fill_between(when, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
                axes[part].plot(when, mean, color=colour, label=label)
            ends = {part: np.array([run[part][-1] for run in runs]) for part in axes}
            rows.append([title, label, *(f"{end.mean():.3f} ± {end.std():.3f}" for end in ends.values())])
            for part in axes:
                results.number(f"{part} loss, {title.lower()}: {label}", ends[part].mean())
        axes["training"].set_ylim(bottom=0)
        figure.legend(*axes["test"].get_legend_handles_labels(), ncols=4, loc="outside lower center", frameon=False)
    bar.close()
    header = ["comparison", "choice", "training loss", "test loss"]
    results.table(f"After {epochs} epochs, means of {trials} seeds", header, rows)
    return results.write()


if __name__ == "__main__":
    start(main)
