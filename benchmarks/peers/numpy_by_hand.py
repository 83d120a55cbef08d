"""NumPy, with the derivatives written out by hand: what all others are measured by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import BATCHES, LEARNING_RATE, MOMENTUM, Workload

NAME = "NumPy by hand"
PACKAGES = ("numpy",)

Move = Callable[[list[Any]], None]


def training(workload: Workload) -> Callable[[int], Any]:
    """The step; forward, backward and update in plain NumPy."""
    parameters, batches = workload.numbers()
    weights, biases = parameters[::2], parameters[1::2]
    move = optimizer(workload, parameters)
    loss_and_cotangent = cross_entropy if workload.loss == "cross_entropy" else squared_error
    tanh = workload.activation == "tanh"
    last = len(weights) - 1

    def step(number: int) -> Any:
        x, y = batches[number % BATCHES]
        layers = [x]
        for k, (w, b) in enumerate(zip(weights, biases)):
            z = layers[-1] @ w + b
            if k < last:
                z = np.tanh(z) if tanh else np.maximum(z, 0)
            layers.append(z)
        loss, g = loss_and_cotangent(layers.pop(), y)
        gradients: list[Any] = [None] * len(parameters)
        for k in range(last, -1, -1):
            h = layers[k]
            gradients[2 * k] = h.T @ g
            gradients[2 * k + 1] = g.sum(0)
            if k:
                g = g @ weights[k].T
                g *= 1 - h * h if tanh else h > 0
        move(gradients)
        return loss

    return step


def squared_error(z: Any, y: Any) -> tuple[Any, Any]:
    """The mean of (z − y)², and its derivative for z."""
    d = z - y
    return np.mean(d * d), d * np.float32(2 / d.size)


def cross_entropy(z: Any, y: Any) -> tuple[Any, Any]:
    """The mean over rows of −log softmax(z)[y], and its derivative for z."""
    rows = np.arange(len(y))
    z = z - z.max(1, keepdims=True)
    p = np.exp(z)
    total = p.sum(1, keepdims=True)
    loss = -np.mean(z[rows, y] - np.log(total[:, 0]))
    p /= total
    p[rows, y] -= 1
    p /= np.float32(len(y))
    return loss, p


def optimizer(workload: Workload, parameters: list[Any]) -> Move:
    """The update of the parameters in place; scalars are float32, so that nothing becomes float64."""
    return adam(parameters) if workload.optimizer == "adam" else momentum(parameters)


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
