"""Convolutional networks: a convolution is a matrix product of all windows with all filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.peers.numpy_by_hand.losses import cross_entropy
from benchmarks.peers.numpy_by_hand.updates import optimizer
from benchmarks.workloads.base import BATCHES
from benchmarks.workloads.convolution import FILTER, Convolution


def training(workload: Convolution) -> Callable[[int], Any]:
    """The step; images are (batch, row, column, channel) within it, as matrix products leave them."""
    parameters, batches = workload.numbers()
    convolutions = 2 * len(workload.channels)
    move = optimizer("momentum", parameters)
    sigmoid = workload.activation == "sigmoid"

    def activated(z: Any) -> Any:
        return 1 / (1 + np.exp(-z)) if sigmoid else np.maximum(z, 0)

    def slope(h: Any) -> Any:
        return h * (1 - h) if sigmoid else h > 0

    def step(number: int) -> Any:
        images, y = batches[number % BATCHES]
        h = images.transpose(0, 2, 3, 1)
        kept: list[Any] = []
        for k in range(0, convolutions, 2):
            filters, bias = parameters[k : k + 2]
            columns = windows(h)
            z = activated(columns @ filters.reshape(len(filters), -1).T + bias)
            kept.append((h.shape, columns, z))
            h = pooled(z)
        kept.append(h.shape)
        # Dense layers read the channels first, as their weights were drawn for.
        layers = [np.ascontiguousarray(h.transpose(0, 3, 1, 2)).reshape(len(h), -1)]
        for k in range(convolutions, len(parameters), 2):
            z = layers[-1] @ parameters[k] + parameters[k + 1]
            layers.append(z if k == len(parameters) - 2 else activated(z))
        loss, g = cross_entropy(layers.pop(), y)
        gradients: list[Any] = [None] * len(parameters)
        for k in range(len(parameters) - 2, convolutions - 1, -2):
            h = layers.pop()
            gradients[k : k + 2] = h.T @ g, g.sum(0)
            g = g @ parameters[k].T
            if k > convolutions:
                g *= slope(h)
        batch, rows, width, channels = kept.pop()
        g = g.reshape(batch, channels, rows, width).transpose(0, 2, 3, 1)
        for k in range(convolutions - 2, -1, -2):
            shape, columns, z = kept.pop()
            g = unpooled(g, z) * slope(z)
            filters = parameters[k]
            flat = g.reshape(-1, g.shape[-1])
            gradients[k] = (flat.T @ columns.reshape(-1, columns.shape[-1])).reshape(filters.shape)
            gradients[k + 1] = flat.sum(0)
            if k:
                g = folded(g @ filters.reshape(len(filters), -1), shape)
        move(gradients)
        return loss

    return step


def windows(h: Any) -> Any:
    """(batch, rows, columns, channels·5·5), the windows in which a filter is laid."""
    view = sliding_window_view(h, (FILTER, FILTER), (1, 2))
    return view.reshape(*view.shape[:3], -1)


def folded(columns: Any, shape: tuple[int, ...]) -> Any:
    """The transpose of :func:`windows`: each image is the sum of its windows."""
    _, rows, width, channels = shape
    h = np.zeros(shape, np.float32)
    parts = columns.reshape(*columns.shape[:3], channels, FILTER, FILTER)
    for i in range(FILTER):
        for j in range(FILTER):
            h[:, i : i + rows - FILTER + 1, j : j + width - FILTER + 1] += parts[..., i, j]
    return h


def pooled(z: Any) -> Any:
    """The largest of each 2 × 2."""
    return np.maximum(np.maximum(z[:, ::2, ::2], z[:, ::2, 1::2]), np.maximum(z[:, 1::2, ::2], z[:, 1::2, 1::2]))


def unpooled(g: Any, z: Any) -> Any:
    """The cotangent of what was pooled, where each largest one stood."""
    spread = np.zeros_like(z)
    largest = pooled(z)
    for i in range(2):
        for j in range(2):
            spread[:, i::2, j::2] = g * (z[:, i::2, j::2] == largest)
    return spread
