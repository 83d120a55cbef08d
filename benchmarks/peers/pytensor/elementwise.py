"""A chain of elementwise functions and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, symbol
from benchmarks.workloads.elementwise import Elementwise


def training(workload: Elementwise) -> Callable[[int], Any]:
    """The value and the gradient."""
    pytensor.config.floatX = "float32"
    batches = workload.numbers()[1]
    x = symbol(batches[0][0])
    value = pt.sum(pt.tanh(2 * x + 1) * pt.exp(-x * x))
    return compiled([x], [value, pytensor.grad(value, x)], batches)
