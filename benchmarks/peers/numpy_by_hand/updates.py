"""The updates of parameters, in place; scalars are float32, so that nothing becomes float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.base import LEARNING_RATE, MOMENTUM

Move = Callable[[list[Any]], None]


def optimizer(name: str, parameters: list[Any]) -> Move:
    """A function of the gradients that moves the parameters."""
    return {"adam": adam, "momentum": momentum, "sgd": sgd}[name](parameters)


def adam(parameters: list[Any]) -> Move:
    """Adam (Kingma and Ba 2015, Algorithm 1)."""
    means = [np.zeros_like(p) for p in parameters]
    squares = [np.zeros_like(p) for p in parameters]
    beta1, beta2, eps = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
    rest1, rest2 = np.float32(0.1), np.float32(0.001)
    t = 0

    def move(gradients: list[Any]) -> None:
        nonlocal t
        t += 1
        rate, correction = np.float32(LEARNING_RATE / (1 - 0.9**t)), np.float32(1 - 0.999**t)
        for p, g, m, v in zip(parameters, gradients, means, squares):
            m *= beta1
            m += rest1 * g
            v *= beta2
            v += rest2 * g * g
            p -= rate * m / (np.sqrt(v / correction) + eps)

    return move


def momentum(parameters: list[Any]) -> Move:
    """v ← μ·v + g, p ← p − λ·v."""
    velocities = [np.zeros_like(p) for p in parameters]
    rate, mu = np.float32(LEARNING_RATE), np.float32(MOMENTUM)

    def move(gradients: list[Any]) -> None:
        for p, g, v in zip(parameters, gradients, velocities):
            v *= mu
            v += g
            p -= rate * v

    return move


def sgd(parameters: list[Any]) -> Move:
    """p ← p − λ·g."""
    rate = np.float32(LEARNING_RATE)

    def move(gradients: list[Any]) -> None:
        for p, g in zip(parameters, gradients):
            p -= rate * g

    return move
