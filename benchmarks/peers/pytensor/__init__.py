"""PyTensor: one compiled function that returns the loss and updates shared variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.workloads.base import LEARNING_RATE, MOMENTUM

NAME = "PyTensor"
PACKAGES = ("pytensor",)

Updates = list[tuple[Any, Any]]


def symbol(array: Any) -> Any:
    """A variable that stands for such an array; its shape is known, as it is to the others."""
    return pt.tensor(dtype=array.dtype, shape=array.shape)


def compiled(
    inputs: list[Any], outputs: Any, batches: list[tuple[Any, ...]], updates: Any = ()
) -> Callable[[int], Any]:
    """The step, one compiled call that does not check its arguments again."""
    function = pytensor.function(inputs, outputs, updates=updates)
    function.trust_input = True
    count = len(batches)
    return lambda number: function(*batches[number % count])


def updates(name: str, loss: Any, parameters: list[Any]) -> Updates:
    """What the optimizer of that name makes of shared variables, to lower the loss."""
    gradients = pytensor.grad(loss, parameters)
    return {"adam": adam, "momentum": momentum, "sgd": sgd}[name](parameters, gradients)


def adam(parameters: list[Any], gradients: list[Any]) -> Updates:
    """Adam (Kingma and Ba 2015, Algorithm 1)."""
    beta1, beta2, one = np.float32(0.9), np.float32(0.999), np.float32(1)
    count = pytensor.shared(np.float32(0))
    t = count + one
    found = [(count, t)]
    for p, g in zip(parameters, gradients, strict=True):
        m, v = (pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2))
        new_m = beta1 * m + np.float32(0.1) * g
        new_v = beta2 * v + np.float32(0.001) * g * g
        root = pt.sqrt(new_v / (one - beta2**t)) + np.float32(1e-8)
        new_p = p - np.float32(LEARNING_RATE) * (new_m / (one - beta1**t)) / root
        found += [(m, new_m), (v, new_v), (p, pt.cast(new_p, "float32"))]
    return found


def momentum(parameters: list[Any], gradients: list[Any]) -> Updates:
    """v ← μ·v + g, p ← p − λ·v."""
    found: Updates = []
    for p, g in zip(parameters, gradients, strict=True):
        v = pytensor.shared(np.zeros_like(p.get_value()))
        new_v = np.float32(MOMENTUM) * v + g
        found += [(v, new_v), (p, p - np.float32(LEARNING_RATE) * new_v)]
    return found


def sgd(parameters: list[Any], gradients: list[Any]) -> Updates:
    """p ← p − λ·g."""
    return [(p, p - np.float32(LEARNING_RATE) * g) for p, g in zip(parameters, gradients, strict=True)]


def cross_entropy(logits: Any, classes: Any) -> Any:
    """The mean over rows."""
    return -pt.mean(pt.special.log_softmax(logits, axis=1)[pt.arange(classes.shape[0]), classes])
