"""PyTorch, eager, with its fused optimizers.

Each file of a family has ``training(workload, transform)``, where ``transform`` makes of a function of tensors one
that computes the same: the identity here, ``torch.compile`` for the peer of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from benchmarks.peers import program
from benchmarks.workloads.base import LEARNING_RATE, MOMENTUM

NAME = "PyTorch"
PACKAGES = ("torch",)

Function = Callable[..., Any]
Transform = Callable[[Function], Function]


def load(family: str) -> Callable[[Any], Callable[[int], Any]]:
    """The programs as they are."""
    training = program("pytorch", family).training
    return lambda workload: training(workload, lambda function: function)


def optimizer(name: str, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of that name, with the settings that all workloads share."""
    if name == "adam":
        return torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    return torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM if name == "momentum" else 0, fused=True)


def descending(loss: Function, method: torch.optim.Optimizer, batches: list[tuple[Any, ...]]) -> Callable[[int], Any]:
    """The step that lowers ``loss(*batch)``: forward, ``backward``, and one fused update of all parameters."""
    tensors = [tuple(map(torch.from_numpy, batch)) for batch in batches]
    count = len(tensors)

    def step(number: int) -> Any:
        method.zero_grad(set_to_none=True)
        value = loss(*tensors[number % count])
        value.backward()
        method.step()
        return value.detach()

    return step


def owned(parameters: list[Any]) -> list[torch.nn.Parameter]:
    """Parameters that begin with these numbers."""
    return [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in parameters]
