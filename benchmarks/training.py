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
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

RATE, BATCH, SIZES = 0.3, 128, (784, 128, 10)


class Program(NamedTuple):
    """A network, and how it is trained."""

    epoch: Callable[[int], None]  # trains for one
    accuracy: Callable[[], float]  # on the test images
    phases: dict[str, Callable[[], Any]]  # of a step: each does what those before it do, and one thing more


def lazygrad(digits: Any) -> Program:
    """With lazygrad."""
    env = lg.VariableEnvironment(seed=0)
    hidden, out = (lg.nn.Linear(env, n, m, weight=lg.nn.initializers.HeUniform()) for n, m in pairwise(SIZES))
    sgd = lg.optim.SGD(env, RATE)

    def network(ctx: Any, x: Any) -> Any:
        return out(lg.nn.relu(hidden(x)))

    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return lg.mean(lg.nn.cross_entropy(network(ctx, x), y))

    def backward(ctx: Any, x: Any, y: Any) -> Any:
        loss = forward(ctx, x, y)
        return loss, lg.grad(loss, ctx.variables())

    def whole(ctx: Any, x: Any, y: Any) -> Any:
        loss = forward(ctx, x, y)
        return loss, sgd.minimize(loss)

    step = env.compile(whole)
    x, y = digits.train_x[:BATCH], digits.train_y[:BATCH]
    compiled = {"forward": forward, "and gradients": backward, "and update": whole}
    phases = {name: partial(env.compile(function, wait=True), x, y) for name, function in compiled.items()}
    data = (digits.train_x, digits.train_y)

    def epoch(number: int) -> None:
        lg.fit(step, data, epochs=1, batch_size=BATCH, seed=number)

    def accuracy() -> float:
        return float((env.run(network, digits.test_x).argmax(axis=1) == digits.test_y).mean())

    return Program(epoch, accuracy, phases)


def pytorch(digits: Any) -> Program:
    """With PyTorch."""
    import torch

    torch.manual_seed(0)
    x, y, test_x = (torch.from_numpy(a) for a in (digits.train_x, digits.train_y, digits.test_x))
    hidden, out = (torch.nn.Linear(n, m) for n, m in pairwise(SIZES))
    for layer in (hidden, out):
        torch.nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        torch.nn.init.zeros_(layer.bias)
    model = torch.nn.Sequential(hidden, torch.nn.ReLU(), out)
    method = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)

    def forward(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y)

    def backward(x: Any, y: Any) -> Any:
        method.zero_grad(set_to_none=True)
        loss = forward(x, y)
        loss.backward()
        return loss

    def whole(x: Any, y: Any) -> Any:
        loss = backward(x, y)
        method.step()
        return loss

    def epoch(number: int) -> None:
        order = torch.randperm(len(x))
        for start in range(0, len(x), BATCH):
            chosen = order[start : start + BATCH]
            whole(x[chosen], y[chosen])

    def accuracy() -> float:
        with torch.no_grad():
            return float((model(test_x).argmax(dim=1).numpy() == digits.test_y).mean())

    steps = {"forward": forward, "and gradients": backward, "and update": whole}
    return Program(epoch, accuracy, {name: partial(step, x[:BATCH], y[:BATCH]) for name, step in steps.items()})


def microseconds(steps: Sequence[Callable[[], Any]], rounds: int = 9, calls: int = 100) -> list[float]:
    """Of a call of each, the median of several rounds in which they take turns."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for step, found in zip(steps, times, strict=True):
            began = time.perf_counter()
            for _ in range(calls):
                step()
            found.append((time.perf_counter() - began) / calls * 1e6)
    return [statistics.median(found) for found in times]


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
        for name, program in programs.items():
            began = time.perf_counter()
            program.epoch(number)
            seconds[name].append(time.perf_counter() - began)
    mine, theirs = seconds.values()
    accuracies = [program.accuracy() for program in programs.values()]
    results.table(
        f"784-128-10 on MNIST, {given.epochs} epochs, {math.ceil(len(digits.train_x) / BATCH)} steps each",
        ["", "seconds in all", "median epoch, seconds", "test accuracy"],
        [[n, sum(s), statistics.median(s), a] for (n, s), a in zip(seconds.items(), accuracies, strict=True)],
    )
    rows = []
    for phase in programs["lazygrad"].phases:
        rows.append([phase, *microseconds([program.phases[phase] for program in programs.values()])])
    results.table("Microseconds of a step on one batch, which phase by which phase", ["", *programs], rows)
    results.number("lazygrad's seconds in all", sum(mine))
    results.number("PyTorch's seconds in all", sum(theirs))
    ratios = np.array(mine[1:] or mine) / np.array(theirs[1:] or theirs)
    results.number("median of the ratio of seconds, epoch by epoch", np.median(ratios))
    results.number("lazygrad's test accuracy", accuracies[0])
    results.write()


if __name__ == "__main__":
    main()
