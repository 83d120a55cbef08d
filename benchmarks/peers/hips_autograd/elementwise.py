"""A chain of elementwise functions and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import value_and_grad

from benchmarks.workloads.elementwise import Elementwise


def training(workload: Elementwise) -> Callable[[int], Any]:
    """The value and the gradient."""
    [(x,)] = workload.numbers()[1]
    differentiated = value_and_grad(lambda x: anp.sum(anp.tanh(2 * x + 1) * anp.exp(-x * x)))
    return lambda number: differentiated(x)
