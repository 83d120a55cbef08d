"""A whole training beside PyTorch: 784-128-10 on MNIST, 100 epochs, epoch by epoch in turn in one process.

``python -m benchmarks.training --data DIR`` trains the network of ``examples/mnist_mlp.py`` with lazygrad and with
PyTorch, each written as its users write it: shuffled batches of 128 gathered from arrays, gradient descent at a rate
of 0.3, no validation. Both use the same number of threads.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

RATE, BATCH, SIZES = 0.3, 128, (784, 128, 10)


def lazygrad(digits: Any) -> tuple[Callable[[int], None], Callable[[], float]]:
    """A function that trains for one epoch, and one that gives the accuracy on the test images."""
    env = lg.VariableEnvironment(seed=0)
    hidden, out = (lg.nn.Linear(env, n, m, weight=lg.nn.initializers.HeUniform()) for n, m in pairwise(SIZES))
    sgd = lg.optim.SGD(env, RATE)

    def network(ctx: Any, x: Any) -> Any:
        return out(lg.nn.relu(hidden(x)))

    @env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        loss = lg.mean(lg.nn.cross_entropy(network(ctx, x), y))
        return loss, sgd.minimize(loss)

    data = (digits.train_x, digits.train_y)

    def epoch(number: int) -> None:
        lg.fit(step, data, epochs=1, batch_size=BATCH, seed=number)

    return epoch, lambda: float((env.run(network, digits.test_x).argmax(axis=1) == digits.test_y).mean())


def pytorch(digits: Any) -> tuple[Callable[[int], None], Callable[[], float]]:
    """The same with PyTorch."""
    import torch

    torch.manual_seed(0)
    x, y, test_x = (torch.from_numpy(a) for a in (digits.train_x, digits.train_y, digits.test_x))
    hidden, out = (torch.nn.Linear(n, m) for n, m in pairwise(SIZES))
    for layer in (hidden, out):
        torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        torch.nn.init.zeros_(layer.bias)
    model = torch.nn.Sequential(hidden, torch.nn.ReLU(), out)
    method = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)

    def epoch(number: int) -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            chosen = order[start : start + BATCH]
            method.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            loss.backward()
            method.step()

    def accuracy() -> float:
        with torch.no_grad():
            return float((model(test_x).argmax(dim=1).numpy() == digits.test_y).mean())

    return epoch, accuracy


def main() -> None:
    """Train both, and say the ratio."""
    from common import Results, options
    from data import mnist

    parser = options(__doc__, reads="mnist/*.gz, else fetched from OpenML", mode="compile")
    parser.add_argument("--epochs", type=int, default=100, metavar="N")
    parser.add_argument("--threads", type=int, default=2, metavar="N")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    results = Results("mnist_beside_pytorch", given)
    results.command = f"python -m benchmarks.training --data DIR --epochs {given.epochs} --threads {given.threads}"
    digits = mnist(given.data, given.quick)
    programs = {"lazygrad": lazygrad(digits), f"PyTorch {torch.__version__.partition('+')[0]}": pytorch(digits)}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(given.epochs):
        for name, (epoch, _) in programs.items():
            began = time.perf_counter()
            epoch(number)
            seconds[name].append(time.perf_counter() - began)
    mine, theirs = seconds.values()
    accuracies = [accuracy() for _, accuracy in programs.values()]
    results.table(
        f"784-128-10 on MNIST, {given.epochs} epochs, {math.ceil(len(digits.train_x) / BATCH)} steps each",
        ["", "seconds in all", "median epoch, seconds", "test accuracy"],
        [[n, sum(s), statistics.median(s), a] for (n, s), a in zip(seconds.items(), accuracies, strict=True)],
    )
    results.number("lazygrad's seconds in all", sum(mine))
    results.number("PyTorch's seconds in all", sum(theirs))
    ratios = np.array(mine[1:] or mine) / np.array(theirs[1:] or theirs)
    results.number("median of the ratio of seconds, epoch by epoch", np.median(ratios))
    results.number("lazygrad's test accuracy", accuracies[0])
    results.write()


if __name__ == "__main__":
    main()
