"""Dense networks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform, descending, optimizer
from benchmarks.workloads.dense import Dense


def training(workload: Dense, transform: Transform) -> Callable[[int], Any]:
    """The step."""
    parameters, batches = workload.numbers()
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(workload.sizes):
        if layers:
            layers.append(torch.nn.Tanh() if workload.activation == "tanh" else torch.nn.ReLU())
        layers.append(torch.nn.Linear(inputs, outputs))
    model = torch.nn.Sequential(*layers)
    with torch.no_grad():
        for own, first in zip(model.parameters(), parameters, strict=True):
            own.copy_(torch.from_numpy(first.T))
    criterion = torch.nn.functional.cross_entropy if workload.loss == "cross_entropy" else torch.nn.functional.mse_loss
    loss = transform(lambda x, y: criterion(model(x), y))
    return descending(loss, optimizer(workload.optimizer, model.parameters()), batches)
