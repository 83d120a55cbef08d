"""PyTorch, eager, with its fused optimizers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from benchmarks.workloads import BATCHES, LEARNING_RATE, MOMENTUM, Workload

NAME = "PyTorch"
PACKAGES = ("torch",)


def training(workload: Workload) -> Callable[[int], Any]:
    """The step: forward, ``backward``, and one fused update of all parameters."""
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
    if workload.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
    criterion = torch.nn.functional.cross_entropy if workload.loss == "cross_entropy" else torch.nn.functional.mse_loss
    tensors = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches]

    def step(number: int) -> Any:
        x, y = tensors[number % BATCHES]
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step
