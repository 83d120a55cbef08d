"""Convolutional networks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform, descending, optimizer
from benchmarks.workloads.convolution import FILTER, Convolution


def training(workload: Convolution, transform: Transform) -> Callable[[int], Any]:
    """The step."""
    parameters, batches = workload.numbers()
    activation = torch.nn.Sigmoid if workload.activation == "sigmoid" else torch.nn.ReLU
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise((1, *workload.channels)):
        layers += [torch.nn.Conv2d(inputs, outputs, FILTER), activation(), torch.nn.MaxPool2d(2)]
    layers.append(torch.nn.Flatten())
    for w in parameters[2 * len(workload.channels) :: 2]:
        layers += [torch.nn.Linear(*w.shape), activation()]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for own, first in zip(model.parameters(), parameters, strict=True):
            own.copy_(torch.from_numpy(first.T if first.ndim == 2 else first))
    loss = transform(lambda x, y: torch.nn.functional.cross_entropy(model(x), y))
    return descending(loss, optimizer("momentum", model.parameters()), batches)
